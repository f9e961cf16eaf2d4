//! Why a request body is refused. Every message names the field and what was expected there.

use std::fmt;

/// Why a body is not sent on. The error's `type` is `invalid_request_error` for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than the limit, in bytes.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not JSON.
    Malformed {
        /// Offset of the byte at which it stops being JSON.
        at: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// JSON, but no object.
    NotAnObject,
    /// Nested more than [`super::MAX_DEPTH`] deep.
    TooDeep {
        /// Offset of the bracket that is too much.
        at: usize,
    },
    /// A field that we read stands there twice.
    Duplicate {
        /// Which.
        field: &'static str,
    },
    /// A field differs from one that we read only in upper or lower case; some providers would read it as that field.
    WrongCase {
        /// How it must be spelt.
        field: &'static str,
    },
    /// A field's value is not what it must be.
    Wrong {
        /// Which.
        field: &'static str,
        /// What it must be, with article.
        expected: &'static str,
    },
    /// A field with which a client would choose the provider's address or credential.
    RoutingOverride {
        /// Which.
        field: &'static str,
    },
}

impl BodyError {
    /// The HTTP status of the refusal.
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            _ => 400,
        }
    }

    /// The error's `param`: the field, or `request_body` where it is the body as such.
    pub const fn param(&self) -> &'static str {
        match self {
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::NotAnObject
            | Self::TooDeep { .. } => "request_body",
            Self::Duplicate { field }
            | Self::WrongCase { field }
            | Self::Wrong { field, .. }
            | Self::RoutingOverride { field } => field,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => {
                write!(
                    f,
                    "Request body is too large: expected at most {limit} bytes."
                )
            }
            Self::Malformed { at, expected } => {
                write!(f, "Invalid JSON payload: expected {expected} at byte {at}.")
            }
            Self::NotAnObject => f.write_str("Invalid JSON payload: expected a JSON object."),
            Self::TooDeep { at } => write!(
                f,
                "Invalid JSON payload: expected at most {} levels of nesting, exceeded at byte {at}.",
                super::MAX_DEPTH
            ),
            Self::Duplicate { field } => {
                write!(
                    f,
                    "Invalid request: expected '{field}' once, found it twice."
                )
            }
            Self::WrongCase { field } => {
                write!(
                    f,
                    "Invalid request: expected '{field}' in exactly this spelling."
                )
            }
            Self::Wrong { field, expected } => {
                write!(f, "Invalid value for '{field}': expected {expected}.")
            }
            Self::RoutingOverride { field } => write!(
                f,
                "Invalid request: '{field}' is not allowed in a request body, the gateway chooses the provider."
            ),
        }
    }
}

impl std::error::Error for BodyError {}

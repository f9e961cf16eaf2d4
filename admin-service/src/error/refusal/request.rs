//! What is wrong with a request whatever it is about: its path, body, repetition, order, durations and amounts.

use axum::http::StatusCode;

use super::{BAD, BAD_REQUEST, CONFLICT, INVALID, NOT_FOUND, raised};
use crate::error::{Shape, Wire};

/// A request that cannot be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// No such path.
    NoRoute,
    /// A path that this product does not serve although LiteLLM does; says what.
    NotServed(&'static str),
    /// The path has no such method.
    NoMethod,
    /// The body is no JSON; the parser's words.
    BadJson(String),
    /// An `Idempotency-Key` that is none.
    IdempotencyKey,
    /// An `Idempotency-Key` that another request has.
    IdempotencyMismatch,
    /// The request of this `Idempotency-Key` is not answered yet, or its answer was lost.
    IdempotencyPending,
    /// The body is larger than allowed.
    BodyTooLarge(usize),
    /// There is no cache.
    NoCache,
    /// What another handler wraps into `error` is raised as `detail` here.
    InDetail(Box<Self>),
    /// A sort column that is not there.
    BadSort(&'static str),
    /// An entry of the audit log that is not there.
    AuditMissing(String),
    /// `duration`.
    BadDuration,
    /// `budget_duration`.
    BadBudgetDuration(String),
    /// A budget below zero.
    NegativeBudget {
        /// The field.
        field: &'static str,
        /// What was sent.
        got: String,
    },
    /// A budget that no number of nano-dollars can hold.
    BudgetTooLarge(&'static str),
    /// A sort order other than `asc` and `desc`.
    BadSortOrder,
}

impl RequestRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::NoRoute => Wire::detail(NOT_FOUND, "Not Found"),
            Self::NotServed(what) => Wire::detail(
                NOT_FOUND,
                format!("Not Found. Tollkeeper does not serve {what}."),
            ),
            Self::NoMethod => Wire::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::BadJson(why) => Wire::param(
                BAD,
                INVALID,
                "request_body",
                format!("Invalid JSON payload: {why}"),
            ),
            Self::BodyTooLarge(limit) => Wire::error(
                StatusCode::PAYLOAD_TOO_LARGE,
                INVALID,
                format!("The request body is larger than {limit} bytes."),
            ),
            Self::NoCache => Wire::param(
                StatusCode::SERVICE_UNAVAILABLE,
                "cache_ping_error",
                "cache_ping",
                "There is no cache in the gateway: every answer comes from its provider.",
            ),
            Self::InDetail(refusal) => {
                let Wire { status, shape } = refusal.wire();
                match shape {
                    Shape::Error { message, .. } => Wire::detail_error(status, raised(&message)),
                    detail @ Shape::Detail(_) => Wire {
                        status,
                        shape: detail,
                    },
                }
            }
            Self::BadSort(columns) => Wire::detail_error(
                BAD,
                format!("Invalid sort column. Must be one of: {columns}"),
            ),
            Self::AuditMissing(id) => Wire::detail_error(
                StatusCode::NOT_FOUND,
                format!("Audit log not found, passed id={id}"),
            ),
            Self::IdempotencyKey => Wire::param(
                BAD,
                BAD_REQUEST,
                "Idempotency-Key",
                "Send one Idempotency-Key of 1 to 255 visible ASCII characters.",
            ),
            Self::IdempotencyMismatch => Wire::param(
                StatusCode::UNPROCESSABLE_ENTITY,
                BAD_REQUEST,
                "Idempotency-Key",
                "Another request was sent with this Idempotency-Key. Take a new key for a new request.",
            ),
            Self::IdempotencyPending => Wire::param(
                CONFLICT,
                BAD_REQUEST,
                "Idempotency-Key",
                "The request of this Idempotency-Key is done, but its answer is not there: try again in a moment; if it stays so, the audit log says what was made.",
            ),
            Self::BadDuration => {
                let message =
                    "Invalid duration format. Use a number and s, m, h, d, w or mo, such as 30d.";
                Wire::param(BAD, BAD_REQUEST, "duration", message)
            }
            Self::BadBudgetDuration(text) => {
                let message = format!(
                    "Invalid budget_duration '{text}'. Use a format like '1h', '24h', '7d', or '30d'."
                );
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::NegativeBudget { field, got } => {
                let message =
                    format!("{field} must be a non-negative finite number. Received: {got}");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::BudgetTooLarge(field) => {
                let message = format!("{field} must be at most 9000000 US dollars.");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::BadSortOrder => Wire::detail_error(BAD, "sort_order must be 'asc' or 'desc'"),
        }
    }
}

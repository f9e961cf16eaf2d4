//! Reads a request body as it passes, without keeping it.
//!
//! Decides whether the bytes are one JSON object that we may send on (syntax, depth, size, doubled or misspelt fields, routing overrides), and
//! picks out the few values that admission, billing and the spend log need. What those values mean for limits is left to
//! [`crate::estimate`]; whether a model is known or allowed, to others.
//!
//! Failure stance: closed. Anything that two JSON readers could read differently is refused, so that what is billed is what the upstream sees.

pub(crate) mod lexer;

mod edits;
mod error;
mod facts;

pub use edits::{CapField, applied, in_order};
pub use error::BodyError;
pub use facts::{Content, RequestFacts, Span, Spanned, StreamOptions};

/// Deepest nesting of a request body.
pub const MAX_DEPTH: u32 = 64;

/// A body being read. Chunks may end anywhere, inside a number or a multi-byte character too.
#[derive(Debug)]
pub struct RequestScan {
    max_bytes: usize,
}

impl RequestScan {
    /// Reads a body of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }

    /// Reads the next piece. After an error the scan is over.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        todo!()
    }

    /// The body is complete.
    pub fn finish(self) -> Result<RequestFacts, BodyError> {
        todo!()
    }
}

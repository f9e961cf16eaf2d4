//! Reads a request body as it passes, without keeping it.
//!
//! Decides whether the bytes are one JSON object that we may send on (syntax, depth, size, doubled or misspelt fields, routing overrides), and
//! picks out the few values that admission, billing and the spend log need. What those values mean for limits is left to
//! [`crate::estimate`]; whether a model is known or allowed, to others.
//!
//! Failure stance: closed. Anything that two JSON readers could read differently is refused, so that what is billed is what the upstream sees.

pub(crate) mod lexer;

mod cuts;
mod edits;
mod error;
mod facts;
mod fields;
mod place;
mod reader;

use lexer::Lexer;
use reader::Collector;

pub use edits::{CapField, applied, in_order};
pub use error::BodyError;
pub use facts::{Content, RequestFacts, Span, Spanned, StreamOptions};

/// Deepest nesting of a request body.
pub const MAX_DEPTH: u32 = 64;

/// A body being read. Chunks may end anywhere, inside a number or a multi-byte character too.
#[derive(Debug)]
pub struct RequestScan {
    max_bytes: usize,
    lexer: Lexer,
    collector: Collector,
    failed: Option<BodyError>,
}

impl RequestScan {
    /// Reads a body of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            lexer: Lexer::new(MAX_DEPTH),
            collector: Collector::default(),
            failed: None,
        }
    }

    /// Reads the next piece. The first error stays.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let read = self.read(chunk);
        self.failed = read.err();
        read
    }

    /// The body is complete.
    pub fn finish(mut self) -> Result<RequestFacts, BodyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.lexer.finish(&mut self.collector)?;
        Ok(self.collector.facts)
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let length = self.collector.facts.body_bytes.saturating_add(chunk.len());
        if length > self.max_bytes {
            return Err(BodyError::TooLarge {
                limit: self.max_bytes,
            });
        }
        self.collector.facts.body_bytes = length;
        self.lexer.push(chunk, &mut self.collector)
    }
}

//! Meters an answer as it passes: the provider's own count where it states one, else how much text was delivered.
//!
//! Decides what an answer consumed, and which bytes of it the client did not ask for; prices and settlement are left to others. Failure
//! stance: an answer that cannot be read is passed on untouched and has no usage, never a wrong one.

mod document;
mod openai;
mod sse;
mod stream;
mod tally;

use contract::usage::Metered;
use document::Document;
use stream::Stream;

use crate::route::Api;

/// How an answer must be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterMode {
    /// Server-sent events (the answer's `content-type` is `text/event-stream`), else one JSON document.
    pub stream: bool,
    /// The client did not ask for the chunk with usage: take it out of the stream.
    pub hide_usage: bool,
}

/// What to do with a piece of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Pass it on as it is.
    AsIs,
    /// Pass this on in its place; may be empty.
    Replace(Vec<u8>),
}

/// What an answer consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The provider's count: exact where it was the final one, at least that much where the answer was cut after an intermediate one.
    pub metered: Option<Metered>,
    /// Bytes of text, reasoning and tool arguments seen.
    pub delivered_bytes: u64,
    /// Bytes of the answer altogether.
    pub body_bytes: u64,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The service tier that the provider says it used.
    pub service_tier: Option<String>,
    /// The provider reported an error in the answer itself.
    pub failed: bool,
}

/// An answer being metered.
#[derive(Debug)]
pub struct Meter {
    body_bytes: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Json(Document),
    Events(Stream),
}

impl Meter {
    /// Meters an answer of `api`.
    pub fn new(api: Api, mode: MeterMode) -> Self {
        let document = Document::new(api);
        let body = if mode.stream {
            Body::Events(Stream::new(document, mode.hide_usage))
        } else {
            Body::Json(document)
        };
        Self {
            body_bytes: 0,
            body,
        }
    }

    /// Reads the next piece; `end` with the last one.
    pub fn push(&mut self, chunk: &[u8], end: bool) -> Passed {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.body_bytes = self.body_bytes.saturating_add(length);
        match &mut self.body {
            Body::Json(document) => {
                document.feed(chunk);
                Passed::AsIs
            }
            Body::Events(stream) => stream.push(chunk, end),
        }
    }

    /// What is known so far: after the last piece, or where the answer was cut.
    pub fn finish(&self) -> Outcome {
        let document = match &self.body {
            Body::Json(document) => document,
            Body::Events(stream) => stream.document(),
        };
        // A document that is not a stream states its usage once, for the whole answer.
        let whole = matches!(self.body, Body::Json(_));
        Outcome {
            body_bytes: self.body_bytes,
            ..document.tally().outcome(whole)
        }
    }
}

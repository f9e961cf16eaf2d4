//! What an exchange, or a worker's root, wants Envoy to do. The adapter carries effects out in order and decides nothing.

use crate::event::CallId;
use crate::metric::Metric;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these RESP commands to Redis as one call.
    CallRedis {
        /// Comes back with the outcome.
        call: CallId,
        /// The commands, concatenated.
        commands: Vec<u8>,
        /// How many commands there are, and so how many replies must come.
        replies: usize,
        /// Give up after this many milliseconds.
        timeout_ms: u64,
    },
    /// Set a request header, or remove it where there is no value.
    RequestHeader {
        /// Lower case.
        name: &'static str,
        /// The value.
        value: Option<Vec<u8>>,
    },
    /// Remove a request header that the client sent under a name we learned at run time.
    RemoveRequestHeader(Vec<u8>),
    /// Replace parts of the whole buffered request body; ascending and disjoint.
    EditRequestBody(Vec<Edit>),
    /// Set a response header, or remove it where there is no value.
    ResponseHeader {
        /// Lower case.
        name: String,
        /// The value.
        value: Option<Vec<u8>>,
    },
    /// Let the paused request go upstream. Without it a request stays paused from its headers on.
    Resume,
    /// Replace the piece of the response body that the current event carried.
    ReplaceResponseChunk(Vec<u8>),
    /// Answer in the upstream's place; the request goes nowhere.
    Reply {
        /// HTTP status.
        status: u16,
        /// Headers, besides those of Envoy.
        headers: Vec<(String, Vec<u8>)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Add to a counter or gauge, or observe into a histogram.
    Measure(Metric, i64),
    /// Write a log line; never a secret.
    Log(Level, String),
}

/// Bytes `start..end` of the original body become `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// First byte replaced.
    pub start: usize,
    /// First byte kept again.
    pub end: usize,
    /// The replacement.
    pub with: Vec<u8>,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For debugging.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is degraded.
    Warn,
    /// Something is broken.
    Error,
}

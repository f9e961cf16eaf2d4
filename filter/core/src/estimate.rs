//! How much a request can read and write at most, and how much a cut answer wrote at least.
//!
//! Decides bounds from counted content; what they cost and whether they fit is left to admission.

use contract::records::ModelRecord;

use crate::json_scan::RequestFacts;
use crate::route::Api;

/// Most tokens that the request can read.
pub fn input_tokens(facts: &RequestFacts, model: &ModelRecord, api: Api) -> u64 {
    todo!()
}

/// Most tokens that the request allows to be written, over all of its choices; `None` where it states no cap.
pub fn output_cap(facts: &RequestFacts, api: Api) -> Option<u64> {
    todo!()
}

/// How many answers are written at once: a cap for one of them counts this often. At least 1.
pub fn choices(facts: &RequestFacts, api: Api) -> u64 {
    todo!()
}

/// Estimated tokens of a piece of answer: its text's bytes by four, rounded up.
pub fn delivered_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

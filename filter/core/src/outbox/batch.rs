//! One call of the outbox, and what its replies amount to.

use contract::id::ReservationId;
use contract::script::{By, ScriptError};

/// One call as sent: what its replies mean.
#[derive(Debug)]
pub(crate) struct Batch {
    /// First sequence and number of items, per settle command.
    pub(super) settles: Vec<(u64, usize)>,
    /// Ids, per release command.
    pub(super) releases: Vec<Vec<ReservationId>>,
    /// Acknowledged when it was sent.
    pub(super) acknowledged: u64,
    /// How scripts were named.
    pub by: By,
}

impl Batch {
    pub(crate) fn commands(&self) -> usize {
        self.settles.len().saturating_add(self.releases.len())
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// Redis time of the latest answer.
    pub now_ms: Option<u64>,
    pub verdict: Verdict,
    /// Settlements that will be sent again because Redis lost them.
    pub lost: u64,
    /// Redis lost more than was kept: the outbox must go on under another name.
    pub gap: bool,
}

/// How far a batch came; of several answers the worst counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Everything was taken.
    Complete,
    /// Redis has settled less than was sent.
    Incomplete,
    /// The partition is not open.
    NotReady,
    /// Redis does not know a script: repeat by source.
    NoScript,
    /// Redis said this instead of an answer.
    Failed(String),
}

impl From<ScriptError> for Verdict {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::NoScript => Self::NoScript,
            ScriptError::Redis(text) => Self::Failed(text),
            ScriptError::Malformed => Self::Failed("malformed reply".to_owned()),
        }
    }
}

impl Acknowledgement {
    pub(super) fn note(&mut self, verdict: Verdict) {
        if verdict > self.verdict {
            self.verdict = verdict;
        }
    }
}

//! Limits of a scope, and the denial that names one.

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;
use crate::window::BudgetWindow;

/// What a scope may use. `None` is no limit; zero admits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Requests in any 60 seconds, at most 2^32 − 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// LLM tokens in any 60 seconds, at most 2^53.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Requests in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// Money in a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// An amount that may be spent within a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The most that may be spent in one window.
    pub max: NanoUsd,
    /// When spent goes back to zero.
    #[serde(default)]
    pub window: BudgetWindow,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitKind {
    /// Requests per 60 seconds.
    Rpm,
    /// Tokens per 60 seconds.
    Tpm,
    /// Requests in flight.
    Parallel,
    /// Money per window.
    Budget,
}

/// The first limit that refused an admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Index into the scopes of the admission.
    pub scope: usize,
    /// Which of its limits.
    pub kind: LimitKind,
    /// The limit: requests, tokens, slots or nano-dollars.
    pub limit: u64,
    /// What was used or held, in the same unit.
    pub used: u64,
    /// Milliseconds until the same request can be admitted if nothing else happens; `None` where no time frees it (slots, or a
    /// need above the limit).
    pub retry_after_ms: Option<u64>,
}

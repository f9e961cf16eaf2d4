//! Limits of a scope, and the denial that names one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;
use crate::window::BudgetWindow;

/// What an object may use. `None` is no limit; zero admits nothing.
///
/// The scope of the object's own name carries the first four, as they are at the time. Every further window and every model is a scope of its
/// own, whose name is derived from the object's ([`crate::redis_key::RecordId::window`], [`crate::redis_key::RecordId::of_model`]), so the
/// scripts know four kinds of limits and no more.
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
    /// More of that money for a time: LiteLLM's `temp_budget_increase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise: Option<Raise>,
    /// Further budget windows, by their durations as written (`1d`): LiteLLM's `budget_limits`. A window keeps what it has spent as long as
    /// its duration is written the same.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<String, Budget>,
    /// Limits for one model, by the name that clients use, one that aliases lead to, or a `*` pattern: LiteLLM's `model_rpm_limit`,
    /// `model_tpm_limit` and `model_max_budget`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelLimits>,
}

/// What an object may use of one model, or of all that match a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelLimits {
    /// Requests in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// LLM tokens in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Money in a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The most that may be spent in one window of `budget` at `now_ms`, Redis time; `None` is no limit.
    pub fn max_budget(&self, now_ms: u64) -> Option<NanoUsd> {
        let max = self.budget.as_ref()?.max;
        let raise = self.raise.filter(|raise| raise.until_ms > now_ms);
        Some(raise.map_or(max, |raise| raise.on(max)))
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

/// What a budget has more until a time, whoever is there to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// How much.
    pub by: NanoUsd,
    /// Redis time in ms from which on it is none.
    pub until_ms: u64,
}

impl Raise {
    /// The most that may be spent while it lasts, of a budget with this most.
    pub fn on(self, max: NanoUsd) -> NanoUsd {
        max.checked_add(self.by).unwrap_or(NanoUsd::MAX)
    }
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

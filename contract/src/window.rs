//! Windows in time: the rolling minute of rpm and tpm, and the windows after which a budget starts anew.

use serde::{Deserialize, Serialize};

/// Length of the rolling rate window, in milliseconds.
pub const RATE_WINDOW_MS: u64 = 60_000;

/// When a budget's spent amount goes back to zero. All times are Redis time, milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetWindow {
    /// Never.
    #[default]
    Lifetime,
    /// At `anchor + k × every` for every whole `k ≥ 0`.
    Fixed {
        /// One boundary.
        anchor_ms: u64,
        /// Distance of two boundaries, at least 1.
        every_ms: u64,
    },
    /// At each of these, ascending; the publisher keeps the one that began the current window and at least eight to come.
    Calendar(Vec<u64>),
}

impl BudgetWindow {
    /// Whether it never ends.
    pub fn is_lifetime(&self) -> bool {
        *self == Self::Lifetime
    }

    /// The same window as long as a request lives that begins at `now_ms`: of a calendar, whose windows last a day at least, the boundary that
    /// began the window and the next two.
    #[must_use]
    pub fn from(&self, now_ms: u64) -> Self {
        match self {
            Self::Calendar(boundaries) => {
                let begun = boundaries.iter().filter(|at| **at <= now_ms).count();
                let to_come = boundaries.iter().skip(begun.saturating_sub(1));
                Self::Calendar(to_come.take(3).copied().collect())
            }
            window => window.clone(),
        }
    }

    /// Start of the window that `now_ms` is in: the last boundary that is not after it, `0` before the first one.
    pub fn start(&self, now_ms: u64) -> u64 {
        match self {
            Self::Lifetime => 0,
            Self::Fixed {
                anchor_ms,
                every_ms,
            } => now_ms
                .checked_sub(*anchor_ms)
                .and_then(|since| since.checked_rem(*every_ms))
                .map_or(0, |into| now_ms.saturating_sub(into)),
            Self::Calendar(boundaries) => boundaries
                .iter()
                .copied()
                .take_while(|at| *at <= now_ms)
                .last()
                .unwrap_or(0),
        }
    }

    /// The next boundary after `now_ms`, if there is one.
    pub fn next(&self, now_ms: u64) -> Option<u64> {
        match self {
            Self::Lifetime => None,
            Self::Fixed { anchor_ms, .. } if now_ms < *anchor_ms => Some(*anchor_ms),
            Self::Fixed { every_ms, .. } => self.start(now_ms).checked_add(*every_ms),
            Self::Calendar(boundaries) => boundaries.iter().copied().find(|at| *at > now_ms),
        }
    }
}

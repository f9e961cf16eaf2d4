//! What was spent in LiteLLM: the scopes that go on from there.

use contract::money::NanoUsd;
use contract::redis_key::Partition;

use super::Work;
use crate::domain::budget_window::BudgetDuration;
use crate::import::{micros, money};
use crate::store::Tx;
use crate::store::outbox::Kind;
use crate::store::row::{LimitColumns, Object};
use crate::store::spend::{ScopeKey, ScopeState};

/// What limits somebody's money.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    pub(super) limits: LimitColumns,
    /// When LiteLLM would have started it anew, microseconds since the epoch.
    pub(super) resets: Option<u64>,
    /// When what Redis is told of its windows runs short.
    pub(super) refresh_at: Option<u64>,
}

impl Budget {
    /// That of a row which has its own.
    pub(super) fn of_row(limits: &LimitColumns, row: &Object) -> Self {
        Self {
            limits: limits.clone(),
            resets: micros(row.get("budget_reset_at")),
            refresh_at: None,
        }
    }

    /// This one, and where it says nothing, `other`.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            limits: self.limits.or(other.limits),
            resets: self.resets.or(other.resets),
            refresh_at: self.refresh_at.or(other.refresh_at),
        }
    }
}

/// What a row of LiteLLM has spent.
pub(super) fn of(row: &Object) -> NanoUsd {
    money(row.get("spend")).unwrap_or(NanoUsd::ZERO)
}

impl Work<'_> {
    /// Has a scope begin with what the row has spent in the window that it is in, and in all. A window that ended in LiteLLM before it was
    /// brought over has spent nothing, whether LiteLLM had come to say so or not.
    pub(super) fn begin(
        &mut self,
        tx: &Tx,
        (kind, id): (Kind, &str),
        row: &Object,
        budget: &Budget,
    ) {
        let (now_us, spend) = (tx.now_us(), of(row));
        let total = money(row.get("total_spend"))
            .unwrap_or(NanoUsd::ZERO)
            .max(spend);
        if total == NanoUsd::ZERO {
            return;
        }
        let duration = budget.limits.budget_duration.as_deref();
        let duration = duration.and_then(BudgetDuration::parse_stored);
        let anchor = budget.limits.budget_anchor.unwrap_or(now_us);
        let bound = |at: fn(BudgetDuration, u64, u64, &_) -> Option<u64>| {
            let at = at(duration?, anchor, now_us / 1_000, self.import.rules);
            at.filter(|_| budget.limits.max_budget.is_some())
        };
        let over = duration.is_some() && budget.resets.is_some_and(|at| at <= now_us);
        let state = ScopeState {
            window_start_ms: bound(BudgetDuration::start_ms).unwrap_or(0),
            spent: if over { NanoUsd::ZERO } else { spend },
            total,
            last_ms: micros(row.get("last_active")).unwrap_or(now_us) / 1_000,
            window_end_ms: match kind {
                Kind::Scope => bound(BudgetDuration::next_ms).unwrap_or(0),
                // The windows of the others are their rows'.
                _ => 0,
            },
        };
        let scope = ScopeKey {
            kind,
            object_id: id.to_owned(),
            partition: Partition(0),
        };
        self.spend.insert(scope, state);
    }
}

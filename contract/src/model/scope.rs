//! One scope: budget, slots and rate window.

use super::rate_window::{RateWindow, Segment};
use crate::limits::{Denial, LimitKind, Limits};
use crate::money::NanoUsd;
use crate::script::Remaining;
use crate::window::BudgetWindow;

/// What a scope holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeFigures {
    /// Requests in flight.
    pub in_flight: u64,
    /// Spent in the current budget window.
    pub spent: u64,
    /// Reserved and not yet spent.
    pub held: u64,
    /// When the budget window began.
    pub window_start_ms: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) seen_ms: u64,
    pub(super) in_flight: u64,
    pub(super) spent: u64,
    pub(super) held: u64,
    pub(super) start_ms: u64,
    pub(super) next_ms: Option<u64>,
    /// The definition in force; `None` where no admission or settlement told it.
    pub(super) window: Option<BudgetWindow>,
    pub(super) rate: RateWindow,
}

/// What an admission asks of a scope.
#[derive(Clone, Copy)]
pub(super) struct Need {
    pub(super) tokens: u64,
    pub(super) cost: u64,
}

impl Scope {
    pub(super) fn figures(&self) -> ScopeFigures {
        ScopeFigures {
            in_flight: self.in_flight,
            spent: self.spent,
            held: self.held,
            window_start_ms: self.start_ms,
        }
    }

    pub(super) fn is_forgettable(&self, clock_ms: u64) -> bool {
        let spent = self.spent == 0 || self.next_ms.is_some_and(|next| next <= clock_ms);
        spent && self.in_flight == 0 && self.rate.is_over(clock_ms)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = u64> {
        self.rate.edges().chain(self.next_ms)
    }

    /// Starts a new budget window where a boundary has passed, by the definition in force and then by the one given.
    pub(super) fn roll(&mut self, window: Option<&BudgetWindow>, now_ms: u64) {
        if self.next_ms.is_some_and(|next| next <= now_ms) {
            self.enter(self.window.clone(), now_ms);
        }
        if window != self.window.as_ref() {
            self.enter(window.cloned(), now_ms);
        }
    }

    fn enter(&mut self, window: Option<BudgetWindow>, now_ms: u64) {
        let start_ms = window.as_ref().map_or(0, |window| window.start(now_ms));
        if start_ms > self.start_ms {
            self.spent = 0;
            self.start_ms = start_ms;
        }
        self.next_ms = window.as_ref().and_then(|window| window.next(now_ms));
        self.window = window;
    }

    pub(super) fn spend(&mut self, cost: u64) {
        self.spent = self.spent.saturating_add(cost).min(NanoUsd::MAX.get());
    }

    /// Spends `cost` in place of what was charged before.
    pub(super) fn recharge(&mut self, charged: u64, cost: u64) {
        let spent = self.spent.saturating_add(cost).saturating_sub(charged);
        self.spent = spent.min(NanoUsd::MAX.get());
    }

    pub(super) fn free(&mut self, cost: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.held = self.held.saturating_sub(cost);
    }

    pub(super) fn hold(&mut self, cost: u64) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.held = self.held.saturating_add(cost);
    }

    /// What would remain after `need`, or the limit that refuses it (as scope 0).
    pub(super) fn check(
        &mut self,
        limits: &Limits,
        need: Need,
        now_ms: u64,
    ) -> Result<Remaining, Denial> {
        let refuse = |kind, limit, used, retry_after_ms| {
            Err(Denial {
                scope: 0,
                kind,
                limit,
                used,
                retry_after_ms,
            })
        };
        let mut left = Remaining::default();
        self.rate.expire(now_ms);
        let requests = self.rate.sum(Segment::requests);
        let tokens = self.rate.sum(Segment::tokens);
        if let Some(rpm) = limits.rpm.map(u64::from) {
            let after = requests.saturating_add(1);
            if after > rpm {
                let excess = after.saturating_sub(rpm);
                let wait = (rpm > 0).then(|| self.rate.wait(excess, Segment::requests, now_ms));
                return refuse(LimitKind::Rpm, rpm, requests, wait);
            }
            left.rpm = Some(rpm.saturating_sub(after));
        }
        if let Some(tpm) = limits.tpm.map(|tpm| tpm.min(1 << 53)) {
            let after = tokens.saturating_add(need.tokens);
            if after > tpm {
                let excess = after.saturating_sub(tpm);
                let wait =
                    (need.tokens <= tpm).then(|| self.rate.wait(excess, Segment::tokens, now_ms));
                return refuse(LimitKind::Tpm, tpm, tokens, wait);
            }
            left.tpm = Some(tpm.saturating_sub(after));
        }
        if let Some(parallel) = limits.parallel.map(u64::from) {
            let after = self.in_flight.saturating_add(1);
            if after > parallel {
                return refuse(LimitKind::Parallel, parallel, self.in_flight, None);
            }
            left.parallel = Some(parallel.saturating_sub(after));
        }
        let window = limits
            .budget
            .as_ref()
            .map_or(&BudgetWindow::Lifetime, |budget| &budget.window);
        self.roll(Some(window), now_ms);
        if let Some(max) = limits.budget.as_ref().map(|budget| budget.max.get()) {
            let used = self.spent.saturating_add(self.held);
            let after = used.saturating_add(need.cost);
            if after > max {
                let fits_then = self.held.saturating_add(need.cost) <= max;
                let wait = self
                    .next_ms
                    .filter(|_| fits_then)
                    .map(|next| next.saturating_sub(now_ms));
                return refuse(LimitKind::Budget, max, used, wait);
            }
            left.budget = NanoUsd::new(max.saturating_sub(after));
        }
        Ok(left)
    }
}

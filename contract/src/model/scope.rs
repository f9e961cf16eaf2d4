//! One scope: budget, slots and rate window.

use super::Place;
use crate::limits::{Denial, LimitKind, Limits};
use crate::money::NanoUsd;
use crate::script::{Remaining, SEGMENT_MS};
use crate::window::{BudgetWindow, RATE_WINDOW_MS};

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
    /// The rate window's segments, in the order in which they leave.
    pub(super) segments: Vec<Segment>,
    /// Every counted admission of the last minutes by itself.
    arrivals: Vec<Arrival>,
}

/// Admissions that leave the rate window together.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) opened_ms: u64,
    pub(super) leaves_ms: u64,
    /// Came from [`crate::script::Load`], not from admissions; takes no further ones.
    pub(super) restored: bool,
    pub(super) counted: Vec<Counted>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// `None` for what the ledger restored.
    pub(super) place: Option<Place>,
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

#[derive(Clone, Debug)]
struct Arrival {
    place: Place,
    latest_ms: u64,
    tokens: u64,
}

/// What an admission asks of a scope.
#[derive(Clone, Copy)]
pub(super) struct Need {
    pub(super) tokens: u64,
    pub(super) cost: u64,
}

/// An admission to be counted in the rate window.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) tokens: u64,
    /// It is in the window until then.
    pub(super) leaves_ms: u64,
    /// It can reach the upstream until then.
    pub(super) latest_ms: u64,
}

impl Segment {
    fn tokens(&self) -> u64 {
        self.counted
            .iter()
            .map(|counted| counted.tokens)
            .fold(0, u64::saturating_add)
    }

    fn requests(&self) -> u64 {
        self.counted
            .iter()
            .map(|counted| counted.requests)
            .fold(0, u64::saturating_add)
    }
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

    pub(super) fn true_window(&self, now_ms: u64) -> (u64, u64) {
        let edge = now_ms.saturating_sub(RATE_WINDOW_MS);
        let inside = self
            .arrivals
            .iter()
            .filter(|arrival| arrival.latest_ms > edge);
        inside.fold((0, 0), |(requests, tokens), arrival| {
            (
                u64::saturating_add(requests, 1),
                u64::saturating_add(tokens, arrival.tokens),
            )
        })
    }

    pub(super) fn is_forgettable(&self, clock_ms: u64) -> bool {
        let spent = self.spent == 0 || self.next_ms.is_some_and(|next| next <= clock_ms);
        spent
            && self.in_flight == 0
            && self
                .segments
                .iter()
                .all(|segment| segment.leaves_ms <= clock_ms)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = u64> {
        let segments = self.segments.iter().flat_map(|segment| {
            [
                segment.leaves_ms,
                segment.opened_ms.saturating_add(SEGMENT_MS),
            ]
        });
        segments.chain(self.next_ms)
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

    pub(super) fn expire_segments(&mut self, now_ms: u64) {
        self.segments.retain(|segment| segment.leaves_ms > now_ms);
        let edge = now_ms.saturating_sub(RATE_WINDOW_MS);
        self.arrivals.retain(|arrival| arrival.latest_ms > edge);
    }

    pub(super) fn count(&mut self, now_ms: u64, entry: Entry) {
        self.expire_segments(now_ms);
        let Entry {
            place,
            tokens,
            latest_ms,
            ..
        } = entry;
        let counted = Counted {
            place: Some(place),
            requests: 1,
            tokens,
        };
        let last = self.segments.last_mut();
        let earlier_ms = last.as_ref().map_or(0, |segment| segment.leaves_ms);
        let leaves_ms = entry.leaves_ms.max(earlier_ms);
        let joins = |open: &&mut Segment| {
            !open.restored && now_ms.saturating_sub(open.opened_ms) < SEGMENT_MS
        };
        if let Some(open) = last.filter(joins) {
            open.leaves_ms = leaves_ms;
            open.counted.push(counted);
        } else {
            let counted = vec![counted];
            self.segments.push(Segment {
                opened_ms: now_ms,
                leaves_ms,
                restored: false,
                counted,
            });
        }
        self.arrivals.push(Arrival {
            place,
            latest_ms,
            tokens,
        });
    }

    /// Corrects the tokens of a counted admission.
    pub(super) fn correct(&mut self, place: Place, tokens: u64) {
        let counted = self
            .segments
            .iter_mut()
            .flat_map(|segment| &mut segment.counted);
        for counted in counted.filter(|counted| counted.place == Some(place)) {
            counted.tokens = tokens;
        }
        for arrival in self
            .arrivals
            .iter_mut()
            .filter(|arrival| arrival.place == place)
        {
            arrival.tokens = tokens;
        }
    }

    /// Takes an admission that never reached the upstream out of the rate window.
    pub(super) fn withdraw(&mut self, place: Place) {
        for segment in &mut self.segments {
            segment
                .counted
                .retain(|counted| counted.place != Some(place));
        }
        self.arrivals.retain(|arrival| arrival.place != place);
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
        self.expire_segments(now_ms);
        let requests = self
            .segments
            .iter()
            .map(Segment::requests)
            .fold(0, u64::saturating_add);
        let tokens = self
            .segments
            .iter()
            .map(Segment::tokens)
            .fold(0, u64::saturating_add);
        if let Some(rpm) = limits.rpm.map(u64::from) {
            let after = requests.saturating_add(1);
            if after > rpm {
                let excess = after.saturating_sub(rpm);
                let wait = (rpm > 0).then(|| self.wait(excess, Segment::requests, now_ms));
                return refuse(LimitKind::Rpm, rpm, requests, wait);
            }
            left.rpm = Some(rpm.saturating_sub(after));
        }
        if let Some(tpm) = limits.tpm.map(|tpm| tpm.min(1 << 53)) {
            let after = tokens.saturating_add(need.tokens);
            if after > tpm {
                let excess = after.saturating_sub(tpm);
                let wait = (need.tokens <= tpm).then(|| self.wait(excess, Segment::tokens, now_ms));
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

    /// Milliseconds until segments that count `excess` have left.
    fn wait(&self, excess: u64, of: fn(&Segment) -> u64, now_ms: u64) -> u64 {
        let mut freed: u64 = 0;
        for segment in &self.segments {
            freed = freed.saturating_add(of(segment));
            if freed >= excess {
                return segment.leaves_ms.saturating_sub(now_ms);
            }
        }
        0
    }
}

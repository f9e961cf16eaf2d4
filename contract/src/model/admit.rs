//! Admission: every limit of every scope, then all of it or nothing.

use super::rate_window::Entry;
use super::scope::{Need, Scope};
use super::{Held, HeldScope, Model, Reservation};
use crate::id::Rev;
use crate::limits::{LimitKind, Limits};
use crate::records::Ready;
use crate::redis_key;
use crate::script::{Admit, AdmitAnswer, LEASE_MS, MAX_TOKENS};
use crate::window::RATE_WINDOW_MS;

impl Model {
    /// What Redis answers at `clock_ms`.
    pub fn admit(&mut self, clock_ms: u64, call: &Admit<'_>) -> AdmitAnswer {
        let watermark = self.watermark_of(call.worker);
        match self.reservation(&call.id, clock_ms) {
            Some(Reservation::Live(held)) => {
                let (now_ms, remaining) = (held.admitted_ms, Vec::new());
                return AdmitAnswer::Admitted {
                    now_ms,
                    remaining,
                    watermark,
                };
            }
            Some(_) => return AdmitAnswer::Released,
            None => {}
        }
        let now_ms = self.latest(clock_ms, call.scopes.iter().map(|scope| scope.id));
        if call.not_after_ms > 0 && now_ms > call.not_after_ms {
            return AdmitAnswer::TooLate { now_ms };
        }
        let ready = self.ready.get(&redis_key::ready(call.partition));
        let Some(ready) = ready.filter(|ready| ready.partitions == call.partitions) else {
            return AdmitAnswer::NotReady;
        };
        if let Some(stale) = self.stale(ready, call, now_ms) {
            return stale;
        }
        let waits = |limits: &Limits| limits.parallel.is_some() || limits.budget.is_some();
        if now_ms < ready.full_ms && call.scopes.iter().any(|scope| waits(scope.limits)) {
            return AdmitAnswer::NotReady;
        }
        self.reserve(clock_ms, now_ms, call)
    }

    fn stale(&self, ready: &Ready, call: &Admit<'_>, now_ms: u64) -> Option<AdmitAnswer> {
        let stored = |id| self.values.get(&redis_key::record(call.partition, id));
        let is_current = ready.catalogue == call.catalogue
            && call.records.iter().all(|(id, rev)| {
                stored(id).map_or(*rev == Rev::default(), |value| {
                    value.starts_with(rev.to_string().as_bytes())
                })
            });
        (!is_current).then(|| AdmitAnswer::Stale {
            now_ms,
            ready: ready.clone(),
            records: call
                .records
                .iter()
                .map(|(id, _)| stored(id).cloned())
                .collect(),
        })
    }

    fn reserve(&mut self, clock_ms: u64, now_ms: u64, call: &Admit<'_>) -> AdmitAnswer {
        let need = Need {
            tokens: call.tokens.min(MAX_TOKENS),
            cost: call.cost.get(),
        };
        // Changes go to copies, so that a later scope's denial leaves no trace.
        let mut changed: Vec<(Scope, HeldScope)> = Vec::new();
        let mut remaining = Vec::new();
        for (index, named) in call.scopes.iter().enumerate() {
            let mut scope = self.scopes.get(named.id).cloned().unwrap_or_default();
            match scope.check(named.limits, need, now_ms) {
                Ok(left) => remaining.push(left),
                Err(mut denial) => {
                    denial.scope = index;
                    let lists = matches!(denial.kind, LimitKind::Parallel | LimitKind::Budget);
                    let expired = if lists {
                        self.expired(clock_ms, 8)
                    } else {
                        Vec::new()
                    };
                    return AdmitAnswer::Denied {
                        now_ms,
                        denial,
                        expired,
                    };
                }
            }
            scope.seen_ms = now_ms;
            scope.hold(need.cost);
            let mut place = None;
            if named.limits.rpm.is_some() || named.limits.tpm.is_some() {
                let latest_ms = now_ms.saturating_add(call.travel_ms);
                let leaves_ms = latest_ms.saturating_add(RATE_WINDOW_MS);
                let new = self.new_place();
                scope.rate.count(
                    now_ms,
                    Entry {
                        place: new,
                        tokens: need.tokens,
                        leaves_ms,
                        latest_ms,
                    },
                );
                place = Some(new);
            }
            changed.push((
                scope,
                HeldScope {
                    id: named.id.clone(),
                    place,
                },
            ));
        }
        let mut scopes = Vec::new();
        for (scope, held) in changed {
            self.scopes.insert(held.id.clone(), scope);
            scopes.push(held);
        }
        let held = Held {
            sent: false,
            deadline_ms: now_ms.saturating_add(LEASE_MS),
            admitted_ms: now_ms,
            cost: call.cost,
            scopes,
            body: call.body.to_vec(),
        };
        self.reservations.insert(call.id, Reservation::Live(held));
        AdmitAnswer::Admitted {
            now_ms,
            remaining,
            watermark: self.watermark_of(call.worker),
        }
    }
}

//! Settlement, and the sweep that settles for a worker that is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::Scope;
use super::{Held, HeldScope, Model, ModelEvent, Reservation};
use crate::redis_key::RecordId;
use crate::script::{MAX_BATCH, MAX_TOKENS, Settle, SettleAnswer, Settlement, Sweep, SweepAnswer};
use crate::window::BudgetWindow;

type Windows<'a> = BTreeMap<&'a RecordId, BudgetWindow>;

impl Model {
    /// What Redis answers at `clock_ms`.
    pub fn settle(&mut self, clock_ms: u64, call: &Settle<'_>) -> SettleAnswer {
        if !self.is_open(call.partition, Some(call.partitions)) {
            return SettleAnswer::NotReady;
        }
        let mut windows = Windows::new();
        for scope in call.items.iter().flat_map(|item| item.scopes) {
            windows.insert(scope.id, scope.window.cloned().unwrap_or_default());
        }
        let now_ms = self.latest(clock_ms, windows.keys().copied());
        let settled = self.watermark_of(call.worker);
        if call.first_sequence > settled.saturating_add(1) {
            return SettleAnswer::Done {
                now_ms,
                watermark: settled,
            };
        }
        let mut seen = BTreeSet::new();
        let mut sequence = call.first_sequence;
        for item in call.items {
            let is_first = seen.insert(item.id);
            if is_first && sequence > settled {
                self.settle_one(clock_ms, now_ms, &windows, item);
                self.events.push(ModelEvent {
                    id: item.id,
                    version: 1,
                    worker: call.worker.to_owned(),
                    sequence,
                    cost: item.cost,
                    admitted_ms: item.admitted_ms,
                    body: item.body.to_vec(),
                });
            }
            sequence = sequence.saturating_add(1);
        }
        let watermark = settled.max(sequence.saturating_sub(1));
        if watermark > settled {
            self.watermarks.insert(call.worker.to_owned(), watermark);
        }
        SettleAnswer::Done { now_ms, watermark }
    }

    fn settle_one(
        &mut self,
        clock_ms: u64,
        now_ms: u64,
        windows: &Windows<'_>,
        item: &Settlement<'_>,
    ) {
        let cost = item.cost.get();
        match self.reservation(&item.id, clock_ms).cloned() {
            Some(Reservation::Live(held)) => {
                for HeldScope { id, place } in &held.scopes {
                    let scope = self.touch(id, windows, now_ms);
                    scope.free(held.cost.get());
                    scope.spend(cost);
                    if let Some(place) = *place {
                        scope.rate.correct(place, item.tokens.min(MAX_TOKENS));
                    }
                }
                self.reservations.remove(&item.id);
            }
            Some(Reservation::Swept {
                cost: charged,
                windows: charged_in,
                ..
            }) => {
                for (id, start_ms) in &charged_in {
                    let scope = self.touch(id, windows, now_ms);
                    if scope.start_ms == *start_ms {
                        scope.recharge(charged.get(), cost);
                    }
                }
                self.reservations.remove(&item.id);
            }
            Some(Reservation::Released { .. }) | None => {
                for named in item.scopes {
                    self.touch(named.id, windows, now_ms).spend(cost);
                }
            }
        }
    }

    fn touch(&mut self, id: &RecordId, windows: &Windows<'_>, now_ms: u64) -> &mut Scope {
        let scope = self.scope(id);
        let window = scope.window.clone().or_else(|| windows.get(id).cloned());
        scope.roll(window.as_ref(), now_ms);
        scope.seen_ms = now_ms;
        scope
    }

    /// What Redis answers at `clock_ms`.
    pub fn sweep(&mut self, clock_ms: u64, call: &Sweep<'_>) -> SweepAnswer {
        if !self.is_open(call.partition, None) {
            return SweepAnswer::NotReady;
        }
        let mut overdue = self.expired(clock_ms, usize::MAX);
        if call.ids.is_empty() {
            overdue.truncate(MAX_BATCH);
        } else {
            let expired: BTreeSet<_> = overdue.into_iter().collect();
            let mut seen = BTreeSet::new();
            let asked = call
                .ids
                .iter()
                .filter(|id| expired.contains(id) && seen.insert(**id));
            overdue = asked.copied().collect();
        }
        let held: Vec<_> = overdue
            .iter()
            .filter_map(|id| Some((*id, self.live(id)?.clone())))
            .collect();
        let now_ms = self.latest(clock_ms, held.iter().flat_map(|(_, held)| held.names()));
        let (mut charged, mut released) = (Vec::new(), Vec::new());
        for (id, held) in &held {
            self.end(held, now_ms);
            if held.sent {
                charged.push(*id);
                self.events.push(ModelEvent {
                    id: *id,
                    version: 0,
                    worker: String::new(),
                    sequence: 0,
                    cost: held.cost,
                    admitted_ms: held.admitted_ms,
                    body: held.body.clone(),
                });
                self.remember_swept(*id, held, now_ms);
            } else {
                released.push(*id);
                self.reservations.remove(id);
            }
        }
        SweepAnswer::Done {
            now_ms,
            charged,
            released,
        }
    }

    /// Frees what an overdue reservation held, and charges it where it was sent.
    fn end(&mut self, held: &Held, now_ms: u64) {
        for id in held.names() {
            let scope = self.scope(id);
            let window = scope.window.clone();
            scope.roll(window.as_ref(), now_ms);
            scope.seen_ms = now_ms;
            scope.free(held.cost.get());
            if held.sent {
                scope.spend(held.cost.get());
            }
        }
    }
}

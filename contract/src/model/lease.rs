//! Release and renewal of reservations.

use std::collections::{BTreeMap, BTreeSet};

use super::rate_window::Entry;
use super::{Held, HeldScope, Model, Reservation};
use crate::id::ReservationId;
use crate::redis_key::RecordId;
use crate::script::{
    LEASE_MS, MAX_TOKENS, MAX_TRAVEL_MS, RELEASED_MS, Release, ReleaseAnswer, Renew, RenewAnswer,
    Renewal,
};
use crate::window::RATE_WINDOW_MS;

impl Model {
    /// What Redis answers at `clock_ms`.
    pub fn release(&mut self, clock_ms: u64, call: &Release<'_>) -> ReleaseAnswer {
        let ids: BTreeSet<ReservationId> = call.ids.iter().copied().collect();
        let held: Vec<_> = ids
            .iter()
            .filter_map(|id| Some((*id, self.live(id)?.clone())))
            .collect();
        let now_ms = self.latest(clock_ms, held.iter().flat_map(|(_, held)| held.names()));
        for (_, held) in &held {
            for HeldScope { id, place } in &held.scopes {
                let scope = self.scope(id);
                scope.seen_ms = now_ms;
                scope.free(held.cost.get());
                if let Some(place) = *place {
                    scope.rate.withdraw(place);
                }
            }
        }
        for id in ids {
            if !matches!(
                self.reservation(&id, clock_ms),
                Some(Reservation::Swept { .. })
            ) {
                let until_ms = now_ms.saturating_add(RELEASED_MS);
                self.reservations
                    .insert(id, Reservation::Released { until_ms });
            }
        }
        ReleaseAnswer {
            now_ms,
            released: u64::try_from(held.len()).unwrap_or(u64::MAX),
        }
    }

    /// What Redis answers at `clock_ms`.
    pub fn renew(&mut self, clock_ms: u64, call: &Renew<'_>) -> RenewAnswer {
        let watermark = self.watermark_of(call.worker);
        let deadline_ms = clock_ms.saturating_add(LEASE_MS);
        let mut rated: BTreeMap<&RecordId, bool> = BTreeMap::new();
        for scope in call.items.iter().flat_map(|item| item.scopes) {
            rated.insert(
                scope.id,
                scope.limits.rpm.is_some() || scope.limits.tpm.is_some(),
            );
        }
        let mut lost = Vec::new();
        let mut fresh: BTreeMap<ReservationId, usize> = BTreeMap::new();
        for (index, item) in call.items.iter().enumerate() {
            match self.reservation(&item.id, clock_ms) {
                Some(Reservation::Live(_)) => {}
                Some(_) => lost.push(item.id),
                None if watermark <= call.last_sequence => {
                    fresh.entry(item.id).or_insert(index);
                }
                None => {}
            }
            if let Some(Reservation::Live(held)) = self.reservations.get_mut(&item.id) {
                held.sent = true;
                held.deadline_ms = deadline_ms;
            }
        }
        let mut fresh: Vec<usize> = fresh.into_values().collect();
        fresh.sort_unstable();
        let fresh: Vec<_> = fresh
            .into_iter()
            .filter_map(|index| call.items.get(index))
            .collect();
        let named = fresh
            .iter()
            .flat_map(|item| item.scopes)
            .map(|scope| scope.id);
        let now_ms = self.latest(clock_ms, named);
        for item in fresh {
            self.recreate(item, &rated, now_ms, deadline_ms);
        }
        self.beat_ms = Some(clock_ms);
        RenewAnswer {
            now_ms: clock_ms,
            watermark,
            lost,
        }
    }

    fn recreate(
        &mut self,
        item: &Renewal<'_>,
        rated: &BTreeMap<&RecordId, bool>,
        now_ms: u64,
        deadline_ms: u64,
    ) {
        let tokens = item.tokens.min(MAX_TOKENS);
        let counts_until_ms = item
            .admitted_ms
            .saturating_add(RATE_WINDOW_MS)
            .saturating_add(MAX_TRAVEL_MS);
        let mut scopes = Vec::new();
        for named in item.scopes {
            let is_rated = rated.get(named.id).copied().unwrap_or(false);
            let new = self.new_place();
            let scope = self.scope(named.id);
            scope.seen_ms = now_ms;
            scope.hold(item.cost.get());
            let mut place = None;
            if is_rated && counts_until_ms > now_ms {
                let leaves_ms = now_ms.saturating_add(RATE_WINDOW_MS);
                let latest_ms = item.admitted_ms.saturating_add(MAX_TRAVEL_MS).min(now_ms);
                scope.rate.count(
                    now_ms,
                    Entry {
                        place: new,
                        tokens,
                        leaves_ms,
                        latest_ms,
                    },
                );
                place = Some(new);
            }
            scopes.push(HeldScope {
                id: named.id.clone(),
                place,
            });
        }
        let held = Held {
            sent: true,
            deadline_ms,
            admitted_ms: item.admitted_ms,
            cost: item.cost,
            scopes,
            body: item.body.to_vec(),
        };
        self.reservations.insert(item.id, Reservation::Live(held));
    }
}

//! The ledger's rules in plain Rust: what the scripts in `lua/` must do, without their packed strings. Tests run the same calls against
//! this and against a real Redis and compare every answer.
//!
//! It keeps each admission by itself, so it can also tell the true rate window, which no segment rule enters: see [`Model::true_window`].

mod admit;
mod correct;
mod lease;
mod look_up;
mod rate_window;
mod restore;
mod scope;
mod settle;

use std::collections::BTreeMap;

use crate::id::ReservationId;
use crate::money::NanoUsd;
use crate::records::Ready;
use crate::redis_key::{Partition, RecordId};
use crate::script::SWEPT_MS;
use scope::Scope;

pub use scope::ScopeFigures;

/// One partition and its index, as Redis would hold them.
#[derive(Clone, Debug, Default)]
pub struct Model {
    ready: BTreeMap<String, Ready>,
    values: BTreeMap<String, Vec<u8>>,
    scopes: BTreeMap<RecordId, Scope>,
    reservations: BTreeMap<ReservationId, Reservation>,
    watermarks: BTreeMap<String, u64>,
    beat_ms: Option<u64>,
    events: Vec<ModelEvent>,
    places: u64,
}

/// A spend event as a script writes it, its body as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEvent {
    /// The event's id.
    pub id: ReservationId,
    /// 0 swept, 1 settled.
    pub version: u8,
    /// Empty when swept.
    pub worker: String,
    /// 0 when swept.
    pub sequence: u64,
    /// What was charged.
    pub cost: NanoUsd,
    /// Redis time of the admission, ms.
    pub admitted_ms: u64,
    /// As given.
    pub body: Vec<u8>,
}

/// What is known of a reservation id.
#[derive(Clone, Debug)]
enum Reservation {
    Live(Held),
    Released {
        until_ms: u64,
    },
    Swept {
        until_ms: u64,
        cost: NanoUsd,
        windows: Vec<(RecordId, u64)>,
    },
}

impl Reservation {
    /// Whether a key that expires would still be there.
    fn is_known(&self, clock_ms: u64) -> bool {
        match self {
            Self::Live(_) => true,
            Self::Released { until_ms } | Self::Swept { until_ms, .. } => clock_ms <= *until_ms,
        }
    }
}

#[derive(Clone, Debug)]
struct Held {
    sent: bool,
    deadline_ms: u64,
    admitted_ms: u64,
    cost: NanoUsd,
    scopes: Vec<HeldScope>,
    body: Vec<u8>,
}

/// A scope that a reservation holds a slot and money in.
#[derive(Clone, Debug)]
struct HeldScope {
    id: RecordId,
    /// Its place in the rate window, where it has one.
    place: Option<Place>,
}

/// Names one counted admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u64);

impl Held {
    fn names(&self) -> impl Iterator<Item = &RecordId> {
        self.scopes.iter().map(|scope| &scope.id)
    }
}

impl Model {
    /// An empty Redis.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spend events in the order in which they were written.
    pub fn events(&self) -> &[ModelEvent] {
        &self.events
    }

    /// Loses a value, as a replica does that had not heard of it.
    pub fn lose(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// What a scope holds, zeros for one that is unknown.
    pub fn figures(&self, scope: &RecordId) -> ScopeFigures {
        self.scopes
            .get(scope)
            .map(Scope::figures)
            .unwrap_or_default()
    }

    /// Requests and tokens of a scope that can have reached the upstream in the 60 seconds up to `now_ms`, each counted to the latest
    /// moment at which it can have done so. Only requests admitted while the scope had a rate limit are known.
    pub fn true_window(&self, scope: &RecordId, now_ms: u64) -> (u64, u64) {
        self.scopes
            .get(scope)
            .map(|scope| scope.rate.true_sums(now_ms))
            .unwrap_or_default()
    }

    /// A worker's last settled sequence.
    pub fn watermark_of(&self, worker: &str) -> u64 {
        self.watermarks.get(worker).copied().unwrap_or(0)
    }

    /// How many reservations are live.
    pub fn live_count(&self) -> usize {
        self.reservations
            .keys()
            .filter(|id| self.live(id).is_some())
            .count()
    }

    /// Moments after `clock_ms` at which something changes by itself: a segment leaves, a budget window begins, a deadline or the last
    /// beat passes, a memory fades. Ascending.
    pub fn edges(&self, clock_ms: u64) -> Vec<u64> {
        let reservations = self
            .reservations
            .values()
            .map(|reservation| match reservation {
                Reservation::Live(held) => held.deadline_ms,
                Reservation::Released { until_ms } | Reservation::Swept { until_ms, .. } => {
                    *until_ms
                }
            });
        let beat = self
            .beat_ms
            .map(|beat| beat.saturating_add(crate::script::BEAT_MS));
        let ready = self.ready.values().map(|ready| ready.full_ms);
        let mut edges: Vec<u64> = self
            .scopes
            .values()
            .flat_map(Scope::edges)
            .chain(reservations)
            .chain(beat)
            .chain(ready)
            .filter(|edge| *edge > clock_ms)
            .collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// Forgets a scope that Redis let expire. Answers whether nothing was lost with it.
    pub fn forget(&mut self, scope: &RecordId, clock_ms: u64) -> bool {
        self.scopes
            .remove(scope)
            .is_none_or(|scope| scope.is_forgettable(clock_ms))
    }

    /// Drops what is forgotten by now; a clock that goes back later does not bring it back.
    pub fn fade(&mut self, clock_ms: u64) {
        self.reservations
            .retain(|_, reservation| reservation.is_known(clock_ms));
    }

    /// The reservation, unless what remained of it is forgotten by now.
    fn reservation(&self, id: &ReservationId, clock_ms: u64) -> Option<&Reservation> {
        self.reservations
            .get(id)
            .filter(|reservation| reservation.is_known(clock_ms))
    }

    fn live(&self, id: &ReservationId) -> Option<&Held> {
        match self.reservations.get(id) {
            Some(Reservation::Live(held)) => Some(held),
            _ => None,
        }
    }

    /// Live reservations past their deadline, the longest overdue first; none where no renewal came lately.
    fn expired(&self, clock_ms: u64, most: usize) -> Vec<ReservationId> {
        if !self.is_beating(clock_ms) {
            return Vec::new();
        }
        let mut overdue: Vec<_> = self
            .reservations
            .keys()
            .filter_map(|id| Some((self.live(id)?.deadline_ms, *id)))
            .filter(|(deadline_ms, _)| *deadline_ms <= clock_ms)
            .collect();
        overdue.sort_unstable();
        overdue.into_iter().take(most).map(|(_, id)| id).collect()
    }

    fn is_beating(&self, clock_ms: u64) -> bool {
        let since = clock_ms.saturating_sub(crate::script::BEAT_MS);
        self.beat_ms.unwrap_or(0) >= since
    }

    fn is_open(&self, partition: Partition, partitions: Option<u16>) -> bool {
        let ready = self.ready.get(&crate::redis_key::ready(partition));
        ready.is_some_and(|ready| partitions.is_none_or(|p| p == ready.partitions))
    }

    /// Redis time that goes back in none of these scopes.
    fn latest<'a>(&self, clock_ms: u64, scopes: impl IntoIterator<Item = &'a RecordId>) -> u64 {
        let seen = scopes
            .into_iter()
            .filter_map(|id| self.scopes.get(id))
            .map(|scope| scope.seen_ms);
        seen.fold(clock_ms, u64::max)
    }

    fn scope(&mut self, id: &RecordId) -> &mut Scope {
        self.scopes.entry(id.clone()).or_default()
    }

    fn new_place(&mut self) -> Place {
        self.places = self.places.saturating_add(1);
        Place(self.places)
    }

    /// Turns a live reservation into the memory of a sweep.
    fn remember_swept(&mut self, id: ReservationId, held: &Held, now_ms: u64) {
        let window = |scope: &RecordId| (scope.clone(), self.figures(scope).window_start_ms);
        let windows = held.names().map(window).collect();
        let until_ms = now_ms.saturating_add(SWEPT_MS);
        let swept = Reservation::Swept {
            until_ms,
            cost: held.cost,
            windows,
        };
        self.reservations.insert(id, swept);
    }
}

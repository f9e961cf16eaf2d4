//! What all exchanges of one VM share: caches, the breaker, and the obligations towards Redis (settlements, releases, renewals).
//!
//! Decides when the root context calls Redis and what the answers change. What a request needs is left to the exchange. Failure stance: while
//! Redis fails nothing new is admitted, and everything owed is kept and repeated until it is acknowledged.

mod carry;
mod home;
mod root;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use contract::id::{ReservationId, Rev};
use contract::redis_key::{Partition, RecordId};
use contract::resp::Reply;
use contract::virtual_key::KeyHash;

pub(crate) use self::carry::Carried;
use self::home::Home;
use self::root::RootCall;
use crate::breaker::Breaker;
use crate::cache::Generations;
use crate::catalogue::Catalogue;
use crate::clock::{Now, RedisClock};
use crate::config::Config;
use crate::customers::Customers;
use crate::effect::{Effect, Level};
use crate::event::{CallId, StoreFailure};
use crate::id_source::IdSource;
use crate::key_place::KeyPlace;
use crate::key_state::KeyState;
use crate::metric::Metric;
use crate::outbox::Finished;
use crate::renewals::Reservation;

/// Keys kept, at most twice as many.
const KEYS: usize = 2_048;
/// Revisions remembered, at most twice as many.
const REVS: usize = 8_192;
/// Settlements and releases that wait, and reservations that live, above which nothing new is admitted.
const ROOM: usize = 16_384;

/// The state of one VM, apart from its exchanges.
pub struct Worker {
    pub(crate) config: Config,
    /// `key_header` of the configuration.
    configured_place: Option<KeyPlace>,
    pub(crate) catalogue: Catalogue,
    pub(crate) customers: Customers,
    ids: IdSource,
    /// How many names were made for outboxes.
    names: u64,
    clock: RedisClock,
    keys: Generations<KeyHash, Rc<KeyState>>,
    revs: Generations<RecordId, Rev>,
    breaker: Breaker,
    homes: BTreeMap<Partition, Home>,
    calls: HashMap<CallId, RootCall>,
    next_call: u32,
    shown_backlog: i64,
    shown_live: i64,
    allowance_logged: Option<Now>,
    /// The root's calls that follow from answers which exchanges brought.
    owed: Vec<Effect>,
}

impl Worker {
    /// A worker at its start. `seed`: 16 bytes from a cryptographic generator, different in every VM.
    pub fn new(config: Config, seed: [u8; 16], now: Now) -> Self {
        let header = config.key_header.as_deref();
        let mut worker = Self {
            configured_place: header.map(|name| KeyPlace::of(Some(name))),
            config,
            catalogue: Catalogue::default(),
            customers: Customers::default(),
            ids: IdSource::new(seed),
            names: 0,
            clock: RedisClock::default(),
            keys: Generations::new(KEYS),
            revs: Generations::new(REVS),
            breaker: Breaker::default(),
            homes: BTreeMap::new(),
            calls: HashMap::new(),
            next_call: 0,
            shown_backlog: 0,
            shown_live: 0,
            allowance_logged: None,
            owed: Vec::new(),
        };
        // The first partition is known from the start: its first renewal tells Redis's time before any request asks.
        worker.home(Partition(0), now);
        worker
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// To be called every 50 ms or so, and when [`Worker::wants_flush`]: sends what is due.
    pub fn tick(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.owed);
        self.give_up_overdue(now, &mut effects);
        let closed = self.breaker.is_closed();
        let probe = self.breaker.probe(now);
        let partitions: Vec<Partition> = self.homes.keys().copied().collect();
        for partition in partitions {
            if closed {
                self.flush(partition, now, &mut effects);
            }
            self.renew(partition, probe, now, &mut effects);
        }
        self.show_gauges(&mut effects);
        effects
    }

    /// The outcome of a call that [`Worker::tick`] or this made.
    pub fn redis(
        &mut self,
        now: Now,
        call: CallId,
        outcome: Result<&[Reply], StoreFailure>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(root) = self.calls.remove(&call) {
            self.root_answered(call, root, outcome, now, &mut effects);
        }
        self.show_gauges(&mut effects);
        effects
    }

    /// Whether so much waits that it should not wait for the next tick.
    pub fn wants_flush(&self, now: Now) -> bool {
        let urgent = |home: &Home| home.can_flush(now) && home.outbox.is_urgent();
        !self.owed.is_empty() || (self.breaker.is_closed() && self.homes.values().any(urgent))
    }

    /// The home's obligations, made when first needed.
    fn home(&mut self, partition: Partition, now: Now) -> &mut Home {
        let Self {
            homes,
            ids,
            names,
            config,
            ..
        } = self;
        homes.entry(partition).or_insert_with(|| {
            *names = names.wrapping_add(1);
            Home::new(partition, config.partitions, ids.worker(*names, now), now)
        })
    }

    fn show_gauges(&mut self, effects: &mut Vec<Effect>) {
        let total = |count: fn(&Home) -> usize| {
            let sum = self
                .homes
                .values()
                .map(count)
                .fold(0, usize::saturating_add);
            i64::try_from(sum).unwrap_or(i64::MAX)
        };
        let (backlog, live) = (total(Home::waiting), total(|home| home.renewals.live()));
        for (metric, shown, value) in [
            (Metric::Backlog, &mut self.shown_backlog, backlog),
            (Metric::Live, &mut self.shown_live, live),
        ] {
            if *shown != value {
                effects.push(Effect::Measure(metric, value.saturating_sub(*shown)));
                *shown = value;
            }
        }
    }
}

/// What exchanges need.
impl Worker {
    /// A fresh reservation id.
    pub(crate) fn new_id(&mut self, now: Now) -> ReservationId {
        self.ids.reservation(now)
    }

    /// Redis's clock, as far as known.
    pub(crate) fn redis_time(&self, now: Now) -> Option<u64> {
        self.clock.at(now)
    }

    /// Redis told its time in answer to a call made at `sent`.
    pub(crate) fn learn_time(&mut self, sent: Now, now: Now, redis_ms: u64) {
        self.clock.learn(sent, now, redis_ms);
    }

    /// Whether a request without a key in that place may be refused at once. Else the place may be another by now: were nobody's key looked up
    /// any more, no worker would ever hear of it.
    pub(crate) const fn key_place_is_certain(&self, now: Now) -> bool {
        self.configured_place.is_some() || self.catalogue.is_recent(now)
    }

    /// Where keys are looked for: where the configuration says, else where the settings do; `None` before these were read once.
    pub(crate) fn key_place(&self) -> Option<&KeyPlace> {
        self.configured_place
            .as_ref()
            .or_else(|| self.catalogue.key_place())
    }

    /// A key's state, with its scopes as the settings want them now.
    pub(crate) fn known_key(&mut self, hash: &KeyHash) -> Option<Rc<KeyState>> {
        let state = self.keys.get(hash).cloned()?;
        let settings = self.catalogue.settings();
        match settings.and_then(|settings| state.rebuilt(settings.apply_user_budget_to_team_keys)) {
            Some(rebuilt) => {
                let rebuilt = Rc::new(rebuilt);
                self.keys.insert(*hash, Rc::clone(&rebuilt));
                Some(rebuilt)
            }
            None => Some(state),
        }
    }

    pub(crate) fn remember_key(&mut self, state: Rc<KeyState>) {
        self.keys.insert(state.hash, state);
    }

    pub(crate) fn forget_key(&mut self, hash: &KeyHash) {
        self.keys.remove(hash);
    }

    /// Whether a record may be used: its revision is not below one seen before.
    pub(crate) fn accept_rev(&mut self, id: &RecordId, rev: Rev) -> bool {
        match self.revs.get(id) {
            Some(seen) if *seen > rev => false,
            Some(seen) if *seen == rev => true,
            _ => {
                self.revs.insert(id.clone(), rev);
                true
            }
        }
    }

    /// Whether asking Redis is worth a request's time.
    pub(crate) fn store_answers(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Whether the partition may admit: Redis answers, and knows what lives there.
    pub(crate) fn may_admit(&self, partition: Partition) -> bool {
        self.breaker.is_closed() && self.homes.get(&partition).is_none_or(|home| !home.lost)
    }

    /// Whether what a new request may leave behind still has room.
    pub(crate) fn has_room(&self) -> bool {
        let used = self
            .homes
            .values()
            .map(Home::load)
            .fold(0, usize::saturating_add);
        used < ROOM
    }

    /// The name and the acknowledged sequence to make an admission call with.
    pub(crate) fn settler(&mut self, partition: Partition, now: Now) -> (&str, u64) {
        let outbox = &self.home(partition, now).outbox;
        (outbox.worker(), outbox.acknowledged())
    }

    /// An admission's answer carried the watermark.
    pub(crate) fn observe_watermark(
        &mut self,
        partition: Partition,
        sent_at: u64,
        watermark: u64,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let lost = self
            .home(partition, now)
            .outbox
            .observe(sent_at, watermark, now);
        report_lost(lost, effects);
    }

    /// The request goes upstream: from now on it is renewed, until it is settled.
    pub(crate) fn begin(&mut self, id: ReservationId, reservation: Reservation, now: Now) {
        self.home(reservation.scopes.home, now)
            .renewals
            .begin(id, reservation, now);
    }

    /// Ends a live reservation; its settlement must follow.
    pub(crate) fn end(
        &mut self,
        partition: Partition,
        id: &ReservationId,
        now: Now,
    ) -> Option<Reservation> {
        self.home(partition, now).renewals.end(id)
    }

    /// Takes a finished request, to be settled not before `from`.
    pub(crate) fn settle(&mut self, finished: Finished, from: Now, now: Now) {
        self.home(finished.scopes.home, now)
            .settle(finished, from, now);
    }

    pub(crate) fn release(&mut self, partition: Partition, id: ReservationId, now: Now) {
        self.home(partition, now).outbox.release(id);
    }

    /// The partition said that it is not open: it may have been wiped, so live reservations register again at the next tick.
    pub(crate) fn not_ready(&mut self, partition: Partition, now: Now) {
        self.home(partition, now).hurry_renewal(now);
    }

    /// A call brought no usable answer.
    pub(crate) fn store_failed(&mut self, now: Now, effects: &mut Vec<Effect>) {
        effects.push(Effect::Measure(Metric::RedisFailures, 1));
        if self.breaker.failed(now) {
            effects.push(Effect::Measure(Metric::BreakerOpened, 1));
            let text = "Redis does not answer: refusing new requests until it does".to_owned();
            effects.push(Effect::Log(Level::Warn, text));
            for home in self.homes.values_mut() {
                home.lost = true;
                home.renewals.hurry(now);
            }
        }
    }

    /// Whether a request let through without Redis may be logged: once a second, each is counted anyway.
    pub(crate) fn may_log_allowance(&mut self, now: Now) -> bool {
        let may = self
            .allowance_logged
            .is_none_or(|at| now.since(at) >= 1_000 || now < at);
        if may {
            self.allowance_logged = Some(now);
        }
        may
    }

    /// A call was answered.
    pub(crate) fn store_answered(&mut self) {
        self.breaker.answered();
    }
}

fn report_lost(lost: u64, effects: &mut Vec<Effect>) {
    if lost > 0 {
        effects.push(Effect::Measure(
            Metric::Resent,
            i64::try_from(lost).unwrap_or(i64::MAX),
        ));
        let text =
            format!("Redis lost {lost} settlements that it had acknowledged: sending them again");
        effects.push(Effect::Log(Level::Warn, text));
    }
}

#[cfg(test)]
mod tests;

//! Draws what happens next, does it to both ledgers, and compares.

mod admin;

use std::collections::BTreeMap;

use contract::id::{CustomerId, ReservationId, Rev};
use contract::limits::Limits;
use contract::model::Model;
use contract::money::NanoUsd;
use contract::records::Ready;
use contract::redis_key::{self, RecordId};
use contract::resp::encode_command;
use contract::script::{
    Admit, AdmitAnswer, Call, Load, LoadScope, Open, Put, Release, Renew, Renewal, ScopeLimits,
    ScopeWindow, Settle, SettleAnswer, Settlement, Sweep, SweepAnswer,
};

use super::rng::Rng;
use super::world::{Finished, Flight, Policy, Worker, limits, policies};
use crate::ledger::{Ledger as _, P0, START, id, rev};
use crate::lua_ledger::{LuaLedger, array, closed_segments, figures};

/// How often what was compared.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub admitted: u64,
    pub denied: [u64; 4],
    pub denied_with_expired: u64,
    pub stale: u64,
    pub not_ready: u64,
    pub released: u64,
    pub late: u64,
    pub settled: u64,
    pub gaps: u64,
    pub swept_charged: u64,
    pub swept_released: u64,
    pub lost: u64,
    pub renewed: u64,
    pub wipes: u64,
    pub expired_scopes: u64,
    pub records: u64,
    pub corrected: u64,
    pub looked_up: u64,
    /// Most closed rate segments that one scope had in its window.
    pub deepest_window: u64,
    /// How often a scope's second string was seen shortened.
    pub compactions: u64,
}

impl Coverage {
    fn figures(&self) -> [u64; 23] {
        let Self {
            admitted,
            denied: [rpm, tpm, parallel, budget],
            ..
        } = *self;
        [
            admitted,
            rpm,
            tpm,
            parallel,
            budget,
            self.denied_with_expired,
            self.stale,
            self.not_ready,
            self.released,
            self.late,
            self.settled,
            self.gaps,
            self.swept_charged,
            self.swept_released,
            self.lost,
            self.renewed,
            self.wipes,
            self.expired_scopes,
            self.records,
            self.corrected,
            self.looked_up,
            self.deepest_window,
            self.compactions,
        ]
    }

    pub fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        for (sum, more) in self.denied.iter_mut().zip(other.denied) {
            *sum += more;
        }
        self.denied_with_expired += other.denied_with_expired;
        self.stale += other.stale;
        self.not_ready += other.not_ready;
        self.released += other.released;
        self.late += other.late;
        self.settled += other.settled;
        self.gaps += other.gaps;
        self.swept_charged += other.swept_charged;
        self.swept_released += other.swept_released;
        self.lost += other.lost;
        self.renewed += other.renewed;
        self.wipes += other.wipes;
        self.expired_scopes += other.expired_scopes;
        self.records += other.records;
        self.corrected += other.corrected;
        self.looked_up += other.looked_up;
        self.deepest_window = self.deepest_window.max(other.deepest_window);
        self.compactions += other.compactions;
    }

    /// A sequence that never refuses or sweeps would compare nothing.
    pub fn assert_everything_happened(&self) {
        assert!(self.figures().iter().all(|count| *count >= 10), "{self:?}");
    }
}

pub struct Driver {
    rng: Rng,
    lua: LuaLedger,
    model: Model,
    clock_ms: u64,
    policies: Vec<Policy>,
    catalogue: Rev,
    workers: Vec<Worker>,
    flights: Vec<Flight>,
    /// Ids that were used once, for late and repeated calls.
    old: Vec<ReservationId>,
    drawn: u64,
    /// Limits are this much wider; above 1, time moves in small steps and less is disturbed, so that rate windows fill.
    scale: u32,
    last_event: String,
    last_call: String,
    compared_events: usize,
    /// Where each scope's second string begins.
    bases: BTreeMap<RecordId, u64>,
    pub coverage: Coverage,
}

impl Driver {
    pub fn new(mut lua: LuaLedger, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let scale = if seed.is_multiple_of(2) { 6 } else { 1 };
        lua.set_clock(START);
        let mut driver = Self {
            policies: policies(&mut rng, scale),
            scale,
            rng,
            lua,
            model: Model::new(),
            clock_ms: START,
            catalogue: rev(1),
            workers: (1..=2).map(Worker::new).collect(),
            flights: Vec::new(),
            old: Vec::new(),
            drawn: 0,
            last_event: String::new(),
            last_call: String::new(),
            compared_events: 0,
            bases: BTreeMap::new(),
            coverage: Coverage::default(),
        };
        driver
            .publish_all()
            .expect("an empty ledger takes everything");
        driver.open(0).expect("an empty ledger opens");
        driver
    }

    pub fn step(&mut self) -> Result<(), String> {
        let calm = self.scale > 1 && !self.rng.one_in(5);
        match self.rng.below(if calm { 960 } else { 1000 }) {
            0..360 => self.admit()?,
            360..480 => self.finish()?,
            480..600 => self.settle()?,
            600..640 => self.release()?,
            640..720 => self.renew()?,
            720..755 => self.sweep()?,
            755..763 => self.correct()?,
            763..770 => self.look_up()?,
            770..960 => self.move_time()?,
            960..985 => self.change_a_record()?,
            985..988 => self.raise_the_catalogue()?,
            988 => self.load_too_late()?,
            989..994 => self.set_back_the_clock()?,
            994..996 => self.wipe()?,
            _ => self.crash_a_worker(),
        }
        self.compare_state()
    }

    fn compare<C>(&mut self, call: &C, expected: &C::Answer) -> Result<C::Answer, String>
    where
        C: Call + std::fmt::Debug,
        C::Answer: PartialEq + std::fmt::Debug,
    {
        self.last_call = format!("{call:?} at {}", self.clock_ms);
        match self.lua.try_call(call) {
            Ok(answer) if answer == *expected => Ok(answer),
            answer => Err(format!(
                "{}\n redis: {answer:?}\n model: {expected:?}",
                self.last_call
            )),
        }
    }

    fn admit(&mut self) -> Result<(), String> {
        // Usually key, user, team and member; now and then a key alone.
        let mut chosen = vec![usize::try_from(self.rng.below(2)).unwrap()];
        for index in 2..5 {
            if !self.rng.one_in(3) {
                chosen.push(index);
            }
        }
        let uses_old = self.rng.one_in(40);
        let mut records = Vec::new();
        let mut scopes = Vec::new();
        for index in chosen {
            let policy = &self.policies[index];
            let (rev, limits) = if uses_old {
                policy.before.clone()
            } else {
                (policy.rev, policy.limits.clone())
            };
            records.push((policy.id.clone(), rev));
            scopes.push((policy.id.clone(), limits));
        }
        // A customer without a record, as it is, or as one that was remembered.
        if self.rng.one_in(20) {
            let nobody = RecordId::customer(&CustomerId::new("nobody"));
            records.push((nobody, rev(self.rng.below(3) / 2)));
        }
        let repeated = if self.rng.one_in(25) {
            self.rng.pick(&self.old).copied()
        } else {
            None
        };
        let id = repeated.unwrap_or_else(|| self.new_id());
        let worker = usize::try_from(self.rng.below(2)).unwrap();
        let named: Vec<_> = scopes
            .iter()
            .map(|(id, limits)| ScopeLimits { id, limits })
            .collect();
        let name = self.workers[worker].name.clone();
        let small = self.rng.one_in(2);
        let call = Admit {
            partition: P0,
            partitions: if self.rng.one_in(200) { 64 } else { 1 },
            id,
            worker: &name,
            not_after_ms: if self.rng.one_in(3) {
                self.clock_ms + self.rng.below(200) - 20
            } else {
                0
            },
            travel_ms: if self.rng.one_in(4) {
                self.rng.below(5000)
            } else {
                200
            },
            catalogue: if self.rng.one_in(200) {
                rev(0)
            } else {
                self.catalogue
            },
            records: &records,
            scopes: &named,
            tokens: self.rng.below(if small { 20 } else { 400 }),
            cost: NanoUsd::new(self.rng.below(if small { 100 } else { 3000 })).unwrap(),
            body: b"{\"reserved\":true}",
        };
        let expected = self.model.admit(self.clock_ms, &call);
        let answer = self.compare(&call, &expected)?;
        self.old.push(id);
        self.count_admission(&answer);
        if let AdmitAnswer::Admitted {
            now_ms, remaining, ..
        } = answer
            && !remaining.is_empty()
        {
            self.assert_true_window(&named, now_ms)?;
            self.flights.retain(|flight| flight.id != id);
            let (tokens, cost) = (call.tokens, call.cost);
            self.flights.push(Flight {
                id,
                worker,
                admitted_ms: now_ms,
                tokens,
                cost,
                scopes,
            });
        }
        Ok(())
    }

    /// No segment rule here: every request by itself, at the latest moment at which it can reach the upstream.
    fn assert_true_window(&self, scopes: &[ScopeLimits<'_>], now_ms: u64) -> Result<(), String> {
        for scope in scopes {
            let (requests, tokens) = self.model.true_window(scope.id, now_ms);
            let too_many = scope
                .limits
                .rpm
                .is_some_and(|rpm| requests > u64::from(rpm));
            let too_much = scope.limits.tpm.is_some_and(|tpm| tokens > tpm);
            if too_many || too_much {
                let limits = scope.limits;
                return Err(format!(
                    "{requests} requests and {tokens} tokens in a minute of {limits:?}"
                ));
            }
        }
        Ok(())
    }

    fn count_admission(&mut self, answer: &AdmitAnswer) {
        let coverage = &mut self.coverage;
        match answer {
            AdmitAnswer::Admitted { .. } => coverage.admitted += 1,
            AdmitAnswer::Denied {
                denial, expired, ..
            } => {
                coverage.denied[denial.kind as usize] += 1;
                coverage.denied_with_expired += u64::from(!expired.is_empty());
            }
            AdmitAnswer::Stale { .. } => coverage.stale += 1,
            AdmitAnswer::NotReady => coverage.not_ready += 1,
            AdmitAnswer::Released => coverage.released += 1,
            AdmitAnswer::TooLate { .. } => coverage.late += 1,
        }
    }

    /// A request ends; its settlement waits in its worker's outbox.
    fn finish(&mut self) -> Result<(), String> {
        let Some(flight) = self.take_flight() else {
            return Ok(());
        };
        let tokens = self.rng.below(flight.tokens * 5 / 4 + 2);
        let cost = NanoUsd::new(self.rng.below(flight.cost.get() * 5 / 4 + 2)).unwrap();
        let worker = flight.worker;
        let finished = Finished {
            flight,
            tokens,
            cost,
        };
        if self.rng.one_in(50) {
            self.workers[worker].finished.push_back(finished.clone());
        }
        self.workers[worker].finished.push_back(finished);
        if self.rng.one_in(2) {
            self.settle()
        } else {
            Ok(())
        }
    }

    fn take_flight(&mut self) -> Option<Flight> {
        let count = u64::try_from(self.flights.len()).unwrap();
        (count > 0).then(|| {
            self.flights
                .swap_remove(usize::try_from(self.rng.below(count)).unwrap())
        })
    }

    /// Sends a stretch of a worker's outbox: usually from the watermark, at times from before it or beyond.
    fn settle(&mut self) -> Result<(), String> {
        let index = usize::try_from(self.rng.below(2)).unwrap();
        let Worker {
            name,
            first_sequence,
            finished,
        } = &self.workers[index];
        let known = self.model.watermark_of(name);
        let mut first = (known + 1).max(*first_sequence);
        match self.rng.below(10) {
            0 => first = *first_sequence,
            1 => first += 1,
            2 => first = first.saturating_sub(2).max(*first_sequence),
            _ => {}
        }
        let skip = usize::try_from(first - first_sequence).unwrap();
        let take = usize::try_from(1 + self.rng.below(8)).unwrap();
        let sent: Vec<Finished> = finished.iter().skip(skip).take(take).cloned().collect();
        if sent.is_empty() {
            return Ok(());
        }
        let windows: Vec<Vec<_>> = sent
            .iter()
            .map(|item| windows(&item.flight.scopes))
            .collect();
        let items: Vec<_> = sent
            .iter()
            .zip(&windows)
            .map(|(item, scopes)| Settlement {
                id: item.flight.id,
                admitted_ms: item.flight.admitted_ms,
                tokens: item.tokens,
                cost: item.cost,
                scopes,
                body: b"{\"settled\":true}",
            })
            .collect();
        let name = name.clone();
        let call = Settle {
            partition: P0,
            partitions: 1,
            worker: &name,
            first_sequence: first,
            items: &items,
        };
        let expected = self.model.settle(self.clock_ms, &call);
        match self.compare(&call, &expected)? {
            SettleAnswer::Done { watermark, .. } if watermark > known => self.coverage.settled += 1,
            SettleAnswer::Done { .. } => self.coverage.gaps += u64::from(first > known + 1),
            SettleAnswer::NotReady => {}
        }
        let known = self.model.watermark_of(&name);
        self.workers[index].forget_until(known.saturating_sub(6));
        Ok(())
    }

    fn release(&mut self) -> Result<(), String> {
        let mut ids = Vec::new();
        for _ in 0..=self.rng.below(3) {
            match self.rng.below(4) {
                0 => ids.extend(self.take_flight().map(|flight| flight.id)),
                1 => ids.extend(self.rng.pick(&self.old).copied()),
                2 => ids.push(id(self.drawn + self.rng.below(3) + 1)),
                _ => ids.extend(ids.last().copied()),
            }
        }
        let released = &ids;
        self.flights.retain(|flight| !released.contains(&flight.id));
        let call = Release {
            partition: P0,
            ids: &ids,
        };
        let expected = self.model.release(self.clock_ms, &call);
        self.compare(&call, &expected).map(drop)
    }

    fn renew(&mut self) -> Result<(), String> {
        let worker = usize::try_from(self.rng.below(2)).unwrap();
        let mut live: Vec<Flight> = self
            .flights
            .iter()
            .filter(|flight| flight.worker == worker)
            .cloned()
            .collect();
        if self.rng.one_in(3) {
            live.truncate(usize::try_from(self.rng.below(6)).unwrap());
        }
        if self.rng.one_in(10) {
            live.extend(live.first().cloned());
        }
        let mut last_sequence = self.workers[worker].last_sequence();
        if self.rng.one_in(10) {
            // An old call that comes late: some of these have been settled since.
            let finished = self.workers[worker].finished.iter().rev().take(3);
            live.extend(finished.map(|finished| finished.flight.clone()));
            last_sequence = last_sequence.saturating_sub(3);
        }
        let name = self.workers[worker].name.clone();
        let scopes: Vec<Vec<_>> = live
            .iter()
            .map(|flight| with_limits(&flight.scopes))
            .collect();
        let items: Vec<_> = live
            .iter()
            .zip(&scopes)
            .map(|(flight, scopes)| Renewal {
                id: flight.id,
                admitted_ms: flight.admitted_ms,
                tokens: flight.tokens,
                cost: flight.cost,
                scopes,
                body: b"{\"renewed\":true}",
            })
            .collect();
        let call = Renew {
            partition: P0,
            worker: &name,
            last_sequence,
            items: &items,
        };
        let expected = self.model.renew(self.clock_ms, &call);
        let answer = self.compare(&call, &expected)?;
        self.coverage.lost += u64::try_from(answer.lost.len()).unwrap();
        self.coverage.renewed += 1;
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), String> {
        let mut ids: Vec<ReservationId> = Vec::new();
        if !self.rng.one_in(3) {
            for _ in 0..4 {
                ids.extend(self.rng.pick(&self.flights).map(|flight| flight.id));
                ids.extend(self.rng.pick(&self.old).copied());
            }
        }
        let call = Sweep {
            partition: P0,
            ids: &ids,
        };
        let expected = self.model.sweep(self.clock_ms, &call);
        if let SweepAnswer::Done {
            charged, released, ..
        } = self.compare(&call, &expected)?
        {
            self.coverage.swept_charged += u64::try_from(charged.len()).unwrap();
            self.coverage.swept_released += u64::try_from(released.len()).unwrap();
        }
        Ok(())
    }

    /// A little, or exactly onto, just before or just after a moment at which something changes by itself.
    fn move_time(&mut self) -> Result<(), String> {
        let calm = self.scale > 1 && !self.rng.one_in(5);
        let target = match self.rng.below(if calm { 9 } else { 20 }) {
            0..9 => self.clock_ms + self.rng.below(300),
            9..11 => self.clock_ms + self.rng.below(5_000),
            11 => self.clock_ms + self.rng.below(70_000),
            12 if self.rng.one_in(30) => self.clock_ms + self.rng.below(100_000_000),
            _ => {
                let edges = self.model.edges(self.clock_ms);
                let near = edges.len().min(4);
                let edge = self
                    .rng
                    .pick(&edges[..near])
                    .copied()
                    .unwrap_or(self.clock_ms);
                edge + self.rng.below(3) - 1
            }
        };
        self.clock_ms = self.clock_ms.max(target);
        self.tell_the_time()
    }

    fn tell_the_time(&mut self) -> Result<(), String> {
        self.lua.set_clock(self.clock_ms);
        self.model.fade(self.clock_ms);
        for key in std::mem::take(&mut self.lua.expired) {
            let policy = self
                .policies
                .iter()
                .find(|policy| redis_key::scope(P0, &policy.id) == key);
            if let Some(policy) = policy {
                self.coverage.expired_scopes += 1;
                if !self.model.forget(&policy.id, self.clock_ms) {
                    return Err(format!("{key} expired and something was lost"));
                }
            }
        }
        Ok(())
    }

    fn set_back_the_clock(&mut self) -> Result<(), String> {
        self.clock_ms -= self.rng.below(3_000);
        self.tell_the_time()
    }

    fn change_a_record(&mut self) -> Result<(), String> {
        let index = usize::try_from(self.rng.below(5)).unwrap();
        let limits = limits(&mut self.rng, self.clock_ms, self.scale);
        let policy = &mut self.policies[index];
        policy.before = (policy.rev, std::mem::replace(&mut policy.limits, limits));
        policy.rev = policy.rev.next(0);
        let current = (redis_key::record(P0, &policy.id), value(policy.rev));
        let outdated = (current.0.clone(), value(policy.before.0));
        self.coverage.records += 1;
        let values = if self.rng.one_in(4) {
            vec![current, outdated]
        } else {
            vec![current]
        };
        self.put(&values)
    }

    fn put(&mut self, values: &[(String, Vec<u8>)]) -> Result<(), String> {
        let call = Put { values };
        let expected = self.model.put(&call);
        self.compare(&call, &expected).map(drop)
    }

    fn publish_all(&mut self) -> Result<(), String> {
        let values: Vec<_> = self
            .policies
            .iter()
            .map(|policy| (redis_key::record(P0, &policy.id), value(policy.rev)))
            .collect();
        self.put(&values)
    }

    fn open(&mut self, full_ms: u64) -> Result<(), String> {
        let ready = Ready {
            partitions: 1,
            catalogue: self.catalogue,
            full_ms,
            run_id: "run".to_owned(),
        };
        let key = redis_key::ready(P0);
        let call = Open {
            key: &key,
            ready: &ready,
        };
        let expected = self.model.open(&call);
        self.compare(&call, &expected).map(drop)
    }

    /// Or fail to, with an older one.
    fn raise_the_catalogue(&mut self) -> Result<(), String> {
        if self.rng.one_in(2) {
            self.catalogue = self.catalogue.next(0);
            return self.open(self.clock_ms + 5_000);
        }
        let current = std::mem::replace(&mut self.catalogue, rev(0));
        let outcome = self.open(0);
        self.catalogue = current;
        outcome
    }

    /// Another admin service comes too late: the partition is open.
    fn load_too_late(&mut self) -> Result<(), String> {
        let scope = LoadScope {
            id: &self.policies[0].id,
            spent: NanoUsd::ZERO,
            window_start_ms: 0,
            recent: &[],
        };
        let call = Load {
            partition: P0,
            scopes: &[scope],
            watermarks: &[],
        };
        let expected = self.model.load(self.clock_ms, &call);
        match self.lua.try_call(&call) {
            Ok(answer) if answer == expected => Ok(()),
            answer => Err(format!("a late load: {answer:?}")),
        }
    }

    /// Redis loses everything; workers renew, the ledger's knowledge is loaded, the partition opens; in any order, with calls between.
    fn wipe(&mut self) -> Result<(), String> {
        self.coverage.wipes += 1;
        let spent: Vec<_> = self
            .policies
            .iter()
            .map(|policy| (policy.id.clone(), self.model.figures(&policy.id)))
            .collect();
        let watermarks: Vec<_> = self
            .workers
            .iter()
            .map(|worker| (worker.name.clone(), self.model.watermark_of(&worker.name)))
            .collect();
        self.lua.wipe();
        self.model = Model::new();
        self.last_event = String::new();
        self.compared_events = 0;
        self.publish_all()?;
        for _ in 0..=self.rng.below(2) {
            for _ in 0..self.rng.below(4) {
                match self.rng.below(5) {
                    0 => self.settle()?,
                    1 => self.admit()?,
                    2 => self.move_time()?,
                    3 => self.sweep()?,
                    _ => self.renew()?,
                }
                self.compare_state()?;
            }
            let recent = self.recent_rows();
            let scopes: Vec<_> = spent
                .iter()
                .map(|(id, figures)| LoadScope {
                    id,
                    spent: NanoUsd::saturating(figures.spent),
                    window_start_ms: figures.window_start_ms,
                    recent: &recent,
                })
                .collect();
            let call = Load {
                partition: P0,
                scopes: &scopes,
                watermarks: &watermarks,
            };
            let expected = self.model.load(self.clock_ms, &call);
            self.compare(&call, &expected)?;
            self.compare_state()?;
        }
        let later = self.rng.below(2) * 10_000;
        self.open(self.clock_ms + later)
    }

    fn recent_rows(&mut self) -> Vec<(u64, u32, u64)> {
        let mut at = self.clock_ms - 80_000;
        (0..self.rng.below(12))
            .map(|_| {
                at += self.rng.below(12_000);
                (
                    at.min(self.clock_ms),
                    u32::try_from(self.rng.below(4)).unwrap(),
                    self.rng.below(200),
                )
            })
            .collect()
    }

    /// A worker dies with its requests and its outbox; another takes its place.
    fn crash_a_worker(&mut self) {
        let worker = usize::try_from(self.rng.below(2)).unwrap();
        self.flights.retain(|flight| flight.worker != worker);
        self.drawn += 1;
        self.workers[worker] = Worker::new(self.drawn);
    }

    fn new_id(&mut self) -> ReservationId {
        self.drawn += 1;
        id(self.drawn)
    }

    fn compare_state(&mut self) -> Result<(), String> {
        let mut commands = Vec::new();
        let keys: Vec<String> = self
            .policies
            .iter()
            .map(|policy| redis_key::scope(P0, &policy.id))
            .collect();
        let mut names: Vec<&[u8]> = vec![b"MGET"];
        names.extend(keys.iter().map(String::as_bytes));
        encode_command(&mut commands, &names);
        encode_command(&mut commands, &[b"XLEN", redis_key::spend(P0).as_bytes()]);
        encode_command(
            &mut commands,
            &[b"ZCARD", redis_key::deadlines(P0).as_bytes()],
        );
        let replies = self.lua.connection.send(&commands, 3);
        for (policy, header) in self.policies.iter().zip(array(&replies[0])) {
            let (closed, base) = closed_segments(header);
            let before = self.bases.insert(policy.id.clone(), base);
            self.coverage.deepest_window = self.coverage.deepest_window.max(closed);
            let is_shorter = closed > 1 && before.is_some_and(|before| before < base);
            self.coverage.compactions += u64::from(is_shorter);
            let (redis, model) = (figures(header), self.model.figures(&policy.id));
            if redis != model {
                return Err(format!(
                    "{}\n {}\n redis: {redis:?}\n model: {model:?}",
                    self.last_call, policy.id
                ));
            }
        }
        let events = self.model.events();
        let count = |number: usize| contract::resp::Reply::Integer(i64::try_from(number).unwrap());
        if replies[1] != count(events.len()) || replies[2] != count(self.model.live_count()) {
            return Err(format!("events and deadlines: {:?}", &replies[1..]));
        }
        if events.len() > self.compared_events {
            for (entry, event) in self.lua.events_after(&self.last_event) {
                if event != events[self.compared_events] {
                    return Err(format!(
                        "event {event:?} is not {:?}",
                        events[self.compared_events]
                    ));
                }
                self.compared_events += 1;
                self.last_event = entry;
            }
        }
        Ok(())
    }
}

fn value(rev: Rev) -> Vec<u8> {
    format!("{rev}{{}}").into_bytes()
}

fn windows(scopes: &[(RecordId, Limits)]) -> Vec<ScopeWindow<'_>> {
    let named = scopes
        .iter()
        .map(|(id, limits)| (id, limits.budget.as_ref()));
    named
        .map(|(id, budget)| ScopeWindow {
            id,
            window: budget.map(|budget| &budget.window),
        })
        .collect()
}

fn with_limits(scopes: &[(RecordId, Limits)]) -> Vec<ScopeLimits<'_>> {
    scopes
        .iter()
        .map(|(id, limits)| ScopeLimits { id, limits })
        .collect()
}

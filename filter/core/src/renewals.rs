//! The worker's live reservations towards one partition. Decides when they are renewed and which are due; a renewal round begins every ten
//! seconds, at once after Redis was lost, and is complete when Redis has seen every reservation that was live when it began. Between rounds, a
//! reservation is renewed once when it is a second old: only one that was renewed is charged should this worker die.
//!
//! Failure stance: a reservation that Redis swept or released is renewed no more, and settled all the same.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use contract::id::ReservationId;
use contract::money::NanoUsd;
use contract::redis_key::Partition;
use contract::resp::Reply;
use contract::script::{
    By, Call, MAX_BATCH, Renew, RenewAnswer, Renewal, ScopeLimits, ScriptError,
};

use crate::clock::Now;
use crate::scopes::Scopes;

/// Between the beginnings of two rounds, ms.
const INTERVAL_MS: u64 = 10_000;
/// Age at which a reservation is renewed for the first time, ms.
const FIRST_MS: u64 = 1_000;
/// Before a round that failed is tried again, ms.
const RETRY_MS: u64 = 500;
/// Renew commands in one call.
const COMMANDS: usize = 4;

/// An admitted request that is not settled yet.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub scopes: Rc<Scopes>,
    /// Redis time of its admission.
    pub admitted_ms: u64,
    pub tokens: u64,
    pub cost: NanoUsd,
    /// What a sweep charges.
    pub body: Box<[u8]>,
}

/// Live reservations of one partition.
#[derive(Debug)]
pub(crate) struct Renewals {
    partition: Partition,
    live: HashMap<ReservationId, Reservation>,
    lost: HashSet<ReservationId>,
    /// Never renewed, oldest first; the first of them is live.
    young: VecDeque<(ReservationId, Now)>,
    due: VecDeque<ReservationId>,
    running: bool,
    /// The round that runs is one of all live reservations, not of young ones alone.
    whole: bool,
    next: Now,
}

/// What became of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// Redis time of the latest answer.
    pub now_ms: Option<u64>,
    /// The worker's last settled sequence, as each answer had it.
    pub watermark: Option<u64>,
    /// Redis does not know the script: repeat by source.
    pub no_script: bool,
    /// The round is complete.
    pub round_complete: bool,
    /// The young reservations that were due are renewed; that was no round.
    pub young_done: bool,
    /// What Redis said instead of an answer.
    pub error: Option<String>,
}

impl Renewals {
    pub(crate) fn new(partition: Partition, now: Now) -> Self {
        Self {
            partition,
            live: HashMap::new(),
            lost: HashSet::new(),
            young: VecDeque::new(),
            due: VecDeque::new(),
            running: false,
            whole: false,
            // The first round tells the worker Redis's time and Redis that the worker lives.
            next: now,
        }
    }

    pub(crate) fn begin(&mut self, id: ReservationId, reservation: Reservation, now: Now) {
        self.live.insert(id, reservation);
        self.young.push_back((id, now));
    }

    /// The reservation is about to be settled or released; whoever gets it must do so.
    pub(crate) fn end(&mut self, id: &ReservationId) -> Option<Reservation> {
        self.lost.remove(id);
        let ended = self.live.remove(id);
        self.skip_ended();
        ended
    }

    /// Keeps the first of the young ones live.
    fn skip_ended(&mut self) {
        let ended = |(id, _): &(ReservationId, Now)| !self.live.contains_key(id);
        while self.young.front().is_some_and(ended) {
            self.young.pop_front();
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.live.len()
    }

    /// Makes a round due now.
    pub(crate) fn hurry(&mut self, now: Now) {
        if !(self.running && self.whole) {
            self.next = now;
        }
    }

    /// Whether the next call is due. A clock set back does not put it off.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        self.is_round_due(now) || (!self.running && self.is_young_due(now))
    }

    fn is_round_due(&self, now: Now) -> bool {
        now >= self.next || self.next.since(now) > INTERVAL_MS
    }

    fn is_young_due(&self, now: Now) -> bool {
        self.young
            .front()
            .is_some_and(|(_, since)| now.since(*since) >= FIRST_MS)
    }

    /// Begins a round of what is due: of all that live, unless it is only the young ones' turn.
    fn start(&mut self, now: Now) {
        self.running = true;
        self.whole = self.is_round_due(now) || !self.is_young_due(now);
        if self.whole {
            self.next = now.plus(INTERVAL_MS);
            self.young.clear();
            let live = self.live.keys().filter(|id| !self.lost.contains(*id));
            self.due = live.copied().collect();
            return;
        }
        while self.is_young_due(now)
            && let Some((id, _)) = self.young.pop_front()
        {
            if self.live.contains_key(&id) && !self.lost.contains(&id) {
                self.due.push_back(id);
            }
        }
        self.skip_ended();
    }

    /// Encodes the next call of the round, beginning one where none runs. An empty one still says that the worker lives.
    pub(crate) fn call(
        &mut self,
        by: By,
        worker: &str,
        last: u64,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Vec<Vec<ReservationId>> {
        if !self.running {
            self.start(now);
        }
        let mut commands = Vec::new();
        while commands.len() < COMMANDS && (commands.is_empty() || !self.due.is_empty()) {
            let ids: Vec<_> = self.due.drain(..self.due.len().min(MAX_BATCH)).collect();
            commands.push(self.encode(ids, by, worker, last, out));
        }
        commands
    }

    /// Encodes one command; answers the ids that are still live.
    fn encode(
        &self,
        ids: Vec<ReservationId>,
        by: By,
        worker: &str,
        last_sequence: u64,
        out: &mut Vec<u8>,
    ) -> Vec<ReservationId> {
        let items: Vec<(ReservationId, &Reservation, Vec<ScopeLimits<'_>>)> = ids
            .into_iter()
            .filter_map(|id| {
                self.live
                    .get(&id)
                    .map(|live| (id, live, live.scopes.limits()))
            })
            .collect();
        let renewals: Vec<Renewal<'_>> = items
            .iter()
            .map(|(id, live, scopes)| Renewal {
                id: *id,
                admitted_ms: live.admitted_ms,
                tokens: live.tokens,
                cost: live.cost,
                scopes,
                body: &live.body,
            })
            .collect();
        Renew {
            partition: self.partition,
            worker,
            last_sequence,
            items: &renewals,
        }
        .encode(by, out);
        items.into_iter().map(|(id, ..)| id).collect()
    }

    /// The call's replies, one per command.
    pub(crate) fn answered(
        &mut self,
        commands: Vec<Vec<ReservationId>>,
        replies: &[Reply],
        now: Now,
    ) -> Renewed {
        let mut result = Renewed::default();
        let call = Renew {
            partition: self.partition,
            worker: "",
            last_sequence: 0,
            items: &[],
        };
        let mut replies = replies.iter();
        for ids in commands {
            let answer = replies
                .next()
                .ok_or(ScriptError::Malformed)
                .and_then(|reply| call.decode(reply));
            match answer {
                Ok(RenewAnswer {
                    now_ms,
                    watermark,
                    lost,
                }) => {
                    result.now_ms = Some(now_ms);
                    result.watermark = Some(watermark);
                    let lost = lost.into_iter().filter(|id| self.live.contains_key(id));
                    self.lost.extend(lost);
                }
                Err(error) => {
                    self.due.extend(ids);
                    match error {
                        ScriptError::NoScript => result.no_script = true,
                        ScriptError::Redis(text) => result.error = Some(text),
                        ScriptError::Malformed => result.error = Some("malformed reply".to_owned()),
                    }
                }
            }
        }
        if result.error.is_some() {
            self.next = now.plus(RETRY_MS);
        } else if !result.no_script && self.due.is_empty() {
            self.running = false;
            if self.whole {
                self.next = now.plus(INTERVAL_MS);
                result.round_complete = true;
            } else {
                result.young_done = true;
            }
        }
        result
    }

    /// The call brought no replies: the round goes on later.
    pub(crate) fn failed(&mut self, commands: Vec<Vec<ReservationId>>, now: Now) {
        self.due.extend(commands.into_iter().flatten());
        self.next = now.plus(RETRY_MS);
    }
}

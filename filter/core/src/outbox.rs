//! What one worker still has to tell one partition: settlements in sequence, and releases. Decides what is sent, what counts as acknowledged,
//! what is sent again, and how long it is kept; when to send is left to the worker.
//!
//! Failure stance: nothing unacknowledged is ever dropped. Where memory runs short the worker admits nothing new, so that no spend is lost.
//! Acknowledged settlements are kept 30 seconds, because a promoted replica may not have them; beyond [`KEPT_BYTES`] the oldest go early, but
//! never within their first second.

mod batch;

use std::collections::VecDeque;
use std::rc::Rc;

use contract::id::ReservationId;
use contract::money::NanoUsd;
use contract::redis_key::Partition;
use contract::resp::Reply;
use contract::script::{
    By, Call, MAX_BATCH, Release, ScopeWindow, ScriptError, Settle, SettleAnswer, Settlement,
};

use crate::clock::Now;
use crate::scopes::Scopes;

pub(crate) use batch::{Acknowledgement, Batch, Verdict};

/// How long an acknowledged settlement is kept, ms.
const KEPT_MS: u64 = 30_000;
/// How long it is kept even when memory is short, ms.
const KEPT_AT_LEAST_MS: u64 = 1_000;
/// Memory for acknowledged settlements.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Waiting settlements that are sent at once.
const FLUSH_AT: usize = 32;
/// Settle commands in one call.
const SETTLES: usize = 4;
/// Release commands in one call.
const RELEASES: usize = 2;

/// A finished request.
#[derive(Debug)]
pub(crate) struct Finished {
    pub id: ReservationId,
    pub admitted_ms: u64,
    pub tokens: u64,
    pub cost: NanoUsd,
    pub scopes: Rc<Scopes>,
    pub body: Box<[u8]>,
    /// Few slots were left beside the one it frees.
    pub awaited: bool,
}

#[derive(Debug)]
struct Item {
    finished: Finished,
    acknowledged: Option<Now>,
}

impl Item {
    /// Its scopes are counted though the key's state shares them: that may be forgotten first.
    fn bytes(&self) -> usize {
        let Finished { body, scopes, .. } = &self.finished;
        body.len()
            .saturating_add(scopes.bytes())
            .saturating_add(size_of::<Self>())
    }
}

/// The outbox towards one partition.
#[derive(Debug)]
pub(crate) struct Outbox {
    partition: Partition,
    partitions: u16,
    worker: String,
    items: VecDeque<Item>,
    /// Sequence of the first of `items`.
    first: u64,
    /// Highest sequence that was sent.
    sent: u64,
    /// Highest sequence that Redis acknowledged.
    acknowledged: u64,
    bytes: usize,
    releases: VecDeque<ReservationId>,
    /// Somebody may wait for a slot that an unsent item holds.
    urgent: bool,
}

impl Outbox {
    pub(crate) fn new(partition: Partition, partitions: u16, worker: String) -> Self {
        Self {
            partition,
            partitions,
            worker,
            items: VecDeque::new(),
            first: 1,
            sent: 0,
            acknowledged: 0,
            bytes: 0,
            releases: VecDeque::new(),
            urgent: false,
        }
    }

    /// The name under which settlements are numbered.
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// Highest sequence that Redis acknowledged.
    pub(crate) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Highest sequence given out.
    pub(crate) fn last(&self) -> u64 {
        self.first
            .saturating_add(count(self.items.len()))
            .saturating_sub(1)
    }

    /// Settlements and releases that Redis has not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        let settlements = self.last().saturating_sub(self.acknowledged);
        usize::try_from(settlements)
            .unwrap_or(usize::MAX)
            .saturating_add(self.releases.len())
    }

    /// Whether so much waits, or for such a reason, that it should not wait for the next tick.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent || self.waiting() >= FLUSH_AT
    }

    /// Whether somebody may wait for a slot that an unsent item holds.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.urgent
    }

    pub(crate) fn settle(&mut self, finished: Finished) {
        self.urgent |= finished.awaited;
        let item = Item {
            finished,
            acknowledged: None,
        };
        self.bytes = self.bytes.saturating_add(item.bytes());
        self.items.push_back(item);
    }

    pub(crate) fn release(&mut self, id: ReservationId) {
        self.releases.push_back(id);
    }

    /// Encodes what waits, oldest first; `None` where nothing does.
    pub(crate) fn batch(&mut self, by: By, out: &mut Vec<u8>) -> Option<Batch> {
        self.urgent = false;
        let mut settles = Vec::new();
        let mut next = self.acknowledged.saturating_add(1);
        for _ in 0..SETTLES {
            let sent = self.encode_settle(next, by, out);
            if sent == 0 {
                break;
            }
            settles.push((next, sent));
            next = next.saturating_add(count(sent));
        }
        self.sent = self.sent.max(next.saturating_sub(1));
        let mut releases = Vec::new();
        while releases.len() < RELEASES && !self.releases.is_empty() {
            let ids: Vec<_> = self
                .releases
                .drain(..self.releases.len().min(MAX_BATCH))
                .collect();
            Release {
                partition: self.partition,
                ids: &ids,
            }
            .encode(by, out);
            releases.push(ids);
        }
        let batch = Batch {
            settles,
            releases,
            acknowledged: self.acknowledged,
            by,
        };
        (batch.commands() > 0).then_some(batch)
    }

    fn encode_settle(&self, first: u64, by: By, out: &mut Vec<u8>) -> usize {
        let skip = usize::try_from(first.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let items: Vec<&Finished> = self
            .items
            .iter()
            .skip(skip)
            .take(MAX_BATCH)
            .map(|item| &item.finished)
            .collect();
        if items.is_empty() {
            return 0;
        }
        let scopes: Vec<Vec<ScopeWindow<'_>>> =
            items.iter().map(|item| item.scopes.windows()).collect();
        let settlements: Vec<Settlement<'_>> = items
            .iter()
            .zip(&scopes)
            .map(|(item, scopes)| Settlement {
                id: item.id,
                admitted_ms: item.admitted_ms,
                tokens: item.tokens,
                cost: item.cost,
                scopes,
                body: &item.body,
            })
            .collect();
        self.settle_call(first, &settlements).encode(by, out);
        items.len()
    }

    fn settle_call<'a>(&'a self, first: u64, items: &'a [Settlement<'a>]) -> Settle<'a> {
        Settle {
            partition: self.partition,
            partitions: self.partitions,
            worker: &self.worker,
            first_sequence: first,
            items,
        }
    }

    /// The batch's replies, one per command.
    pub(crate) fn answered(
        &mut self,
        batch: Batch,
        replies: &[Reply],
        now: Now,
    ) -> Acknowledgement {
        let mut result = Acknowledgement {
            now_ms: None,
            verdict: Verdict::Complete,
            lost: 0,
            gap: false,
        };
        let (settled, released) = replies
            .split_at_checked(batch.settles.len())
            .unwrap_or_default();
        for ((first, sent), reply) in batch.settles.iter().zip(settled) {
            match self.settle_call(*first, &[]).decode(reply) {
                Ok(SettleAnswer::Done { now_ms, watermark }) => {
                    result.now_ms = Some(now_ms);
                    let lost = self.observe(batch.acknowledged, watermark, now);
                    result.lost = result.lost.saturating_add(lost);
                    result.gap |= watermark.saturating_add(1) < self.first;
                    if watermark < first.saturating_add(count(*sent)).saturating_sub(1) {
                        result.note(Verdict::Incomplete);
                    }
                }
                Ok(SettleAnswer::NotReady) => result.note(Verdict::NotReady),
                Err(error) => result.note(error.into()),
            }
            if result.verdict != Verdict::Complete {
                break;
            }
        }
        let mut released = released.iter();
        for ids in batch.releases {
            let call = Release {
                partition: self.partition,
                ids: &ids,
            };
            let answer = released
                .next()
                .ok_or(ScriptError::Malformed)
                .and_then(|reply| call.decode(reply));
            match answer {
                Ok(answer) => result.now_ms = Some(answer.now_ms),
                Err(error) => {
                    result.note(error.into());
                    self.releases.extend(ids);
                }
            }
        }
        result
    }

    /// The batch brought no replies; its releases wait again (its settlements never stopped to).
    pub(crate) fn failed(&mut self, batch: Batch) {
        self.releases.extend(batch.releases.into_iter().flatten());
    }

    /// An answer to a call that was made when `sent_at` was acknowledged says that Redis has settled up to `watermark`. Answers how many
    /// settlements that takes back.
    pub(crate) fn observe(&mut self, sent_at: u64, watermark: u64, now: Now) -> u64 {
        let known = self.first.saturating_sub(1);
        if watermark < sent_at {
            // Redis lost a suffix: what it lost waits again.
            let before = self.acknowledged;
            self.acknowledged = watermark.max(known).min(before);
            let lost = self.acknowledged.saturating_sub(known);
            let lost = usize::try_from(lost).unwrap_or(usize::MAX);
            self.items
                .iter_mut()
                .skip(lost)
                .for_each(|item| item.acknowledged = None);
            return before.saturating_sub(self.acknowledged);
        }
        // What was never sent cannot be settled, whatever an answer says.
        let upto = watermark.min(self.sent);
        if upto > self.acknowledged {
            let from =
                usize::try_from(self.acknowledged.saturating_sub(known)).unwrap_or(usize::MAX);
            let to = usize::try_from(upto.saturating_sub(known)).unwrap_or(usize::MAX);
            let new = self.items.iter_mut().take(to).skip(from);
            new.for_each(|item| item.acknowledged = Some(now));
            self.acknowledged = upto;
        }
        0
    }

    /// Goes on under another name from sequence 1: Redis lost more than was kept, and under the old name would wait for it for ever. What
    /// is kept was lost with it, so that nothing counts twice.
    pub(crate) fn rename(&mut self, worker: String) {
        self.worker = worker;
        self.first = 1;
        self.sent = 0;
        self.acknowledged = 0;
        self.items
            .iter_mut()
            .for_each(|item| item.acknowledged = None);
    }

    /// Forgets what was kept long enough.
    pub(crate) fn trim(&mut self, now: Now) {
        while let Some(Item {
            acknowledged: Some(at),
            ..
        }) = self.items.front()
        {
            let age = now.since(*at);
            if age < KEPT_AT_LEAST_MS || (age < KEPT_MS && self.bytes <= KEPT_BYTES) {
                break;
            }
            if let Some(item) = self.items.pop_front() {
                self.bytes = self.bytes.saturating_sub(item.bytes());
                self.first = self.first.saturating_add(1);
            }
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

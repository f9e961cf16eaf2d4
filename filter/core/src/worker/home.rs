//! A worker's obligations towards one partition, and when the next call about them may be made.

use contract::redis_key::Partition;

use crate::clock::Now;
use crate::event::CallId;
use crate::outbox::{Finished, Outbox};
use crate::renewals::Renewals;

/// First and longest pause after a failed flush, ms.
const BACK_OFF_MS: u64 = 50;
const LONGEST_BACK_OFF_MS: u64 = 1_000;
/// Longer than any settlement is put off, ms.
const LONGEST_DEFERRAL_MS: u64 = 10_000;
/// Between renewals asked for by requests that found the partition closed, ms.
const HURRY_MS: u64 = 1_000;

/// One partition's obligations.
pub(super) struct Home {
    pub(super) outbox: Outbox,
    pub(super) renewals: Renewals,
    /// The one settle call under way.
    pub(super) flushing: Option<CallId>,
    /// The one renewal call under way.
    pub(super) renewing: Option<CallId>,
    /// Redis failed and has not seen the live reservations since.
    pub(super) lost: bool,
    deferred: Vec<(Now, Finished)>,
    flush_at: Now,
    back_off: u64,
    hurried: Option<Now>,
}

impl Home {
    pub(super) fn new(partition: Partition, partitions: u16, worker: String, now: Now) -> Self {
        Self {
            outbox: Outbox::new(partition, partitions, worker),
            renewals: Renewals::new(partition, now),
            flushing: None,
            renewing: None,
            lost: false,
            deferred: Vec::new(),
            flush_at: now,
            back_off: BACK_OFF_MS,
            hurried: None,
        }
    }

    /// Takes a finished request. One that Redis may yet admit waits until it cannot any more.
    pub(super) fn settle(&mut self, finished: Finished, from: Now, now: Now) {
        if now < from {
            self.deferred.push((from, finished));
        } else {
            self.outbox.settle(finished);
        }
    }

    /// Moves what waited long enough into the outbox. A clock set back does not put it off.
    pub(super) fn settle_due(&mut self, now: Now) {
        let is_due = |from: Now| now >= from || from.since(now) > LONGEST_DEFERRAL_MS;
        let due = self.deferred.extract_if(.., |(from, _)| is_due(*from));
        due.for_each(|(_, finished)| self.outbox.settle(finished));
    }

    /// Settlements and releases that Redis has not acknowledged.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.waiting().saturating_add(self.deferred.len())
    }

    /// Whether a flush may be sent. A clock set back does not put it off.
    pub(super) fn can_flush(&self, now: Now) -> bool {
        self.flushing.is_none()
            && (now >= self.flush_at || self.flush_at.since(now) > LONGEST_BACK_OFF_MS)
    }

    /// The flush failed: wait, each time longer.
    pub(super) fn flush_failed(&mut self, now: Now) {
        self.flush_at = now.plus(self.back_off);
        self.back_off = self.back_off.saturating_mul(2).min(LONGEST_BACK_OFF_MS);
    }

    pub(super) fn flush_done(&mut self) {
        self.back_off = BACK_OFF_MS;
    }

    pub(super) fn hurry_renewal(&mut self, now: Now) {
        if self
            .hurried
            .is_none_or(|at| now.since(at) >= HURRY_MS || now < at)
        {
            self.hurried = Some(now);
            self.renewals.hurry(now);
        }
    }

    /// What new requests add to.
    pub(super) fn load(&self) -> usize {
        self.waiting().saturating_add(self.renewals.live())
    }
}

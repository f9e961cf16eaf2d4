//! Decides which calls to Redis travel together. The way from a request to Redis costs Envoy more than Redis spends on the question, so while
//! one call of the worker's root is under way, the calls that requests want to make wait for it and then go out as one.
//!
//! A call waits only for one that left a few milliseconds ago at most, so an idle worker's call leaves at once and a hung Redis holds nobody
//! up twice: what waited for a call that timed out fails with it.
//!
//! Left to others: making the calls, and bringing each caller its replies.

use crate::clock::Now;
use crate::event::{CallId, StoreFailure};

/// A call that left longer ago than this is no longer waited for, ms.
const PATIENCE_MS: u64 = 5;
/// Commands of one batch.
const MOST_REPLIES: usize = 64;
/// Bytes of one batch's commands, except for a single larger call.
const MOST_BYTES: usize = 256 * 1024;

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Envoy's number of the context; the root's own has one too.
    pub context: u32,
    /// The caller's name for the call.
    pub call: CallId,
    /// How many of the batch's replies are its own, in order.
    pub replies: usize,
}

/// Calls that travel together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// All commands, concatenated.
    pub commands: Vec<u8>,
    /// All replies that must come.
    pub replies: usize,
    /// The longest time-out of any of them, ms: nobody's call fails early because another's patience ends.
    pub timeout_ms: u64,
    /// The callers, in order.
    pub tickets: Vec<Ticket>,
}

/// The calls that wait.
#[derive(Debug, Default)]
pub struct Courier {
    waiting: Vec<(Ticket, Vec<u8>, u64)>,
    /// When the call that is waited for left.
    left: Option<Now>,
}

impl Courier {
    /// Whether a request's call should wait for the next batch instead of leaving by itself.
    pub fn should_wait(&self, now: Now) -> bool {
        self.is_under_way(now)
    }

    /// Takes a call for the next batch.
    pub fn add(&mut self, ticket: Ticket, commands: Vec<u8>, timeout_ms: u64) {
        self.waiting.push((ticket, commands, timeout_ms));
    }

    /// The next batch to send, if there is one and none is waited for; the next calls wait for it.
    pub fn depart(&mut self, now: Now) -> Option<Batch> {
        if self.waiting.is_empty() || self.is_under_way(now) {
            return None;
        }
        let mut batch = Batch::default();
        let mut taken = 0_usize;
        for (ticket, commands, timeout_ms) in &self.waiting {
            let replies = batch.replies.saturating_add(ticket.replies);
            let bytes = batch.commands.len().saturating_add(commands.len());
            if taken > 0 && (replies > MOST_REPLIES || bytes > MOST_BYTES) {
                break;
            }
            batch.commands.extend_from_slice(commands);
            batch.replies = replies;
            batch.timeout_ms = batch.timeout_ms.max(*timeout_ms);
            batch.tickets.push(*ticket);
            taken = taken.saturating_add(1);
        }
        self.waiting.drain(..taken);
        self.left = Some(now);
        Some(batch)
    }

    /// A batch came back. What waited for one that timed out fails with it: these callers.
    pub fn returned(&mut self, failure: Option<StoreFailure>) -> Vec<Ticket> {
        self.left = None;
        if failure == Some(StoreFailure::Timeout) {
            self.waiting.drain(..).map(|(ticket, ..)| ticket).collect()
        } else {
            Vec::new()
        }
    }

    fn is_under_way(&self, now: Now) -> bool {
        self.left.is_some_and(|left| now.since(left) <= PATIENCE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(context: u32, replies: usize) -> Ticket {
        Ticket {
            context,
            call: CallId(1),
            replies,
        }
    }

    #[test]
    fn calls_made_while_one_is_under_way_leave_together_in_order() {
        let mut courier = Courier::default();
        let now = Now(1_000);
        assert!(!courier.should_wait(now), "nothing to wait for");
        courier.add(ticket(1, 1), b"a".to_vec(), 200);
        let first = courier.depart(now).expect("leaves at once");
        assert_eq!((first.commands.as_slice(), first.replies), (&b"a"[..], 1));
        assert!(courier.should_wait(now));
        courier.add(ticket(2, 2), b"bc".to_vec(), 200);
        courier.add(ticket(3, 1), b"d".to_vec(), 150);
        assert_eq!(courier.depart(now), None, "one is under way");
        assert_eq!(courier.returned(None), []);
        let second = courier.depart(now).expect("the next two");
        assert_eq!(second.commands, b"bcd");
        assert_eq!((second.replies, second.timeout_ms), (3, 200));
        assert_eq!(second.tickets, [ticket(2, 2), ticket(3, 1)]);
    }

    #[test]
    fn nobody_waits_for_a_call_that_is_overdue() {
        let mut courier = Courier::default();
        courier.add(ticket(1, 1), b"a".to_vec(), 200);
        courier.depart(Now(1_000)).expect("leaves");
        assert!(courier.should_wait(Now(1_005)));
        assert!(!courier.should_wait(Now(1_006)));
        courier.add(ticket(2, 1), b"b".to_vec(), 200);
        assert!(courier.depart(Now(1_006)).is_some());
    }

    #[test]
    fn what_waited_for_a_call_that_timed_out_fails_with_it() {
        let mut courier = Courier::default();
        courier.add(ticket(1, 1), b"a".to_vec(), 200);
        courier.depart(Now(1_000)).expect("leaves");
        courier.add(ticket(2, 1), b"b".to_vec(), 200);
        assert_eq!(
            courier.returned(Some(StoreFailure::Timeout)),
            [ticket(2, 1)]
        );
        assert_eq!(courier.depart(Now(1_200)), None);
        courier.add(ticket(3, 1), b"c".to_vec(), 200);
        courier.depart(Now(1_200)).expect("leaves");
        courier.add(ticket(4, 1), b"d".to_vec(), 200);
        assert_eq!(courier.returned(Some(StoreFailure::Unreachable)), []);
        assert!(courier.depart(Now(1_201)).is_some(), "worth another try");
    }

    #[test]
    fn a_batch_is_bounded_and_a_large_call_goes_alone() {
        let mut courier = Courier::default();
        for context in 0..100 {
            courier.add(ticket(context, 1), vec![b'x'], 200);
        }
        courier.add(ticket(100, 1), vec![b'y'; MOST_BYTES + 1], 200);
        let mut sizes = Vec::new();
        while let Some(batch) = courier.depart(Now(0)) {
            sizes.push(batch.replies);
            courier.returned(None);
        }
        assert_eq!(sizes, [64, 36, 1]);
    }
}

//! Decides whether asking Redis is worth a request's time. After a few failures in a row nobody waits for the time-out any more; the root
//! context alone asks on, and its renewals close the breaker, so that live reservations are back in Redis before anything new is admitted.

use crate::clock::Now;

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How often the root context asks while it is open.
const PROBE_MS: u64 = 500;

/// The breaker of one worker.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    /// When the last of them was.
    last: Option<Now>,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    next_probe: Now,
}

impl Breaker {
    /// Whether requests may ask Redis.
    pub const fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// A call failed. Answers whether that opened it. What fails at one moment is one failure: calls that travelled together fail together.
    pub fn failed(&mut self, now: Now) -> bool {
        if self.last.replace(now) == Some(now) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.open.is_some() || self.failures < FAILURES {
            return false;
        }
        self.open = Some(Open { next_probe: now });
        true
    }

    /// A call was answered. An open breaker stays open: only [`Breaker::close`] closes it.
    pub fn answered(&mut self) {
        if self.open.is_none() {
            self.failures = 0;
            self.last = None;
        }
    }

    /// Whether the root context should ask now; then it will not be asked again for a while.
    pub fn probe(&mut self, now: Now) -> bool {
        match &mut self.open {
            // A clock set back must not silence the probe.
            Some(open) if now >= open.next_probe || open.next_probe.since(now) > PROBE_MS => {
                open.next_probe = now.plus(PROBE_MS);
                true
            }
            _ => false,
        }
    }

    /// Redis answers again and knows every live reservation.
    pub fn close(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_single_ones_do_not() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.failed(Now(1)));
            assert!(!breaker.failed(Now(2)));
            breaker.answered();
        }
        assert!(breaker.is_closed());
        assert!(!breaker.failed(Now(1)));
        assert!(!breaker.failed(Now(2)));
        assert!(breaker.failed(Now(3)));
        assert!(!breaker.is_closed());
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let mut breaker = Breaker::default();
        for _ in 0..64 {
            assert!(!breaker.failed(Now(200)));
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn an_open_one_probes_at_once_and_then_twice_a_second() {
        let mut breaker = Breaker::default();
        assert!(!breaker.probe(Now(0)));
        for at in [980, 990, 1_000] {
            breaker.failed(Now(at));
        }
        let probes: Vec<_> = (1_000..3_000)
            .filter(|at| breaker.probe(Now(*at)))
            .collect();
        assert_eq!(probes, [1_000, 1_500, 2_000, 2_500]);
        assert!(
            breaker.probe(Now(5)),
            "a clock set back does not silence it"
        );
    }

    #[test]
    fn a_late_answer_does_not_close_it() {
        let mut breaker = Breaker::default();
        for at in 0..3 {
            breaker.failed(Now(at));
        }
        breaker.answered();
        assert!(!breaker.is_closed());
        breaker.close();
        assert!(breaker.is_closed());
    }
}

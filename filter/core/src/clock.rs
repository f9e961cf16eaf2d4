//! Two clocks. Envoy's measures waiting and is a parameter everywhere; Redis's decides every limit. This module keeps what the worker knows of
//! the second in terms of the first. Failure stance: an estimate that errs lets a call be refused early, never admit late.

/// Milliseconds since the epoch on Envoy's clock. No limit is decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub u64);

impl Now {
    /// Milliseconds since `earlier`; zero if the clock went back.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `ms` later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// A sample older than this no longer outweighs a newer one: clocks drift.
const SAMPLE_LIFE_MS: u64 = 10_000;

/// How far Redis's clock is ahead of Envoy's, at least.
#[derive(Debug, Default)]
pub struct RedisClock {
    sample: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Redis's clock minus Envoy's: never more than the truth.
    offset: i64,
    taken: Now,
}

impl RedisClock {
    /// Redis said `redis_ms` in the answer to a call made at `sent`. Its clock was read somewhere between, so `redis_ms − received` is never
    /// above the true offset; the highest such bound is the best.
    pub fn learn(&mut self, sent: Now, received: Now, redis_ms: u64) {
        let offset = |at: Now| {
            i64::try_from(redis_ms)
                .unwrap_or(i64::MAX)
                .saturating_sub(i64::try_from(at.0).unwrap_or(i64::MAX))
        };
        let (least, most) = (offset(received), offset(sent));
        let better = self.sample.is_none_or(|sample| {
            least >= sample.offset
                || most < sample.offset
                || received.since(sample.taken) > SAMPLE_LIFE_MS
        });
        if better {
            self.sample = Some(Sample {
                offset: least,
                taken: received,
            });
        }
    }

    /// Redis's clock now, not ahead of the truth; `None` before the first answer.
    pub fn at(&self, now: Now) -> Option<u64> {
        self.sample
            .map(|sample| now.0.saturating_add_signed(sample.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_answer_is_believed() {
        let mut clock = RedisClock::default();
        assert_eq!(clock.at(Now(5)), None);
        clock.learn(Now(1_000), Now(1_150), 6_100);
        assert_eq!(clock.at(Now(2_000)), Some(6_950));
        clock.learn(Now(2_000), Now(2_002), 7_001);
        assert_eq!(clock.at(Now(2_002)), Some(7_001));
        clock.learn(Now(3_000), Now(3_100), 8_050);
        assert_eq!(clock.at(Now(3_100)), Some(8_099), "a slow answer says less");
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed() {
        let mut clock = RedisClock::default();
        clock.learn(Now(1_000), Now(1_000), 6_000);
        clock.learn(Now(2_000), Now(2_001), 3_000);
        assert_eq!(clock.at(Now(2_001)), Some(3_000));
    }

    #[test]
    fn an_old_sample_gives_way() {
        let mut clock = RedisClock::default();
        clock.learn(Now(1_000), Now(1_000), 6_000);
        clock.learn(Now(20_000), Now(20_100), 25_000);
        assert_eq!(clock.at(Now(20_100)), Some(25_000));
    }
}

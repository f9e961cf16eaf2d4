//! The time, as a parameter. The service reads it from here only; tests move it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands until it is moved.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at `now_us` until [`Clock::set_us`].
    pub fn manual(now_us: u64) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(now_us)))
    }

    /// Microseconds since the epoch.
    pub fn now_us(&self) -> u64 {
        match self {
            Self::System => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the one place that reads the clock"
                )]
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
            }
            Self::Manual(now_us) => now_us.load(Ordering::SeqCst),
        }
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }

    /// Moves a manual clock; the system's clock stays.
    pub fn set_us(&self, now_us: u64) {
        if let Self::Manual(clock) = self {
            clock.store(now_us, Ordering::SeqCst);
        }
    }
}

/// A time of the database or of Redis as a date; `None` beyond the calendar.
pub fn date(us: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(i64::try_from(us).ok()?)
}

//! The only place of the harness that reads a clock. Real time is what it measures, so here the clock is no parameter.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness measures real time; this is its one reading of the wall clock"
)]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A moment to measure from.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness measures real time; this is its one reading of the steady clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

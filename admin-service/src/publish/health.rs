//! How the way to Redis and back is doing: what `/health/readiness` and `/health/backlog` say.

use std::sync::Arc;

use tokio::sync::watch;

/// A report that everybody may read and the tasks keep up to date. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<watch::Sender<Report>>);

/// Whether the filter finds what it needs in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RedisState {
    /// Not looked yet.
    #[default]
    Unknown,
    /// No answer; why.
    Unreachable(String),
    /// Requests are refused until it opens; why it is not open.
    Closed(String),
    /// Every partition and index is open.
    Open,
}

/// The figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether Redis is open.
    pub redis: RedisState,
    /// What is wrong with an open Redis, such as a policy that lets it forget.
    pub warning: Option<String>,
    /// Outbox rows that Redis does not have yet.
    pub outbox_waiting: u64,
    /// When the oldest of them was written, microseconds since the epoch.
    pub outbox_oldest_us: Option<u64>,
    /// Spend events on the streams that are not in the database yet.
    pub stream_length: u64,
    /// Spend events that this process took off the streams.
    pub drained: u64,
    /// Stream entries that are kept as dead letters.
    pub dead_letters: u64,
    /// Whether this process drains.
    pub leads: bool,
    /// Reservations that this process charged because their Envoy was gone.
    pub swept_charged: u64,
    /// Reservations that it released because they were never sent.
    pub swept_released: u64,
    /// How often this process restored Redis.
    pub restores: u64,
    /// How long the last restore took, milliseconds.
    pub last_restore_ms: u64,
    /// How often this process compared everything in Redis with the database.
    pub reconciles: u64,
    /// What differed when the ledger was last compared with itself: none until it was.
    pub ledger_differences: Option<u64>,
    /// When that was, microseconds since the epoch.
    pub ledger_compared_us: Option<u64>,
}

impl Health {
    /// The figures now.
    pub fn report(&self) -> Report {
        self.0.borrow().clone()
    }

    /// Waits for a report of which `holds` is true.
    pub async fn wait_for(&self, holds: impl FnMut(&Report) -> bool) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(holds).await;
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Report)) {
        self.0.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }
}

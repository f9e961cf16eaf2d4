//! Old rows of the log go, when `maximum_spend_logs_retention_period` says so; sums and totals stay.
//!
//! Failure stance: what could not be deleted is deleted at the next turn. Batches are small, so that the drain waits for none of them long.

use std::time::Duration;

use tokio::sync::watch;

use crate::settings::Live;
use crate::store::spend::{DeleteOld, Lease};
use crate::store::{Store, StoreError};

/// The name of the lease whose holder deletes.
const LEASE: &str = "retention";
/// How long a holder that vanished is waited for.
const LEASE_US: u64 = 60_000_000;
/// Between two batches.
const BREATH: Duration = Duration::from_millis(20);
/// How often the settings are looked at, and the pause after a failure.
const LOOK: Duration = Duration::from_secs(30);

/// Deletes old rows until told to stop.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The database.
    pub store: Store,
    /// The settings.
    pub settings: Live,
    /// This process, among those that may delete.
    pub holder: String,
}

impl Retention {
    /// Deletes at the intervals of the settings until `stop` becomes true.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut done_us = None;
        loop {
            if let Some(retention) = self.settings.now().retention {
                let now_us = self.store.clock().now_us();
                let due = done_us
                    .is_none_or(|at: u64| now_us.saturating_sub(at) >= retention.interval_us);
                if due {
                    match self.turn(&mut stop).await {
                        Ok(0) => done_us = Some(now_us),
                        Ok(rows) => {
                            tracing::info!(rows, "old rows of the spend log were deleted");
                            done_us = Some(now_us);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "old rows of the spend log were not deleted");
                        }
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Deletes everything that is too old now; answers how many rows that was.
    pub async fn turn(&self, stop: &mut watch::Receiver<bool>) -> Result<u64, StoreError> {
        let Some(retention) = self.settings.now().retention else {
            return Ok(0);
        };
        let before_us = self
            .store
            .clock()
            .now_us()
            .saturating_sub(retention.period_us);
        let work = DeleteOld {
            lease: Lease {
                name: LEASE,
                holder: self.holder.clone(),
                for_us: LEASE_US,
            },
            before_ms: before_us / 1_000,
        };
        let mut deleted = 0;
        while let Some((rows, more)) = self.store.write(&work).await?.value {
            deleted += rows;
            if !more || *stop.borrow() {
                break;
            }
            let _ = tokio::time::timeout(BREATH, stop.wait_for(|stop| *stop)).await;
        }
        Ok(deleted)
    }
}

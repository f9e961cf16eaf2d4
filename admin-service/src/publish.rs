//! The way from the database to Redis: every change of a key, user, team, membership, model or setting, and everything again when Redis lost
//! it.
//!
//! 1. `push` carries outbox rows to Redis as they come: it reads the object as it is now and puts it at its revision.
//! 2. `watch` looks at Redis twice a second: who it is, whether its markers are there, whether it may be trusted with money.
//! 3. `restore` gives a Redis that lost its state, or went back in time, records, prices and what was spent, and only then opens it.
//! 4. `reconcile` compares everything now and then, so that no lost message stays lost.
//!
//! Failure stance: nothing is ever admitted from nothing, because only a restored Redis is opened. Every step may be repeated by any number
//! of services: a value is written over lower revisions alone. Without Redis the outbox waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use contract::redis_key::Partition;
use tokio::sync::watch;

use crate::catalogue::Catalogue;
use crate::settings::Live;
use crate::store::{Store, StoreError};

mod catalogue;
mod correct;
mod health;
mod link;
mod lock;
mod marker;
mod push;
mod reconcile;
mod records;
mod requirements;
mod restore;
mod unknown;
mod watch_redis;

pub use health::{Health, RedisState, Report};
pub use link::{Link, LinkError, refuse_error};
pub(crate) use records::record_id;
pub(crate) use restore::time_ms;

/// How often expired reservations are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Publishes to one Redis.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The database.
    pub store: Store,
    /// Redis.
    pub link: Link,
    /// P.
    pub partitions: u16,
    /// The settings in force.
    pub settings: Live,
    /// Models, prices and proxy-wide settings.
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
    /// Where the state is reported.
    pub health: Health,
    /// This process, among those that may restore.
    pub holder: String,
}

/// Why something was not published.
#[derive(Debug)]
pub enum PublishError {
    /// The database.
    Store(StoreError),
    /// Redis.
    Link(LinkError),
    /// Redis must not be opened, or cannot be yet; why.
    Closed(String),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::Closed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LinkError> for PublishError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Publisher {
    /// Publishes until `stop` becomes true; what is in the outbox then is tried once more.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        tokio::join!(
            Box::pin(self.push_until(stop.clone())),
            Box::pin(self.watch_until(stop.clone())),
            Box::pin(self.reconcile_until(stop.clone())),
            Box::pin(self.sweep_until(stop)),
        );
    }

    /// All partitions; also all index slots.
    pub fn all(&self) -> Vec<Partition> {
        (0..self.partitions).map(Partition).collect()
    }

    async fn sweep_until(&self, mut stop: watch::Receiver<bool>) {
        while !stopped_within(&mut stop, SWEEP_EVERY).await {
            match crate::ledger::sweep(&self.link, &self.all()).await {
                Ok((charged, released)) => self.health.update(|report| {
                    report.swept_charged += charged;
                    report.swept_released += released;
                }),
                Err(error) => tracing::debug!(%error, "nothing was swept"),
            }
        }
    }
}

/// Waits; answers whether `stop` became true meanwhile.
async fn stopped_within(stop: &mut watch::Receiver<bool>, pause: Duration) -> bool {
    // A sender that is gone stops as well.
    tokio::time::timeout(pause, stop.wait_for(|stop| *stop))
        .await
        .is_ok()
}

/// Logs what changed, not what goes on.
#[derive(Default)]
struct SaidOnce(String);

impl SaidOnce {
    fn say(&mut self, what: &str, why: &dyn fmt::Display) {
        let now = format!("{what}: {why}");
        if now != self.0 {
            tracing::warn!("{now}");
            self.0 = now;
        }
    }

    fn forget(&mut self, relief: &str) {
        if !self.0.is_empty() {
            tracing::info!("{relief}");
            self.0.clear();
        }
    }
}

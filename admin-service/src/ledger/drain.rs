//! The drain: from the stream's head into the database, then off the stream.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use contract::id::ReservationId;
use contract::redis_key::Partition;
use tokio::sync::watch;

use super::stream::{self, StreamEntry, StreamId};
use super::{LEASE, batch};
use crate::domain::budget_window::WindowRules;
use crate::publish::{Health, Link, LinkError};
use crate::settings::Live;
use crate::store::spend::{Lease, Prior, dead_letters, is_about_data};
use crate::store::{Change, Passing, Store, StoreError, Tx};

/// Entries of one transaction. More costs memory and holds SQLite's one writer longer; less costs commits.
const BATCH: usize = 1_024;
/// How often an empty stream is looked at.
const IDLE: Duration = Duration::from_millis(50);
/// The pause after a failure, and of a service that does not lead.
const PAUSE: Duration = Duration::from_millis(500);
/// Batches drained after the stop was asked for: what was settled until then, not what goes on being settled.
const LAST_BATCHES: u32 = 20;
/// How long a leader that vanished is waited for.
const LEASE_US: u64 = 5_000_000;

/// Drains the spend stream while it leads.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The database.
    pub store: Store,
    /// Redis.
    pub link: Link,
    /// All partitions.
    pub partitions: Vec<Partition>,
    /// The settings in force.
    pub settings: Live,
    /// Where backlog and dead letters are reported.
    pub health: Health,
    /// This process, among those that may lead.
    pub holder: String,
}

/// What one transaction took off the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Entries read.
    pub entries: usize,
    /// Entries that became dead letters.
    pub dead_letters: usize,
    /// The last entry of each stream.
    pub last: Vec<(Partition, StreamId)>,
}

/// Why nothing was drained.
#[derive(Debug)]
pub enum DrainError {
    /// The database.
    Store(StoreError),
    /// Redis.
    Link(LinkError),
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DrainError {}

impl From<StoreError> for DrainError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LinkError> for DrainError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Passing for DrainError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_passing())
    }
}

impl Ledger {
    /// Drains until `stop` becomes true, then what is there, and gives the lease up.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut said = String::new();
        if let Ok(kept) = dead_letters(&self.store).await {
            self.health.update(|report| report.dead_letters = kept);
        }
        while !*stop.borrow() {
            let pause = match self.turn().await {
                Ok(Turn::Drained) => Duration::ZERO,
                Ok(Turn::Empty) => IDLE,
                Ok(Turn::NotLeader) => PAUSE,
                Err(error) => {
                    say_once(&mut said, &error.to_string());
                    PAUSE
                }
            };
            if pause < PAUSE {
                said.clear();
            }
            let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
        }
        let mut last = 0;
        while last < LAST_BATCHES && matches!(self.turn().await, Ok(Turn::Drained)) {
            last += 1;
        }
        if let Err(error) = self.store.write(&Release(self.lease())).await {
            tracing::warn!(%error, "the ledger's lease was not given up; it ends by itself");
        }
    }

    /// One look at the streams: drains at most one batch.
    async fn turn(&self) -> Result<Turn, DrainError> {
        let lengths = stream::lengths(&self.link, &self.partitions).await?;
        let waiting = lengths.iter().sum();
        self.health.update(|report| report.stream_length = waiting);
        let busy = self
            .partitions
            .iter()
            .zip(lengths)
            .filter(|(_, length)| *length > 0);
        let busy = busy.map(|(partition, _)| *partition).collect::<Vec<_>>();
        if busy.is_empty() {
            return Ok(Turn::Empty);
        }
        let drained = match self.drain(&busy, BATCH).await {
            Err(DrainError::Store(error)) if is_about_data(&error) => self.isolate(&busy).await?,
            drained => drained?,
        };
        let leads = drained.is_some();
        self.health.update(|report| report.leads = leads);
        Ok(if leads {
            Turn::Drained
        } else {
            Turn::NotLeader
        })
    }

    /// Writes the oldest entries of these partitions and takes them off the stream. `None`: another service leads.
    pub async fn drain(
        &self,
        partitions: &[Partition],
        count: usize,
    ) -> Result<Option<Drained>, DrainError> {
        let Some(drained) = self.commit(partitions, count, None).await? else {
            return Ok(None);
        };
        stream::trim(&self.link, &drained.last).await?;
        Ok(Some(drained))
    }

    /// The first half of [`Ledger::drain`]: what a crash before the second leaves is committed and still on the stream.
    pub async fn commit(
        &self,
        partitions: &[Partition],
        count: usize,
        refused: Option<&str>,
    ) -> Result<Option<Drained>, DrainError> {
        let lease = self.lease();
        let work = Drain {
            ledger: self,
            lease,
            partitions,
            count,
            refused,
        };
        let drained = self.store.write(&work).await?.value;
        if let Some(drained) = &drained {
            let dead = match drained.dead_letters {
                0 => None,
                _ => Some(dead_letters(&self.store).await?),
            };
            self.health.update(|report| {
                report.drained += u64::try_from(drained.entries).unwrap_or(0);
                report.dead_letters = dead.unwrap_or(report.dead_letters);
            });
        }
        Ok(drained)
    }

    /// Finds the entry that the database refuses: each stream's head alone, and as a dead letter where it is that one.
    async fn isolate(&self, partitions: &[Partition]) -> Result<Option<Drained>, DrainError> {
        let mut all = Drained::default();
        for partition in partitions {
            let alone = std::slice::from_ref(partition);
            let drained = match self.drain(alone, 1).await {
                Err(DrainError::Store(error)) if is_about_data(&error) => {
                    let why = error.to_string();
                    tracing::error!(%error, "a spend event was refused and is kept as a dead letter");
                    let drained = self.commit(alone, 1, Some(&why)).await?;
                    if let Some(drained) = &drained {
                        stream::trim(&self.link, &drained.last).await?;
                    }
                    drained
                }
                drained => drained?,
            };
            let Some(drained) = drained else {
                return Ok(None);
            };
            all.entries += drained.entries;
            all.dead_letters += drained.dead_letters;
            all.last.extend(drained.last);
        }
        Ok(Some(all))
    }

    fn lease(&self) -> Lease {
        Lease {
            name: LEASE,
            holder: self.holder.clone(),
            for_us: LEASE_US,
        }
    }
}

enum Turn {
    Drained,
    Empty,
    NotLeader,
}

/// One batch. It takes the lease's row before it reads the stream, so that whoever holds that row knows that no batch is in flight.
struct Drain<'a> {
    ledger: &'a Ledger,
    lease: Lease,
    partitions: &'a [Partition],
    count: usize,
    /// Why these entries are dead letters, whatever they hold.
    refused: Option<&'a str>,
}

impl Change for Drain<'_> {
    type Answer = Option<Drained>;
    type Error = DrainError;

    async fn apply(&self, tx: &mut Tx) -> Result<Option<Drained>, DrainError> {
        if !self.lease.claim(tx).await? {
            return Ok(None);
        }
        let ledger = self.ledger;
        let mut entries = stream::read(&ledger.link, self.partitions, self.count).await?;
        if let Some(reason) = self.refused {
            for entry in &mut entries {
                entry.event = Err(entry.dead_letter(reason));
            }
        }
        let settings = ledger.settings.now();
        let prior = prior(tx, &entries, &settings.windows).await?;
        let writes = batch::fold(&entries, prior);
        writes.write(tx, &settings.customer_default).await?;
        let mut last = BTreeMap::new();
        for entry in &entries {
            last.insert(entry.partition, entry.id);
        }
        Ok(Some(Drained {
            entries: entries.len(),
            dead_letters: writes.dead_letters.len(),
            last: last.into_iter().collect(),
        }))
    }
}

/// What the database knows about the events and scopes of these entries.
pub(super) async fn prior(
    tx: &mut Tx,
    entries: &[StreamEntry],
    rules: &WindowRules,
) -> Result<Prior, StoreError> {
    let events = entries
        .iter()
        .filter_map(|entry| Some((entry, entry.event.as_ref().ok()?)));
    let mut ids: BTreeSet<ReservationId> = BTreeSet::new();
    let mut scopes = BTreeSet::new();
    for (entry, event) in events {
        ids.insert(event.id);
        scopes.extend(batch::scopes(entry, event));
    }
    let ids = ids.into_iter().collect::<Vec<_>>();
    Prior::read(tx, &ids, &scopes, rules).await
}

struct Release(Lease);

impl Change for Release {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.0.release(tx).await
    }
}

/// Logs what changed, not what goes on.
fn say_once(said: &mut String, now: &str) {
    if said != now {
        tracing::warn!("the spend stream waits: {now}");
        now.clone_into(said);
    }
}

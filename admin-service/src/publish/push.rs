//! The outbox's way to Redis.
//!
//! Decides: the order (oldest first), the batches, the pace. A row is forgotten only when Redis holds its object at that revision or a later
//! one. Failure stance: without Redis or the database it tries again, ever more slowly up to two seconds; one object that cannot be read is
//! logged and left, and holds up no other, however many of them there are.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::script::Put;
use tokio::sync::watch;

use super::records::{Values, owner};
use super::{PublishError, Publisher, SaidOnce};
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::outbox::{self, Kind};
use crate::store::publish_view::PublishView;

/// Rows of one batch, and values of one `Put`.
const BATCH: usize = 500;
/// Bytes of one `Put`, so that no single script holds Redis up.
const PUT_BYTES: usize = 512 * 1024;
/// How often the outbox is looked at without being woken: rows of another service that stopped.
const POLL: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Publisher {
    pub(super) async fn push_until(&self, mut stop: watch::Receiver<bool>) {
        let mut changes = self.store.changes();
        let mut pause = FIRST_PAUSE;
        let mut said = SaidOnce::default();
        loop {
            changes.borrow_and_update();
            let wait = match self.push().await {
                Ok(()) => {
                    said.forget("changes reach Redis again");
                    pause = FIRST_PAUSE;
                    POLL
                }
                Err(error) => {
                    said.say("changes wait for Redis", &error);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.push().await {
            tracing::warn!(%error, "the outbox is left for the next start");
        }
    }

    /// Pushes until the outbox is empty.
    pub async fn push(&self) -> Result<(), PublishError> {
        let pushed = self.push_batches().await;
        let (waiting, oldest_us) = outbox::backlog(&self.store).await?;
        self.health.update(|report| {
            report.outbox_waiting = waiting;
            report.outbox_oldest_us = oldest_us;
        });
        pushed
    }

    /// Goes through the outbox page by page, past rows that must stay, and again from its beginning until nothing is left to be done: a
    /// transaction that ends late leaves a row in front of younger ones.
    async fn push_batches(&self) -> Result<(), PublishError> {
        let limit = u32::try_from(BATCH).unwrap_or(500);
        let (mut after, mut any) = (String::new(), false);
        loop {
            // Records are made by settings that are at least as new as the rows that ask for them.
            self.settings.refresh(&self.store).await?;
            let page = outbox::pending(&self.store, &after, limit).await?;
            let Some(last) = page.last else {
                if any {
                    (after, any) = (String::new(), false);
                    continue;
                }
                // Wakes those who wait for rows that another service pushed.
                return Ok(outbox::done(&self.store, &[]).await?);
            };
            after = last;
            let mut values = Values::default();
            let mut done = Vec::new();
            let mut read = BTreeSet::new();
            for entry in page.entries {
                let object = (entry.kind, entry.object_id.clone());
                if !read.contains(&object) {
                    match self
                        .read_object(entry.kind, &entry.object_id, &mut values)
                        .await
                    {
                        Ok(()) => read.insert(object),
                        Err(PublishError::Store(error @ StoreError::Corrupt(_))) => {
                            tracing::error!(%error, object = entry.object_id, "an object cannot be published");
                            continue;
                        }
                        Err(PublishError::Closed(why)) => {
                            tracing::debug!(why, object = entry.object_id, "a change waits");
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                }
                done.push(entry.id);
            }
            if done.is_empty() {
                continue;
            }
            any = true;
            self.put(&values).await?;
            outbox::done(&self.store, &done).await?;
        }
    }

    async fn read_object(
        &self,
        kind: Kind,
        object_id: &str,
        values: &mut Values,
    ) -> Result<(), PublishError> {
        if kind == Kind::Catalogue {
            self.publish_catalogue().await?;
            return Ok(());
        }
        if kind == Kind::Correction {
            return self.correct(object_id).await;
        }
        let settings = self.settings.now();
        let view = self.view(&settings);
        let Some(object) = view.object(kind, object_id).await? else {
            return Ok(());
        };
        if let Some(user) = owner(&object).filter(|_| self.partitions > 1)
            && let Some(user) = view.object(Kind::User, user.as_str()).await?
        {
            values.object(&user, self.partitions)?;
        }
        values.object(&object, self.partitions)
    }

    /// How rows become records, by the rules of `settings`.
    pub(super) fn view<'a>(&'a self, settings: &'a Settings) -> PublishView<'a> {
        PublishView {
            store: &self.store,
            rules: &settings.windows,
            customers: &settings.customer_default,
        }
    }

    /// Writes values, records before the entries that lead to them.
    pub(super) async fn put(&self, values: &Values) -> Result<(), PublishError> {
        let mut puts = Vec::new();
        for values in values.0.values() {
            let mut rest = &values[..];
            while !rest.is_empty() {
                let mut bytes = 0;
                let fits = rest.iter().take(BATCH).take_while(|(name, value)| {
                    bytes += name.len() + value.len();
                    bytes <= PUT_BYTES
                });
                let (part, after) = rest.split_at(fits.count().max(1));
                puts.push(Put { values: part });
                rest = after;
            }
        }
        self.link.calls(&puts).await?;
        Ok(())
    }
}

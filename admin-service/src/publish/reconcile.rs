//! Everything again: what a lost message, a Redis from an old file or a database from a backup left different is made equal.

use std::collections::HashMap;
use std::time::Duration;

use contract::id::Rev;
use tokio::sync::watch;

use super::records::Values;
use super::{PublishError, Publisher, RedisState, SaidOnce};
use crate::store::outbox::Kind;
use crate::store::publish_view::{After, Page};

/// How often.
const EVERY: Duration = Duration::from_mins(10);
/// The pause after a failure, and while Redis is closed.
const PAUSE: Duration = Duration::from_secs(1);
/// Objects read at once.
const PAGE: u32 = 500;
/// Owners before the keys that lead to them.
const KINDS: [Kind; 6] = [
    Kind::Organization,
    Kind::Team,
    Kind::User,
    Kind::Member,
    Kind::Customer,
    Kind::Key,
];

/// What the database holds: key name in Redis → revision.
pub(super) type Known = HashMap<String, Rev>;

impl Publisher {
    /// Reconciles at the start, after a restore, when the catalogue changed, and every ten minutes, while Redis is open.
    pub(super) async fn reconcile_until(&self, mut stop: watch::Receiver<bool>) {
        let mut catalogue = self.catalogue.clone();
        let mut said = SaidOnce::default();
        let mut may_change = true;
        loop {
            let open = self
                .health
                .wait_for(|report| report.redis == RedisState::Open);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = open => {}
            }
            catalogue.borrow_and_update();
            let restores = self.health.report().restores;
            let wait = match self.reconcile().await {
                Ok(()) => {
                    said.forget("Redis was compared with the database again");
                    EVERY
                }
                Err(error) => {
                    said.say("Redis was not compared with the database", &error);
                    PAUSE
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                changed = catalogue.changed(), if may_change => may_change = changed.is_ok(),
                () = self.health.wait_for(|report| report.restores != restores) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Compares everything once.
    pub async fn reconcile(&self) -> Result<(), PublishError> {
        self.publish_catalogue().await?;
        let mut known = Known::new();
        self.put_everything(&mut known).await?;
        let tombstones = self.put_tombstones(&mut known).await?;
        self.resolve_unknown(&known).await?;
        self.drop_tombstones(tombstones).await?;
        self.drop_former().await?;
        self.health.update(|report| report.reconciles += 1);
        Ok(())
    }

    /// Puts every object that exists.
    pub(super) async fn put_everything(&self, known: &mut Known) -> Result<(), PublishError> {
        for kind in KINDS {
            let mut after = Some(After::default());
            while let Some(from) = after {
                let page = self
                    .view(&self.settings.now())
                    .page(kind, &from, PAGE)
                    .await?;
                after = self.put_page(page, known).await?;
            }
        }
        Ok(())
    }

    /// Puts one page; answers where the next one begins.
    pub(super) async fn put_page(
        &self,
        (objects, next): Page,
        known: &mut Known,
    ) -> Result<Option<After>, PublishError> {
        let mut values = Values::default();
        for object in &objects {
            values.object(object, self.partitions)?;
        }
        self.put(&values).await?;
        known.extend(values.revisions());
        Ok(next)
    }
}

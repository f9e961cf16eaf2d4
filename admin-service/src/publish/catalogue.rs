//! Models, prices and settings on their way to Redis.
//!
//! The catalogue has one revision, above the last one that the database or Redis knows whenever its content changed. It is in every marker,
//! so a request evaluated with older prices is told so at its admission.

use std::sync::Arc;

use contract::id::Rev;
use contract::redis_key::{self, model_slot};
use contract::resp::Reply;

use super::link::refuse_error;
use super::marker::Marker;
use super::records::{Tag, Values, revision};
use super::{PublishError, Publisher};
use crate::store::{catalogue_rows, publish_state};

impl Publisher {
    /// Puts the catalogue, raises the revision of what is open, and removes models that are no longer served. Answers the revision.
    pub(super) async fn publish_catalogue(&self) -> Result<Rev, PublishError> {
        let rev = self.put_catalogue().await?;
        for marker in Marker::all(self.partitions) {
            marker.raise(&self.link, rev).await?;
        }
        self.remove_models(rev).await?;
        Ok(rev)
    }

    /// Writes models and settings at the catalogue's revision.
    pub(super) async fn put_catalogue(&self) -> Result<Rev, PublishError> {
        // Never older than the row that asks for it.
        self.settings.refresh(&self.store).await?;
        let settings = self.settings.now();
        let default = settings.customer_default.budget_id.as_deref();
        let rows = catalogue_rows::read(&mut *self.store.read().await?, default).await?;
        let base = Arc::clone(&self.catalogue.borrow());
        let catalogue = base.with(&rows, &settings, self.store.clock().now_us());
        let digest = catalogue.digest();
        let rev = publish_state::catalogue_rev(&self.store, &digest, self.seen_catalogue().await?)
            .await?;
        let mut values = Values::default();
        let own = catalogue.models.iter().map(|model| (&model.name, model));
        for (name, model) in own.chain(&catalogue.aliases) {
            let slot = model_slot(name, self.partitions);
            let key = redis_key::model(slot, name);
            values.add(Tag::Index(slot), key, rev, model)?;
        }
        for slot in self.all() {
            values.add(
                Tag::Index(slot),
                redis_key::settings(slot),
                rev,
                &catalogue.settings,
            )?;
        }
        self.put(&values).await?;
        Ok(rev)
    }

    /// The highest revision of settings in Redis: a database restored from a backup must go above it.
    async fn seen_catalogue(&self) -> Result<Rev, PublishError> {
        let mut highest = Rev::default();
        for slot in self.all() {
            let key = redis_key::settings(slot);
            let get = [&b"GETRANGE"[..], key.as_bytes(), b"0", b"15"];
            if let Reply::Bulk(Some(digits)) = refuse_error(self.link.command(&get).await?)? {
                highest = highest.max(revision(&digits).unwrap_or_default());
            }
        }
        Ok(highest)
    }

    /// Removes models of lower revisions.
    async fn remove_models(&self, rev: Rev) -> Result<(), PublishError> {
        let models = self.scan(redis_key::model_pattern()).await?;
        let removed = self.remove_all_below(&models, rev).await?;
        if removed > 0 {
            tracing::info!(removed, "models that are no longer served were removed");
        }
        Ok(())
    }
}

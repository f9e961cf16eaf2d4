//! Models, prices and settings on their way to Redis.
//!
//! The catalogue has one revision, above the last one that the database or Redis knows whenever its content changed. It is in every marker,
//! so a request evaluated with older prices is told so at its admission.

use contract::id::Rev;
use contract::redis_key::{self, model_slot};
use contract::resp::Reply;

use super::link::refuse_error;
use super::marker::Marker;
use super::records::{Tag, Values, revision};
use super::{PublishError, Publisher};
use crate::catalogue::Catalogue;
use crate::store::publish_state;

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
        let mut catalogue = Catalogue::clone(&self.catalogue.borrow());
        self.settings.now().apply_to(&mut catalogue.settings);
        let digest = catalogue.digest();
        let rev = publish_state::catalogue_rev(&self.store, &digest, self.seen_catalogue().await?)
            .await?;
        let mut values = Values::default();
        for model in &catalogue.models {
            let slot = model_slot(&model.name, self.partitions);
            values.add(
                Tag::Index(slot),
                redis_key::model(slot, &model.name),
                rev,
                model,
            )?;
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

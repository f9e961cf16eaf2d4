//! Tags.

use std::collections::BTreeMap;

use contract::redis_key::RecordId;

use super::spent::of;
use super::{Ended, Work};
use crate::import::micros;
use crate::import::values::{object, text, texts};
use crate::store::Tx;
use crate::store::models::publish_catalogue;
use crate::store::outbox::{Kind, signed};
use crate::store::row::Object;
use crate::store::spend::{Tally, begun_with};
use crate::store::tags::{self, TagRow};

impl Work<'_> {
    /// A tag. One that requests have carried here and nobody has made is made now.
    pub(super) async fn tag(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(name) = self.name(row, "tag_name") else {
            return Ok(());
        };
        let found = tags::lock(tx, &name).await?;
        if !self.is_new(found.as_ref().is_some_and(|tag| tag.made)) {
            return Ok(());
        }
        let mut tag = TagRow::new(name.as_str());
        tag.description = text(row, "description");
        tag.models = texts(row, "models");
        tag.model_info = Some(object(row, "model_info")).filter(|info| !info.is_empty());
        tag.budget_id = text(row, "budget_id");
        tag.created_at = micros(row.get("created_at")).unwrap_or(0);
        tag.created_by = text(row, "created_by");
        tags::put(tx, &self.by, found.as_ref(), &mut tag).await?;
        let ever = signed(of(row).get());
        tags::count(tx, &BTreeMap::from([(name.clone(), ever)])).await?;
        begun_with(tx, Tally::Tags, &name, ever).await?;
        let budget = self.budget_of(tx, tag.budget_id.as_ref()).await?;
        // Redis counts what money limits.
        if budget.limits.max_budget.is_some() {
            let scope = RecordId::tag(&name);
            self.begin(tx, (Kind::Scope, scope.as_str()), row, &budget);
        }
        Ok(publish_catalogue(tx).await?)
    }
}

//! Keys, by the hash of their value.

use contract::virtual_key::KeyHash;

use super::spent::Budget;
use super::{Ended, Work};
use crate::import::values::text;
use crate::routes::imported;
use crate::store::outbox::Kind;
use crate::store::row::Object;
use crate::store::{Tx, keys};

/// The team of LiteLLM's own sessions.
const DASHBOARD: &str = "litellm-dashboard";

impl Work<'_> {
    pub(super) async fn key(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(token) = self.name(row, "token") else {
            return Ok(());
        };
        let shown = text(row, "key_name").unwrap_or_else(|| token.chars().take(8).collect());
        if text(row, "team_id").as_deref() == Some(DASHBOARD) {
            self.leave(format!("key {shown} is a session of LiteLLM's interface"));
            return Ok(());
        }
        if token == self.import.master || KeyHash::parse(&token).is_none() {
            self.leave(format!(
                "key {shown} is the master key, or its name is no SHA-256"
            ));
            return Ok(());
        }
        // A value that a key had before it was rotated or deleted is nobody else's either.
        let there = keys::former::is_taken(tx.connection(), &token).await?;
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut key = imported::key(row, tx.now_us(), self.import.rules, &mut notes)?;
        if let Some(alias) = &key.key_alias
            && keys::find(tx.connection(), keys::Which::Alias(alias))
                .await?
                .is_some()
        {
            notes.push(format!(
                "its alias {alias} is another key's and is left out"
            ));
            key.key_alias = None;
        }
        let shared = self.budget_of(tx, key.budget_id.as_ref()).await?;
        let budget = Budget::of_row(&key.limits, row).or(shared);
        let id = key.key_id.clone();
        self.begin(tx, (Kind::Key, &id), row, &budget);
        self.notes(&format!("key {shown}"), notes);
        Ok(keys::insert(tx, &self.by, &mut key).await?)
    }
}

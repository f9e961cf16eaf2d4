//! The master key's row: the filter knows the master key like any other, from a record.
//!
//! The row's id holds the hash, so that a changed master key is another key: the old one is deleted and its hash leads to a tombstone.

use contract::virtual_key::VirtualKey;
use sqlx::Row;

use super::{KeyRow, delete, insert, select};
use crate::caller::MASTER_USER;
use crate::policy::{Authorized, Upkeep};
use crate::store::publish_view::MASTER_KEY_TYPE;
use crate::store::users::{self, UserRow};
use crate::store::{Change, Store, StoreError, Tx};

/// Makes the master key's row, deletes those of former master keys, and makes the user that it acts as.
pub async fn settle(store: &Store, key: &VirtualKey) -> Result<(), StoreError> {
    store
        .write(&Settle {
            by: Authorized::of_service(),
            key,
        })
        .await?;
    Ok(())
}

struct Settle<'a> {
    by: Authorized<Upkeep>,
    key: &'a VirtualKey,
}

impl Change for Settle<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let token = self.key.hash().to_string();
        let rows = sqlx::query(select("WHERE key_type = $1"))
            .bind(MASTER_KEY_TYPE)
            .fetch_all(tx.connection())
            .await?;
        let mut there = false;
        for row in &rows {
            let row = KeyRow::read(row)?;
            if row.token == token {
                there = true;
            } else {
                delete(tx, &self.by, &row).await?;
            }
        }
        if !there {
            let holder = sqlx::query("SELECT key_id FROM virtual_keys WHERE token = $1")
                .bind(token.clone())
                .fetch_optional(tx.connection())
                .await?;
            if let Some(holder) = holder {
                let id: String = holder.try_get("key_id")?;
                return Err(StoreError::Duplicate(format!(
                    "the master key is also the virtual key {id}"
                )));
            }
            insert(tx, &self.by, &mut self.row(token)).await?;
        }
        let user = users::find(tx.connection(), users::Which::Id(MASTER_USER)).await?;
        if user.is_none() {
            let mut user = UserRow::new(MASTER_USER);
            user.user_role = Some("proxy_admin".to_owned());
            users::insert(tx, &self.by, &mut user).await?;
        }
        Ok(())
    }
}

impl Settle<'_> {
    fn row(&self, token: String) -> KeyRow {
        KeyRow {
            key_id: format!(
                "litellm_proxy_master_key-{}",
                token.get(..16).unwrap_or_default()
            ),
            key_name: self.key.display(),
            token,
            user_id: Some(MASTER_USER.to_owned()),
            key_type: Some(MASTER_KEY_TYPE.to_owned()),
            ..KeyRow::default()
        }
    }
}

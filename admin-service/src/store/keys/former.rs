//! Values that keys had before they were replaced.
//!
//! Decides: until when a former value is valid, and that no other key ever gets it. Leaves to the publisher what Redis is told. Failure stance:
//! a value that has ended stays known here, so that neither an old file of Redis nor a new key brings it back to life.

use std::collections::BTreeMap;

use contract::virtual_key::KeyHash;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::KeyRow;
use crate::policy::{Authorized, Writes};
use crate::store::outbox::{signed, unsigned};
use crate::store::{Change, Store, StoreError, Tx};

/// A former value that Redis is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its hash.
    pub hash: KeyHash,
    /// Until when it is valid, microseconds since the epoch.
    pub until_us: u64,
}

/// The present value of `key` becomes a former one that is valid until `until_us`. One that nobody has seen is forgotten instead.
pub async fn retire<R: Writes>(
    tx: &mut Tx,
    _: &Authorized<R>,
    key: &KeyRow,
    until_us: u64,
) -> Result<(), StoreError> {
    if key.rotation.unclaimed {
        return Ok(());
    }
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO former_tokens (token, key_id, until_us, listed, created_at) VALUES ($1, $2, $3, 1, $4)",
    )
    .bind(key.token.clone())
    .bind(key.key_id.clone())
    .bind(signed(until_us))
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Former values of a key end at `until_us` at the latest.
pub async fn end_by<R: Writes>(
    tx: &mut Tx,
    _: &Authorized<R>,
    key_id: &str,
    until_us: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE former_tokens SET until_us = $1 WHERE key_id = $2 AND until_us > $1")
        .bind(signed(until_us))
        .bind(key_id.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Whether a key has, or ever had, this value. A value goes from the keys to the former and the deleted ones, and is looked for in that order,
/// so that it is not missed on its way.
pub async fn is_taken(connection: &mut AnyConnection, token: &str) -> Result<bool, StoreError> {
    for table in ["virtual_keys", "former_tokens", "deleted_keys"] {
        let found = sqlx::query(AssertSqlSafe(format!(
            "SELECT token FROM {table} WHERE token = $1 LIMIT 1"
        )))
        .bind(token.to_owned())
        .fetch_optional(&mut *connection)
        .await?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The former values of the keys from `first` to `last` in the order of their ids, by `key_id`, as far as Redis is told of them.
pub(in crate::store) async fn of_keys(
    connection: &mut AnyConnection,
    first: &str,
    last: &str,
) -> Result<BTreeMap<String, Vec<Former>>, StoreError> {
    let rows = sqlx::query(
        "SELECT key_id, token, until_us FROM former_tokens WHERE key_id >= $1 AND key_id <= $2 AND listed = 1",
    )
    .bind(first.to_owned())
    .bind(last.to_owned())
    .fetch_all(connection)
    .await?;
    let mut all: BTreeMap<String, Vec<Former>> = BTreeMap::new();
    for row in rows {
        let token: String = row.try_get("token")?;
        let hash = KeyHash::parse(&token)
            .ok_or_else(|| StoreError::Corrupt(format!("former_tokens.token = {token:?}")))?;
        let until_us = unsigned(row.try_get("until_us")?);
        let of_key = all.entry(row.try_get("key_id")?).or_default();
        of_key.push(Former { hash, until_us });
    }
    Ok(all)
}

/// Former values that ended before `before_us` and that Redis may forget, oldest first.
pub async fn over(store: &Store, before_us: u64, limit: u32) -> Result<Vec<KeyHash>, StoreError> {
    sqlx::query(
        "SELECT token FROM former_tokens WHERE listed = 1 AND until_us < $1 ORDER BY until_us LIMIT $2",
    )
    .bind(signed(before_us))
    .bind(i64::from(limit))
    .fetch_all(&mut *store.read().await?)
    .await?
    .iter()
    .map(|row| {
        let token: String = row.try_get("token")?;
        KeyHash::parse(&token)
            .ok_or_else(|| StoreError::Corrupt(format!("former_tokens.token = {token:?}")))
    })
    .collect()
}

/// Notes that Redis has forgotten these values.
pub async fn unlist(store: &Store, hashes: &[KeyHash]) -> Result<(), StoreError> {
    store.write(&Unlist(hashes)).await?;
    Ok(())
}

struct Unlist<'a>(&'a [KeyHash]);

impl Change for Unlist<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        for hash in self.0 {
            sqlx::query("UPDATE former_tokens SET listed = 0 WHERE token = $1")
                .bind(hash.to_string())
                .execute(tx.connection())
                .await?;
        }
        Ok(())
    }
}

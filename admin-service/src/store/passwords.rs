//! Password hashes. How they are made is `sign_in::password`'s business.

use serde_json::json;
use sqlx::{AnyConnection, Row};

use super::audit::{self, record};
use super::outbox::signed;
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// The hash of a user's password.
pub async fn find(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT hash FROM passwords WHERE user_id = $1")
        .bind(user_id.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(match row {
        Some(row) => Some(row.try_get("hash")?),
        None => None,
    })
}

/// Sets a password. The audit log says that it was set, not to what.
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    user_id: &str,
    hash: &str,
) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO passwords (user_id, hash, changed_at) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
    )
    .bind(user_id.to_owned())
    .bind(hash.to_owned())
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    let change = audit::Change {
        action: "updated",
        table: audit::USERS,
        object_id: user_id,
        before: None,
        after: Some(json!({"password": "set"})),
    };
    record(tx, by, change).await
}

/// Replaces a hash by a better one of the same password, unless the password was changed meanwhile.
pub async fn rehash(
    tx: &mut Tx,
    user_id: &str,
    former: &str,
    hash: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE passwords SET hash = $1 WHERE user_id = $2 AND hash = $3")
        .bind(hash.to_owned())
        .bind(user_id.to_owned())
        .bind(former.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Forgets the password of a user who is deleted.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    _by: &Authorized<R>,
    user_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM passwords WHERE user_id = $1")
        .bind(user_id.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

//! Invitations: links by which a user sets a password, once.

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::audit::{self, record};
use super::outbox::signed;
use super::row;
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// LiteLLM's name of the table.
const TABLE: &str = "LiteLLM_InvitationLink";

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// The id: what the link carries.
    pub id: String,
    /// Who is invited.
    pub user_id: String,
    /// Whether it was used.
    pub is_accepted: bool,
    /// When.
    pub accepted_at: Option<u64>,
    /// When it is over. A newer invitation of the same user ends it at once.
    pub expires_at: u64,
    /// When it was made.
    pub created_at: u64,
    /// By which user.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: u64,
    /// By which user.
    pub updated_by: String,
}

impl InvitationRow {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            is_accepted: row::flag(row, "is_accepted")?.unwrap_or(false),
            accepted_at: row::number(row, "accepted_at")?,
            expires_at: row::time(row, "expires_at")?,
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }

    // The id is left out: it is what the link carries.
    fn snapshot(&self) -> Value {
        json!({"user_id": self.user_id, "is_accepted": self.is_accepted, "accepted_at": self.accepted_at,
            "expires_at": self.expires_at})
    }
}

/// Reads an invitation.
pub async fn find(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<InvitationRow>, StoreError> {
    sqlx::query(
        "SELECT id, user_id, is_accepted, accepted_at, expires_at, created_at, created_by, updated_at, \
         updated_by FROM invitations WHERE id = $1",
    )
    .bind(id.to_owned())
    .fetch_optional(connection)
    .await?
    .map(|row| InvitationRow::read(&row))
    .transpose()
}

/// Reads an invitation and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, id: &str) -> Result<Option<InvitationRow>, StoreError> {
    sqlx::query("UPDATE invitations SET updated_at = updated_at WHERE id = $1")
        .bind(id.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), id).await
}

/// Writes a new invitation and ends the user's older ones that were not used. The user's row is locked by the caller, so that of two
/// invitations at once one is the newer. Its times are set here.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut InvitationRow,
    lasts_us: u64,
) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    let who = by.caller.user_id.clone().unwrap_or_default();
    row.created_at = now_us;
    row.updated_at = now_us;
    row.expires_at = now_us.saturating_add(lasts_us);
    row.created_by.clone_from(&who);
    row.updated_by.clone_from(&who);
    sqlx::query(
        "UPDATE invitations SET expires_at = $1, updated_at = $1, updated_by = $2 \
         WHERE user_id = $3 AND is_accepted = 0 AND expires_at > $1",
    )
    .bind(signed(now_us))
    .bind(who)
    .bind(row.user_id.clone())
    .execute(tx.connection())
    .await?;
    sqlx::query(
        "INSERT INTO invitations (id, user_id, is_accepted, accepted_at, expires_at, created_at, created_by, \
         updated_at, updated_by) VALUES ($1, $2, 0, NULL, $3, $4, $5, $4, $5)",
    )
    .bind(row.id.clone())
    .bind(row.user_id.clone())
    .bind(signed(row.expires_at))
    .bind(signed(row.created_at))
    .bind(row.created_by.clone())
    .execute(tx.connection())
    .await?;
    let after = Some(row.snapshot());
    audited(tx, by, "created", row, None, after).await
}

/// Writes whether a locked invitation is accepted.
pub async fn accept<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut InvitationRow,
    accepted: bool,
) -> Result<(), StoreError> {
    let before = row.snapshot();
    row.updated_at = tx.now_us();
    row.updated_by = by.caller.user_id.clone().unwrap_or_default();
    row.is_accepted = accepted;
    row.accepted_at = accepted.then_some(row.updated_at);
    sqlx::query(
        "UPDATE invitations SET is_accepted = $1, accepted_at = $2, updated_at = $3, updated_by = $4 WHERE id = $5",
    )
    .bind(row::bit(Some(accepted)))
    .bind(row.accepted_at.map(signed))
    .bind(signed(row.updated_at))
    .bind(row.updated_by.clone())
    .bind(row.id.clone())
    .execute(tx.connection())
    .await?;
    let after = Some(row.snapshot());
    audited(tx, by, "updated", row, Some(before), after).await
}

/// Deletes an invitation.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &InvitationRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM invitations WHERE id = $1")
        .bind(row.id.clone())
        .execute(tx.connection())
        .await?;
    audited(tx, by, "deleted", row, Some(row.snapshot()), None).await
}

/// Deletes the invitations of a user who is deleted.
pub async fn delete_of_user<R: Writes>(
    tx: &mut Tx,
    _by: &Authorized<R>,
    user_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM invitations WHERE user_id = $1")
        .bind(user_id.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

async fn audited<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    action: &'static str,
    row: &InvitationRow,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), StoreError> {
    // By its user: the id is a secret as long as it is not used.
    let change = audit::Change {
        action,
        table: TABLE,
        object_id: &row.user_id,
        before,
        after,
    };
    record(tx, by, change).await
}

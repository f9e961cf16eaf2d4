//! Sessions of browsers: a row per sign-in, found by the hash of what the cookie holds.

use sqlx::{AnyConnection, Row};

use super::outbox::{signed, unsigned};
use super::row;
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// With a password of their own.
    Password,
    /// With the credentials of the environment.
    Environment,
}

impl Method {
    /// The method as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Environment => "environment",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Password, Self::Environment]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| StoreError::Corrupt(format!("sessions.method = {text:?}")))
    }
}

/// A session to be written.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// SHA-256 of what the cookie holds, hexadecimal.
    pub id_hash: &'a str,
    /// Whose.
    pub user_id: &'a str,
    /// How they signed in.
    pub method: Method,
    /// The credentials of the environment it came from.
    pub bound_to: Option<&'a str>,
    /// How long it lasts, microseconds.
    pub lasts_us: u64,
}

/// A session as a request finds it, with what its user's row says at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub user_id: String,
    /// How they signed in.
    pub method: Method,
    /// The credentials of the environment it came from.
    pub bound_to: Option<String>,
    /// When it was last used, give or take some minutes.
    pub seen_at: u64,
    /// When it is over.
    pub expires_at: u64,
    /// Whether it was ended.
    pub revoked: bool,
    /// Whether the user is blocked.
    pub blocked: bool,
    /// The user's role.
    pub role: Option<String>,
}

/// Writes a session, and forgets those that were over a day ago.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    _by: &Authorized<R>,
    new: &NewSession<'_>,
) -> Result<(), StoreError> {
    const DAY_US: u64 = 86_400_000_000;
    let now_us = tx.now_us();
    sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
        .bind(signed(now_us.saturating_sub(DAY_US)))
        .execute(tx.connection())
        .await?;
    sqlx::query(
        "INSERT INTO sessions (id_hash, user_id, method, bound_to, created_at, seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $5, $6)",
    )
    .bind(new.id_hash.to_owned())
    .bind(new.user_id.to_owned())
    .bind(new.method.as_str())
    .bind(new.bound_to.map(str::to_owned))
    .bind(signed(now_us))
    .bind(signed(now_us.saturating_add(new.lasts_us)))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Looks a session up. One whose user has no row is none.
pub async fn standing(
    connection: &mut AnyConnection,
    id_hash: &str,
) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query(
        "SELECT s.user_id, s.method, s.bound_to, s.seen_at, s.expires_at, s.revoked_at, u.user_role, \
         u.blocked FROM sessions s JOIN users u ON u.user_id = s.user_id WHERE s.id_hash = $1",
    )
    .bind(id_hash.to_owned())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Standing {
        user_id: row.try_get("user_id")?,
        method: Method::parse(row.try_get("method")?)?,
        bound_to: row.try_get("bound_to")?,
        seen_at: row::time(&row, "seen_at")?,
        expires_at: unsigned(row.try_get("expires_at")?),
        revoked: row::number(&row, "revoked_at")?.is_some(),
        blocked: row::flag(&row, "blocked")?.unwrap_or(false),
        role: row.try_get("user_role")?,
    }))
}

/// Notes that a session is used.
pub async fn seen(tx: &mut Tx, id_hash: &str) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query("UPDATE sessions SET seen_at = $1 WHERE id_hash = $2 AND seen_at < $1")
        .bind(signed(now_us))
        .bind(id_hash.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends one session.
pub async fn end(tx: &mut Tx, id_hash: &str) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query("UPDATE sessions SET revoked_at = $1 WHERE id_hash = $2 AND revoked_at IS NULL")
        .bind(signed(now_us))
        .bind(id_hash.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends a user's sessions, all but the one whose hash is `except`.
pub async fn end_of_user<R: Writes>(
    tx: &mut Tx,
    _by: &Authorized<R>,
    user_id: &str,
    except: Option<&str>,
) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "UPDATE sessions SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL AND id_hash <> $3",
    )
    .bind(signed(now_us))
    .bind(user_id.to_owned())
    .bind(except.unwrap_or_default().to_owned())
    .execute(tx.connection())
    .await?;
    Ok(())
}

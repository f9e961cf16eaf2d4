//! Reading keys: for authentication, by hash or alias, by owner, and what is left of deleted ones.

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{KeyRow, NOT_MASTER, select, snapshot};
use crate::store::outbox::{placeholders, signed};
use crate::store::row::{self, Object};
use crate::store::{Store, StoreError, Tx};

/// What a credential's key says about its holder at this moment.
#[expect(clippy::struct_excessive_bools, reason = "one flag for each answer")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The hash of the key's present value, also where a former one was presented.
    pub token: String,
    /// The user.
    pub user_id: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// Routes; empty: all.
    pub allowed_routes: Vec<String>,
    /// `permissions.get_spend_routes`: whether it may read what everybody spent.
    pub get_spend_routes: bool,
    /// When it expires.
    pub expires: Option<u64>,
    /// Whether the key is blocked.
    pub key_blocked: bool,
    /// Whether its user is.
    pub user_blocked: bool,
    /// Whether its team is.
    pub team_blocked: bool,
    /// The user's role.
    pub role: Option<String>,
}

/// Looks a key up for authentication, by its value or by a former one that is still valid.
pub async fn standing(store: &Store, token: &str) -> Result<Option<Standing>, StoreError> {
    const OF: &str = "SELECT k.token, k.user_id, k.team_id, k.allowed_routes, k.permissions, k.expires, k.blocked, \
         u.user_role, u.blocked AS user_blocked, t.blocked AS team_blocked \
         FROM virtual_keys k LEFT JOIN users u ON u.user_id = k.user_id \
         LEFT JOIN teams t ON t.team_id = k.team_id WHERE";
    let mut connection = store.read().await?;
    let present = sqlx::query(AssertSqlSafe(format!("{OF} k.token = $1")))
        .bind(token.to_owned())
        .fetch_optional(&mut *connection)
        .await?;
    let row = if present.is_some() {
        present
    } else {
        let former =
            "k.key_id = (SELECT key_id FROM former_tokens WHERE token = $1 AND until_us > $2)";
        sqlx::query(AssertSqlSafe(format!("{OF} {former}")))
            .bind(token.to_owned())
            .bind(signed(store.clock().now_us()))
            .fetch_optional(&mut *connection)
            .await?
    };
    let Some(row) = row else { return Ok(None) };
    let blocked = |column| Ok::<_, StoreError>(row::flag(&row, column)?.unwrap_or(false));
    Ok(Some(Standing {
        token: row.try_get("token")?,
        user_id: row.try_get("user_id")?,
        team_id: row.try_get("team_id")?,
        allowed_routes: row::json(&row, "allowed_routes")?,
        get_spend_routes: row::json::<Object>(&row, "permissions")?
            .get("get_spend_routes")
            .is_some_and(|flag| *flag == serde_json::Value::Bool(true)),
        expires: row::number(&row, "expires")?,
        key_blocked: blocked("blocked")?,
        user_blocked: blocked("user_blocked")?,
        team_blocked: blocked("team_blocked")?,
        role: row.try_get("user_role")?,
    }))
}

/// Which key.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The key with this hash.
    Token(&'a str),
    /// The key with this alias.
    Alias(&'a str),
}

impl Which<'_> {
    const fn column(self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Alias(_) => "key_alias",
        }
    }

    fn value(self) -> String {
        match self {
            Self::Token(value) | Self::Alias(value) => value.to_owned(),
        }
    }
}

/// The hash that a caller means by a key or by its hash.
pub fn token_of(key_or_hash: &str) -> String {
    match contract::virtual_key::VirtualKey::parse(key_or_hash.as_bytes()) {
        Some(key) => key.hash().to_string(),
        None => key_or_hash.to_owned(),
    }
}

/// Reads a key.
pub async fn find(
    connection: &mut AnyConnection,
    which: Which<'_>,
) -> Result<Option<KeyRow>, StoreError> {
    sqlx::query(select(&format!(
        "WHERE {} = $1 AND {NOT_MASTER}",
        which.column()
    )))
    .bind(which.value())
    .fetch_optional(connection)
    .await?
    .map(|row| KeyRow::read(&row))
    .transpose()
}

/// Reads a key and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, which: Which<'_>) -> Result<Option<KeyRow>, StoreError> {
    let column = which.column();
    let statement =
        format!("UPDATE virtual_keys SET rev = rev WHERE {column} = $1 AND {NOT_MASTER}");
    sqlx::query(AssertSqlSafe(statement))
        .bind(which.value())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), which).await
}

/// Keys of a user or of a team, oldest first.
pub async fn of_owner(
    connection: &mut AnyConnection,
    owner: Owner<'_>,
) -> Result<Vec<KeyRow>, StoreError> {
    let (column, value) = owner.column();
    sqlx::query(select(&format!(
        "WHERE {column} = $1 AND {NOT_MASTER} ORDER BY created_at, key_id"
    )))
    .bind(value.to_owned())
    .fetch_all(connection)
    .await?
    .iter()
    .map(KeyRow::read)
    .collect()
}

/// Reads an owner's keys and keeps others from changing them until the transaction ends. Where the owner's row is locked, none is added
/// meanwhile: whoever gives the owner a key holds that row too ([`hold_owners`]).
pub async fn lock_of_owner(tx: &mut Tx, owner: Owner<'_>) -> Result<Vec<KeyRow>, StoreError> {
    let (column, value) = owner.column();
    let statement =
        format!("UPDATE virtual_keys SET rev = rev WHERE {column} = $1 AND {NOT_MASTER}");
    sqlx::query(AssertSqlSafe(statement))
        .bind(value.to_owned())
        .execute(tx.connection())
        .await?;
    of_owner(tx.connection(), owner).await
}

/// Keeps the owners that a key is to have from being deleted until the transaction ends. To be called before anything is read of them.
pub async fn hold_owners(tx: &mut Tx, key: &KeyRow) -> Result<(), StoreError> {
    for (table, column, id) in [
        ("users", "user_id", &key.user_id),
        ("teams", "team_id", &key.team_id),
        ("organizations", "organization_id", &key.organization_id),
    ] {
        let Some(id) = id else { continue };
        let statement = format!("UPDATE {table} SET rev = rev WHERE {column} = $1");
        sqlx::query(AssertSqlSafe(statement))
            .bind(id.clone())
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

/// Keys of these ids, in no order.
pub async fn of_ids(
    connection: &mut AnyConnection,
    ids: &[String],
) -> Result<Vec<KeyRow>, StoreError> {
    among(connection, "key_id", ids, "").await
}

/// Keys of several teams, oldest first.
pub async fn of_teams(
    connection: &mut AnyConnection,
    team_ids: &[String],
) -> Result<Vec<KeyRow>, StoreError> {
    among(
        connection,
        "team_id",
        team_ids,
        "ORDER BY created_at, key_id",
    )
    .await
}

async fn among(
    connection: &mut AnyConnection,
    column: &str,
    ids: &[String],
    order: &str,
) -> Result<Vec<KeyRow>, StoreError> {
    let mut keys = Vec::with_capacity(ids.len());
    for ids in ids.chunks(100) {
        let places = placeholders(1, ids.len());
        let mut query = sqlx::query(select(&format!(
            "WHERE {column} IN ({places}) AND {NOT_MASTER} {order}"
        )));
        for id in ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            keys.push(KeyRow::read(&row)?);
        }
    }
    Ok(keys)
}

/// Whose keys.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A user's.
    User(&'a str),
    /// A team's.
    Team(&'a str),
    /// An organization's own, its teams' left out.
    Organization(&'a str),
}

impl<'a> Owner<'a> {
    const fn column(self) -> (&'static str, &'a str) {
        match self {
            Self::User(id) => ("user_id", id),
            Self::Team(id) => ("team_id", id),
            Self::Organization(id) => ("organization_id", id),
        }
    }
}

/// The newest key that had this hash and was deleted: its snapshot, when, by whom, and the id of its row.
pub async fn find_deleted(
    connection: &mut AnyConnection,
    token: &str,
) -> Result<Option<Deleted>, StoreError> {
    let row = sqlx::query(
        "SELECT id, snapshot, deleted_at, deleted_by FROM deleted_keys WHERE token = $1 \
         ORDER BY deleted_at DESC LIMIT 1",
    )
    .bind(token.to_owned())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Deleted {
        id: row.try_get("id")?,
        key: snapshot::read(&row::json::<Object>(&row, "snapshot")?)?,
        deleted_at: row::time(&row, "deleted_at")?,
        deleted_by: row.try_get("deleted_by")?,
    }))
}

/// A deleted key.
#[derive(Clone, Debug, PartialEq)]
pub struct Deleted {
    /// The id of its row.
    pub id: String,
    /// What it was.
    pub key: KeyRow,
    /// When it was deleted.
    pub deleted_at: u64,
    /// By which user.
    pub deleted_by: Option<String>,
}

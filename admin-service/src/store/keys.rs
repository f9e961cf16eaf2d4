//! Keys. The statements; what a change means is `domain`'s and the routes' business.

use contract::id::Rev;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed, time_ordered_id};
use super::publish_view::{Grave, bury, first_rev};
use super::row::{self, LimitColumns, Object, Statement};
use super::{StoreError, Tx, access_groups, organization_members};
use crate::policy::{Authorized, Writes};

mod aliases;
mod due;
mod find;
pub mod former;
mod list;
pub mod master;
mod of_team;
mod random;
mod rotation;
mod snapshot;

pub use aliases::{ListAliases, list_aliases};
pub use due::Rotator;
pub use find::{
    Deleted, Owner, Standing, Which, find, find_deleted, hold_owners, lock, lock_of_owner, of_ids,
    of_owner, of_teams, standing, token_of,
};
pub use list::{ListKeys, Listed, Sort, Status, list};
pub use of_team::publish_of_team;
pub use random::random_key;
pub use rotation::Rotation;

/// A key's row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyRow {
    /// The stable id.
    pub key_id: String,
    /// The revision.
    pub rev: Rev,
    /// SHA-256 of the key, hexadecimal.
    pub token: String,
    /// `sk-...abcd`.
    pub key_name: String,
    /// The alias.
    pub key_alias: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// The organization, for a key without team.
    pub organization_id: Option<String>,
    /// LiteLLM's preset of routes.
    pub key_type: Option<String>,
    /// Models; empty: all.
    pub models: Vec<String>,
    /// Model names replaced by others.
    pub aliases: Object,
    /// Routes; empty: all.
    pub allowed_routes: Vec<String>,
    /// Whether it is blocked; `None` until somebody said.
    pub blocked: Option<bool>,
    /// When it expires, microseconds since the epoch.
    pub expires: Option<u64>,
    /// Its limits.
    pub limits: LimitColumns,
    /// When its value is replaced.
    pub rotation: Rotation,
    /// A budget row that fills limits it lacks.
    pub budget_id: Option<String>,
    /// When its record must be made anew.
    pub refresh_at: Option<u64>,
    /// LiteLLM's permissions.
    pub permissions: Object,
    /// Free data.
    pub metadata: Object,
    /// Fields kept and echoed.
    pub extra: Object,
    /// When it was made.
    pub created_at: u64,
    /// By which user.
    pub created_by: Option<String>,
    /// When it was last changed.
    pub updated_at: u64,
    /// By which user.
    pub updated_by: Option<String>,
    /// When a setting was last changed.
    pub settings_updated_at: Option<u64>,
}

const COLUMNS: [&str; 36] = [
    "rev",
    "token",
    "key_name",
    "key_alias",
    "user_id",
    "team_id",
    "organization_id",
    "key_type",
    "models",
    "aliases",
    "allowed_routes",
    "blocked",
    "expires",
    "budget_id",
    "refresh_at",
    "permissions",
    "metadata",
    "extra",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "settings_updated_at",
    LimitColumns::NAMES[0],
    LimitColumns::NAMES[1],
    LimitColumns::NAMES[2],
    LimitColumns::NAMES[3],
    LimitColumns::NAMES[4],
    LimitColumns::NAMES[5],
    Rotation::NAMES[0],
    Rotation::NAMES[1],
    Rotation::NAMES[2],
    Rotation::NAMES[3],
    Rotation::NAMES[4],
    Rotation::NAMES[5],
    "key_id",
];

/// The master key's row is the service's own: no route finds or lists it.
const NOT_MASTER: &str = "(key_type IS NULL OR key_type <> 'master')";

fn select(which: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {} FROM virtual_keys {which}",
        COLUMNS.join(", ")
    ))
}

impl KeyRow {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            key_id: row.try_get("key_id")?,
            rev: rev(row.try_get("rev")?)?,
            token: row.try_get("token")?,
            key_name: row.try_get("key_name")?,
            key_alias: row.try_get("key_alias")?,
            user_id: row.try_get("user_id")?,
            team_id: row.try_get("team_id")?,
            organization_id: row.try_get("organization_id")?,
            key_type: row.try_get("key_type")?,
            models: row::json(row, "models")?,
            aliases: row::json(row, "aliases")?,
            allowed_routes: row::json(row, "allowed_routes")?,
            blocked: row::flag(row, "blocked")?,
            expires: row::number(row, "expires")?,
            limits: LimitColumns::read(row)?,
            rotation: Rotation::read(row)?,
            budget_id: row.try_get("budget_id")?,
            refresh_at: row::number(row, "refresh_at")?,
            permissions: row::json(row, "permissions")?,
            metadata: row::json(row, "metadata")?,
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
            settings_updated_at: row::number(row, "settings_updated_at")?,
        })
    }

    /// All of [`COLUMNS`]; the id is last, so that it also ends an UPDATE.
    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let statement = statement
            .bind(signed(self.rev.get()))
            .bind(self.token.clone())
            .bind(self.key_name.clone())
            .bind(self.key_alias.clone())
            .bind(self.user_id.clone())
            .bind(self.team_id.clone())
            .bind(self.organization_id.clone())
            .bind(self.key_type.clone())
            .bind(row::text(&self.models))
            .bind(row::text(&self.aliases))
            .bind(row::text(&self.allowed_routes))
            .bind(row::bit(self.blocked))
            .bind(self.expires.map(signed))
            .bind(self.budget_id.clone())
            .bind(self.refresh_at.map(signed))
            .bind(row::text(&self.permissions))
            .bind(row::text(&self.metadata))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(self.created_by.clone())
            .bind(signed(self.updated_at))
            .bind(self.updated_by.clone())
            .bind(self.settings_updated_at.map(signed));
        let statement = self.limits.bind(statement);
        self.rotation.bind(statement).bind(self.key_id.clone())
    }
}

impl KeyRow {
    /// What its list and its groups let it call; empty: all models.
    pub fn callable(&self) -> Vec<String> {
        access_groups::models_with(&self.models, &self.extra)
    }
}

/// Writes a new key with its audit and outbox rows; its revision is set here, and its times but for a `created_at` that it has.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut KeyRow,
) -> Result<(), StoreError> {
    hold_membership(tx, row).await?;
    row.rev = first_rev(tx, Kind::Key, &row.key_id)
        .await?
        .max(above_dead(tx, &row.token).await?);
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    let statement = AssertSqlSafe(row::insert_into("virtual_keys", &COLUMNS));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    access_groups::follow(tx, Kind::Key, &row.key_id, None, Some(&row.extra)).await?;
    let after = Some(snapshot::of(row));
    let change = audit::Change {
        action: "created",
        table: audit::KEYS,
        object_id: &row.token,
        before: None,
        after,
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Key, &row.key_id, row.rev).await
}

/// A record says what its user may spend in its organization: the membership waits until it is known who belongs there.
async fn hold_membership(tx: &mut Tx, row: &KeyRow) -> Result<(), StoreError> {
    let (organization, team) = (row.organization_id.as_deref(), row.team_id.as_deref());
    if row.user_id.is_none() || organization.or(team).is_none() {
        return Ok(());
    }
    organization_members::hold(tx, organization, team).await
}

/// The index entry of a hash that a deleted key had is only replaced by a higher revision.
async fn above_dead(tx: &mut Tx, token: &str) -> Result<Rev, StoreError> {
    let dead = sqlx::query("SELECT MAX(rev) AS rev FROM tombstones WHERE token = $1")
        .bind(token.to_owned())
        .fetch_one(tx.connection())
        .await?;
    match dead.try_get::<Option<i64>, _>("rev")? {
        Some(dead) => Ok(rev(dead)?.next(tx.now_us())),
        None => Ok(Rev::default()),
    }
}

/// Writes a changed key; `before` is what [`lock`] answered.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    action: &'static str,
    before: &KeyRow,
    row: &mut KeyRow,
) -> Result<(), StoreError> {
    let belongs = |row: &KeyRow| {
        (
            row.user_id.clone(),
            row.team_id.clone(),
            row.organization_id.clone(),
        )
    };
    if belongs(before) != belongs(row) {
        hold_membership(tx, row).await?;
    }
    row.rev = before.rev.next(tx.now_us());
    row.updated_at = tx.now_us();
    row.updated_by.clone_from(&by.caller.user_id);
    let statement = AssertSqlSafe(row::update(
        "virtual_keys",
        &COLUMNS[..COLUMNS.len() - 1],
        "key_id",
    ));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let (was, is) = (Some(&before.extra), Some(&row.extra));
    access_groups::follow(tx, Kind::Key, &row.key_id, was, is).await?;
    let change = audit::Change {
        action,
        table: audit::KEYS,
        object_id: &row.token,
        before: Some(snapshot::of(before)),
        after: Some(snapshot::of(row)),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Key, &row.key_id, row.rev).await
}

/// Deletes a key: its row moves to `deleted_keys`, a tombstone goes to Redis.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &KeyRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM virtual_keys WHERE key_id = $1")
        .bind(row.key_id.clone())
        .execute(tx.connection())
        .await?;
    access_groups::follow(tx, Kind::Key, &row.key_id, Some(&row.extra), None).await?;
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO deleted_keys (id, key_id, token, user_id, team_id, snapshot, deleted_at, deleted_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(time_ordered_id(now_us))
    .bind(row.key_id.clone())
    .bind(row.token.clone())
    .bind(row.user_id.clone())
    .bind(row.team_id.clone())
    .bind(snapshot::of(row).to_string())
    .bind(signed(now_us))
    .bind(by.caller.user_id.clone())
    .execute(tx.connection())
    .await?;
    let grave = Grave {
        kind: Kind::Key,
        object_id: &row.key_id,
        old: row.rev,
        token: Some(&row.token),
        user_id: row.user_id.as_deref(),
        team_id: row.team_id.as_deref(),
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::KEYS,
        object_id: &row.token,
        before: Some(snapshot::of(row)),
        after: None,
    };
    record(tx, by, change).await
}

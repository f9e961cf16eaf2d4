//! Users. The statements; what a change means is `domain`'s and the routes' business.

use contract::id::Rev;
use contract::money::NanoUsd;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed};
use super::publish_view::{Grave, bury, first_rev};
use super::row::{self, LimitColumns, Object, Statement};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

mod list;

pub use list::{ListUsers, Listed, Sort, counts, ids_after, list, newest_teams, teams_of_all};

/// A user's row.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The id.
    pub user_id: String,
    /// The revision.
    pub rev: Rev,
    /// A name to show.
    pub user_alias: Option<String>,
    /// The e-mail address as it was given; unique whatever its case.
    pub user_email: Option<String>,
    /// The id at the identity provider.
    pub sso_user_id: Option<String>,
    /// The role.
    pub user_role: Option<String>,
    /// Whether it is blocked.
    pub blocked: Option<bool>,
    /// Models of personal keys; empty: all.
    pub models: Vec<String>,
    /// Limits over all keys.
    pub limits: LimitColumns,
    /// When its record must be made anew.
    pub refresh_at: Option<u64>,
    /// Free data.
    pub metadata: Object,
    /// Fields kept and echoed.
    pub extra: Object,
    /// When it was made.
    pub created_at: u64,
    /// When it was last changed.
    pub updated_at: u64,
}

const COLUMNS: [&str; 20] = [
    "rev",
    "user_alias",
    "user_email",
    "user_email_folded",
    "sso_user_id",
    "user_role",
    "blocked",
    "models",
    "refresh_at",
    "metadata",
    "extra",
    "created_at",
    "updated_at",
    LimitColumns::NAMES[0],
    LimitColumns::NAMES[1],
    LimitColumns::NAMES[2],
    LimitColumns::NAMES[3],
    LimitColumns::NAMES[4],
    LimitColumns::NAMES[5],
    "user_id",
];

impl UserRow {
    /// A user without anything but an id.
    pub fn new(user_id: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            rev: Rev::default(),
            user_alias: None,
            user_email: None,
            sso_user_id: None,
            user_role: None,
            blocked: None,
            models: Vec::new(),
            limits: LimitColumns::default(),
            refresh_at: None,
            metadata: Object::new(),
            extra: Object::new(),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            rev: rev(row.try_get("rev")?)?,
            user_alias: row.try_get("user_alias")?,
            user_email: row.try_get("user_email")?,
            sso_user_id: row.try_get("sso_user_id")?,
            user_role: row.try_get("user_role")?,
            blocked: row::flag(row, "blocked")?,
            models: row::json(row, "models")?,
            limits: LimitColumns::read(row)?,
            refresh_at: row::number(row, "refresh_at")?,
            metadata: row::json(row, "metadata")?,
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            updated_at: row::time(row, "updated_at")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let statement = statement
            .bind(signed(self.rev.get()))
            .bind(self.user_alias.clone())
            .bind(self.user_email.clone())
            .bind(self.user_email.as_deref().map(folded))
            .bind(self.sso_user_id.clone())
            .bind(self.user_role.clone())
            .bind(row::bit(self.blocked))
            .bind(row::text(&self.models))
            .bind(self.refresh_at.map(signed))
            .bind(row::text(&self.metadata))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(signed(self.updated_at));
        self.limits.bind(statement).bind(self.user_id.clone())
    }

    fn snapshot(&self) -> Value {
        json!({
            "user_id": self.user_id, "user_alias": self.user_alias, "user_email": self.user_email,
            "sso_user_id": self.sso_user_id, "user_role": self.user_role, "blocked": self.blocked,
            "models": self.models, "max_budget": self.limits.max_budget.map(NanoUsd::get),
            "max_parallel_requests": self.limits.max_parallel_requests,
            "tpm_limit": self.limits.tpm_limit, "rpm_limit": self.limits.rpm_limit,
            "budget_duration": self.limits.budget_duration, "metadata": self.metadata,
            "extra": self.extra,
        })
    }
}

/// An e-mail address as it is compared.
pub fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Which user.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// By id.
    Id(&'a str),
    /// By e-mail address, whatever its case.
    Email(&'a str),
    /// By id at the identity provider.
    Sso(&'a str),
}

impl Which<'_> {
    fn condition(self) -> (&'static str, String) {
        match self {
            Self::Id(id) => ("user_id", id.to_owned()),
            Self::Email(email) => ("user_email_folded", folded(email)),
            Self::Sso(id) => ("sso_user_id", id.to_owned()),
        }
    }
}

/// Reads a user.
pub async fn find(
    connection: &mut AnyConnection,
    which: Which<'_>,
) -> Result<Option<UserRow>, StoreError> {
    let (column, value) = which.condition();
    let statement = format!(
        "SELECT {} FROM users WHERE {column} = $1",
        COLUMNS.join(", ")
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(value)
        .fetch_optional(connection)
        .await?
        .map(|row| UserRow::read(&row))
        .transpose()
}

/// Reads a user and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, which: Which<'_>) -> Result<Option<UserRow>, StoreError> {
    let (column, value) = which.condition();
    let statement = format!("UPDATE users SET rev = rev WHERE {column} = $1");
    sqlx::query(AssertSqlSafe(statement))
        .bind(value)
        .execute(tx.connection())
        .await?;
    find(tx.connection(), which).await
}

/// Writes a new user with its audit and outbox rows; its revision is set here, and its times but for a `created_at` that it has.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut UserRow,
) -> Result<(), StoreError> {
    row.rev = first_rev(tx, Kind::User, &row.user_id).await?;
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    let statement = AssertSqlSafe(row::insert_into("users", &COLUMNS));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "created",
        table: audit::USERS,
        object_id: &row.user_id,
        before: None,
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::User, &row.user_id, row.rev).await
}

/// Writes a changed user; `before` is what [`lock`] answered.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: &UserRow,
    row: &mut UserRow,
) -> Result<(), StoreError> {
    row.rev = before.rev.next(tx.now_us());
    row.updated_at = tx.now_us();
    let statement = AssertSqlSafe(row::update(
        "users",
        &COLUMNS[..COLUMNS.len() - 1],
        "user_id",
    ));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "updated",
        table: audit::USERS,
        object_id: &row.user_id,
        before: Some(before.snapshot()),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::User, &row.user_id, row.rev).await
}

/// Deletes a user's row; keys and memberships are the caller's to delete first.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &UserRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM users WHERE user_id = $1")
        .bind(row.user_id.clone())
        .execute(tx.connection())
        .await?;
    let grave = Grave {
        kind: Kind::User,
        object_id: &row.user_id,
        old: row.rev,
        token: None,
        user_id: None,
        team_id: None,
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::USERS,
        object_id: &row.user_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

/// The ids of all users.
pub async fn all_ids(connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT user_id FROM users ORDER BY user_id")
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("user_id")?))
        .collect()
}

/// Teams that a user is in, in the order of joining.
pub async fn teams_of(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT team_id FROM team_members WHERE user_id = $1 ORDER BY created_at, team_id")
        .bind(user_id.to_owned())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("team_id")?))
        .collect()
}

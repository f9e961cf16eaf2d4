//! Teams. The statements; what a change means is `domain`'s and the routes' business.

use contract::id::Rev;
use contract::money::NanoUsd;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed, time_ordered_id};
use super::publish_view::{Grave, bury, first_rev};
use super::row::{self, LimitColumns, Object, Statement};
use super::{StoreError, Tx};
use super::{access_groups, keys};
use crate::policy::{Authorized, Writes};

mod list;

pub use list::{DeletedTeam, ListTeams, Sort, count_keys, deleted, every, list};

/// A team's row.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamRow {
    /// The id.
    pub team_id: String,
    /// The revision.
    pub rev: Rev,
    /// A name to show.
    pub team_alias: Option<String>,
    /// The organization.
    pub organization_id: Option<String>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Models of its keys; empty: all.
    pub models: Vec<String>,
    /// Model names replaced by others.
    pub model_aliases: Object,
    /// Limits over all keys.
    pub limits: LimitColumns,
    /// An amount that only marks.
    pub soft_budget: Option<NanoUsd>,
    /// When its record must be made anew.
    pub refresh_at: Option<u64>,
    /// Key routes that members of role `user` may call.
    pub team_member_permissions: Vec<String>,
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
    "team_alias",
    "organization_id",
    "blocked",
    "models",
    "model_aliases",
    "soft_budget",
    "refresh_at",
    "team_member_permissions",
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
    "team_id",
];

impl TeamRow {
    /// A team without anything but an id.
    pub fn new(team_id: impl Into<String>) -> Self {
        Self {
            team_id: team_id.into(),
            rev: Rev::default(),
            team_alias: None,
            organization_id: None,
            blocked: false,
            models: Vec::new(),
            model_aliases: Object::new(),
            limits: LimitColumns::default(),
            soft_budget: None,
            refresh_at: None,
            team_member_permissions: Vec::new(),
            metadata: Object::new(),
            extra: Object::new(),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            team_id: row.try_get("team_id")?,
            rev: rev(row.try_get("rev")?)?,
            team_alias: row.try_get("team_alias")?,
            organization_id: row.try_get("organization_id")?,
            blocked: row::flag(row, "blocked")?.unwrap_or(false),
            models: row::json(row, "models")?,
            model_aliases: row::json(row, "model_aliases")?,
            limits: LimitColumns::read(row)?,
            soft_budget: row::number(row, "soft_budget")?.map(NanoUsd::saturating),
            refresh_at: row::number(row, "refresh_at")?,
            team_member_permissions: row::json(row, "team_member_permissions")?,
            metadata: row::json(row, "metadata")?,
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            updated_at: row::time(row, "updated_at")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let statement = statement
            .bind(signed(self.rev.get()))
            .bind(self.team_alias.clone())
            .bind(self.organization_id.clone())
            .bind(row::bit(Some(self.blocked)))
            .bind(row::text(&self.models))
            .bind(row::text(&self.model_aliases))
            .bind(self.soft_budget.map(|budget| signed(budget.get())))
            .bind(self.refresh_at.map(signed))
            .bind(row::text(&self.team_member_permissions))
            .bind(row::text(&self.metadata))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(signed(self.updated_at));
        self.limits.bind(statement).bind(self.team_id.clone())
    }

    fn snapshot(&self) -> Value {
        json!({
            "team_id": self.team_id, "team_alias": self.team_alias,
            "organization_id": self.organization_id, "blocked": self.blocked, "models": self.models,
            "model_aliases": self.model_aliases, "max_budget": self.limits.max_budget.map(NanoUsd::get),
            "soft_budget": self.soft_budget.map(NanoUsd::get),
            "max_parallel_requests": self.limits.max_parallel_requests,
            "tpm_limit": self.limits.tpm_limit, "rpm_limit": self.limits.rpm_limit,
            "budget_duration": self.limits.budget_duration,
            "team_member_permissions": self.team_member_permissions, "metadata": self.metadata,
            "extra": self.extra, "created_at": self.created_at, "updated_at": self.updated_at,
        })
    }
}

/// Reads a team.
pub async fn find(
    connection: &mut AnyConnection,
    team_id: &str,
) -> Result<Option<TeamRow>, StoreError> {
    let statement = format!(
        "SELECT {} FROM teams WHERE team_id = $1",
        COLUMNS.join(", ")
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(team_id.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| TeamRow::read(&row))
        .transpose()
}

/// Teams of an organization, oldest first.
pub async fn of_organization(
    connection: &mut AnyConnection,
    organization_id: &str,
) -> Result<Vec<TeamRow>, StoreError> {
    let what = ListTeams {
        organization_id: Some(organization_id.to_owned()),
        ..ListTeams::default()
    };
    every(connection, &what).await
}

/// Ids of teams in their order, after one of them.
pub async fn ids_after(
    connection: &mut AnyConnection,
    after: &str,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT team_id FROM teams WHERE team_id > $1 ORDER BY team_id LIMIT $2")
        .bind(after.to_owned())
        .bind(i64::from(most))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("team_id")?))
        .collect()
}

impl TeamRow {
    /// What its list and its groups let its keys call; empty: all models.
    pub fn callable(&self) -> Vec<String> {
        access_groups::models_with(&self.models, &self.extra)
    }
}

/// Reads a team and keeps others from changing it or its members until the transaction ends.
pub async fn lock(tx: &mut Tx, team_id: &str) -> Result<Option<TeamRow>, StoreError> {
    sqlx::query("UPDATE teams SET rev = rev WHERE team_id = $1")
        .bind(team_id.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), team_id).await
}

/// Writes a new team with its audit and outbox rows; its revision is set here, and its times but for a `created_at` that it has.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut TeamRow,
) -> Result<(), StoreError> {
    row.rev = first_rev(tx, Kind::Team, &row.team_id).await?;
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    let statement = AssertSqlSafe(row::insert_into("teams", &COLUMNS));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    access_groups::follow(tx, Kind::Team, &row.team_id, None, Some(&row.extra)).await?;
    let change = audit::Change {
        action: "created",
        table: audit::TEAMS,
        object_id: &row.team_id,
        before: None,
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    if row.organization_id.is_some() {
        keys::publish_of_team(tx, &row.team_id).await?;
    }
    tx.publish(Kind::Team, &row.team_id, row.rev).await
}

/// Writes a changed team; `before` is what [`lock`] answered.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: &TeamRow,
    row: &mut TeamRow,
) -> Result<(), StoreError> {
    update_as(tx, by, "updated", before, row).await
}

/// The same under another name of what was done.
pub async fn update_as<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    action: &'static str,
    before: &TeamRow,
    row: &mut TeamRow,
) -> Result<(), StoreError> {
    row.rev = before.rev.next(tx.now_us());
    row.updated_at = tx.now_us();
    let statement = AssertSqlSafe(row::update(
        "teams",
        &COLUMNS[..COLUMNS.len() - 1],
        "team_id",
    ));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let (was, is) = (Some(&before.extra), Some(&row.extra));
    access_groups::follow(tx, Kind::Team, &row.team_id, was, is).await?;
    let change = audit::Change {
        action,
        table: audit::TEAMS,
        object_id: &row.team_id,
        before: Some(before.snapshot()),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    // The keys' index entries name the organization.
    if row.organization_id != before.organization_id {
        keys::publish_of_team(tx, &row.team_id).await?;
    }
    tx.publish(Kind::Team, &row.team_id, row.rev).await
}

/// Deletes a team: its row moves to `deleted_teams`, a tombstone goes to Redis. Keys and memberships are the caller's to delete first.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &TeamRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM teams WHERE team_id = $1")
        .bind(row.team_id.clone())
        .execute(tx.connection())
        .await?;
    access_groups::follow(tx, Kind::Team, &row.team_id, Some(&row.extra), None).await?;
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO deleted_teams (id, team_id, organization_id, snapshot, deleted_at, deleted_by) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(time_ordered_id(now_us))
    .bind(row.team_id.clone())
    .bind(row.organization_id.clone())
    .bind(row.snapshot().to_string())
    .bind(signed(now_us))
    .bind(by.caller.user_id.clone())
    .execute(tx.connection())
    .await?;
    let grave = Grave {
        kind: Kind::Team,
        object_id: &row.team_id,
        old: row.rev,
        token: None,
        user_id: None,
        team_id: None,
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::TEAMS,
        object_id: &row.team_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

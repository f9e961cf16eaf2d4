//! Organizations. The statements; what a change means is the routes' business. An organization's limits are those of its budget row.

use contract::id::Rev;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed};
use super::publish_view::{Grave, bury, first_rev};
use super::row::{self, Object, Statement};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// An organization's row.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganizationRow {
    /// The id.
    pub organization_id: String,
    /// The revision.
    pub rev: Rev,
    /// A name to show.
    pub organization_alias: String,
    /// The budget row that holds its limits.
    pub budget_id: String,
    /// Models of its teams and keys; empty: all.
    pub models: Vec<String>,
    /// When its record must be made anew.
    pub refresh_at: Option<u64>,
    /// Free data.
    pub metadata: Object,
    /// Fields kept and echoed.
    pub extra: Object,
    /// When it was made.
    pub created_at: u64,
    /// By which user.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: u64,
    /// By which user.
    pub updated_by: String,
}

const COLUMNS: [&str; 12] = [
    "rev",
    "organization_alias",
    "budget_id",
    "models",
    "refresh_at",
    "metadata",
    "extra",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "organization_id",
];

fn select(which: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {} FROM organizations {which}",
        COLUMNS.join(", ")
    ))
}

impl OrganizationRow {
    /// An organization without anything but an id.
    pub fn new(organization_id: impl Into<String>) -> Self {
        Self {
            organization_id: organization_id.into(),
            rev: Rev::default(),
            organization_alias: String::new(),
            budget_id: String::new(),
            models: Vec::new(),
            refresh_at: None,
            metadata: Object::new(),
            extra: Object::new(),
            created_at: 0,
            created_by: String::new(),
            updated_at: 0,
            updated_by: String::new(),
        }
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            rev: rev(row.try_get("rev")?)?,
            organization_alias: row.try_get("organization_alias")?,
            budget_id: row.try_get("budget_id")?,
            models: row::json(row, "models")?,
            refresh_at: row::number(row, "refresh_at")?,
            metadata: row::json(row, "metadata")?,
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(signed(self.rev.get()))
            .bind(self.organization_alias.clone())
            .bind(self.budget_id.clone())
            .bind(row::text(&self.models))
            .bind(self.refresh_at.map(signed))
            .bind(row::text(&self.metadata))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(self.created_by.clone())
            .bind(signed(self.updated_at))
            .bind(self.updated_by.clone())
            .bind(self.organization_id.clone())
    }

    fn snapshot(&self) -> Value {
        json!({
            "organization_id": self.organization_id, "organization_alias": self.organization_alias,
            "budget_id": self.budget_id, "models": self.models, "metadata": self.metadata,
            "extra": self.extra,
        })
    }
}

/// Reads an organization.
pub async fn find(
    connection: &mut AnyConnection,
    organization_id: &str,
) -> Result<Option<OrganizationRow>, StoreError> {
    sqlx::query(select("WHERE organization_id = $1"))
        .bind(organization_id.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| OrganizationRow::read(&row))
        .transpose()
}

/// Reads an organization and keeps others from changing it or its members until the transaction ends.
pub async fn lock(
    tx: &mut Tx,
    organization_id: &str,
) -> Result<Option<OrganizationRow>, StoreError> {
    sqlx::query("UPDATE organizations SET rev = rev WHERE organization_id = $1")
        .bind(organization_id.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), organization_id).await
}

/// Organizations that a budget row limits.
pub async fn of_budget(
    connection: &mut AnyConnection,
    budget_id: &str,
) -> Result<Vec<OrganizationRow>, StoreError> {
    sqlx::query(select("WHERE budget_id = $1 ORDER BY organization_id"))
        .bind(budget_id.to_owned())
        .fetch_all(connection)
        .await?
        .iter()
        .map(OrganizationRow::read)
        .collect()
}

/// Which organizations to list.
#[derive(Clone, Debug, Default)]
pub struct ListOrganizations {
    /// Only this one.
    pub organization_id: Option<String>,
    /// Only those whose alias contains this.
    pub alias: Option<String>,
    /// Only those that this user is a member of.
    pub member: Option<String>,
}

/// Organizations, the newest first.
pub async fn list(
    connection: &mut AnyConnection,
    what: &ListOrganizations,
) -> Result<Vec<OrganizationRow>, StoreError> {
    let mut parts = Vec::new();
    let mut values = Vec::new();
    if let Some(id) = &what.organization_id {
        values.push(id.clone());
        parts.push(format!("organization_id = ${}", values.len()));
    }
    if let Some(alias) = &what.alias {
        values.push(format!("%{}%", row::escaped(alias)));
        parts.push(format!(
            "LOWER(organization_alias) LIKE LOWER(${}) ESCAPE '!'",
            values.len()
        ));
    }
    if let Some(user) = &what.member {
        values.push(user.clone());
        parts.push(format!(
            "organization_id IN (SELECT m.organization_id FROM organization_members m WHERE m.user_id = ${})",
            values.len()
        ));
    }
    let which = if parts.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", parts.join(" AND "))
    };
    let order = "ORDER BY created_at DESC, organization_id";
    let mut query = sqlx::query(select(&format!("{which} {order}")));
    for value in values {
        query = query.bind(value);
    }
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(OrganizationRow::read)
        .collect()
}

/// Writes a new organization with its audit and outbox rows; its revision is set here, and its times but for a `created_at` that it has.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut OrganizationRow,
) -> Result<(), StoreError> {
    row.rev = first_rev(tx, Kind::Organization, &row.organization_id).await?;
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    row.updated_by = by.caller.user_id.clone().unwrap_or_default();
    if row.created_by.is_empty() {
        row.created_by.clone_from(&row.updated_by);
    }
    let statement = AssertSqlSafe(row::insert_into("organizations", &COLUMNS));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "created",
        table: audit::ORGANIZATIONS,
        object_id: &row.organization_id,
        before: None,
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Organization, &row.organization_id, row.rev)
        .await
}

/// Writes a changed organization; `before` is what [`lock`] answered.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: &OrganizationRow,
    row: &mut OrganizationRow,
) -> Result<(), StoreError> {
    row.rev = before.rev.next(tx.now_us());
    row.updated_at = tx.now_us();
    row.updated_by = by.caller.user_id.clone().unwrap_or_default();
    let columns = &COLUMNS[..COLUMNS.len() - 1];
    let statement = AssertSqlSafe(row::update("organizations", columns, "organization_id"));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "updated",
        table: audit::ORGANIZATIONS,
        object_id: &row.organization_id,
        before: Some(before.snapshot()),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Organization, &row.organization_id, row.rev)
        .await
}

/// Has an organization published again: its budget row changed.
pub async fn touch(
    tx: &mut Tx,
    row: &OrganizationRow,
    refresh_at: Option<u64>,
) -> Result<(), StoreError> {
    let rev = row.rev.next(tx.now_us());
    sqlx::query("UPDATE organizations SET rev = $1, refresh_at = $2 WHERE organization_id = $3")
        .bind(signed(rev.get()))
        .bind(refresh_at.map(signed))
        .bind(row.organization_id.clone())
        .execute(tx.connection())
        .await?;
    tx.publish(Kind::Organization, &row.organization_id, rev)
        .await
}

/// Deletes an organization's row; teams, keys and memberships are the caller's to delete first.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &OrganizationRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM organizations WHERE organization_id = $1")
        .bind(row.organization_id.clone())
        .execute(tx.connection())
        .await?;
    let grave = Grave {
        kind: Kind::Organization,
        object_id: &row.organization_id,
        old: row.rev,
        token: None,
        user_id: None,
        team_id: None,
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::ORGANIZATIONS,
        object_id: &row.organization_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

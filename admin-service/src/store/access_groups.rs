//! Access groups: names under which keys and teams are given several models at once.

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::models::publish_catalogue;
use super::outbox::signed;
use super::row::{self, Object, Statement};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

mod links;

pub(super) use links::follow;
pub use links::{Assigned, FIELD, Links, ids_of, links, models_with};

/// A group's row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupRow {
    /// The id.
    pub access_group_id: String,
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Names of its models.
    pub models: Vec<String>,
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

const COLUMNS: [&str; 9] = [
    "access_group_name",
    "description",
    "access_model_names",
    "extra",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "access_group_id",
];

/// By what a group is found.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Its id.
    Id(&'a str),
    /// Its name.
    Name(&'a str),
}

impl GroupRow {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            access_group_id: row.try_get("access_group_id")?,
            name: row.try_get("access_group_name")?,
            description: row.try_get("description")?,
            models: row::json(row, "access_model_names")?,
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.name.clone())
            .bind(self.description.clone())
            .bind(row::text(&self.models))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(self.created_by.clone())
            .bind(signed(self.updated_at))
            .bind(self.updated_by.clone())
            .bind(self.access_group_id.clone())
    }

    fn snapshot(&self) -> Value {
        json!({"access_group_name": self.name, "description": self.description, "access_model_names": self.models})
    }
}

fn select(which: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {} FROM access_groups {which}",
        COLUMNS.join(", ")
    ))
}

/// All groups, by name.
pub async fn all(connection: &mut AnyConnection) -> Result<Vec<GroupRow>, StoreError> {
    sqlx::query(select("ORDER BY access_group_name"))
        .fetch_all(connection)
        .await?
        .iter()
        .map(GroupRow::read)
        .collect()
}

/// Reads a group.
pub async fn find(
    connection: &mut AnyConnection,
    which: Which<'_>,
) -> Result<Option<GroupRow>, StoreError> {
    let (statement, value) = match which {
        Which::Id(id) => (select("WHERE access_group_id = $1"), id),
        Which::Name(name) => (select("WHERE access_group_name = $1"), name),
    };
    sqlx::query(statement)
        .bind(value.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| GroupRow::read(&row))
        .transpose()
}

/// Reads a group and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, which: Which<'_>) -> Result<Option<GroupRow>, StoreError> {
    let (column, value) = match which {
        Which::Id(id) => ("access_group_id", id),
        Which::Name(name) => ("access_group_name", name),
    };
    let statement = format!("UPDATE access_groups SET updated_at = updated_at WHERE {column} = $1");
    sqlx::query(AssertSqlSafe(statement))
        .bind(value.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), which).await
}

/// Writes a group, new or changed after [`lock`], and has the catalogue published.
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: Option<&GroupRow>,
    row: &mut GroupRow,
) -> Result<(), StoreError> {
    let user = by.caller.user_id.clone().unwrap_or_default();
    row.updated_at = tx.now_us();
    row.updated_by.clone_from(&user);
    if before.is_none() {
        row.created_at = row.updated_at;
        row.created_by = user;
    }
    let columns = &COLUMNS[..COLUMNS.len() - 1];
    let statement = match before {
        Some(_) => row::update("access_groups", columns, "access_group_id"),
        None => row::insert_into("access_groups", &COLUMNS),
    };
    row.bind(sqlx::query(AssertSqlSafe(statement)))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: if before.is_some() {
            "updated"
        } else {
            "created"
        },
        table: audit::ACCESS_GROUPS,
        object_id: &row.access_group_id,
        before: before.map(GroupRow::snapshot),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    publish_catalogue(tx).await
}

/// Deletes a group that is locked, and has the catalogue published.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &GroupRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM access_groups WHERE access_group_id = $1")
        .bind(row.access_group_id.clone())
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::ACCESS_GROUPS,
        object_id: &row.access_group_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await?;
    publish_catalogue(tx).await
}

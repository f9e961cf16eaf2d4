//! Tags. The statements; what a change means is the routes' business. A tag's limits are those of its budget row, and reach Redis with the
//! catalogue.

use std::collections::BTreeMap;

use contract::money::NanoUsd;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{placeholders, signed};
use super::row::{self, Object, Statement};
use super::spend::{Tally, forgotten};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// A tag's row.
#[derive(Clone, Debug, PartialEq)]
pub struct TagRow {
    /// The tag.
    pub name: String,
    /// Whether an admin made it; otherwise a request carried it.
    pub made: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Deployments for requests with the tag; kept and echoed.
    pub models: Vec<String>,
    /// Names of those deployments; kept and echoed.
    pub model_info: Option<Object>,
    /// The budget row.
    pub budget_id: Option<String>,
    /// What requests that carried it have spent, ever. Counted by the ledger alone.
    pub spend: NanoUsd,
    /// When the row was made.
    pub created_at: u64,
    /// By which user.
    pub created_by: Option<String>,
    /// When it was last changed.
    pub updated_at: u64,
}

const COLUMNS: [&str; 9] = [
    "made",
    "description",
    "models",
    "model_info",
    "budget_id",
    "created_at",
    "created_by",
    "updated_at",
    "tag_name",
];

impl TagRow {
    /// A tag without anything but a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            made: true,
            description: None,
            models: Vec::new(),
            model_info: None,
            budget_id: None,
            spend: NanoUsd::ZERO,
            created_at: 0,
            created_by: None,
            updated_at: 0,
        }
    }

    pub(super) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let model_info: Option<String> = row.try_get("model_info")?;
        let parse = |text: String| {
            serde_json::from_str(&text)
                .map_err(|error| StoreError::Corrupt(format!("tags.model_info: {error}")))
        };
        Ok(Self {
            name: row.try_get("tag_name")?,
            made: row::flag(row, "made")?.unwrap_or(false),
            description: row.try_get("description")?,
            models: row::json(row, "models")?,
            model_info: model_info.map(parse).transpose()?,
            budget_id: row.try_get("budget_id")?,
            spend: row::number(row, "spend")?.map_or(NanoUsd::ZERO, NanoUsd::saturating),
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(row::bit(Some(self.made)))
            .bind(self.description.clone())
            .bind(row::text(&self.models))
            .bind(self.model_info.as_ref().map(row::text))
            .bind(self.budget_id.clone())
            .bind(signed(self.created_at))
            .bind(self.created_by.clone())
            .bind(signed(self.updated_at))
            .bind(self.name.clone())
    }

    fn snapshot(&self) -> Value {
        json!({"description": self.description, "models": self.models, "model_info": self.model_info,
            "budget_id": self.budget_id})
    }
}

fn select(which: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {}, spend FROM tags {which}",
        COLUMNS.join(", ")
    ))
}

/// Reads the tags of these names that exist, in the order of their names.
pub async fn find_all(
    connection: &mut AnyConnection,
    names: &[String],
) -> Result<Vec<TagRow>, StoreError> {
    let mut found = Vec::with_capacity(names.len());
    for names in names.chunks(200) {
        let places = placeholders(1, names.len());
        let mut query = sqlx::query(select(&format!(
            "WHERE tag_name IN ({places}) ORDER BY tag_name"
        )));
        for name in names {
            query = query.bind(name.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.push(TagRow::read(&row)?);
        }
    }
    Ok(found)
}

/// Tags that were made.
pub async fn made(connection: &mut AnyConnection) -> Result<Vec<TagRow>, StoreError> {
    sqlx::query(select("WHERE made = 1 ORDER BY tag_name"))
        .fetch_all(connection)
        .await?
        .iter()
        .map(TagRow::read)
        .collect()
}

/// A page of all tags by name, those seen in requests among them.
pub async fn list(
    connection: &mut AnyConnection,
    limit: u32,
    offset: u64,
) -> Result<Vec<TagRow>, StoreError> {
    sqlx::query(select("ORDER BY tag_name LIMIT $1 OFFSET $2"))
        .bind(i64::from(limit))
        .bind(signed(offset))
        .fetch_all(connection)
        .await?
        .iter()
        .map(TagRow::read)
        .collect()
}

/// Reads a tag and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, name: &str) -> Result<Option<TagRow>, StoreError> {
    sqlx::query("UPDATE tags SET updated_at = updated_at WHERE tag_name = $1")
        .bind(name.to_owned())
        .execute(tx.connection())
        .await?;
    let names = [name.to_owned()];
    Ok(find_all(tx.connection(), &names).await?.pop())
}

/// Writes a tag, new or changed after [`lock`], with its audit row; publishing the catalogue is the caller's to do.
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: Option<&TagRow>,
    row: &mut TagRow,
) -> Result<(), StoreError> {
    row.updated_at = tx.now_us();
    let made = before.filter(|before| before.made);
    if made.is_none() {
        row.created_at = row::made_at(row.created_at, tx.now_us());
        if row.created_by.is_none() {
            row.created_by.clone_from(&by.caller.user_id);
        }
    }
    let statement = match before {
        Some(_) => row::update("tags", &COLUMNS[..COLUMNS.len() - 1], "tag_name"),
        None => row::insert_into("tags", &COLUMNS),
    };
    row.bind(sqlx::query(AssertSqlSafe(statement)))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: if made.is_some() { "updated" } else { "created" },
        table: audit::TAGS,
        object_id: &row.name,
        before: made.map(TagRow::snapshot),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await
}

/// Deletes a tag that is locked. A request that carries it makes a row again.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &TagRow,
) -> Result<(), StoreError> {
    forgotten(tx, Tally::Tags, &row.name).await?;
    sqlx::query("DELETE FROM tags WHERE tag_name = $1")
        .bind(row.name.clone())
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::TAGS,
        object_id: &row.name,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

/// Counts what requests have spent by the tags that they carried, nano-dollars; a tag without a row gets one.
pub async fn count(tx: &mut Tx, spent: &BTreeMap<String, i64>) -> Result<(), StoreError> {
    const COLUMNS: usize = 6;
    let now = signed(tx.now_us());
    let spent: Vec<(&String, &i64)> = spent.iter().collect();
    for spent in spent.chunks(40) {
        let tuples = (0..spent.len())
            .map(|row| format!("({})", placeholders(row * COLUMNS + 1, COLUMNS)))
            .collect::<Vec<_>>()
            .join(", ");
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO tags (tag_name, made, models, spend, created_at, updated_at) VALUES {tuples} \
             ON CONFLICT (tag_name) DO UPDATE SET spend = tags.spend + excluded.spend"
        )));
        for (name, spent) in spent {
            query = query
                .bind((*name).clone())
                .bind(0_i16)
                .bind("[]")
                .bind(**spent)
                .bind(now)
                .bind(now);
        }
        query.execute(tx.connection()).await?;
    }
    Ok(())
}

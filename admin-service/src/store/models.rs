//! Models of the database and their access groups. The statements; what an entry means is `catalogue`'s business. They reach Redis with the
//! catalogue.

use contract::id::Rev;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, signed};
use super::row::{self, Object, Statement};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// A model's row: an entry of a `model_list`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRow {
    /// The id.
    pub model_id: String,
    /// The name that clients use.
    pub model_name: String,
    /// `litellm_params`, without credentials.
    pub params: Object,
    /// `model_info`, without the id.
    pub info: Object,
    /// Whether it is not served.
    pub blocked: bool,
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
    "model_name",
    "litellm_params",
    "model_info",
    "blocked",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "model_id",
];

impl ModelRow {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            model_id: row.try_get("model_id")?,
            model_name: row.try_get("model_name")?,
            params: row::json(row, "litellm_params")?,
            info: row::json(row, "model_info")?,
            blocked: row::flag(row, "blocked")?.unwrap_or(false),
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.model_name.clone())
            .bind(row::text(&self.params))
            .bind(row::text(&self.info))
            .bind(row::bit(Some(self.blocked)))
            .bind(signed(self.created_at))
            .bind(self.created_by.clone())
            .bind(signed(self.updated_at))
            .bind(self.updated_by.clone())
            .bind(self.model_id.clone())
    }

    /// As an entry of a `model_list`.
    pub fn entry(&self) -> Value {
        json!({"model_name": self.model_name, "litellm_params": self.params, "model_info": self.info})
    }
}

fn select(which: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {} FROM proxy_models {which}",
        COLUMNS.join(", ")
    ))
}

/// All models, oldest first.
pub async fn all(connection: &mut AnyConnection) -> Result<Vec<ModelRow>, StoreError> {
    sqlx::query(select("ORDER BY created_at, model_id"))
        .fetch_all(connection)
        .await?
        .iter()
        .map(ModelRow::read)
        .collect()
}

/// Reads a model and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, model_id: &str) -> Result<Option<ModelRow>, StoreError> {
    sqlx::query("UPDATE proxy_models SET updated_at = updated_at WHERE model_id = $1")
        .bind(model_id.to_owned())
        .execute(tx.connection())
        .await?;
    sqlx::query(select("WHERE model_id = $1"))
        .bind(model_id.to_owned())
        .fetch_optional(tx.connection())
        .await?
        .map(|row| ModelRow::read(&row))
        .transpose()
}

/// Writes a model, new or changed after [`lock`], and has the catalogue published.
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: Option<&ModelRow>,
    row: &mut ModelRow,
) -> Result<(), StoreError> {
    let user = by.caller.user_id.clone().unwrap_or_default();
    row.updated_at = tx.now_us();
    row.updated_by.clone_from(&user);
    if before.is_none() {
        row.created_at = row.updated_at;
        row.created_by = user;
    }
    let statement = match before {
        Some(_) => row::update("proxy_models", &COLUMNS[..COLUMNS.len() - 1], "model_id"),
        None => row::insert_into("proxy_models", &COLUMNS),
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
        table: audit::MODELS,
        object_id: &row.model_id,
        before: before.map(ModelRow::entry),
        after: Some(row.entry()),
    };
    record(tx, by, change).await?;
    publish_catalogue(tx).await
}

/// Deletes a model that is locked, and has the catalogue published.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &ModelRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM proxy_models WHERE model_id = $1")
        .bind(row.model_id.clone())
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::MODELS,
        object_id: &row.model_id,
        before: Some(row.entry()),
        after: None,
    };
    record(tx, by, change).await?;
    publish_catalogue(tx).await
}

/// Has the catalogue published: something that it is made of changed.
pub async fn publish_catalogue(tx: &mut Tx) -> Result<(), StoreError> {
    let rev = Rev::default().next(tx.now_us());
    tx.publish(Kind::Catalogue, "models", rev).await
}

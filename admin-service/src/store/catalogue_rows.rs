//! What the database adds to the catalogue, read at once.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use super::access_groups::{self, GroupRow};
use super::budgets::{self, BudgetRow};
use super::models::{self, ModelRow};
use super::tags::{self, TagRow};
use super::{StoreError, Tx};

/// The rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogueRows {
    /// Models, oldest first.
    pub models: Vec<ModelRow>,
    /// Access groups.
    pub groups: Vec<GroupRow>,
    /// Tags that were made.
    pub tags: Vec<TagRow>,
    /// The budget rows that tags name, and the one asked for.
    pub budgets: BTreeMap<String, BudgetRow>,
}

/// Reads them, with the budget row `also` where it is given and there.
pub async fn read(
    connection: &mut AnyConnection,
    also: Option<&str>,
) -> Result<CatalogueRows, StoreError> {
    let tags = tags::made(connection).await?;
    let mut named: Vec<String> = tags
        .iter()
        .filter_map(|tag| tag.budget_id.clone())
        .chain(also.map(str::to_owned))
        .collect();
    named.sort();
    named.dedup();
    let budgets = budgets::find_all(connection, &named).await?;
    Ok(CatalogueRows {
        models: models::all(connection).await?,
        groups: access_groups::all(connection).await?,
        tags,
        budgets: budgets
            .into_iter()
            .map(|row| (row.budget_id.clone(), row))
            .collect(),
    })
}

/// Has the catalogue published where tags are limited by the row.
pub async fn follow_budget(tx: &mut Tx, budget_id: &str) -> Result<(), StoreError> {
    let tag = sqlx::query("SELECT tag_name FROM tags WHERE budget_id = $1 AND made = 1 LIMIT 1")
        .bind(budget_id.to_owned())
        .fetch_optional(tx.connection())
        .await?;
    match tag {
        Some(_) => models::publish_catalogue(tx).await,
        None => Ok(()),
    }
}

//! Marks of customers and tags: what they spent is counted in scopes that requests name, by the windows these were charged in.

use std::collections::BTreeMap;

use contract::id::CustomerId;
use contract::money::NanoUsd;
use contract::redis_key::RecordId;
use sqlx::{AssertSqlSafe, Row};

use super::super::parts::{LONGEST, padded};
use super::super::{ScopeKey, ScopeState};
use super::{Watched, note, spent_by};
use crate::settings::CustomerDefault;
use crate::store::outbox::{Kind, placeholders, unsigned};
use crate::store::{StoreError, Tx};

/// With the budget row that the settings name ($1) for those who have none.
const CUSTOMERS: &str = "SELECT c.user_id AS object_id, b.soft_budget, b.max_budget, '{}' AS metadata, c.alias, \
     c.budget_id AS own, b.budget_id AS found \
     FROM customers c LEFT JOIN budgets b ON b.budget_id = COALESCE(c.budget_id, $1) WHERE";
const TAGS: &str = "SELECT t.tag_name AS object_id, b.soft_budget, b.max_budget, '{}' AS metadata, \
     CAST(NULL AS TEXT) AS alias, t.spend FROM tags t JOIN budgets b ON b.budget_id = t.budget_id \
     WHERE (b.soft_budget IS NOT NULL OR b.max_budget IS NOT NULL) AND t.tag_name IN";
/// What the marks of tags are kept under: their scopes have no kind of their own.
const TAG: &str = "tag";

/// Marks what these customers and tags have crossed.
pub(super) async fn mark(
    tx: &mut Tx,
    scopes: &BTreeMap<ScopeKey, ScopeState>,
    tags: &BTreeMap<String, i64>,
    default: &CustomerDefault,
) -> Result<(), StoreError> {
    let windows = windows(scopes);
    mark_customers(tx, scopes, &windows, default).await?;
    mark_tags(tx, &windows, tags).await
}

/// The windows that requests were charged in, by the names of their scopes.
fn windows(scopes: &BTreeMap<ScopeKey, ScopeState>) -> BTreeMap<&str, ScopeState> {
    let named = scopes.iter().filter(|(scope, _)| scope.kind == Kind::Scope);
    let named = named.map(|(scope, state)| (scope.object_id.as_str(), *state));
    named.collect()
}

/// Marks customers: by the window of their own budget; who has none by the window in which the default of the settings was charged, or, where
/// that limits nothing, by all they ever spent.
async fn mark_customers(
    tx: &mut Tx,
    scopes: &BTreeMap<ScopeKey, ScopeState>,
    windows: &BTreeMap<&str, ScopeState>,
    default: &CustomerDefault,
) -> Result<(), StoreError> {
    let spent = spent_by(scopes, Kind::Customer);
    let ids = spent.keys().cloned().collect::<Vec<_>>();
    for ids in ids.chunks(LONGEST) {
        let ids = padded(ids);
        let places = placeholders(2, ids.len());
        // Whom no row limits may be limited by the amount of the settings.
        let which = match default.max_budget {
            Some(_) => "",
            None => "b.budget_id IS NOT NULL AND",
        };
        let statement = format!("{CUSTOMERS} {which} c.user_id IN ({places})");
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(default.budget_id.clone().unwrap_or_default());
        for id in ids {
            query = query.bind(id);
        }
        let now_us = tx.now_us();
        for row in query.fetch_all(tx.connection()).await? {
            let id: String = row.try_get("object_id")?;
            let mut watched = Watched::read(&row, now_us)?;
            let is_own = row.try_get::<Option<String>, _>("own")?.is_some();
            if !is_own && row.try_get::<Option<String>, _>("found")?.is_none() {
                watched.max = default.max_budget;
            }
            let state = if is_own || watched.max.is_none() {
                spent.get(&id).copied()
            } else {
                let name = RecordId::customer(&CustomerId::new(&id));
                windows.get(name.as_str()).copied()
            };
            if let Some(state) = state {
                note(tx, (Kind::Customer.as_str(), &id), &watched, &state).await?;
            }
        }
    }
    Ok(())
}

/// Marks tags: by the window of their budget, or by all that was ever spent where they have none.
async fn mark_tags(
    tx: &mut Tx,
    windows: &BTreeMap<&str, ScopeState>,
    tags: &BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    let names = tags.keys().cloned().collect::<Vec<_>>();
    for names in names.chunks(LONGEST) {
        let names = padded(names);
        let places = placeholders(1, names.len());
        let mut query = sqlx::query(AssertSqlSafe(format!("{TAGS} ({places})")));
        for name in names {
            query = query.bind(name);
        }
        let now_us = tx.now_us();
        for row in query.fetch_all(tx.connection()).await? {
            let name: String = row.try_get("object_id")?;
            let watched = Watched::read(&row, now_us)?;
            let ever = ScopeState {
                spent: NanoUsd::saturating(unsigned(row.try_get("spend")?)),
                ..ScopeState::default()
            };
            let state = match watched.max {
                None => Some(ever),
                Some(_) => windows.get(RecordId::tag(&name).as_str()).copied(),
            };
            if let Some(state) = state {
                note(tx, (TAG, &name), &watched, &state).await?;
            }
        }
    }
    Ok(())
}

//! Sums by day: what reports read instead of the log.

use std::collections::BTreeMap;

use super::parts::{AnyQuery, insert};
use super::{DailyKey, DailySums};
use crate::store::{StoreError, Tx};

const DIMENSIONS: [&str; 6] = [
    "date",
    "api_key",
    "model",
    "model_group",
    "custom_llm_provider",
    "endpoint",
];
const SUMS: [&str; 10] = [
    "spend",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "api_requests",
    "successful_requests",
    "failed_requests",
    "total_response_time_ms",
    "timed_requests",
];

/// Adds changes to `daily_user_spend`.
pub(super) async fn add_users(
    tx: &mut Tx,
    changes: &BTreeMap<DailyKey, DailySums>,
) -> Result<(), StoreError> {
    add(tx, "daily_user_spend", "user_id", changes).await
}

/// Adds changes to `daily_team_spend`.
pub(super) async fn add_teams(
    tx: &mut Tx,
    changes: &BTreeMap<DailyKey, DailySums>,
) -> Result<(), StoreError> {
    add(tx, "daily_team_spend", "team_id", changes).await
}

async fn add(
    tx: &mut Tx,
    table: &str,
    entity: &str,
    changes: &BTreeMap<DailyKey, DailySums>,
) -> Result<(), StoreError> {
    let columns = [&[entity], &DIMENSIONS[..], &SUMS[..]].concat();
    let keys = [&[entity], &DIMENSIONS[..]].concat().join(", ");
    let sums = SUMS
        .map(|sum| format!("{sum} = {table}.{sum} + excluded.{sum}"))
        .join(", ");
    let on_conflict = format!("ON CONFLICT ({keys}) DO UPDATE SET {sums}");
    let changes = changes
        .iter()
        .filter(|(_, sums)| **sums != DailySums::default());
    let changes = changes.collect::<Vec<_>>();
    insert(tx, (table, &columns, &on_conflict), &changes, bind).await
}

fn bind(query: AnyQuery, (key, sums): &(&DailyKey, &DailySums)) -> AnyQuery {
    query
        .bind(key.entity.clone())
        .bind(key.date.clone())
        .bind(key.api_key.clone())
        .bind(key.model.clone())
        .bind(key.model_group.clone())
        .bind(key.provider.clone())
        .bind(key.endpoint.clone())
        .bind(sums.spend)
        .bind(sums.prompt_tokens)
        .bind(sums.completion_tokens)
        .bind(sums.cache_read)
        .bind(sums.cache_creation)
        .bind(sums.api_requests)
        .bind(sums.successful_requests)
        .bind(sums.failed_requests)
        .bind(sums.total_response_time_ms)
        .bind(sums.timed_requests)
}

//! Sums by day: what reports read instead of the log.

use std::collections::BTreeMap;

use super::parts::{AnyQuery, insert};
use super::{DailyKey, DailySums, Dimension, ErrorKey};
use crate::store::{StoreError, Tx};

/// The columns of [`DailySums`].
pub(in crate::store) const SUMS: [&str; 11] = [
    "spend",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_hits",
    "api_requests",
    "successful_requests",
    "failed_requests",
    "total_response_time_ms",
    "timed_requests",
];
const MODEL: [&str; 4] = ["model", "model_group", "custom_llm_provider", "endpoint"];
const ERRORS: [&str; 6] = [
    "date",
    "api_key",
    "user_id",
    "model_group",
    "endpoint",
    "http_status",
];

type Changes = BTreeMap<(Dimension, DailyKey), DailySums>;

/// Adds changes to the tables by key.
pub(super) async fn add(tx: &mut Tx, changes: &Changes) -> Result<(), StoreError> {
    for dimension in Dimension::ALL {
        let changes = of(changes, dimension);
        let keys = [&[dimension.column(), "date", "api_key"], &MODEL[..]].concat();
        upsert(tx, dimension.table(), &keys, &changes, |query, key| {
            query
                .bind(key.entity.clone())
                .bind(key.date.clone())
                .bind(key.api_key.clone())
        })
        .await?;
    }
    Ok(())
}

/// Adds changes to the sums over all keys.
pub(super) async fn add_over_keys(tx: &mut Tx, changes: &Changes) -> Result<(), StoreError> {
    let keys = [&["kind", "entity_id", "date"], &MODEL[..]].concat();
    for dimension in Dimension::ALL {
        let changes = of(changes, dimension);
        upsert(tx, "daily_spend", &keys, &changes, |query, key| {
            query
                .bind(dimension.over_keys())
                .bind(key.entity.clone())
                .bind(key.date.clone())
        })
        .await?;
    }
    Ok(())
}

fn of(changes: &Changes, dimension: Dimension) -> Vec<(&DailyKey, &DailySums)> {
    changes
        .iter()
        .filter(|((of, _), sums)| *of == dimension && **sums != DailySums::default())
        .map(|((_, key), sums)| (key, sums))
        .collect()
}

async fn upsert(
    tx: &mut Tx,
    table: &str,
    keys: &[&str],
    changes: &[(&DailyKey, &DailySums)],
    bind_first: impl Fn(AnyQuery, &DailyKey) -> AnyQuery,
) -> Result<(), StoreError> {
    let columns = [keys, &SUMS[..]].concat();
    let sums = SUMS
        .map(|sum| format!("{sum} = {table}.{sum} + excluded.{sum}"))
        .join(", ");
    let on_conflict = format!("ON CONFLICT ({}) DO UPDATE SET {sums}", keys.join(", "));
    insert(
        tx,
        (table, &columns, &on_conflict),
        changes,
        |query, (key, sums)| {
            bind_first(query, key)
                .bind(key.model.clone())
                .bind(key.model_group.clone())
                .bind(key.provider.clone())
                .bind(key.endpoint.clone())
                .bind(sums.spend)
                .bind(sums.prompt_tokens)
                .bind(sums.completion_tokens)
                .bind(sums.cache_read)
                .bind(sums.cache_creation)
                .bind(sums.cache_hits)
                .bind(sums.api_requests)
                .bind(sums.successful_requests)
                .bind(sums.failed_requests)
                .bind(sums.total_response_time_ms)
                .bind(sums.timed_requests)
        },
    )
    .await
}

/// Adds changes to the counts of failures.
pub(super) async fn add_errors(
    tx: &mut Tx,
    changes: &BTreeMap<ErrorKey, i64>,
) -> Result<(), StoreError> {
    let columns = [&ERRORS[..], &["requests"]].concat();
    let on_conflict = format!(
        "ON CONFLICT ({}) DO UPDATE SET requests = daily_errors.requests + excluded.requests",
        ERRORS.join(", ")
    );
    let changes = changes.iter().filter(|(_, requests)| **requests != 0);
    let changes = changes.collect::<Vec<_>>();
    insert(
        tx,
        ("daily_errors", &columns, &on_conflict),
        &changes,
        |query, (key, requests)| {
            query
                .bind(key.date.clone())
                .bind(key.api_key.clone())
                .bind(key.user_id.clone())
                .bind(key.model_group.clone())
                .bind(key.endpoint.clone())
                .bind(i64::from(key.http_status))
                .bind(**requests)
        },
    )
    .await
}

/// Adds to what keys have ever spent.
pub(super) async fn add_api_keys(
    tx: &mut Tx,
    changes: &BTreeMap<String, (i64, String)>,
) -> Result<(), StoreError> {
    const ON_CONFLICT: &str = "ON CONFLICT (api_key) DO UPDATE SET \
         spend = api_key_spend.spend + excluded.spend, \
         last_date = CASE WHEN excluded.last_date > api_key_spend.last_date \
         THEN excluded.last_date ELSE api_key_spend.last_date END";
    let changes = changes.iter().collect::<Vec<_>>();
    let into = (
        "api_key_spend",
        &["api_key", "spend", "last_date"][..],
        ON_CONFLICT,
    );
    insert(tx, into, &changes, |query, (api_key, (spend, date))| {
        query
            .bind((*api_key).clone())
            .bind(*spend)
            .bind(date.clone())
    })
    .await
}

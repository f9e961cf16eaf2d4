//! Keys.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::AnyConnection;

use crate::app::App;
use crate::error::ApiError;
use crate::store::budgets;
use crate::store::keys::KeyRow;
use crate::store::outbox::Kind;
use crate::store::spend::{Spent, spent};

mod alias;
mod aliases;
mod block;
mod bounds;
mod change;
mod delete;
mod fields;
mod generate;
mod grant;
mod health;
mod info;
pub(super) mod lifetime;
mod list;
mod ownership;
mod regenerate;
mod reset_spend;
mod rotates;
pub(super) mod shape;
mod team_bulk_update;
mod update;
mod who_may;

pub use aliases::{ALIASES, ALIASES_QUERY, aliases};
pub use block::{block, unblock};
pub use delete::{DELETED, delete};
pub(super) use fields::{
    all_texts, apply, asks, limits, refresh_at, spend, temporary_budget_alone, unenforced, window,
};
pub(super) use generate::{blank, insert_new};
pub use generate::{generate, service_account};
pub(super) use grant::{changed, limits_within, models_within, window_within};
pub use health::{HEALTH, health};
pub use info::{INFO, INFO_QUERY, INFO_V2, info, info_v2};
pub use list::{LIST_QUERY, LISTED, list};
pub use regenerate::{REGENERATE_QUERY, regenerate, regenerate_named};
pub(super) use reset_spend::amount as reset_amount;
pub use reset_spend::{RESET, reset_spend};
pub use shape::{CREATED, KEY, UPDATED};
pub use team_bulk_update::team_bulk_update;
pub use update::{BULK_UPDATED, bulk_update, update};

/// How long an answer waits for its key to reach Redis.
pub(super) const PUBLISH_WAIT: Duration = Duration::from_secs(2);

/// What keys have spent, by `key_id`.
pub(super) async fn spent_by(
    connection: &mut AnyConnection,
    app: &App,
    keys: &[KeyRow],
) -> Result<BTreeMap<String, Spent>, ApiError> {
    let ids = keys
        .iter()
        .map(|key| key.key_id.clone())
        .collect::<Vec<_>>();
    let now_ms = app.store.clock().now_ms();
    Ok(spent(connection, Kind::Key, &ids, now_ms, &app.settings().windows).await?)
}

/// The fields of keys as `/key/info` shows them.
pub(super) async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    keys: &[KeyRow],
    times: super::shape::Times,
) -> Result<Vec<Value>, ApiError> {
    let spent = spent_by(connection, app, keys).await?;
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let budget = match &key.budget_id {
            Some(id) => budgets::find(connection, id).await?,
            None => None,
        };
        let spent = spent.get(&key.key_id).copied().unwrap_or_default();
        let now_us = app.store.clock().now_us();
        let object = shape::row(
            key,
            spent,
            budget.as_ref(),
            now_us,
            &app.settings().windows,
            times,
        );
        all.push(Value::Object(object));
    }
    Ok(all)
}

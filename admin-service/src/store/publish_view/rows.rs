//! The statements and columns behind the published records.

use contract::limits::{Budget, Limits};
use contract::money::NanoUsd;
use contract::virtual_key::KeyHash;
use contract::window::BudgetWindow;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::budget_window::{BudgetDuration, WindowRules};
use crate::domain::further_limits::{FurtherLimits, MODEL_BUDGETS};
use crate::domain::temporary_budget;
use crate::store::access_groups::models_with;
use crate::store::budgets::Temporary;
use crate::store::outbox::unsigned;
use crate::store::row::Object;
use crate::store::{Store, StoreError};

/// A key, what its budget row adds, and whether its owners have rows (their revisions) or tombstones.
pub(super) const KEY_ROWS: &str = "SELECT k.key_id, k.token, k.rev, k.key_name, k.key_alias, k.user_id, k.team_id, k.key_type, k.models, \
     k.aliases, k.allowed_routes, k.blocked, k.expires, k.metadata, k.extra, k.created_at, \
     COALESCE(k.organization_id, t.organization_id) AS organization_id, \
     COALESCE(k.max_budget, b.max_budget) AS max_budget, \
     COALESCE(k.budget_duration, b.budget_duration) AS budget_duration, \
     COALESCE(k.budget_anchor, b.budget_anchor) AS budget_anchor, \
     COALESCE(k.tpm_limit, b.tpm_limit) AS tpm_limit, \
     COALESCE(k.rpm_limit, b.rpm_limit) AS rpm_limit, \
     COALESCE(k.max_parallel_requests, b.max_parallel_requests) AS max_parallel_requests, \
     b.model_max_budget AS budget_models, om.budget_id AS organization_budget_id, \
     u.rev AS user_rev, t.rev AS team_rev, m.rev AS member_rev, o.rev AS organization_rev, \
     ud.rev AS user_rev_dead, td.rev AS team_rev_dead, md.rev AS member_rev_dead, od.rev AS organization_rev_dead \
     FROM virtual_keys k \
     LEFT JOIN budgets b ON b.budget_id = k.budget_id \
     LEFT JOIN users u ON u.user_id = k.user_id \
     LEFT JOIN teams t ON t.team_id = k.team_id \
     LEFT JOIN team_members m ON m.team_id = k.team_id AND m.user_id = k.user_id \
     LEFT JOIN organizations o ON o.organization_id = COALESCE(k.organization_id, t.organization_id) \
     LEFT JOIN organization_members om ON om.user_id = k.user_id \
     AND om.organization_id = COALESCE(k.organization_id, t.organization_id) \
     LEFT JOIN tombstones ud ON ud.kind = 'user' AND ud.object_id = k.user_id \
     LEFT JOIN tombstones td ON td.kind = 'team' AND td.object_id = k.team_id \
     LEFT JOIN tombstones md ON md.kind = 'member' AND md.team_id = k.team_id AND md.user_id = k.user_id \
     LEFT JOIN tombstones od ON od.kind = 'organization' AND od.object_id = COALESCE(k.organization_id, t.organization_id)";

/// A user.
pub(super) const USER_ROWS: &str = "SELECT user_id, rev, user_role, blocked, models, max_budget, budget_duration, budget_anchor, \
     tpm_limit, rpm_limit, max_parallel_requests, metadata, extra, created_at, NULL AS budget_models FROM users";

/// A team.
pub(super) const TEAM_ROWS: &str = "SELECT team_id, rev, team_alias, blocked, models, model_aliases, \
     max_budget, budget_duration, budget_anchor, tpm_limit, rpm_limit, max_parallel_requests, metadata, extra, created_at, \
     NULL AS budget_models FROM teams";

/// A membership with the limits and models of its budget row.
pub(super) const MEMBER_ROWS: &str = "SELECT m.team_id, m.user_id, m.rev, b.max_budget, b.budget_duration, \
     b.budget_anchor, b.tpm_limit, b.rpm_limit, b.max_parallel_requests, b.model_max_budget AS budget_models, \
     b.temp_budget_increase, b.temp_budget_expiry, COALESCE(b.allowed_models, '[]') AS models, '{}' AS metadata, '{}' AS extra, \
     COALESCE(b.created_at, m.created_at) AS created_at \
     FROM team_members m LEFT JOIN budgets b ON b.budget_id = m.budget_id";

/// An organization with the limits of its budget row.
pub(super) const ORGANIZATION_ROWS: &str = "SELECT o.organization_id, o.rev, o.organization_alias, o.models, o.metadata, o.extra, \
     o.created_at, b.max_budget, b.budget_duration, b.budget_anchor, b.tpm_limit, b.rpm_limit, b.max_parallel_requests, \
     b.model_max_budget AS budget_models \
     FROM organizations o LEFT JOIN budgets b ON b.budget_id = o.budget_id";

/// The limits of a row that has the limit columns, and what its `extra`, its metadata and its budget row's budgets by model add.
pub(super) fn limits(row: &AnyRow, now_us: u64, rules: &WindowRules) -> Result<Limits, StoreError> {
    let mut limits = Limits {
        rpm: number(row, "rpm_limit")?.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        tpm: number(row, "tpm_limit")?,
        parallel: number(row, "max_parallel_requests")?
            .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        budget: match number(row, "max_budget")? {
            Some(nano) => Some(Budget {
                max: NanoUsd::saturating(nano),
                window: window(row, now_us, rules)?,
            }),
            None => None,
        },
        ..Limits::default()
    };
    let created_us = number(row, "created_at")?.unwrap_or(0);
    further(row)?.put(&mut limits, created_us, now_us, rules);
    Ok(limits)
}

/// What a row limits beyond its columns.
pub(in crate::store) fn further(row: &AnyRow) -> Result<FurtherLimits, StoreError> {
    let own: [Object; 2] = [json(row, "extra")?, json(row, "metadata")?];
    let read = |places: &[&Object]| {
        FurtherLimits::read(places).map_err(|wrong| {
            StoreError::Corrupt(format!(
                "{}.{}: expected {}",
                wrong.field,
                wrong.at.join("."),
                wrong.expected
            ))
        })
    };
    let further = read(&[&own[0], &own[1]])?;
    let Some(text) = row.try_get::<Option<String>, _>("budget_models")? else {
        return Ok(further);
    };
    let models = serde_json::from_str(&text)
        .map_err(|error| StoreError::Corrupt(format!("model_max_budget: {error}")))?;
    let mut shared = Object::new();
    shared.insert(MODEL_BUDGETS.to_owned(), models);
    Ok(further.or(read(&[&shared])?))
}

/// What a row's list of models and its groups let call.
pub(super) fn models(row: &AnyRow) -> Result<Vec<String>, StoreError> {
    let models: Vec<String> = json(row, "models")?;
    Ok(models_with(&models, &json(row, "extra")?))
}

/// The tags that a row's metadata puts on every request.
pub(super) fn tags(row: &AnyRow) -> Result<Vec<String>, StoreError> {
    let metadata: Object = json(row, "metadata")?;
    let tags = metadata.get("tags").and_then(serde_json::Value::as_array);
    let texts = tags.into_iter().flatten().filter_map(|tag| tag.as_str());
    Ok(texts.map(str::to_owned).collect())
}

/// A key's limits, with the temporary increase that its metadata may hold.
pub(super) fn key_limits(
    row: &AnyRow,
    now_us: u64,
    rules: &WindowRules,
) -> Result<Limits, StoreError> {
    let mut limits = limits(row, now_us, rules)?;
    if limits.budget.is_some() {
        limits.raise = temporary_budget::raise(&json(row, "metadata")?, now_us);
    }
    Ok(limits)
}

/// A membership's limits, with the temporary increase of its budget row.
pub(super) fn member_limits(
    row: &AnyRow,
    now_us: u64,
    rules: &WindowRules,
) -> Result<Limits, StoreError> {
    let mut limits = limits(row, now_us, rules)?;
    if limits.budget.is_some() {
        limits.raise = Temporary::read(row)?.and_then(|temporary| temporary.raise(now_us));
    }
    Ok(limits)
}

fn window(row: &AnyRow, now_us: u64, rules: &WindowRules) -> Result<BudgetWindow, StoreError> {
    let Some(text) = row.try_get::<Option<String>, _>("budget_duration")? else {
        return Ok(BudgetWindow::Lifetime);
    };
    let duration = BudgetDuration::parse_stored(&text)
        .ok_or_else(|| StoreError::Corrupt(format!("budget_duration = {text:?}")))?;
    let anchor_us = number(row, "budget_anchor")?.unwrap_or(0);
    Ok(duration.window(anchor_us, now_us, rules))
}

/// Teams in which a user has keys: partitions that need the user's record too.
pub(super) async fn teams_with_keys(
    store: &Store,
    user_id: &str,
) -> Result<Vec<String>, StoreError> {
    sqlx::query(
        "SELECT DISTINCT team_id FROM virtual_keys WHERE user_id = $1 AND team_id IS NOT NULL",
    )
    .bind(user_id)
    .fetch_all(&mut *store.read().await?)
    .await?
    .iter()
    .map(|row| Ok(row.try_get("team_id")?))
    .collect()
}

pub(super) fn hash(row: &AnyRow) -> Result<KeyHash, StoreError> {
    let token: String = row.try_get("token")?;
    KeyHash::parse(&token).ok_or_else(|| StoreError::Corrupt(format!("token = {token:?}")))
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

pub(super) fn flag(row: &AnyRow, column: &str) -> Result<bool, StoreError> {
    Ok(row
        .try_get::<Option<i16>, _>(column)?
        .is_some_and(|flag| flag != 0))
}

pub(super) fn time_ms(row: &AnyRow, column: &str) -> Result<Option<u64>, StoreError> {
    Ok(number(row, column)?.map(|us| us / 1_000))
}

fn number(row: &AnyRow, column: &str) -> Result<Option<u64>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(unsigned))
}

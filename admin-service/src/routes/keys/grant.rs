//! How much somebody who is no admin may give a key: never more than they have.
//!
//! Decides: whether a key stays within its owner (its team, or its user where it has none) and within the key that the caller came with.
//! Leaves to `ownership` who may touch the key at all. Failure stance: an owner who is not there owns nothing, so the key is refused; what a
//! request leaves open is filled from the calling key.

use contract::money::NanoUsd;
use serde_json::Value;
use sqlx::AnyConnection;

use super::fields;
use crate::caller::{Caller, CallerKey};
use crate::domain::budget_window::WindowRules;
use crate::domain::temporary_budget;
use crate::error::{AccessRefusal, ApiError, GrantRefusal};
use crate::settings::SelfServeBudgets;
use crate::store::keys::{self, KeyRow};
use crate::store::row::LimitColumns;
use crate::store::{Tx, budgets, teams, users};

mod compare;
pub(super) mod further;

use compare::routes_within;
pub(in crate::routes) use compare::{changed, limits_within, models_within, window_within};

/// A key's limits as they are published: where its own are open, its budget row's.
pub(super) async fn limits_of(
    connection: &mut AnyConnection,
    key: &KeyRow,
) -> Result<LimitColumns, ApiError> {
    let shared = match &key.budget_id {
        Some(id) => budgets::find(connection, id).await?,
        None => None,
    };
    Ok(key
        .limits
        .clone()
        .or(shared.map(|row| row.limits).unwrap_or_default()))
}

/// The most that a key may spend: its budget with its temporary increase. None: no limit.
pub(super) async fn most_budget(
    connection: &mut AnyConnection,
    key: &KeyRow,
    now_us: u64,
) -> Result<Option<NanoUsd>, ApiError> {
    let max = limits_of(connection, key).await?.max_budget;
    let more = temporary_budget::increase(&Value::Object(key.metadata.clone()), now_us);
    let more = more.map_or(0, NanoUsd::get);
    Ok(max.map(|max| NanoUsd::saturating(max.get().saturating_add(more))))
}

/// The limits of a key with the most that it may spend.
async fn most(
    connection: &mut AnyConnection,
    key: &KeyRow,
    now_us: u64,
) -> Result<LimitColumns, ApiError> {
    let max_budget = most_budget(connection, key, now_us).await?;
    Ok(LimitColumns {
        max_budget,
        ..limits_of(connection, key).await?
    })
}

/// The key has no more than its user or team.
pub(super) async fn within_own(
    connection: &mut AnyConnection,
    key: &KeyRow,
    now_us: u64,
) -> Result<(), ApiError> {
    let missing = |field, id: &str| {
        let id = id.to_owned();
        ApiError::from(GrantRefusal::OwnerMissing { field, id })
    };
    let (models, limits) = match (&key.team_id, &key.user_id) {
        (Some(id), _) => {
            let team = teams::find(connection, id).await?;
            let team = team.ok_or_else(|| missing("team_id", id))?;
            (team.callable(), team.limits)
        }
        (None, Some(id)) => {
            let user = users::find(connection, users::Which::Id(id)).await?;
            let user = user.ok_or_else(|| missing("user_id", id))?;
            (user.models, user.limits)
        }
        (None, None) => return Err(missing("user_id", "None")),
    };
    models_within(&key.callable(), &models, key.team_id.is_some())?;
    limits_within(&most(connection, key, now_us).await?, &limits)
}

/// What is new about a key is within the virtual key that the caller came with. A new key gets the caller's limits, and its team, where it
/// says nothing; so does a change that clears a limit.
pub(super) async fn within_caller(
    tx: &mut Tx,
    caller: &Caller,
    key: &mut KeyRow,
    before: Option<&KeyRow>,
    rules: &WindowRules,
) -> Result<(), ApiError> {
    let CallerKey::Virtual { token, .. } = &caller.key else {
        return Ok(());
    };
    let now_us = tx.now_us();
    let found = keys::find(tx.connection(), keys::Which::Token(token)).await?;
    let own = found.ok_or(AccessRefusal::UnknownKey)?;
    if before.is_none() && key.team_id.is_none() {
        key.team_id.clone_from(&own.team_id);
    }
    if own.team_id.is_some() && key.team_id != own.team_id {
        let named = |team: &Option<String>| team.clone().unwrap_or_else(|| "None".to_owned());
        return Err(GrantRefusal::MoreThanOwn {
            field: "team_id",
            asked: named(&key.team_id),
            own: named(&own.team_id),
        }
        .into());
    }
    let all_of_team = own.models.iter().any(|model| model == "all-team-models");
    if before.is_none_or(|before| before.callable() != key.callable()) {
        if key.models.is_empty() {
            key.models = own.callable();
        } else if !all_of_team {
            // Whoever has the team's models makes keys of this team only, and those are held to the team's.
            models_within(&key.callable(), &own.callable(), false)?;
        }
    }
    if before.is_none_or(|before| before.allowed_routes != key.allowed_routes) {
        if key.allowed_routes.is_empty() {
            key.allowed_routes.clone_from(&own.allowed_routes);
        } else {
            routes_within(&key.allowed_routes, &own.allowed_routes)?;
        }
    }
    further::within(key, &own, before)?;
    let own = limits_of(tx.connection(), &own).await?;
    let was = match before {
        Some(before) => Some(most(tx.connection(), before, now_us).await?),
        None => None,
    };
    let asked = most(tx.connection(), key, now_us).await?;
    key.limits = filled(&key.limits, &asked, was.as_ref(), &own);
    let asked = changed(most(tx.connection(), key, now_us).await?, was);
    limits_within(&asked, &own)?;
    window_within(&asked, &own)?;
    key.refresh_at = fields::refresh_at(key, now_us, rules);
    Ok(())
}

/// Whoever is shown a key's value holds that key: it is no more than the one that the caller came with.
pub(super) async fn value_within_caller(
    tx: &mut Tx,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    let CallerKey::Virtual { token, .. } = &caller.key else {
        return Ok(());
    };
    if *token == key.token {
        return Ok(());
    }
    let now_us = tx.now_us();
    let found = keys::find(tx.connection(), keys::Which::Token(token)).await?;
    let own = found.ok_or(AccessRefusal::UnknownKey)?;
    let open = |field, own: String| {
        let asked = "None".to_owned();
        Err(GrantRefusal::MoreThanOwn { field, asked, own }.into())
    };
    if let Some(team) = &own.team_id
        && key.team_id != own.team_id
    {
        return open("team_id", team.clone());
    }
    let all_models = |models: &[String]| {
        let is_all = |model: &String| matches!(model.as_str(), "*" | "all-proxy-models");
        models.is_empty() || models.iter().any(is_all)
    };
    if all_models(&key.models) && !all_models(&own.models) {
        return open("models", own.models.join(", "));
    }
    // Both are in the same team where the caller's key says "the models of its team".
    if !own.models.iter().any(|model| model == "all-team-models") {
        models_within(&key.callable(), &own.callable(), false)?;
    }
    if key.allowed_routes.is_empty() && !own.allowed_routes.is_empty() {
        return open("allowed_routes", own.allowed_routes.join(", "));
    }
    routes_within(&key.allowed_routes, &own.allowed_routes)?;
    further::all_within(key, &own)?;
    let own = limits_of(tx.connection(), &own).await?;
    let asked = most(tx.connection(), key, now_us).await?;
    for (field, asked, own) in [
        (
            "max_budget",
            asked.max_budget.map(|_| ()),
            own.max_budget.map(|max| max.to_string()),
        ),
        (
            "max_parallel_requests",
            asked.max_parallel_requests.map(|_| ()),
            own.max_parallel_requests.map(|limit| limit.to_string()),
        ),
        (
            "tpm_limit",
            asked.tpm_limit.map(|_| ()),
            own.tpm_limit.map(|limit| limit.to_string()),
        ),
        (
            "rpm_limit",
            asked.rpm_limit.map(|_| ()),
            own.rpm_limit.map(|limit| limit.to_string()),
        ),
    ] {
        if let (None, Some(own)) = (asked, own) {
            return open(field, own);
        }
    }
    limits_within(&asked, &own)?;
    window_within(&asked, &own)
}

/// What `self_serve_budget_policy` lets a key's owner do to its budgets.
pub(super) fn self_served(
    policy: SelfServeBudgets,
    before: &KeyRow,
    after: &KeyRow,
) -> Result<(), ApiError> {
    if policy != SelfServeBudgets::LowerOnly {
        return Ok(());
    }
    let lowered = |before: Option<NanoUsd>, after: Option<NanoUsd>| match (before, after) {
        (None, _) => true,
        (Some(before), Some(after)) => after <= before,
        (Some(_), None) => false,
    };
    if !lowered(before.limits.max_budget, after.limits.max_budget) {
        return Err(GrantRefusal::SelfServeBudget("max_budget").into());
    }
    if further::windows(after)
        .beyond(&further::windows(before))
        .is_some()
    {
        return Err(GrantRefusal::SelfServeBudget("budget_limits").into());
    }
    Ok(())
}

/// The columns of a key with the caller's limits where it has none now and had one, or is new.
fn filled(
    columns: &LimitColumns,
    asked: &LimitColumns,
    was: Option<&LimitColumns>,
    own: &LimitColumns,
) -> LimitColumns {
    let open = |limit: fn(&LimitColumns) -> bool| !limit(asked) && was.is_none_or(limit);
    let mut columns = columns.clone();
    if open(|limits| limits.max_parallel_requests.is_some()) {
        columns.max_parallel_requests = own.max_parallel_requests;
    }
    if open(|limits| limits.tpm_limit.is_some()) {
        columns.tpm_limit = own.tpm_limit;
    }
    if open(|limits| limits.rpm_limit.is_some()) {
        columns.rpm_limit = own.rpm_limit;
    }
    if open(|limits| limits.max_budget.is_some()) {
        columns.max_budget = own.max_budget;
        if asked.budget_duration.is_none() {
            columns.budget_duration.clone_from(&own.budget_duration);
            columns.budget_anchor = own.budget_anchor;
        }
    }
    columns
}

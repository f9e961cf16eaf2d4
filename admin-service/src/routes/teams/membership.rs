//! Joining a team, and the budget rows that limit members.

use contract::money::NanoUsd;

use super::fields::{MemberLimits, SHARED_BUDGET};
use super::rights::{self, Standing};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Authorized, Writes};
use crate::request::Patch;
use crate::routes::keys;
use crate::store::Tx;
use crate::store::budgets::{self, BudgetRow};
use crate::store::members::{self, MemberRow};
use crate::store::row::LimitColumns;
use crate::store::teams::TeamRow;
use crate::store::users::UserRow;

/// How somebody joins a team.
#[derive(Clone, Debug, Default)]
pub(in crate::routes) struct Joining {
    /// The team.
    pub(in crate::routes) team_id: String,
    /// Whether as its admin.
    pub(in crate::routes) admin: bool,
    /// A budget of their own.
    pub(in crate::routes) max_budget: Option<NanoUsd>,
    /// Its window.
    pub(in crate::routes) budget_duration: Patch<String>,
    /// Models that they may call, of the team's.
    pub(in crate::routes) allowed_models: Option<Vec<String>>,
}

impl Joining {
    /// Whoever is no proxy admin gives a member no more than the team has.
    pub(super) fn within(&self, team: &TeamRow, standing: Standing) -> Result<(), ApiError> {
        if standing == Standing::Proxy {
            return Ok(());
        }
        let asked = LimitColumns {
            max_budget: self.max_budget,
            budget_duration: self.budget_duration.clone().value(),
            ..LimitColumns::default()
        };
        rights::limits_within(&asked, &team.limits)
    }
}

/// Adds a member to a team whose row is locked. One with a budget of their own gets a row of their own, the others share the team's.
pub(in crate::routes) async fn join<R: Writes>(
    tx: &mut Tx,
    app: &App,
    by: &Authorized<R>,
    team: &TeamRow,
    user: &UserRow,
    joining: &Joining,
) -> Result<MemberRow, ApiError> {
    let role = if joining.admin { "admin" } else { "user" };
    let mut member = MemberRow::new(&team.team_id, &user.user_id, role);
    member.user_email.clone_from(&user.user_email);
    let now_us = tx.now_us();
    let shared = team
        .metadata
        .get(SHARED_BUDGET)
        .and_then(|id| id.as_str())
        .map(str::to_owned);
    let own = joining.max_budget.is_some()
        || joining.budget_duration.is_present()
        || joining.allowed_models.is_some();
    let budget = if own {
        let mut row = BudgetRow {
            budget_id: uuid::Uuid::new_v4().to_string(),
            ..BudgetRow::default()
        };
        if let Some(shared) = &shared
            && let Some(shared) = budgets::find(tx.connection(), shared).await?
        {
            row.limits = shared.limits;
            row.model_max_budget = shared.model_max_budget;
        }
        row.limits.max_budget = joining.max_budget.or(row.limits.max_budget);
        if let Some(models) = &joining.allowed_models {
            row.allowed_models.clone_from(models);
        }
        keys::window(&mut row.limits, joining.budget_duration.clone(), now_us)?;
        budgets::put(tx, by, &mut row).await?;
        Some(row)
    } else {
        match &shared {
            Some(id) => budgets::find(tx.connection(), id).await?,
            None => None,
        }
    };
    if let Some(budget) = budget {
        member.refresh_at = budget.refresh_at(now_us, &app.settings().windows);
        member.budget_id = Some(budget.budget_id);
    }
    members::insert(tx, by, &mut member).await?;
    Ok(member)
}

/// Puts the limits that every member gets into the team's shared budget row, and has those it limits published again. `team` is locked and
/// is written by the caller.
pub(super) async fn share<R: Writes>(
    tx: &mut Tx,
    app: &App,
    by: &Authorized<R>,
    team: &mut TeamRow,
    limits: &MemberLimits,
) -> Result<(), ApiError> {
    if !limits.any() {
        return Ok(());
    }
    let now_us = tx.now_us();
    let known = team
        .metadata
        .get(SHARED_BUDGET)
        .and_then(|id| id.as_str())
        .map(str::to_owned);
    let mut row = match &known {
        Some(id) => budgets::lock(tx, id).await?.unwrap_or_default(),
        None => BudgetRow::default(),
    };
    if row.budget_id.is_empty() {
        let id = format!("team-budget-{}", uuid::Uuid::new_v4().simple());
        row.budget_id = known.clone().unwrap_or(id);
    }
    limits.max_budget.clone().apply(&mut row.limits.max_budget);
    limits.rpm_limit.clone().apply(&mut row.limits.rpm_limit);
    limits.tpm_limit.clone().apply(&mut row.limits.tpm_limit);
    let budgets_of_models = limits.model_max_budget.clone();
    budgets_of_models.apply(&mut row.model_max_budget);
    keys::window(&mut row.limits, limits.budget_duration.clone(), now_us)?;
    budgets::put(tx, by, &mut row).await?;
    team.metadata
        .insert(SHARED_BUDGET.into(), row.budget_id.clone().into());
    let refresh_at = row.refresh_at(now_us, &app.settings().windows);
    for mut member in members::of_team(tx.connection(), &team.team_id).await? {
        // Members with a row of their own keep it; those without any get the shared one.
        let shares = member
            .budget_id
            .as_ref()
            .is_none_or(|id| *id == row.budget_id);
        if shares {
            member.budget_id = Some(row.budget_id.clone());
            members::touch(tx, &member, refresh_at).await?;
        }
    }
    Ok(())
}

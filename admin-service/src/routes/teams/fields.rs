//! The fields of a team: what a request puts where.

use contract::money::NanoUsd;
use serde_json::Value;

use crate::domain::budget_window::{WindowRules, duration_us};
use crate::domain::further_limits::{FurtherLimits, MEMBER_MODEL_BUDGETS};
use crate::error::{ApiError, RequestRefusal};
use crate::request::{Body, Patch};
use crate::routes::keys::{self, lifetime};
use crate::store::row::Object;
use crate::store::teams::TeamRow;

/// The metadata entry that names the budget row which members share.
pub(super) const SHARED_BUDGET: &str = "team_member_budget_id";

/// What a request says of the limits that every member gets.
#[derive(Clone, Debug, Default)]
pub(super) struct MemberLimits {
    pub(super) max_budget: Patch<NanoUsd>,
    pub(super) rpm_limit: Patch<u64>,
    pub(super) tpm_limit: Patch<u64>,
    pub(super) budget_duration: Patch<String>,
    pub(super) model_max_budget: Patch<Object>,
}

impl MemberLimits {
    pub(super) fn take(body: &mut Body) -> Result<Self, ApiError> {
        Ok(Self {
            max_budget: body.money("team_member_budget")?,
            rpm_limit: body.whole("team_member_rpm_limit"),
            tpm_limit: body.whole("team_member_tpm_limit"),
            budget_duration: body.text("team_member_budget_duration"),
            model_max_budget: body.object(MEMBER_MODEL_BUDGETS),
        })
    }

    /// Whether the request says anything of them.
    pub(super) fn any(&self) -> bool {
        self.max_budget.is_present()
            || self.rpm_limit.is_present()
            || self.tpm_limit.is_present()
            || self.budget_duration.is_present()
            || self.model_max_budget.is_present()
    }
}

/// Puts everything that `body` says into `team`; what it does not say stays.
pub(in crate::routes) fn apply(
    team: &mut TeamRow,
    mut body: Body,
    now_us: u64,
    rules: &WindowRules,
) -> Result<(), ApiError> {
    keys::limits(&mut team.limits, &mut body, now_us)?;
    body.money("soft_budget")?.apply(&mut team.soft_budget);
    body.text("team_alias").apply(&mut team.team_alias);
    body.text("organization_id")
        .apply(&mut team.organization_id);
    body.flag("blocked").apply_or(&mut team.blocked, false);
    body.texts("models").apply_or(&mut team.models, Vec::new());
    body.object("model_aliases")
        .apply_or(&mut team.model_aliases, Object::new());
    keys::all_texts("model_aliases", &team.model_aliases)?;
    body.texts("team_member_permissions")
        .apply_or(&mut team.team_member_permissions, Vec::new());
    if let Some(Value::String(text)) = body.get(lifetime::FIELD)
        && duration_us(text).is_none()
    {
        return Err(RequestRefusal::BadDuration.into());
    }
    let shared = team.metadata.get(SHARED_BUDGET).cloned();
    body.object("metadata")
        .apply_or(&mut team.metadata, Object::new());
    // The service's own entry outlives a replacement of the metadata.
    if let Some(shared) = shared {
        team.metadata.insert(SHARED_BUDGET.into(), shared);
    }
    for name in [
        "tags",
        "guardrails",
        "model_rpm_limit",
        "model_tpm_limit",
        "rpm_limit_type",
        "tpm_limit_type",
    ] {
        match body.take(name) {
            Patch::Absent => {}
            Patch::Null => {
                team.metadata.remove(name);
            }
            Patch::Set(value) => {
                team.metadata.insert(name.to_owned(), value);
            }
        }
    }
    for (name, value) in body.rest() {
        match value {
            Value::Null => {
                team.extra.remove(&name);
            }
            value => {
                team.extra.insert(name, value);
            }
        }
    }
    team.refresh_at = FurtherLimits::refresh(
        team.limits.refresh_at(now_us, rules),
        &[&team.extra, &team.metadata],
        team.created_at,
        now_us,
        rules,
    );
    Ok(())
}

//! `POST /team/{team_id}/member/{user_id}/reset_spend`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use contract::money::NanoUsd;
use serde_json::json;

use super::rights;
use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::{ApiError, KeyRefusal, TeamRefusal};
use crate::openapi::schema::{NUMBER, NUMBER_OR_NULL, Record, TEXT};
use crate::policy::{Authorized, TeamMemberResetSpend};
use crate::request::{Body, RESET_SPEND};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::routes::shape::{dollars, maybe_dollars};
use crate::store::audit::{self, record};
use crate::store::outbox::{Kind, member_object};
use crate::store::spend::{Reset, reset};
use crate::store::{Change, Tx, budgets, members, teams};

/// The answer.
pub static SPEND_RESET: Record = Record::new(
    "MemberSpendReset",
    &[
        ("team_id user_id", TEXT),
        ("spend previous_spend", NUMBER),
        ("max_budget", NUMBER_OR_NULL),
    ],
);

/// Sets back what a member has spent in the team in its budget window. What the team and the member's keys have spent stays.
pub async fn reset_spend(
    State(app): State<App>,
    by: Authorized<TeamMemberResetSpend>,
    Path((team_id, user_id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, RESET_SPEND)?;
    let to = keys::reset_amount(body.get("reset_to").cloned().unwrap_or_default())?;
    let settings = app.settings();
    let change = ResetSpend {
        by: &by,
        team_id,
        user_id,
        to,
        rules: &settings.windows,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (max_budget, before) = done.value;
    Ok(Answer::new(json!({
        "team_id": change.team_id,
        "user_id": change.user_id,
        "spend": dollars(to),
        "previous_spend": dollars(before),
        "max_budget": maybe_dollars(max_budget),
    }))
    .ignoring(&body.ignored)
    .published(published))
}

struct ResetSpend<'a> {
    by: &'a Authorized<TeamMemberResetSpend>,
    team_id: String,
    user_id: String,
    to: NanoUsd,
    rules: &'a WindowRules,
}

impl Change for ResetSpend<'_> {
    /// The member's budget, and what it had spent.
    type Answer = (Option<NanoUsd>, NanoUsd);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let team = found.ok_or_else(|| TeamRefusal::MemberTeamMissing(self.team_id.clone()))?;
        rights::must_administer(tx.connection(), self.by, &team).await?;
        let member = members::find(tx.connection(), &self.team_id, &self.user_id).await?;
        let member = member.ok_or(TeamRefusal::NotAMember)?;
        let object = member_object(&self.team_id, &self.user_id);
        let done = reset(tx, self.by, Kind::Member, &object, self.to, self.rules).await?;
        let before = match done {
            Reset::From(before) => before,
            Reset::Less(spent) => {
                let (asked, spent) = (self.to.to_string(), spent.to_string());
                return Err(KeyRefusal::ResetAboveSpend { asked, spent }.into());
            }
        };
        let change = audit::Change {
            action: "updated",
            table: members::TABLE,
            object_id: &object,
            before: Some(json!({"spend": before.get()})),
            after: Some(json!({"spend": self.to.get()})),
        };
        record(tx, self.by, change).await?;
        let budget = match &member.budget_id {
            Some(id) => budgets::find(tx.connection(), id).await?,
            None => None,
        };
        Ok((budget.and_then(|row| row.limits.max_budget), before))
    }
}

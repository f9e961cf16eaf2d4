//! `POST /team/{team_id}/member/{user_id}/reset_budget`.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::fields::SHARED_BUDGET;
use super::rights;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, word};
use crate::policy::{Authorized, TeamMemberResetBudget};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::members::{self, MemberRow};
use crate::store::{Change, Tx, budgets, teams};

/// The answer of `reset_budget`.
pub static BUDGET_RESET: Record = Record::new(
    "MemberBudgetReset",
    &[
        ("team_id user_id", TEXT),
        ("budget_id previous_budget_id", TEXT_OR_NULL),
        ("budget_source", word(&["team_default", "custom", "none"])),
    ],
);

/// Gives a member the limits that the team's members share, in place of its own.
pub async fn reset_budget(
    State(app): State<App>,
    by: Authorized<TeamMemberResetBudget>,
    Path((team_id, user_id)): Path<(String, String)>,
) -> Result<Answer, ApiError> {
    let change = Reset {
        app: &app,
        by: &by,
        team_id,
        user_id,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (member, previous) = done.value;
    let source = if member.budget_id.is_some() {
        "team_default"
    } else {
        "none"
    };
    Ok(Answer::new(json!({
        "team_id": member.team_id,
        "user_id": member.user_id,
        "budget_id": member.budget_id,
        "previous_budget_id": previous,
        "budget_source": source,
    }))
    .published(published))
}

struct Reset<'a> {
    app: &'a App,
    by: &'a Authorized<TeamMemberResetBudget>,
    team_id: String,
    user_id: String,
}

impl Change for Reset<'_> {
    type Answer = (MemberRow, Option<String>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let team = found.ok_or_else(|| TeamRefusal::MemberTeamMissing(self.team_id.clone()))?;
        rights::must_administer(tx.connection(), self.by, &team).await?;
        let before = members::find(tx.connection(), &self.team_id, &self.user_id).await?;
        let before = before.ok_or(TeamRefusal::NotAMember)?;
        let mut member = before.clone();
        let shared = team.metadata.get(SHARED_BUDGET).and_then(Value::as_str);
        let budget = match shared {
            Some(id) => budgets::find(tx.connection(), id).await?,
            None => None,
        };
        let now_us = tx.now_us();
        let settings = self.app.settings();
        member.refresh_at = budget
            .as_ref()
            .and_then(|row| row.refresh_at(now_us, &settings.windows));
        member.budget_id = budget.map(|row| row.budget_id);
        members::update(tx, self.by, &before, &mut member).await?;
        Ok((member, before.budget_id))
    }
}

//! `POST /team/member_update`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::{Value, json};

use super::fields::SHARED_BUDGET;
use super::member_delete::Who;
use super::rights::{self, Standing};
use crate::app::App;
use crate::domain::temporary_budget;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{ANY, NUMBER_OR_NULL, Record, TEXT, TEXT_OR_NULL, WHOLE_OR_NULL};
use crate::policy::{Authorized, TeamMemberUpdate};
use crate::request::{Body, MEMBER_UPDATE, Patch};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT, temporary_budget_alone};
use crate::routes::shape::dollars;
use crate::store::budgets::{self, BudgetRow, Temporary};
use crate::store::members::{self, MemberRow};
use crate::store::row::Object;
use crate::store::teams::{self, TeamRow};
use crate::store::{Change, Tx};

/// The answer: what was asked for.
pub static MEMBER_UPDATED: Record = Record::new(
    "UpdatedMember",
    &[
        ("user_id team_id", TEXT),
        (
            "user_email budget_duration temp_budget_expiry",
            TEXT_OR_NULL,
        ),
        ("max_budget_in_team temp_budget_increase", NUMBER_OR_NULL),
        ("tpm_limit rpm_limit", WHOLE_OR_NULL),
        ("allowed_models model_max_budget", ANY),
    ],
);

/// Changes a member's role and limits. Limits of its own begin as the ones that it shared until now.
pub async fn member_update(
    State(app): State<App>,
    by: Authorized<TeamMemberUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, MEMBER_UPDATE)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = keys::unenforced(&body);
    let echoed = echo(&body);
    let team_id = body.text("team_id").value().unwrap_or_default();
    let who = Who::take(&mut body)?;
    let change = Update {
        app: &app,
        by: &by,
        team_id: team_id.clone(),
        who,
        role: body.text("role").value(),
        limits: Limits::take(&mut body)?,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut answer = echoed;
    answer.insert("user_id".into(), json!(done.value.user_id));
    answer.insert("user_email".into(), json!(done.value.user_email));
    answer.insert("team_id".into(), json!(team_id));
    Ok(Answer::new(Value::Object(answer))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

/// LiteLLM answers what was asked for.
fn echo(body: &Body) -> Object {
    let mut object = Object::new();
    for name in [
        "max_budget_in_team",
        "tpm_limit",
        "rpm_limit",
        "budget_duration",
        "allowed_models",
        "temp_budget_increase",
        "temp_budget_expiry",
        "model_max_budget",
    ] {
        let value = body.get(name).cloned().unwrap_or_default();
        object.insert(name.to_owned(), value);
    }
    // A budget is printed as money whatever way it was written.
    if let Some(Ok(budget)) = body
        .get("max_budget_in_team")
        .filter(|value| !value.is_null())
        .map(|value| NanoUsd::parse(&value.to_string()))
    {
        object.insert("max_budget_in_team".into(), dollars(budget));
    }
    object
}

/// Limits that a request gives a member.
struct Limits {
    max_budget: Patch<NanoUsd>,
    tpm_limit: Patch<u64>,
    rpm_limit: Patch<u64>,
    budget_duration: Patch<String>,
    allowed_models: Patch<Vec<String>>,
    model_max_budget: Patch<Object>,
    temporary: Patch<Temporary>,
}

impl Limits {
    fn take(body: &mut Body) -> Result<Self, ApiError> {
        Ok(Self {
            max_budget: body.money("max_budget_in_team")?,
            tpm_limit: body.whole("tpm_limit"),
            rpm_limit: body.whole("rpm_limit"),
            budget_duration: body.text("budget_duration"),
            allowed_models: body.texts("allowed_models"),
            model_max_budget: body.object("model_max_budget"),
            temporary: temporary(body)?,
        })
    }

    fn any(&self) -> bool {
        self.max_budget.is_present()
            || self.tpm_limit.is_present()
            || self.rpm_limit.is_present()
            || self.budget_duration.is_present()
            || self.allowed_models.is_present()
            || self.model_max_budget.is_present()
            || self.temporary.is_present()
    }

    fn apply(&self, row: &mut BudgetRow, now_us: u64) -> Result<(), ApiError> {
        self.max_budget.clone().apply(&mut row.limits.max_budget);
        self.tpm_limit.clone().apply(&mut row.limits.tpm_limit);
        self.rpm_limit.clone().apply(&mut row.limits.rpm_limit);
        let models = self.allowed_models.clone();
        models.apply_or(&mut row.allowed_models, Vec::new());
        let budgets = self.model_max_budget.clone();
        budgets.apply(&mut row.model_max_budget);
        self.temporary.clone().apply(&mut row.temporary);
        keys::window(&mut row.limits, self.budget_duration.clone(), now_us)
    }
}

/// The two fields of a temporary increase, which are sent together.
fn temporary(body: &mut Body) -> Result<Patch<Temporary>, ApiError> {
    let increase = body.money(temporary_budget::INCREASE)?;
    let expiry = body.text(temporary_budget::EXPIRY);
    match (increase, expiry) {
        (Patch::Absent, Patch::Absent) => Ok(Patch::Absent),
        (Patch::Null, Patch::Null) => Ok(Patch::Null),
        (Patch::Set(increase), Patch::Set(expiry)) => {
            // A date of the calendar after 1970: others are refused where the field is read, or are over.
            let until_us = temporary_budget::parse_expiry(&expiry).unwrap_or_default();
            Ok(Patch::Set(Temporary { increase, until_us }))
        }
        _ => Err(temporary_budget_alone()),
    }
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<TeamMemberUpdate>,
    team_id: String,
    who: Who,
    role: Option<String>,
    limits: Limits,
}

impl Change for Update<'_> {
    type Answer = MemberRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<MemberRow, ApiError> {
        // The team's row stands for its members': whoever holds it is alone with them.
        let found = teams::lock(tx, &self.team_id).await?;
        let team = found.ok_or_else(|| TeamRefusal::MemberTeamMissing(self.team_id.clone()))?;
        let standing = rights::must_administer(tx.connection(), self.by, &team).await?;
        let before = self.who.member(tx, &self.team_id).await?;
        let mut member = before.clone();
        if let Some(role) = &self.role {
            member.role.clone_from(role);
        }
        if self.limits.any() {
            self.limit(tx, &team, &mut member, standing).await?;
        }
        members::update(tx, self.by, &before, &mut member).await?;
        Ok(member)
    }
}

impl Update<'_> {
    async fn limit(
        &self,
        tx: &mut Tx,
        team: &TeamRow,
        member: &mut MemberRow,
        standing: Standing,
    ) -> Result<(), ApiError> {
        let now_us = tx.now_us();
        let mut row = own_row(tx, team, member).await?;
        let was = row.limits.clone();
        self.limits.apply(&mut row, now_us)?;
        if standing != Standing::Proxy {
            let mut asked = keys::changed(row.limits.clone(), Some(was));
            if self.limits.temporary.is_present() {
                asked.max_budget = row.most_budget(now_us);
            }
            rights::limits_within(&asked, &team.limits)?;
        }
        budgets::put(tx, self.by, &mut row).await?;
        member.refresh_at = row.refresh_at(now_us, &self.app.settings().windows);
        member.budget_id = Some(row.budget_id);
        Ok(())
    }
}

/// The budget row that is this member's alone: the one it has, or a new one that begins as the one it shares.
async fn own_row(tx: &mut Tx, team: &TeamRow, member: &MemberRow) -> Result<BudgetRow, ApiError> {
    let mut row = BudgetRow::default();
    if let Some(id) = &member.budget_id
        && let Some(found) = budgets::lock(tx, id).await?
    {
        let shared = team.metadata.get(SHARED_BUDGET).and_then(Value::as_str);
        let alone = members::of_budget(tx.connection(), id).await?.len() == 1;
        if shared != Some(id.as_str()) && alone {
            return Ok(found);
        }
        row = found;
    }
    row.budget_id = uuid::Uuid::new_v4().to_string();
    Ok(row)
}

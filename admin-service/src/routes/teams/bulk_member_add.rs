//! `POST /team/bulk_member_add`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::{Value, json};

use super::member_add::ADDED;
use super::member_add::{Named, read_members, the_user};
use super::membership::{Joining, join};
use super::rights::{self, Standing};
use super::{MEMBERSHIP, TEAM, memberships, shown};
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{FLAG, Record, TEXT, TEXT_OR_NULL, WHOLE, either, list, one};
use crate::policy::{Authorized, TeamBulkMemberAdd};
use crate::request::{BULK_MEMBER_ADD, Body, Problem};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::users;
use crate::store::members::{self, MemberRow};
use crate::store::teams::{self, TeamRow};
use crate::store::users::{self as user_rows, UserRow};
use crate::store::{Change, Tx};

/// Members that one request may name, and users that one transaction adds.
const MOST: usize = 500;

/// The answer: what became of each.
pub static BULK_ADDED: Record = Record::new(
    "BulkMembersAdded",
    &[
        ("team_id", TEXT),
        (
            "total_requested successful_additions failed_additions",
            WHOLE,
        ),
        ("results", list(&one(&RESULT))),
        ("updated_team", one(&TEAM).or_null()),
    ],
);
static RESULT: Record = Record::new(
    "MemberAdded",
    &[
        ("user_id user_email error", TEXT_OR_NULL),
        ("success", FLAG),
        (
            "updated_user",
            either(&[one(&users::USER), one(&ADDED)]).or_absent(),
        ),
        ("updated_team_membership", one(&MEMBERSHIP).or_absent()),
    ],
);

/// Adds many members, or all users there are. Each one's success or failure is told; a failure keeps no other from joining.
pub async fn bulk_member_add(
    State(app): State<App>,
    by: Authorized<TeamBulkMemberAdd>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BULK_MEMBER_ADD)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let max_budget = body.money("max_budget_in_team")?.value();
    let everybody = body.flag("all_users").value().unwrap_or(false);
    let named = match body.take("members").value() {
        Some(list) => read_members(list)?,
        None => Vec::new(),
    };
    if named.len() > MOST {
        return Err(TeamRefusal::TooManyMembers(MOST).into());
    }
    if named.is_empty() && !everybody {
        let msg = "Value error, Either members or all_users must be provided";
        return Err(Problem::whole_body("value_error", msg).into());
    }
    if everybody && !by.is_admin() {
        // Who all the users are is for proxy admins to know.
        return Err(by.only_admins());
    }
    let mut results = Vec::new();
    let (mut published, mut team) = (true, None);
    for named in batches(&app, named, everybody).await? {
        let change = Add {
            app: &app,
            by: &by,
            team_id: &team_id,
            named,
            max_budget,
        };
        let done = app.store.write(&change).await?;
        published &= app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
        team = Some(done.value.0);
        for outcome in done.value.1 {
            results.push(result(&app, &by, outcome).await?);
        }
    }
    let updated = match &team {
        Some(team) => Value::Object(shown(&mut *app.store.read().await?, &app, team).await?),
        None => Value::Null,
    };
    let added = results
        .iter()
        .filter(|result| result["success"] == json!(true))
        .count();
    Ok(Answer::new(json!({
        "team_id": team_id,
        "total_requested": results.len(),
        "successful_additions": added,
        "failed_additions": results.len() - added,
        "results": results,
        "updated_team": updated,
    }))
    .ignoring(&body.ignored)
    .published(published))
}

/// Those who are named, or everybody, in portions of one transaction each.
async fn batches(
    app: &App,
    named: Vec<Named>,
    everybody: bool,
) -> Result<Vec<Vec<Named>>, ApiError> {
    if !everybody {
        return Ok(vec![named]);
    }
    let all = user_rows::all_ids(&mut *app.store.read().await?).await?;
    let one = |user_id: &String| Named {
        user_id: Some(user_id.clone()),
        user_email: None,
        admin: false,
    };
    let batches = all.chunks(MOST).map(|ids| ids.iter().map(one).collect());
    Ok(batches.collect())
}

/// What became of one of them.
struct Outcome {
    named: Named,
    joined: Result<(UserRow, MemberRow), String>,
}

async fn result(
    app: &App,
    by: &Authorized<TeamBulkMemberAdd>,
    Outcome { named, joined }: Outcome,
) -> Result<Value, ApiError> {
    let (user_id, user_email) = (named.user_id, named.user_email);
    Ok(match joined {
        Err(why) => {
            json!({"user_id": user_id, "user_email": user_email, "success": false, "error": why})
        }
        Ok((user, member)) => {
            let mut connection = app.store.read().await?;
            let shown = memberships(&mut connection, app, &[member]).await?.pop();
            let whole = if by.is_admin() {
                users::shown(&mut connection, app, &user).await?
            } else {
                json!({"user_id": user.user_id, "user_email": user.user_email})
            };
            json!({"user_id": user.user_id, "user_email": user.user_email, "success": true, "error": null,
                "updated_user": whole, "updated_team_membership": shown})
        }
    })
}

struct Add<'a> {
    app: &'a App,
    by: &'a Authorized<TeamBulkMemberAdd>,
    team_id: &'a str,
    named: Vec<Named>,
    max_budget: Option<NanoUsd>,
}

impl Change for Add<'_> {
    type Answer = (TeamRow, Vec<Outcome>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let found = teams::lock(tx, self.team_id).await?;
        let before =
            found.ok_or_else(|| TeamRefusal::MemberTeamMissing(self.team_id.to_owned()))?;
        let standing = rights::must_administer(tx.connection(), self.by, &before).await?;
        let mut team = before.clone();
        let mut outcomes = Vec::with_capacity(self.named.len());
        for named in &self.named {
            let joined = match self.one(tx, &team, standing, named).await {
                Ok(joined) => Ok(joined),
                // Refusals come before anything of this member is written.
                Err(ApiError::Refused(refusal)) => Err(refusal.sentence()),
                Err(error) => return Err(error),
            };
            let named = named.clone();
            outcomes.push(Outcome { named, joined });
        }
        teams::update(tx, self.by, &before, &mut team).await?;
        Ok((team, outcomes))
    }
}

impl Add<'_> {
    async fn one(
        &self,
        tx: &mut Tx,
        team: &TeamRow,
        standing: Standing,
        named: &Named,
    ) -> Result<(UserRow, MemberRow), ApiError> {
        let joining = Joining {
            team_id: team.team_id.clone(),
            admin: named.admin,
            max_budget: self.max_budget,
            ..Joining::default()
        };
        joining.within(team, standing)?;
        let user = the_user(tx, (self.app, self.by), team, standing, named).await?;
        let there = members::find(tx.connection(), &team.team_id, &user.user_id).await?;
        if there.is_some() {
            return Err(TeamRefusal::AlreadyMember(user.user_id).into());
        }
        let member = join(tx, self.app, self.by, team, &user, &joining).await?;
        Ok((user, member))
    }
}

//! `GET /team/info`.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::fields::SHARED_BUDGET;
use super::rights::{self, Standing};
use super::{MEMBERSHIP, TEAM, memberships, shown};
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, list, one};
use crate::policy::{Authorized, TeamInfo};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::keys;
use crate::routes::shape::{self, Times};
use crate::store::keys::{Owner, of_owner};
use crate::store::{budgets, members, teams};

/// The answer.
pub static INFO: Record = Record::new(
    "TeamInfo",
    &[
        ("team_id", TEXT),
        ("team_info", one(&SHOWN)),
        ("keys", list(&one(&keys::KEY))),
        ("team_memberships", list(&one(&MEMBERSHIP))),
    ],
);
static SHOWN: Record = Record::with(
    "TeamWithMemberBudget",
    &[&TEAM],
    &[("team_member_budget_table", one(&shape::BUDGET).or_null())],
);

/// The query.
pub const INFO_QUERY: &[Param] = &[
    Param::required("team_id"),
    Param::whole("key_limit", u32::MAX, 1, u32::MAX),
];

/// A team with its keys and members, for members and admins.
pub async fn info(
    State(app): State<App>,
    by: Authorized<TeamInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), INFO_QUERY);
    let team_id = query.required("team_id");
    let key_limit = usize::try_from(query.whole("key_limit")).unwrap_or(usize::MAX);
    query.finish()?;
    let mut connection = app.store.read().await?;
    let found = teams::find(&mut connection, &team_id).await?;
    let team = found.ok_or_else(|| TeamRefusal::TeamInfoMissing(team_id.clone()))?;
    let all = members::of_team(&mut connection, &team_id).await?;
    let own = by.caller.user_id.as_deref();
    let standing = rights::standing(&mut connection, &by, &team).await?;
    let of_team = matches!(&by.caller.key, crate::caller::CallerKey::Virtual { team_id: Some(team), .. } if *team == team_id);
    if standing == Standing::Stranger && !of_team {
        let user = by.caller.user().to_owned();
        return Err(TeamRefusal::NotYourTeam {
            user,
            team: team_id,
        }
        .into());
    }
    let mut object = shown(&mut connection, &app, &team).await?;
    let shared = match team.metadata.get(SHARED_BUDGET).and_then(Value::as_str) {
        Some(id) => budgets::find(&mut connection, id).await?,
        None => None,
    };
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let shared = shared.map_or(Value::Null, |budget| shape::budget(&budget, now_us, rules));
    object.insert("team_member_budget_table".into(), shared);
    let mut rows = of_owner(&mut connection, Owner::Team(&team_id)).await?;
    if !standing.administers() {
        // Members see the team, and of its keys their own.
        rows.retain(|key| {
            by.caller.token() == Some(key.token.as_str())
                || (own.is_some() && key.user_id.as_deref() == own)
        });
    }
    rows.truncate(key_limit);
    let keys = keys::shown(&mut connection, &app, &rows, Times::Z).await?;
    let memberships = memberships(&mut connection, &app, &all).await?;
    Ok(Answer::new(json!({
        "team_id": team_id,
        "team_info": Value::Object(object),
        "keys": keys,
        "team_memberships": memberships,
    })))
}

//! `GET /user/info`.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::{USER, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::openapi::schema::{ANY, NULL, Record, TEXT, list, one};
use crate::policy::{Authorized, UserInfo};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::keys;
use crate::routes::shape::Times;
use crate::routes::teams;
use crate::store::keys::{Owner, of_owner};
use crate::store::users;

/// The answer.
pub static INFO: Record = Record::new(
    "UserInfo",
    &[
        ("user_id", TEXT),
        ("user_info", one(&SHOWN)),
        ("keys", list(&one(&keys::KEY))),
        ("teams", list(&one(&teams::TEAM))),
        ("admin_mcp_permissions", NULL),
    ],
);
static SHOWN: Record = Record::with(
    "UserWithUsage",
    &[&USER],
    &[("model_max_budget_usage", ANY)],
);

/// The query.
pub const INFO_QUERY: &[Param] = &[Param::text("user_id")];

/// A user with its keys and teams; the caller's own without `user_id`.
pub async fn info(
    State(app): State<App>,
    by: Authorized<UserInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let asked = Query::parse(query.as_deref(), INFO_QUERY)
        .text("user_id")
        .filter(|asked| !asked.is_empty());
    let own = by.caller.user_id.clone();
    let user_id = match (asked, own) {
        (Some(asked), own) => {
            if !by.is_admin() && own.as_ref() != Some(&asked) {
                let own = by.caller.user().to_owned();
                return Err(Refusal::NotYourUser { asked, own }.into());
            }
            asked
        }
        (None, Some(own)) => own,
        (None, None) => return Err(Refusal::UserMissing("None".to_owned()).into()),
    };
    let mut connection = app.store.read().await?;
    let user = users::find(&mut connection, users::Which::Id(&user_id)).await?;
    let user = user.ok_or_else(|| Refusal::UserMissing(user_id.clone()))?;
    let mut info = shown(&mut connection, &app, &user).await?;
    if let Value::Object(object) = &mut info {
        object.insert("model_max_budget_usage".into(), Value::Null);
    }
    let rows = of_owner(&mut connection, Owner::User(&user_id)).await?;
    let keys = keys::shown(&mut connection, &app, &rows, Times::Z).await?;
    let mut teams = Vec::new();
    for team_id in users::teams_of(&mut connection, &user_id).await? {
        if let Some(team) = teams::shown_by_id(&mut connection, &app, &team_id).await? {
            teams.push(team);
        }
    }
    Ok(Answer::new(json!({
        "user_id": user_id,
        "user_info": info,
        "keys": keys,
        "teams": teams,
        "admin_mcp_permissions": null,
    })))
}

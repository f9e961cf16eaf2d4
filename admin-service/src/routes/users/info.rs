//! `GET /user/info`.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::{USER, scope, shown};
use crate::app::App;
use crate::error::{ApiError, UserRefusal};
use crate::openapi::schema::{
    ANY, NULL, NUMBER, NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE_OR_NULL,
    list, one,
};
use crate::policy::{Authorized, UserInfo};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::keys;
use crate::routes::shape::Times;
use crate::routes::teams;
use crate::store::keys::{ListKeys, Owner, list as list_keys, of_owner};
use crate::store::row::Object;
use crate::store::users;

/// The answer.
pub static INFO: Record = Record::new(
    "UserInfo",
    &[
        ("user_id", TEXT_OR_NULL),
        ("user_info", one(&SHOWN).or_null()),
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

/// The answer of `/v2/user/info`.
pub static FLAT: Record = Record::new(
    "UserFlat",
    &[
        ("user_id", TEXT),
        ("user_email user_alias user_role sso_user_id", TEXT_OR_NULL),
        ("spend", NUMBER),
        ("max_budget", NUMBER_OR_NULL),
        ("tpm_limit rpm_limit", WHOLE_OR_NULL),
        ("models", list(&ANY)),
        ("budget_duration budget_reset_at", TEXT_OR_NULL),
        ("metadata", OBJECT),
        ("created_at updated_at", TEXT),
        ("teams", TEXTS),
        (
            "object_permission model_max_budget model_max_budget_usage",
            ANY,
        ),
    ],
);

/// Keys and teams that are shown where all are asked for.
const EVERYTHING: u32 = 100;

/// Who is asked about.
enum Asked {
    /// A user, and what of them the caller may see.
    Of(String, Seen),
    /// Everybody.
    Everything,
}

/// What of a user is shown.
enum Seen {
    /// Everything.
    All,
    /// What is of these teams.
    Teams(Vec<String>),
}

/// A user with its keys and teams; the caller's own without `user_id`, or everything for admins.
pub async fn info(
    State(app): State<App>,
    by: Authorized<UserInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let (user_id, seen) = match asked(&mut connection, &by, query.as_deref()).await? {
        Asked::Of(user_id, seen) => (user_id, seen),
        Asked::Everything => {
            drop(connection);
            return everything(&app).await;
        }
    };
    let user = users::find(&mut connection, users::Which::Id(&user_id)).await?;
    let user = user.ok_or_else(|| UserRefusal::UserMissing(user_id.clone()))?;
    let mut info = shown(&mut connection, &app, &user).await?;
    let mut rows = of_owner(&mut connection, Owner::User(&user_id)).await?;
    let mut team_ids = users::teams_of(&mut connection, &user_id).await?;
    if let Seen::Teams(theirs) = &seen {
        let is_theirs = |team: &Option<String>| team.as_ref().is_some_and(|id| theirs.contains(id));
        rows.retain(|key| is_theirs(&key.team_id));
        team_ids.retain(|id| theirs.contains(id));
    }
    if let Value::Object(object) = &mut info {
        object.insert("model_max_budget_usage".into(), Value::Null);
        object.insert("teams".into(), json!(team_ids));
    }
    let keys = keys::shown(&mut connection, &app, &rows, Times::Z).await?;
    let mut teams = Vec::new();
    for team_id in team_ids {
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

/// `GET /v2/user/info`: the row alone.
pub async fn flat(
    State(app): State<App>,
    by: Authorized<UserInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let user_id = match asked(&mut connection, &by, query.as_deref()).await? {
        Asked::Of(user_id, _) => user_id,
        Asked::Everything => by.caller.user().to_owned(),
    };
    let user = users::find(&mut connection, users::Which::Id(&user_id)).await?;
    let user = user.ok_or(UserRefusal::UserInfoMissing(user_id))?;
    let mut shown = shown(&mut connection, &app, &user).await?;
    let mut flat = Object::new();
    for name in [
        "user_id",
        "user_email",
        "user_alias",
        "user_role",
        "spend",
        "max_budget",
        "tpm_limit",
        "rpm_limit",
        "models",
        "budget_duration",
        "budget_reset_at",
        "metadata",
        "created_at",
        "updated_at",
        "sso_user_id",
        "teams",
        "object_permission",
        "model_max_budget",
    ] {
        flat.insert(name.to_owned(), shown[name].take());
    }
    flat.insert("model_max_budget_usage".to_owned(), Value::Null);
    Ok(Answer::new(Value::Object(flat)))
}

/// Whom a request asks about: oneself, whoever is in one's scope, or anybody for admins.
async fn asked(
    connection: &mut AnyConnection,
    by: &Authorized<UserInfo>,
    query: Option<&str>,
) -> Result<Asked, ApiError> {
    let asked = Query::parse(query, INFO_QUERY).text("user_id");
    let asked = asked.filter(|asked| !asked.is_empty());
    match (asked, by.caller.user_id.clone()) {
        (Some(asked), own) if by.is_admin() || own.as_ref() == Some(&asked) => {
            Ok(Asked::Of(asked, Seen::All))
        }
        (Some(asked), _) => {
            let scope = scope::of(connection, &by.caller, &asked).await?;
            if scope.any {
                return Ok(Asked::Of(asked, Seen::Teams(scope.teams)));
            }
            let own = by.caller.user().to_owned();
            Err(UserRefusal::NotYourUser { asked, own }.into())
        }
        (None, _) if by.is_admin() => Ok(Asked::Everything),
        (None, Some(own)) => Ok(Asked::Of(own, Seen::All)),
        (None, None) => Err(UserRefusal::UserMissing("None".to_owned()).into()),
    }
}

/// The newest keys and teams of all: lists have the others.
async fn everything(app: &App) -> Result<Answer, ApiError> {
    let what = ListKeys {
        page: 1,
        size: EVERYTHING,
        descending: true,
        ..ListKeys::default()
    };
    let rows = list_keys(&app.store, &what).await?.keys;
    let mut connection = app.store.read().await?;
    let keys = keys::shown(&mut connection, app, &rows, Times::Z).await?;
    let mut teams = Vec::new();
    for team_id in users::newest_teams(&mut connection, EVERYTHING).await? {
        if let Some(team) = teams::shown_by_id(&mut connection, app, &team_id).await? {
            teams.push(team);
        }
    }
    Ok(Answer::new(json!({
        "user_id": null,
        "user_info": null,
        "keys": keys,
        "teams": teams,
        "admin_mcp_permissions": null,
    }))
    .warning("the newest 100 keys and teams; /key/list and /team/list have the others"))
}

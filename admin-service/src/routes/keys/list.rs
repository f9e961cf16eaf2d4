//! `GET /key/list`.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::{KEY, shown};
use crate::app::App;
use crate::error::{ApiError, KeyRefusal, RequestRefusal};
use crate::openapi::schema::{self, Record, TEXT, TEXT_OR_NULL, WHOLE, either, one};
use crate::policy::{Authorized, KeyList};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, ListKeys, Sort, Status, token_of};
use crate::store::{members, users};

/// The answer.
pub static LISTED: Record = Record::new(
    "KeyList",
    &[
        ("keys", schema::list(&either(&[TEXT, one(&WITH_USER)]))),
        ("total_count current_page total_pages", WHOLE),
    ],
);

static WITH_USER: Record = Record::with(
    "KeyWithUser",
    &[&KEY],
    &[("user", one(&USER).or_null().or_absent())],
);
static USER: Record = Record::new(
    "",
    &[
        ("user_id", TEXT),
        ("user_email user_alias user_role", TEXT_OR_NULL),
    ],
);

/// The query.
pub const LIST_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("size", 10, 1, 100),
    Param::text("user_id"),
    Param::text("team_id"),
    Param::text("organization_id"),
    Param::text("agent_id"),
    Param::text("project_id"),
    Param::text("access_group_id"),
    Param::text("key_hash"),
    Param::text("key_alias"),
    Param::text("search"),
    Param::flag("substring_matching"),
    Param::text("sort_by"),
    Param::text("sort_order"),
    Param::text("status"),
    Param::text("expires"),
    Param::flag("return_full_object"),
    Param::flag("include_team_keys"),
    Param::flag("include_created_by_keys"),
    Param::texts("expand"),
];

/// Keys, a page at a time; somebody who is no admin sees their own.
pub async fn list(
    State(app): State<App>,
    by: Authorized<KeyList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let mut what = ListKeys {
        page: query.whole("page"),
        size: query.whole("size"),
        user_id: query.text("user_id"),
        team_id: query.text("team_id"),
        organization_id: query.text("organization_id"),
        kept: ["agent_id", "project_id"]
            .into_iter()
            .filter_map(|field| Some((field, query.text(field)?)))
            .collect(),
        access_group_id: query.text("access_group_id"),
        token: query.text("key_hash").map(|named| token_of(&named)),
        key_alias: query.text("key_alias"),
        search: query.text("search"),
        substring: query.flag("substring_matching"),
        descending: query.text("sort_order").is_none_or(|order| order != "asc"),
        ..ListKeys::default()
    };
    let full = query.flag("return_full_object");
    let with_teams = query.flag("include_team_keys");
    let with_created = query.flag("include_created_by_keys");
    let with_users = query.texts("expand").iter().any(|what| what == "user");
    let (status, sort) = (query.text("status"), query.text("sort_by"));
    let expires = query.text("expires");
    query.finish()?;
    what.status = match status.as_deref() {
        None => None,
        Some("active") => Some(Status::Active),
        Some("expired") => Some(Status::Expired),
        Some("revoked") => Some(Status::Revoked),
        Some("deleted") => Some(Status::Deleted),
        Some(_) => return Err(KeyRefusal::BadKeyStatus.into()),
    };
    what.expired = match expires.as_deref() {
        None => None,
        Some("expired") => Some(true),
        Some("active") => Some(false),
        Some(other) => return Err(KeyRefusal::BadExpiresFilter(other.to_owned()).into()),
    };
    what.sort = match sort.as_deref() {
        None => Sort::default(),
        Some(column) => Sort::parse(column).ok_or(RequestRefusal::BadSort(Sort::NAMES))?,
    };
    scope(&app, &by, &mut what, with_teams, with_created).await?;
    let listed = keys::list(&app.store, &what).await?;
    let keys = if full {
        let mut connection = app.store.read().await?;
        let mut objects = shown(&mut connection, &app, &listed.keys, Times::Z).await?;
        if with_users {
            add_users(&mut connection, &mut objects).await?;
        }
        objects
    } else {
        listed
            .keys
            .into_iter()
            .map(|key| Value::String(key.token))
            .collect()
    };
    Ok(Answer::new(json!({
        "keys": keys,
        "total_count": listed.total,
        "current_page": what.page,
        "total_pages": listed.total.div_ceil(u64::from(what.size)),
    })))
}

/// Narrows the list to what the caller may see, and widens it to what was asked for beside it.
async fn scope(
    app: &App,
    by: &Authorized<KeyList>,
    what: &mut ListKeys,
    with_teams: bool,
    with_created: bool,
) -> Result<(), ApiError> {
    if !by.is_admin() {
        let own = by.caller.user_id.clone().ok_or(KeyRefusal::NoUserForList)?;
        let asked = what.user_id.replace(own.clone());
        if asked.is_some_and(|asked| asked != own) {
            return Err(KeyRefusal::NotYourKeys.into());
        }
        what.substring = false;
    }
    let Some(user) = what.user_id.clone() else {
        return Ok(());
    };
    if with_created {
        what.or_created_by = Some(user.clone());
    }
    if with_teams {
        what.or_teams = administered(app, &user, by.is_admin()).await?;
    }
    Ok(())
}

/// The teams whose keys a user sees: those it administers, others see nobody else's. `any`: all of its teams.
pub(super) async fn administered(
    app: &App,
    user_id: &str,
    any: bool,
) -> Result<Vec<String>, ApiError> {
    let all = members::of_user(&mut *app.store.read().await?, user_id).await?;
    let seen = all
        .into_iter()
        .filter(|member| any || member.role == "admin");
    Ok(seen.map(|member| member.team_id).collect())
}

/// Puts each key's user beside it; `null` where there is none.
async fn add_users(connection: &mut AnyConnection, keys: &mut [Value]) -> Result<(), ApiError> {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for key in keys {
        let id = key.get("user_id").and_then(Value::as_str);
        let user = match id.map(str::to_owned) {
            None => Value::Null,
            Some(id) => {
                if let Some(user) = known.get(&id) {
                    user.clone()
                } else {
                    let found = users::find(connection, users::Which::Id(&id)).await?;
                    let user = found.map_or(Value::Null, |user| {
                        json!({"user_id": user.user_id, "user_email": user.user_email,
                            "user_alias": user.user_alias, "user_role": user.user_role})
                    });
                    known.insert(id, user.clone());
                    user
                }
            }
        };
        if let Value::Object(key) = key {
            key.insert("user".into(), user);
        }
    }
    Ok(())
}

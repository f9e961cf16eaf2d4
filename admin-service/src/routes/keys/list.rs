//! `GET /key/list`.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::{KEY, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::openapi::schema::{self, Record, TEXT, WHOLE, either, one};
use crate::policy::{Authorized, KeyList};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, ListKeys, Sort, Status, token_of};
use crate::store::members;

/// The answer.
pub static LISTED: Record = Record::new(
    "KeyList",
    &[
        ("keys", schema::list(&either(&[TEXT, one(&KEY)]))),
        ("total_count current_page total_pages", WHOLE),
    ],
);

/// The query.
pub const LIST_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("size", 10, 1, 100),
    Param::text("user_id"),
    Param::text("team_id"),
    Param::text("key_hash"),
    Param::text("key_alias"),
    Param::text("search"),
    Param::flag("substring_matching"),
    Param::text("sort_by"),
    Param::text("sort_order"),
    Param::text("status"),
    Param::flag("return_full_object"),
    Param::flag("include_team_keys"),
    Param::flag("include_created_by_keys"),
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
    let (status, sort) = (query.text("status"), query.text("sort_by"));
    query.finish()?;
    what.status = match status.as_deref() {
        None => None,
        Some("active") => Some(Status::Active),
        Some("expired") => Some(Status::Expired),
        Some("revoked") => Some(Status::Revoked),
        Some("deleted") => Some(Status::Deleted),
        Some(_) => return Err(Refusal::BadKeyStatus.into()),
    };
    what.sort = match sort.as_deref() {
        None => Sort::default(),
        Some(column) => Sort::parse(column).ok_or(Refusal::BadSort(Sort::NAMES))?,
    };
    scope(&app, &by, &mut what, with_teams, with_created).await?;
    let listed = keys::list(&app.store, &what).await?;
    let keys = if full {
        shown(&mut *app.store.read().await?, &app, &listed.keys, Times::Z).await?
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
        let own = by.caller.user_id.clone().ok_or(Refusal::NoUserForList)?;
        let asked = what.user_id.replace(own.clone());
        if asked.is_some_and(|asked| asked != own) {
            return Err(Refusal::NotYourKeys.into());
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
        let all = members::of_user(&mut *app.store.read().await?, &user).await?;
        // A member sees the keys of teams it administers; others see nobody else's.
        let administered = all
            .into_iter()
            .filter(|member| member.role == "admin" || by.is_admin());
        what.or_teams = administered.map(|member| member.team_id).collect();
    }
    Ok(())
}

//! `GET /key/info`, `POST /v2/key/info`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::{KEY, ownership, shown};
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, KeyRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, TEXTS, list, one, word};
use crate::policy::{Authorized, KeyInfo, KeyInfoV2};
use crate::request::{Body, KEYS_ASKED, Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, KeyRow, Status, token_of};

/// The answer.
pub static INFO: Record = Record::new("KeyInfo", &[("key", TEXT), ("info", one(&SHOWN))]);
static SHOWN: Record = Record::with(
    "KeyWithStatus",
    &[&KEY],
    &[
        ("token", TEXT.or_absent()),
        ("status", word(&["active", "expired", "revoked", "deleted"])),
        ("id deleted_at", TEXT.or_absent()),
        ("deleted_by", TEXT_OR_NULL.or_absent()),
    ],
);

/// The query.
pub const INFO_QUERY: &[Param] = &[Param::text("key")];

/// The answer of `/v2/key/info`.
pub static INFO_V2: Record = Record::new(
    "KeysInfo",
    &[("key", TEXTS), ("info", list(&one(&SHOWN_V2)))],
);
static SHOWN_V2: Record = Record::with("", &[&KEY], &[("token", TEXT.or_absent())]);

/// Most keys that one request asks for.
const MOST: usize = 500;

/// One key, the caller's own without `key`; a deleted one as it was.
pub async fn info(
    State(app): State<App>,
    by: Authorized<KeyInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let asked = Query::parse(query.as_deref(), INFO_QUERY).text("key");
    let Some(asked) = asked.or_else(|| by.caller.token().map(str::to_owned)) else {
        return Err(KeyRefusal::KeyInfoMissing.into());
    };
    let token = token_of(&asked);
    let mut connection = app.store.read().await?;
    let live = keys::find(&mut connection, keys::Which::Token(&token)).await?;
    let (key, deleted) = if let Some(key) = live {
        (key, None)
    } else {
        let found = keys::find_deleted(&mut connection, &token).await?;
        let found = found.ok_or(KeyRefusal::KeyInfoMissing)?;
        (found.key.clone(), Some(found))
    };
    if !by.is_admin() && !may_see(&by.caller, &key) {
        let in_team = ownership::is_team_admin(&mut connection, &by.caller, &key).await?;
        if !in_team {
            return Err(KeyRefusal::NotYourKeyInfo(by.caller.role.as_str()).into());
        }
    }
    let status = match deleted {
        Some(_) => Status::Deleted,
        None => status(&key, app.store.clock().now_us()),
    };
    let mut all = shown(&mut connection, &app, &[key], Times::Offset).await?;
    let mut info = all.pop().unwrap_or_default();
    if let Value::Object(object) = &mut info {
        object.remove("token");
        if let Some(deleted) = deleted {
            object.insert("id".into(), json!(deleted.id));
            object.insert("deleted_at".into(), Times::Offset.print(deleted.deleted_at));
            object.insert("deleted_by".into(), json!(deleted.deleted_by));
        }
        object.insert("status".into(), json!(name(status)));
    }
    Ok(Answer::new(json!({"key": asked, "info": info})))
}

/// Several keys at once; those that are not there are left out, and one that the caller may not see refuses them all.
pub async fn info_v2(
    State(app): State<App>,
    by: Authorized<KeyInfoV2>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, KEYS_ASKED)?;
    let asked = body.texts("keys").value().ok_or(KeyRefusal::NoKeysAsked)?;
    if asked.len() > MOST {
        return Err(KeyRefusal::TooManyKeys(MOST).into());
    }
    let mut connection = app.store.read().await?;
    let (mut named, mut rows) = (Vec::new(), Vec::new());
    for asked in asked {
        let token = token_of(&asked);
        let Some(key) = keys::find(&mut connection, keys::Which::Token(&token)).await? else {
            continue;
        };
        if !by.is_admin()
            && !may_see(&by.caller, &key)
            && !ownership::is_team_admin(&mut connection, &by.caller, &key).await?
        {
            return Err(KeyRefusal::NotYourKeyInfo(by.caller.role.as_str()).into());
        }
        named.push(asked);
        rows.push(key);
    }
    let mut info = shown(&mut connection, &app, &rows, Times::Offset).await?;
    for info in &mut info {
        if let Value::Object(object) = info {
            object.remove("token");
        }
    }
    Ok(Answer::new(json!({"key": named, "info": info})).ignoring(&body.ignored))
}

/// The key itself, or a key of the same user.
fn may_see(caller: &Caller, key: &KeyRow) -> bool {
    caller.token() == Some(key.token.as_str())
        || (key.user_id.is_some() && key.user_id == caller.user_id)
}

/// What can be done with a key now.
pub(super) fn status(key: &KeyRow, now_us: u64) -> Status {
    if key.blocked == Some(true) {
        Status::Revoked
    } else if key.expires.is_some_and(|expires| expires <= now_us) {
        Status::Expired
    } else {
        Status::Active
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Expired => "expired",
        Status::Revoked => "revoked",
        Status::Deleted => "deleted",
    }
}

//! `POST /key/update`, `/key/bulk_update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::change::Asked;
use super::fields::rotates_never;
use super::{KEY, PUBLISH_WAIT, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::openapi::schema::{NULL, Record, TEXT, WHOLE, list, one};
use crate::policy::{Authorized, KeyBulkUpdate, KeyUpdate, Writes};
use crate::request::{BULK_UPDATE_KEYS, Body, Problem, UPDATE_KEY};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, KeyRow, token_of};
use crate::store::{Change, Tx};

/// The answer of `/key/bulk_update`.
pub static BULK_UPDATED: Record = Record::new(
    "KeysUpdated",
    &[
        ("total_requested", WHOLE),
        ("successful_updates", list(&one(&SUCCEEDED))),
        ("failed_updates", list(&one(&FAILED))),
    ],
);
static SUCCEEDED: Record = Record::new("", &[("key", TEXT), ("key_info", one(&INFO))]);
static INFO: Record = Record::with("", &[&KEY], &[("token", TEXT.or_absent())]);
static FAILED: Record = Record::new("", &[("key failed_reason", TEXT), ("key_info", NULL)]);

/// Most keys that one `/key/bulk_update` changes.
const MOST: usize = 500;

/// Changes what the request says of a key, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<KeyUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_KEY)?;
    let ignored = std::mem::take(&mut body.ignored);
    let done = change(&app, &by, body).await?;
    let mut object = show(&app, &done.key, Times::Offset).await?;
    if let Value::Object(object) = &mut object {
        object.insert("key".into(), Value::String(done.named));
    }
    Ok(Answer::new(object)
        .ignoring(&ignored)
        .unenforced(done.unenforced.into_iter().chain(rotates_never(&done.key)))
        .published(done.published))
}

/// Changes several keys, each by itself: one that is refused leaves the others changed.
pub async fn bulk_update(
    State(app): State<App>,
    by: Authorized<KeyBulkUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    if !by.is_admin() {
        return Err(Refusal::BulkUpdateIsForAdmins.into());
    }
    let body = Body::parse(&bytes, BULK_UPDATE_KEYS)?;
    let items = body.get("keys").and_then(Value::as_array);
    let items = items.cloned().unwrap_or_default();
    if items.is_empty() {
        return Err(Refusal::NoKeysToUpdate.into());
    }
    if items.len() > MOST {
        return Err(Refusal::TooManyKeys(MOST).into());
    }
    let mut ignored = body.ignored;
    let (mut unenforced, mut published) = (Vec::new(), true);
    let (mut updated, mut failed) = (Vec::new(), Vec::new());
    let bodies = parsed(&items)?;
    let total = bodies.len();
    for mut body in bodies {
        ignored.append(&mut body.ignored);
        let named = body.get("key").cloned().unwrap_or(Value::Null);
        match change(&app, &by, body).await {
            Ok(done) => {
                let mut info = show(&app, &done.key, Times::Z).await?;
                if let Value::Object(info) = &mut info {
                    info.remove("token");
                }
                unenforced.extend(done.unenforced);
                published &= done.published;
                updated.push(json!({"key": done.named, "key_info": info}));
            }
            Err(error) => {
                let reason = error.reason()?;
                failed.push(json!({"key": named, "key_info": null, "failed_reason": reason}));
            }
        }
    }
    unenforced.sort_unstable();
    unenforced.dedup();
    Ok(Answer::new(json!({
        "total_requested": total,
        "successful_updates": updated,
        "failed_updates": failed,
    }))
    .ignoring(&ignored)
    .unenforced(unenforced.into_iter())
    .published(published))
}

/// Every item's body, or everything that is wrong with any of them.
fn parsed(items: &[Value]) -> Result<Vec<Body>, ApiError> {
    let (mut bodies, mut problems) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        let read = match item {
            Value::Object(map) => Body::from_map(map.clone(), UPDATE_KEY),
            _ => Err(Problem::whole_body(
                "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from",
            )
            .into()),
        };
        match read {
            Ok(body) if body.has("key") => bodies.push(body),
            Ok(_) => {
                problems.push(Problem::body("missing", "key", "Field required").inside("keys", at));
            }
            Err(ApiError::Invalid(found)) => {
                problems.extend(found.into_iter().map(|problem| problem.inside("keys", at)));
            }
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() {
        Ok(bodies)
    } else {
        Err(ApiError::Invalid(problems))
    }
}

/// A change that was made.
struct Done {
    key: KeyRow,
    /// The key as the request named it; its hash where an alias did.
    named: String,
    unenforced: Vec<&'static str>,
    published: bool,
}

async fn change<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    mut body: Body,
) -> Result<Done, ApiError> {
    let named = if let Some(named) = body.text("key").value() {
        Named::Key(named)
    } else if let Some(alias) = body.text("key_alias").value() {
        // Without a key the alias names it, and is not changed.
        Named::Alias(alias)
    } else {
        let msg = "Value error, either key or key_alias must be provided";
        return Err(Problem::whole_body("value_error", msg).into());
    };
    let asked = Asked::read(app, body)?;
    let change = Update {
        app,
        by,
        asked,
        named,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let named = match change.named {
        Named::Key(named) => named,
        Named::Alias(_) => done.value.token.clone(),
    };
    Ok(Done {
        key: done.value,
        named,
        unenforced: change.asked.unenforced,
        published,
    })
}

async fn show(app: &App, key: &KeyRow, times: Times) -> Result<Value, ApiError> {
    let mut connection = app.store.read().await?;
    let mut all = shown(&mut connection, app, std::slice::from_ref(key), times).await?;
    Ok(all.pop().unwrap_or_default())
}

enum Named {
    Key(String),
    Alias(String),
}

struct Update<'a, R> {
    app: &'a App,
    by: &'a Authorized<R>,
    asked: Asked,
    named: Named,
}

impl<R: Writes> Change for Update<'_, R> {
    type Answer = KeyRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<KeyRow, ApiError> {
        let token;
        let which = match &self.named {
            Named::Key(named) => {
                token = token_of(named);
                keys::Which::Token(&token)
            }
            Named::Alias(alias) => keys::Which::Alias(alias),
        };
        let before = keys::lock(tx, which).await?.ok_or(Refusal::KeyMissing)?;
        let mut key = self.asked.applied(tx, self.app, self.by, &before).await?;
        keys::update(tx, self.by, "updated", &before, &mut key).await?;
        Ok(key)
    }
}

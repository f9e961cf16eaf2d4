//! `POST /key/update`, `/key/bulk_update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::change::Asked;
use super::fields::rotates_never;
use super::{KEY, PUBLISH_WAIT, shown};
use crate::app::App;
use crate::error::{ApiError, KeyRefusal};
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

/// Most keys that one request changes.
pub(super) const MOST: usize = 500;

/// Changes what the request says of a key, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<KeyUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_KEY)?;
    let ignored = std::mem::take(&mut body.ignored);
    let done = change(&app, &by, body, None).await?;
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
        return Err(KeyRefusal::BulkUpdateIsForAdmins.into());
    }
    let body = Body::parse(&bytes, BULK_UPDATE_KEYS)?;
    let items = body.get("keys").and_then(Value::as_array);
    let items = items.cloned().unwrap_or_default();
    if items.is_empty() {
        return Err(KeyRefusal::NoKeysToUpdate.into());
    }
    if items.len() > MOST {
        return Err(KeyRefusal::TooManyKeys(MOST).into());
    }
    let mut bulk = Bulk::of(body.ignored);
    for mut body in parsed(&items)? {
        bulk.ignored.append(&mut body.ignored);
        let named = body.get("key").cloned().unwrap_or(Value::Null);
        let outcome = change(&app, &by, body, None).await;
        bulk.add(&app, named, outcome).await?;
    }
    Ok(bulk.answer())
}

/// What became of several keys.
pub(super) struct Bulk {
    ignored: Vec<String>,
    unenforced: Vec<&'static str>,
    published: bool,
    updated: Vec<Value>,
    failed: Vec<Value>,
}

impl Bulk {
    /// Of none yet; `ignored` are fields that nobody knows.
    pub(super) fn of(ignored: Vec<String>) -> Self {
        Self {
            ignored,
            unenforced: Vec::new(),
            published: true,
            updated: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Adds what became of the key that the request named so.
    pub(super) async fn add(
        &mut self,
        app: &App,
        named: Value,
        outcome: Result<Done, ApiError>,
    ) -> Result<(), ApiError> {
        match outcome {
            Ok(done) => {
                let mut info = show(app, &done.key, Times::Z).await?;
                if let Value::Object(info) = &mut info {
                    info.remove("token");
                }
                self.unenforced.extend(done.unenforced);
                self.published &= done.published;
                self.updated
                    .push(json!({"key": done.named, "key_info": info}));
            }
            Err(error) => {
                let reason = error.reason()?;
                self.failed
                    .push(json!({"key": named, "key_info": null, "failed_reason": reason}));
            }
        }
        Ok(())
    }

    /// All of it.
    pub(super) fn answer(mut self) -> Answer {
        self.unenforced.sort_unstable();
        self.unenforced.dedup();
        Answer::new(json!({
            "total_requested": self.updated.len() + self.failed.len(),
            "successful_updates": self.updated,
            "failed_updates": self.failed,
        }))
        .ignoring(&self.ignored)
        .unenforced(self.unenforced.into_iter())
        .published(self.published)
    }
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
pub(super) struct Done {
    key: KeyRow,
    /// The key as the request named it; its hash where an alias did.
    named: String,
    unenforced: Vec<&'static str>,
    published: bool,
}

/// Changes one key; where `of_team` names a team, a key of that team or none.
pub(super) async fn change<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    mut body: Body,
    of_team: Option<&str>,
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
        of_team,
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
    of_team: Option<&'a str>,
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
        let before = keys::lock(tx, which).await?.ok_or(KeyRefusal::KeyMissing)?;
        // Whoever names a team learns nothing of keys of others.
        if self.of_team.is_some() && self.of_team != before.team_id.as_deref() {
            return Err(KeyRefusal::KeyMissing.into());
        }
        let mut key = self.asked.applied(tx, self.app, self.by, &before).await?;
        keys::update(tx, self.by, "updated", &before, &mut key).await?;
        Ok(key)
    }
}

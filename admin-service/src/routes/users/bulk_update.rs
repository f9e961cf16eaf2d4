//! `POST /user/bulk_update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::update::{Named, apply, named};
use super::{USER, fields, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal, UserRefusal};
use crate::openapi::schema::{ANY, FLAG, Record, TEXT_OR_NULL, WHOLE, list, one};
use crate::policy::{Authorized, UserBulkUpdate};
use crate::request::{BULK_UPDATE, Body, UPDATE_USER};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx};

/// The answer.
pub static BULK_UPDATED: Record = Record::new(
    "UsersUpdated",
    &[
        ("results", list(&one(&RESULT))),
        ("total_requested successful_updates failed_updates", WHOLE),
    ],
);
static RESULT: Record = Record::new(
    "UserUpdateResult",
    &[
        ("user_id user_email", TEXT_OR_NULL),
        ("success", FLAG),
        ("error", TEXT_OR_NULL),
        ("updated_user", one(&UPDATED).or_null()),
    ],
);
static UPDATED: Record = Record::new("BulkUpdatedUser", &[("user_id", ANY), ("data", one(&USER))]);

/// Most users that are named in one request.
const MOST: usize = 500;
/// Users that one transaction changes, where all are meant.
const BATCH: u32 = 100;

/// Changes many users: each of those named by itself, so that one that cannot be changed keeps none of the others from it; or all there are,
/// in the same way.
pub async fn bulk_update(
    State(app): State<App>,
    by: Authorized<UserBulkUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BULK_UPDATE)?;
    let all = body.flag("all_users").value().unwrap_or(false);
    let updates = body.object("user_updates").value();
    let users = body.take("users").value();
    let users = users.and_then(|users| users.as_array().cloned());
    let results = match (all, users, updates) {
        (true, None, Some(updates)) => update_all(&app, &by, updates).await?,
        (false, Some(users), None) if users.len() > MOST => {
            return Err(UserRefusal::TooManyUsers(MOST).into());
        }
        (false, Some(users), None) if !users.is_empty() => {
            let mut results = Vec::with_capacity(users.len());
            for user in users {
                results.push(update_one(&app, &by, user).await?);
            }
            results
        }
        _ => return Err(UserRefusal::NoBulkUpdate.into()),
    };
    let good = results
        .iter()
        .filter(|result| result["success"] == true)
        .count();
    Ok(Answer::new(json!({
        "total_requested": results.len(),
        "successful_updates": good,
        "failed_updates": results.len() - good,
        "results": results,
    }))
    .ignoring(&body.ignored))
}

async fn update_one(
    app: &App,
    by: &Authorized<UserBulkUpdate>,
    user: Value,
) -> Result<Value, ApiError> {
    let told = |name: &str| user.get(name).filter(|value| value.is_string()).cloned();
    let (user_id, email) = (told("user_id"), told("user_email"));
    let done = async {
        let Value::Object(map) = user.clone() else {
            return Err(UserRefusal::NoBulkUpdate.into());
        };
        let mut body = Body::from_map(map, UPDATE_USER)?;
        fields::no_password(&mut body, "/user/bulk_update")?;
        let named = named(&mut body)?;
        let change = One {
            app,
            by,
            named,
            body,
        };
        app.store.write(&change).await
    };
    match done.await {
        Ok(done) => {
            app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
            result(app, &done.value).await
        }
        Err(error) => Ok(json!({
            "user_id": user_id, "user_email": email, "success": false,
            "error": error.sentence()?, "updated_user": null,
        })),
    }
}

async fn update_all(
    app: &App,
    by: &Authorized<UserBulkUpdate>,
    mut updates: Map<String, Value>,
) -> Result<Vec<Value>, ApiError> {
    // What only one user can have is not for all of them.
    updates.remove("user_id");
    updates.remove("user_email");
    let mut body = Body::from_map(updates, UPDATE_USER)?;
    fields::no_password(&mut body, "/user/bulk_update")?;
    let mut results = Vec::new();
    let mut last = String::new();
    let mut outbox = Vec::new();
    loop {
        let mut connection = app.store.read().await?;
        let ids = users::ids_after(&mut connection, &last, BATCH).await?;
        drop(connection);
        let Some(end) = ids.last() else { break };
        last.clone_from(end);
        let change = Batch {
            app,
            by,
            ids,
            body: &body,
        };
        let done = app.store.write(&change).await?;
        outbox = done.outbox;
        for user in &done.value {
            results.push(result(app, user).await?);
        }
    }
    app.store.wait_published(&outbox, PUBLISH_WAIT).await;
    Ok(results)
}

async fn result(app: &App, user: &UserRow) -> Result<Value, ApiError> {
    let data = shown(&mut *app.store.read().await?, app, user).await?;
    Ok(json!({
        "user_id": user.user_id, "user_email": user.user_email, "success": true, "error": null,
        "updated_user": {"user_id": user.user_id, "data": data},
    }))
}

struct One<'a> {
    app: &'a App,
    by: &'a Authorized<UserBulkUpdate>,
    named: Named,
    body: Body,
}

impl Change for One<'_> {
    type Answer = UserRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<UserRow, ApiError> {
        apply(tx, self.app, self.by, &self.named, &self.body).await
    }
}

struct Batch<'a> {
    app: &'a App,
    by: &'a Authorized<UserBulkUpdate>,
    ids: Vec<String>,
    body: &'a Body,
}

impl Change for Batch<'_> {
    type Answer = Vec<UserRow>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Vec<UserRow>, ApiError> {
        let mut changed = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            match apply(tx, self.app, self.by, &Named::Id(id.clone()), self.body).await {
                Ok(user) => changed.push(user),
                // Deleted since its id was read.
                Err(ApiError::Refused(Refusal::User(UserRefusal::UserUpdateMissing(_)))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }
}

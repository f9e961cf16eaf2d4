//! `POST /user/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::policy::{Authorized, UserDelete};
use crate::request::{Body, USER_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::keys::{self, Owner};
use crate::store::{Change, Tx, members, users};

/// Deletes users with their keys and memberships, all that are named or none. Answers how many.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<UserDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, USER_IDS)?;
    let mut user_ids = body.texts("user_ids").value().unwrap_or_default();
    user_ids.sort();
    user_ids.dedup();
    let done = app.store.write(&Delete { by: &by, user_ids }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(json!(done.value))
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<UserDelete>,
    user_ids: Vec<String>,
}

impl Change for Delete<'_> {
    type Answer = usize;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<usize, ApiError> {
        for user_id in &self.user_ids {
            let found = users::lock(tx, users::Which::Id(user_id)).await?;
            let user = found.ok_or_else(|| Refusal::UserDeleteMissing(user_id.clone()))?;
            for key in keys::of_owner(tx.connection(), Owner::User(user_id)).await? {
                keys::delete(tx, self.by, &key).await?;
            }
            for member in members::of_user(tx.connection(), user_id).await? {
                members::delete(tx, self.by, &member).await?;
            }
            users::delete(tx, self.by, &user).await?;
        }
        Ok(self.user_ids.len())
    }
}

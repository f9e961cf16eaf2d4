//! `POST /key/block`, `/key/unblock`.

use axum::body::Bytes;
use axum::extract::State;

use super::{PUBLISH_WAIT, ownership, shown};
use crate::app::App;
use crate::error::{ApiError, KeyRefusal};
use crate::policy::{Authorized, KeyBlock, KeyUnblock, Writes};
use crate::request::{Body, KEY_NAME};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, KeyRow, token_of};
use crate::store::{Change, Tx};

/// Blocks a key.
pub async fn block(
    State(app): State<App>,
    by: Authorized<KeyBlock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    set(&app, &by, &bytes, true).await
}

/// Unblocks a key.
pub async fn unblock(
    State(app): State<App>,
    by: Authorized<KeyUnblock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    set(&app, &by, &bytes, false).await
}

async fn set<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    bytes: &Bytes,
    blocked: bool,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(bytes, KEY_NAME)?;
    let token = token_of(&body.text("key").value().unwrap_or_default());
    let done = app.store.write(&SetBlocked { by, token, blocked }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut connection = app.store.read().await?;
    let shown = shown(&mut connection, app, &[done.value], Times::Z)
        .await?
        .pop();
    Ok(Answer::new(shown.unwrap_or_default())
        .ignoring(&body.ignored)
        .published(published))
}

struct SetBlocked<'a, R> {
    by: &'a Authorized<R>,
    token: String,
    blocked: bool,
}

impl<R: Writes> Change for SetBlocked<'_, R> {
    type Answer = KeyRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<KeyRow, ApiError> {
        let found = keys::lock(tx, keys::Which::Token(&self.token)).await?;
        let before = found.ok_or(KeyRefusal::KeyMissing)?;
        let caller = &self.by.caller;
        let (route, action) = if self.blocked {
            ("/key/block", "blocked")
        } else {
            ("/key/unblock", "unblocked")
        };
        if !self.by.is_admin() {
            ownership::may_block(tx.connection(), caller, &before, route, false).await?;
        }
        let mut key = before.clone();
        key.blocked = Some(self.blocked);
        keys::update(tx, self.by, action, &before, &mut key).await?;
        Ok(key)
    }
}

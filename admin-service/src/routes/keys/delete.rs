//! `POST /key/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::{PUBLISH_WAIT, ownership};
use crate::app::App;
use crate::error::{ApiError, KeyRefusal};
use crate::openapi::schema::{Record, TEXTS};
use crate::policy::{Authorized, KeyDelete};
use crate::request::{Body, KEY_NAMES, Problem};
use crate::routes::answer::Answer;
use crate::store::keys::{self, token_of};
use crate::store::{Change, Tx};

/// The answer.
pub static DELETED: Record = Record::new("DeletedKeys", &[("deleted_keys", TEXTS)]);

/// Deletes the keys that are named, or none.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<KeyDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, KEY_NAMES)?;
    let keys = body.texts("keys").value().unwrap_or_default();
    let aliases = body.texts("key_aliases").value().unwrap_or_default();
    if keys.is_empty() && aliases.is_empty() {
        let msg = "Value error, At least one of 'keys' or 'key_aliases' must be provided.";
        return Err(Problem::whole_body("value_error", msg).into());
    }
    let done = app
        .store
        .write(&Delete {
            by: &by,
            keys,
            aliases,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(json!({ "deleted_keys": done.value }))
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<KeyDelete>,
    keys: Vec<String>,
    aliases: Vec<String>,
}

impl Change for Delete<'_> {
    type Answer = Vec<String>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Vec<String>, ApiError> {
        let mut deleted = Vec::new();
        for named in &self.keys {
            if self.one(tx, keys::Which::Token(&token_of(named))).await? {
                deleted.push(named.clone());
            }
        }
        for alias in &self.aliases {
            if self.one(tx, keys::Which::Alias(alias)).await? {
                deleted.push(alias.clone());
            }
        }
        if deleted.is_empty() {
            Err(KeyRefusal::NoKeysFound.into())
        } else {
            Ok(deleted)
        }
    }
}

impl Delete<'_> {
    async fn one(&self, tx: &mut Tx, which: keys::Which<'_>) -> Result<bool, ApiError> {
        let Some(key) = keys::lock(tx, which).await? else {
            return Ok(false);
        };
        if !self.by.is_admin() {
            ownership::may_delete(tx.connection(), &self.by.caller, &key).await?;
        }
        keys::delete(tx, self.by, &key).await?;
        Ok(true)
    }
}

//! `POST /tag/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::openapi::schema::{Record, TEXT};
use crate::policy::{Authorized, TagDelete};
use crate::request::{Body, TAG_NAME};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::models::publish_catalogue;
use crate::store::{Change, Tx, tags};

/// What [`delete`] answers.
pub static DELETED: Record = Record::new("TagDeleted", &[("message", TEXT)]);

/// Deletes a tag with its limits.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<TagDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TAG_NAME)?;
    let name = body.text("name").value().unwrap_or_default();
    let delete = Delete {
        by: &by,
        name: &name,
    };
    let done = app.store.write(&delete).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let message = format!("Tag {name} deleted successfully");
    Ok(Answer::new(json!({ "message": message }))
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<TagDelete>,
    name: &'a str,
}

impl Change for Delete<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let found = tags::lock(tx, self.name).await?;
        let tag = found.ok_or_else(|| BudgetRefusal::TagMissing(self.name.to_owned()))?;
        tags::delete(tx, self.by, &tag).await?;
        Ok(publish_catalogue(tx).await?)
    }
}

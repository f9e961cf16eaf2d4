//! `GET /tag/distinct`.

use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{Record, TEXT, list, one};
use crate::policy::{Authorized, TagDistinct};
use crate::routes::answer::Answer;
use crate::store::reports;

/// The answer.
pub static DISTINCT: Record = Record::new("DistinctTags", &[("results", list(&one(&A_TAG)))]);
static A_TAG: Record = Record::new("DistinctTag", &[("tag", TEXT)]);

/// Every tag that a request had, created or not.
pub async fn distinct(
    State(app): State<App>,
    _by: Authorized<TagDistinct>,
) -> Result<Answer, ApiError> {
    let names = reports::tag_names(&mut *app.store.read().await?).await?;
    let results: Vec<Value> = names.iter().map(|tag| json!({ "tag": tag })).collect();
    Ok(Answer::new(json!({ "results": results })))
}

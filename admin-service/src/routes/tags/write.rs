//! `POST /tag/new` and `POST /tag/update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::{TAG as SHOWN, shown};
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::openapi::schema::{Record, TEXT, one};
use crate::policy::{Authorized, TagNew, TagUpdate, Writes};
use crate::request::{Body, Patch, TAG};
use crate::routes::answer::Answer;
use crate::routes::budgets::fields::{self as budget_fields, Counting};
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::budgets::{self, BudgetRow};
use crate::store::models::publish_catalogue;
use crate::store::tags::{self, TagRow};
use crate::store::{Change, Tx};

/// What [`new`] and [`update`] answer.
pub static WRITTEN: Record = Record::new("TagWritten", &[("message", TEXT), ("tag", one(&SHOWN))]);

/// Fields that are limits: they are kept in a budget row of the tag's own.
const OF_BUDGET: [&str; 7] = [
    "max_budget",
    "soft_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "model_max_budget",
    "budget_duration",
];

/// Makes a tag; one that was only seen so far becomes one that was made.
pub async fn new(
    State(app): State<App>,
    by: Authorized<TagNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    write(&app, &by, &bytes, true).await
}

/// Changes what the request says of a tag, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<TagUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    write(&app, &by, &bytes, false).await
}

async fn write<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    bytes: &Bytes,
    new: bool,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(bytes, TAG)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced: Vec<&str> = ["models", "model_info"]
        .into_iter()
        .filter(|field| body.has(field))
        .collect();
    let name = body.text("name").value().unwrap_or_default();
    let change = Write {
        by,
        name,
        body,
        new,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let tag = std::slice::from_ref(&done.value);
    let shown = shown(&mut *app.store.read().await?, app, tag, true).await?;
    let what = if new { "created" } else { "updated" };
    let message = format!("Tag {} {what} successfully", done.value.name);
    let tag = shown.into_iter().next();
    Ok(Answer::new(json!({"message": message, "tag": tag}))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct Write<'a, R> {
    by: &'a Authorized<R>,
    name: String,
    body: Body,
    new: bool,
}

impl<R: Writes> Change for Write<'_, R> {
    type Answer = TagRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TagRow, ApiError> {
        let found = tags::lock(tx, &self.name).await?;
        let made = found.as_ref().is_some_and(|tag| tag.made);
        if self.new && made {
            return Err(BudgetRefusal::TagExists(self.name.clone()).into());
        }
        let mut tag = match &found {
            Some(tag) => tag.clone(),
            None if self.new => TagRow::new(&self.name),
            None => return Err(BudgetRefusal::TagMissing(self.name.clone()).into()),
        };
        if !made {
            // Made now, whenever it was first seen.
            (tag.made, tag.created_at) = (true, 0);
        }
        let mut body = self.body.clone();
        body.text("description").apply(&mut tag.description);
        body.texts("models").apply_or(&mut tag.models, Vec::new());
        body.object("model_info").apply(&mut tag.model_info);
        match body.text("budget_id") {
            Patch::Absent => {}
            Patch::Null => tag.budget_id = None,
            Patch::Set(id) => {
                budgets::lock(tx, &id)
                    .await?
                    .ok_or_else(|| BudgetRefusal::BudgetMissing(id.clone()))?;
                tag.budget_id = Some(id);
            }
        }
        if OF_BUDGET.iter().any(|field| body.get(field).is_some()) {
            tag.budget_id = Some(self.limit(tx, &tag, &mut body).await?);
        }
        tags::put(tx, self.by, found.as_ref(), &mut tag).await?;
        publish_catalogue(tx).await?;
        Ok(tag)
    }
}

impl<R: Writes> Write<'_, R> {
    /// Puts the limits into the tag's budget row, or into one like it where that limits others too; answers its id.
    async fn limit(&self, tx: &mut Tx, tag: &TagRow, body: &mut Body) -> Result<String, ApiError> {
        let mut row = match &tag.budget_id {
            Some(id) => budgets::lock(tx, id).await?.unwrap_or_default(),
            None => BudgetRow::default(),
        };
        let own = !row.budget_id.is_empty() && budgets::links(tx, &row.budget_id).await? <= 1;
        if !own {
            row.budget_id = uuid::Uuid::new_v4().to_string();
        }
        let now_us = tx.now_us();
        budget_fields::apply(&mut row, body, now_us, Counting::Calendar)?;
        budgets::put(tx, self.by, &mut row).await?;
        Ok(row.budget_id)
    }
}

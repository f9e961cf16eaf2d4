//! `POST /tag/info` and `GET /tag/list`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::Value;

use super::shown;
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, TagInfo, TagList};
use crate::request::{Body, Param, Query, TAG_NAMES};
use crate::routes::answer::Answer;
use crate::store::row::Object;
use crate::store::tags;

/// The query of [`list`].
pub const LIST_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 1_000, 1, 10_000),
];

/// Tags by their names.
pub async fn info(
    State(app): State<App>,
    _by: Authorized<TagInfo>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TAG_NAMES)?;
    let names = body.texts("names").value().unwrap_or_default();
    let mut connection = app.store.read().await?;
    let found = tags::find_all(&mut connection, &names).await?;
    let mut missing = names
        .iter()
        .filter(|name| !found.iter().any(|tag| tag.name == **name));
    if let Some(name) = missing.next() {
        return Err(BudgetRefusal::TagMissing(name.clone()).into());
    }
    let shown = shown(&mut connection, &app, &found, true).await?;
    let names = found.into_iter().map(|tag| tag.name);
    let by_name: Object = names.zip(shown).collect();
    Ok(Answer::new(Value::Object(by_name)).ignoring(&body.ignored))
}

/// All tags, those seen in requests among them.
pub async fn list(
    State(app): State<App>,
    by: Authorized<TagList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let (page, size) = (query.whole("page"), query.whole("page_size"));
    query.finish()?;
    let mut connection = app.store.read().await?;
    let offset = u64::from(page - 1) * u64::from(size);
    let rows = tags::list(&mut connection, size, offset).await?;
    let shown = shown(&mut connection, &app, &rows, by.is_admin()).await?;
    Ok(Answer::new(Value::Array(shown)))
}

//! `POST /budget/info` and `GET /budget/list`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, BudgetInfo, BudgetList};
use crate::request::{BUDGET_IDS, Body, Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape;
use crate::store::budgets::{self, BudgetRow};

/// The query of [`list`].
pub const LIST_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 50, 1, 1_000),
];

/// Rows by their ids; those that are not there are left out.
pub async fn info(
    State(app): State<App>,
    _by: Authorized<BudgetInfo>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BUDGET_IDS)?;
    let ids = body.texts("budgets").value().unwrap_or_default();
    if ids.is_empty() {
        return Err(BudgetRefusal::NoBudgetsNamed.into());
    }
    let rows = budgets::find_all(&mut *app.store.read().await?, &ids).await?;
    Ok(shown(&app, &rows).ignoring(&body.ignored))
}

/// All rows, or a page of them where the request asks for one.
pub async fn list(
    State(app): State<App>,
    _by: Authorized<BudgetList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let (page, size) = if query.text("page").is_some() || query.text("page_size").is_some() {
        let page = query.whole("page");
        (page, query.whole("page_size"))
    } else {
        (1, u32::MAX)
    };
    query.finish()?;
    let offset = u64::from(page - 1) * u64::from(size);
    let rows = budgets::list(&mut *app.store.read().await?, size, offset).await?;
    Ok(shown(&app, &rows))
}

fn shown(app: &App, rows: &[BudgetRow]) -> Answer {
    let (now_us, settings) = (app.store.clock().now_us(), app.settings());
    let rows = rows
        .iter()
        .map(|row| shape::budget_row(row, now_us, &settings.windows))
        .collect();
    Answer::new(Value::Array(rows))
}

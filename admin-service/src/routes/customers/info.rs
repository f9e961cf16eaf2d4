//! `GET /customer/info` and `GET /customer/list`.

use axum::extract::{RawQuery, State};
use serde_json::Value;

use super::{shown, shown_one};
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, CustomerInfo, CustomerList};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::store::customers;

/// The query of [`info`].
pub const INFO_QUERY: &[Param] = &[Param::required("end_user_id")];
/// The query of [`list`].
pub const LIST_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 50, 1, 100),
    Param::text("search"),
];

/// One customer.
pub async fn info(
    State(app): State<App>,
    _by: Authorized<CustomerInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), INFO_QUERY);
    let id = query.required("end_user_id");
    query.finish()?;
    let found = customers::find(&mut *app.store.read().await?, &id).await?;
    let customer = found.ok_or(BudgetRefusal::CustomerMissing {
        id,
        param: "end_user_id",
    })?;
    Ok(Answer::new(shown_one(&app, &customer).await?))
}

/// A page of customers.
pub async fn list(
    State(app): State<App>,
    _by: Authorized<CustomerList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let (page, size) = (query.whole("page"), query.whole("page_size"));
    let search = query.text("search").filter(|text| !text.is_empty());
    query.finish()?;
    let mut connection = app.store.read().await?;
    let offset = u64::from(page - 1) * u64::from(size);
    let rows = customers::list(&mut connection, search.as_deref(), size, offset).await?;
    let shown = shown(&mut connection, &app, &rows).await?;
    Ok(Answer::new(Value::Array(shown)))
}

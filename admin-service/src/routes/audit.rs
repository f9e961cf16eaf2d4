//! The audit log: who changed what, paged, filtered and sorted.

use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, RequestRefusal};
use crate::openapi::schema::{ANY, Record, TEXT, WHOLE, list as list_of, one};
use crate::policy::{AuditRead, Authorized};
use crate::request::{Param, Problem, Query, Step};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::audit_list::{self, Entry, ListAudit};

/// An entry.
pub static ENTRY: Record = Record::new(
    "AuditEntry",
    &[
        (
            "id updated_at changed_by changed_by_api_key changed_from action table_name object_id",
            TEXT,
        ),
        ("before_value updated_values", ANY),
    ],
);
/// A page.
pub static PAGE: Record = Record::new(
    "AuditPage",
    &[
        ("audit_logs", list_of(&one(&ENTRY))),
        ("total page page_size total_pages", WHOLE),
    ],
);

/// The query of [`list`].
pub const LIST_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 10, 1, 100),
    Param::text("changed_by"),
    Param::text("changed_by_api_key"),
    Param::text("action"),
    Param::text("table_name"),
    Param::text("object_id"),
    Param::text("start_date"),
    Param::text("end_date"),
    Param::text("sort_by"),
    Param::text("sort_order"),
];

/// `GET /audit`.
pub async fn list(
    State(app): State<App>,
    _by: Authorized<AuditRead>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let (page, size) = (query.whole("page"), query.whole("page_size"));
    let equal = audit_list::FILTERS.map(|column| query.text(column));
    let start = query.text("start_date");
    let end = query.text("end_date");
    let (sort, order) = (query.text("sort_by"), query.text("sort_order"));
    query.finish()?;
    let sort = match sort.as_deref() {
        None => "updated_at",
        Some(column) => audit_list::sort_column(column)
            .ok_or(RequestRefusal::BadSort(audit_list::SORT_COLUMNS))?,
    };
    let what = ListAudit {
        equal,
        from_us: start
            .map(|text| moment("start_date", &text, false))
            .transpose()?,
        until_us: end
            .map(|text| moment("end_date", &text, true))
            .transpose()?,
        sort,
        descending: order.is_none_or(|order| order != "asc"),
        page,
        size,
    };
    let found = audit_list::list(&app.store, &what).await?;
    Ok(Answer::new(json!({
        "audit_logs": found.entries.iter().map(shown).collect::<Vec<_>>(),
        "total": found.total,
        "page": page,
        "page_size": size,
        "total_pages": found.total.div_ceil(u64::from(size)),
    })))
}

/// `GET /audit/{id}`.
pub async fn by_id(
    State(app): State<App>,
    _by: Authorized<AuditRead>,
    Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let found = audit_list::find(&app.store, &id).await?;
    let entry = found.ok_or(RequestRefusal::AuditMissing(id))?;
    Ok(Answer::new(shown(&entry)))
}

fn shown(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "updated_at": Times::Z.print(entry.updated_at),
        "changed_by": entry.changed_by,
        "changed_by_api_key": entry.changed_by_api_key,
        "changed_from": entry.changed_from,
        "action": entry.action,
        "table_name": entry.table_name,
        "object_id": entry.object_id,
        "before_value": entry.before,
        "updated_values": entry.after,
    })
}

/// A date or a date with time, in UTC unless it says otherwise; a date that ends a range counts to its end.
fn moment(field: &'static str, text: &str, ends: bool) -> Result<u64, ApiError> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .map(|date| {
            let next = date.checked_add_days(Days::new(u64::from(ends)));
            next.unwrap_or(date)
                .and_hms_opt(0, 0, 0)
                .unwrap_or_default()
        });
    let plain = || {
        let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
        formats
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let zoned = || {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|at| at.naive_utc())
    };
    let at = date.or_else(plain).or_else(zoned);
    at.and_then(|at| u64::try_from(at.and_utc().timestamp_micros()).ok())
        .ok_or_else(|| {
            let loc = vec![Step::Name("query".into()), Step::Name(field.into())];
            let msg = "Input should be a valid datetime or date".to_owned();
            let kind = "datetime_from_date_parsing";
            ApiError::Invalid(vec![Problem { kind, loc, msg }])
        })
}

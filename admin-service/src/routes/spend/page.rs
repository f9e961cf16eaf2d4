//! The log page by page: `/spend/logs/v2`, `/spend/logs/ui`, and one request of it.

use axum::extract::{Path, RawQuery, State};
use chrono::{NaiveDateTime, NaiveTime};
use contract::money::NanoUsd;
use serde_json::{Value, json};

use super::narrow;
use super::row::{self, OF_SESSION, PAGED, Shape};
use crate::app::App;
use crate::error::{ApiError, RequestRefusal, SpendRefusal};
use crate::openapi::schema::{FLAG, Of, Record, WHOLE, list, one};
use crate::policy::{Authorized, SpendLogs};
use crate::request::{Param, Problem, Query, Step};
use crate::routes::activity::scope::{day, seen_teams};
use crate::routes::answer::Answer;
use crate::store::keys::token_of;
use crate::store::spend::{Filter, Page, Sort, count_logs, log_page, log_rows};

/// The permission by which members see their whole team's requests.
const SEE_LOGS: &str = "/spend/logs";

/// The answer of `/spend/logs/v2`.
pub static PAGE: Record = Record::with("SpendLogPage", &[&COUNTS], &[("data", list(&one(&PAGED)))]);
/// The answer of `/spend/logs/ui`.
pub static SESSIONS: Record = Record::with(
    "SpendSessionPage",
    &[&COUNTS],
    &[("data", list(&one(&OF_SESSION)))],
);
static COUNTS: Record = Record::new(
    "",
    &[
        ("total page page_size total_pages", WHOLE),
        ("total_is_capped", FLAG),
    ],
);
/// The answer of `/spend/logs/ui/{request_id}`.
pub static REQUEST: Of = one(&row::LOG);

/// The query of both pages. Those that ask for what is never recorded here find nothing; those that leave out what is not there leave out nothing.
pub static PAGE_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 50, 1, 1_000),
    Param::text("api_key"),
    Param::text("user_id"),
    Param::text("request_id"),
    Param::text("session_id"),
    Param::text("team_id"),
    Param::text("min_spend"),
    Param::text("max_spend"),
    Param::text("status_filter"),
    Param::text("cache_hit_filter"),
    Param::text("model"),
    Param::text("model_id"),
    Param::text("model_group"),
    Param::text("key_alias"),
    Param::text("end_user"),
    Param::text("error_code"),
    Param::text("error_message"),
    Param::text("search"),
    Param::text("sort_by"),
    Param::text("sort_order"),
    Param::flag("exclude_internal_health_checks"),
    Param::flag("group_by_session"),
];

/// `GET /spend/logs/v2`.
pub async fn v2(
    State(app): State<App>,
    by: Authorized<SpendLogs>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    page(&app, &by, query.as_deref(), Shape::Paged).await
}

/// `GET /spend/logs/ui`.
pub async fn sessions(
    State(app): State<App>,
    by: Authorized<SpendLogs>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    page(&app, &by, query.as_deref(), Shape::Session).await
}

/// `GET /spend/logs/ui/{request_id}`: one request, if the caller sees it.
pub async fn request(
    State(app): State<App>,
    by: Authorized<SpendLogs>,
    Path(request_id): Path<String>,
) -> Result<Answer, ApiError> {
    let filter = Filter {
        request_id: Some(request_id.clone()),
        ..Filter::default()
    };
    let found = log_rows(&app.store, &filter, 1).await?;
    let missing = SpendRefusal::SpendLogMissing(request_id);
    let Some(log) = found.first() else {
        return Err(missing.into());
    };
    if !by.is_admin() {
        let mut own = Filter {
            user_id: Some(log.row.user_id.clone()),
            api_key: Some(log.row.api_key.clone()),
            ..Filter::default()
        };
        let sees = narrow(&by, &mut own) || sees_team(&app, &by, &log.row.team_id).await?;
        if !sees {
            return Err(missing.into());
        }
    }
    Ok(Answer::new(row::row(log)))
}

/// Whether the caller sees everything that a team's keys were used for.
async fn sees_team(app: &App, by: &Authorized<SpendLogs>, team_id: &str) -> Result<bool, ApiError> {
    let seen = seen_teams(app, &by.caller).await?;
    Ok(seen
        .iter()
        .any(|team| team.team_id == team_id && team.whole(SEE_LOGS)))
}

async fn page(
    app: &App,
    by: &Authorized<SpendLogs>,
    query: Option<&str>,
    shape: Shape,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query, PAGE_QUERY);
    let (number, size) = (query.whole("page"), query.whole("page_size"));
    query.flag("exclude_internal_health_checks");
    query.flag("group_by_session");
    let mut filter = filter(&query)?;
    let sort = match given(&query, "sort_by") {
        None => Sort::default(),
        Some(column) => Sort::parse(&column).ok_or(RequestRefusal::BadSort(Sort::NAMES))?,
    };
    let ascending = given(&query, "sort_order").as_deref() == Some("asc");
    query.finish()?;
    let mut sees = by.is_admin();
    if let (false, Some(team)) = (sees, &filter.team_id) {
        sees = sees_team(app, by, team).await?;
    }
    if !sees && !narrow(by, &mut filter) {
        filter.none = true;
    }
    let page = Page {
        sort,
        ascending,
        offset: u64::from(number - 1) * u64::from(size),
        limit: size,
    };
    let rows = log_page(&app.store, &filter, page).await?;
    let (total, capped) = count_logs(&app.store, &filter).await?;
    Ok(Answer::new(json!({
        "data": rows.iter().map(|log| row::paged(log, shape)).collect::<Value>(),
        "total": total,
        "page": number,
        "page_size": size,
        "total_pages": total.div_ceil(u64::from(size)),
        "total_is_capped": capped,
    })))
}

/// A parameter that is not empty: pages send empty ones for those that nobody filled in.
fn given(query: &Query, name: &str) -> Option<String> {
    query.text(name).filter(|text| !text.is_empty())
}

fn filter(query: &Query) -> Result<Filter, ApiError> {
    let given = |name: &str| given(query, name);
    let request_id = given("request_id");
    let (from, to) = (given("start_date"), given("end_date"));
    if request_id.is_none() && (from.is_none() || to.is_none()) {
        return Err(SpendRefusal::ReportDatesMissing.into());
    }
    // No answer comes from a cache of the gateway, no request has a session, a deployment's id or a message of its error in the log.
    let never = ["session_id", "model_id", "error_message"];
    let from_cache = given("cache_hit_filter").is_some_and(|hit| hit.eq_ignore_ascii_case("true"));
    Ok(Filter {
        request_id,
        api_key: given("api_key").map(|named| token_of(&named)),
        user_id: given("user_id"),
        team_id: given("team_id"),
        end_user: given("end_user"),
        model: given("model"),
        model_group: given("model_group"),
        key_alias: given("key_alias"),
        success: match given("status_filter").as_deref() {
            Some("success") => Some(true),
            Some("failure" | "error") => Some(false),
            _ => None,
        },
        http_status: match given("error_code") {
            None => None,
            Some(code) => Some(code.parse().map_err(|_| {
                wrong(
                    "error_code",
                    "int_parsing",
                    "Input should be a valid integer",
                )
            })?),
        },
        min_spend: money("min_spend", given("min_spend"))?,
        max_spend: money("max_spend", given("max_spend"))?,
        search: given("search"),
        none: from_cache || never.iter().any(|name| given(name).is_some()),
        from_ms: from
            .map(|text| moment("start_date", &text, NaiveTime::MIN))
            .transpose()?,
        before_ms: to
            .map(|text| moment("end_date", &text, LAST_SECOND).map(|ms| ms.saturating_add(1)))
            .transpose()?,
    })
}

/// What a day without a time ends with.
const LAST_SECOND: NaiveTime = match NaiveTime::from_hms_milli_opt(23, 59, 59, 999) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

/// A time such as `2026-11-23 07:12:00`, or a day, in ms since the epoch.
fn moment(name: &str, text: &str, of_day: NaiveTime) -> Result<u64, ApiError> {
    let text = text.trim().trim_end_matches('Z');
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let parsed = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let at = match parsed {
        Some(at) => at,
        None if text.len() == 10 => day(name, text)?.and_time(of_day),
        None => {
            let msg = "Input should be a valid date and time in the format YYYY-MM-DD HH:MM:SS";
            return Err(wrong(name, "datetime_parsing", msg));
        }
    };
    Ok(u64::try_from(at.and_utc().timestamp_millis()).unwrap_or(0))
}

fn money(name: &str, text: Option<String>) -> Result<Option<NanoUsd>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match NanoUsd::parse(&text) {
        Ok(amount) => Ok(Some(amount)),
        Err(error) => Err(wrong(name, "float_parsing", &error.to_string())),
    }
}

fn wrong(name: &str, kind: &'static str, msg: &str) -> ApiError {
    ApiError::Invalid(vec![Problem {
        kind,
        loc: vec![Step::Name("query".into()), Step::Name(name.to_owned())],
        msg: msg.to_owned(),
    }])
}

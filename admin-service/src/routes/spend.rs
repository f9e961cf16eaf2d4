//! The spend log, and what keys, users and tags have spent.

use axum::extract::{RawQuery, State};
use chrono::Days;
use serde_json::json;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{NUMBER, Of, TEXT, either, list, map, one};
use crate::policy::{Authorized, SpendLogs};
use crate::request::{Param, Query};
use crate::routes::activity::scope::day;
use crate::routes::answer::Answer;
use crate::store::keys::token_of;
use crate::store::spend::{Filter, log_rows, summary};

mod calculate;
mod lists;
mod page;
mod report;
mod row;
mod summary;

pub use calculate::{COST, calculate};
pub use lists::{KEYS, KEYS_QUERY, TAGS, TAGS_QUERY, USERS, USERS_QUERY, keys, tags, users};
pub use page::{PAGE, PAGE_QUERY, REQUEST, SESSIONS, request, sessions, v2};
pub use report::{
    KEY_REPORT_QUERY, ORGANIZATION_REPORT_QUERY, REPORT, TEAM_REPORT_QUERY, USER_REPORT_QUERY,
    key_report, organization_report, team_report, user_report,
};
pub(super) use report::{MOST_KEYS, by_entity};

/// Most rows of one answer: the newest. LiteLLM has no bound here, so the answer says where it ends at this one.
const MOST_ROWS: usize = 10_000;

/// The answer: rows, or a summary for each day.
pub static LOGS: Of = either(&[list(&ROW), list(&SUMMARY)]);
static ROW: Of = one(&row::LOG);
static SUMMARY: Of = map(&DAY);

/// What one day of a summary holds, under its names and under keys: texts, sums, and sums by name.
static DAY: Of = either(&[TEXT, NUMBER, map(&NUMBER)]);

/// The query of `/spend/logs`.
pub static LOGS_QUERY: &[Param] = &[
    Param::text("request_id"),
    Param::text("api_key"),
    Param::text("user_id"),
    Param::text("start_date"),
    Param::text("end_date"),
    Param::flag("summarize"),
];

/// `GET /spend/logs`: rows by request, key, user and day; a summary by day where both days are given and `summarize` is not false.
pub async fn logs(
    State(app): State<App>,
    by: Authorized<SpendLogs>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LOGS_QUERY);
    let summarize = query.text("summarize").is_none() || query.flag("summarize");
    let mut filter = Filter {
        request_id: query.text("request_id"),
        api_key: query.text("api_key").map(|named| token_of(&named)),
        user_id: query.text("user_id"),
        ..Filter::default()
    };
    let days = [query.text("start_date"), query.text("end_date")];
    query.finish()?;
    let first = days[0]
        .as_deref()
        .map(|text| day("start_date", text))
        .transpose()?;
    let last = days[1]
        .as_deref()
        .map(|text| day("end_date", text))
        .transpose()?;
    if !by.is_admin() && !narrow(&by, &mut filter) {
        return Ok(Answer::new(json!([])));
    }
    if let (true, None, Some(first), Some(last)) = (summarize, &filter.request_id, first, last) {
        let days = (first.to_string(), last.to_string());
        if filter.api_key.is_none() && filter.user_id.is_none() {
            return Ok(Answer::new(summary::of_everybody(&app, days).await?));
        }
        let rows = summary(&app.store, &filter, (&days.0, &days.1)).await?;
        return Ok(Answer::new(summary::summarized(&rows)));
    }
    let start_ms = |day: chrono::NaiveDate| {
        let midnight = day.and_hms_opt(0, 0, 0)?.and_utc();
        u64::try_from(midnight.timestamp_millis()).ok()
    };
    filter.from_ms = first.and_then(start_ms);
    filter.before_ms = last.and_then(|last| start_ms(last.checked_add_days(Days::new(1))?));
    // One more than is shown tells whether there are more; how many, only counting the whole log would.
    let asked = u32::try_from(MOST_ROWS)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    let rows = log_rows(&app.store, &filter, asked).await?;
    let shown = rows.iter().take(MOST_ROWS);
    let answer = Answer::new(shown.map(row::row).collect());
    Ok(if rows.len() > MOST_ROWS {
        answer.truncated(MOST_ROWS)
    } else {
        answer
    })
}

/// Limits the log to the caller's own requests: those of their user, or of their key where it has none. `false`: they asked for others'.
fn narrow(by: &Authorized<SpendLogs>, filter: &mut Filter) -> bool {
    let (own, asked) = match &by.caller.user_id {
        Some(user) => (Some(user.clone()), &mut filter.user_id),
        None => (by.caller.token().map(str::to_owned), &mut filter.api_key),
    };
    let Some(own) = own else { return false };
    let is_own = asked.as_ref().is_none_or(|asked| *asked == own);
    *asked = Some(own);
    is_own
}

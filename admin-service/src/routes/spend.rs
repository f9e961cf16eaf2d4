//! The spend log.

use axum::extract::{RawQuery, State};
use chrono::{Days, NaiveDate};
use contract::money::NanoUsd;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{
    ANY, NUMBER, OBJECT, Of, Record, TEXT, TEXT_OR_NULL, WHOLE, either, list, map, one,
};
use crate::policy::{Authorized, SpendLogs};
use crate::request::{Param, Problem, Query, Step};
use crate::routes::answer::Answer;
use crate::routes::shape::{Times, dollars};
use crate::store::keys::token_of;
use crate::store::spend::{Filter, LogRow, SummaryRow, log_rows, summary};

/// Most rows of one answer: the newest. LiteLLM has no bound here.
const MOST_ROWS: u32 = 10_000;

/// The answer: rows, or a summary for each day.
pub static LOGS: Of = either(&[list(&ROW), list(&SUMMARY)]);
static ROW: Of = one(&LOG);
static SUMMARY: Of = map(&DAY);

/// What one day of a summary holds, under its names and under keys: texts, sums, and sums by name.
static DAY: Of = either(&[TEXT, NUMBER, map(&NUMBER)]);

/// One row of the log.
static LOG: Record = Record::new(
    "SpendLog",
    &[
        (
            "request_id call_type api_key startTime endTime completionStartTime model model_id model_group",
            TEXT,
        ),
        (
            "custom_llm_provider api_base user cache_hit cache_key end_user status litellm_call_id",
            TEXT,
        ),
        ("spend", NUMBER),
        (
            "total_tokens prompt_tokens completion_tokens request_duration_ms",
            WHOLE,
        ),
        ("request_tags", ANY),
        (
            "team_id organization_id requester_ip_address session_id mcp_namespaced_tool_name agent_id",
            TEXT_OR_NULL,
        ),
        ("metadata messages response proxy_server_request", OBJECT),
    ],
);

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
        let rows = summary(&app.store, &filter, (&days.0, &days.1)).await?;
        return Ok(Answer::new(summarized(&rows)));
    }
    filter.from_ms = first.and_then(start_ms);
    filter.before_ms = last.and_then(|last| start_ms(last.checked_add_days(Days::new(1))?));
    let rows = log_rows(&app.store, &filter, MOST_ROWS).await?;
    Ok(Answer::new(rows.iter().map(row).collect()))
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

fn day(name: &str, text: &str) -> Result<NaiveDate, ApiError> {
    // A time after the day is accepted and counts as the whole day.
    let date = text.split([' ', 'T']).next().unwrap_or_default();
    NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| {
        ApiError::Invalid(vec![Problem {
            kind: "date_parsing",
            loc: vec![Step::Name("query".into()), Step::Name(name.into())],
            msg: "Input should be a valid date in the format YYYY-MM-DD".to_owned(),
        }])
    })
}

fn start_ms(day: NaiveDate) -> Option<u64> {
    let midnight = day.and_hms_opt(0, 0, 0)?.and_utc();
    u64::try_from(midnight.timestamp_millis()).ok()
}

/// One object for each day: its sum, the sums of users and models, and beside them each key's under its hash.
fn summarized(rows: &[SummaryRow]) -> Value {
    let mut days: Vec<Day> = Vec::new();
    for row in rows {
        if days.last().is_none_or(|day| day.date != row.date) {
            days.push(Day {
                date: row.date.clone(),
                ..Day::default()
            });
        }
        if let Some(day) = days.last_mut() {
            day.spend = add(day.spend, row.spend);
            count(&mut day.keys, &row.api_key, row.spend);
            count(&mut day.users, &row.user_id, row.spend);
            count(&mut day.models, &row.model, row.spend);
        }
    }
    days.into_iter().map(Day::shown).collect()
}

#[derive(Default)]
struct Day {
    date: String,
    spend: NanoUsd,
    keys: Vec<(String, NanoUsd)>,
    users: Vec<(String, NanoUsd)>,
    models: Vec<(String, NanoUsd)>,
}

impl Day {
    fn shown(self) -> Value {
        let object = |sums: Vec<(String, NanoUsd)>| {
            sums.into_iter()
                .map(|(name, sum)| (name, dollars(sum)))
                .collect::<Map<_, _>>()
        };
        let mut day = object(self.keys);
        day.insert("startTime".into(), json!(self.date));
        day.insert("spend".into(), dollars(self.spend));
        day.insert("users".into(), Value::Object(object(self.users)));
        day.insert("models".into(), Value::Object(object(self.models)));
        Value::Object(day)
    }
}

fn count(sums: &mut Vec<(String, NanoUsd)>, name: &str, spend: NanoUsd) {
    match sums.iter_mut().find(|(known, _)| known == name) {
        Some((_, sum)) => *sum = add(*sum, spend),
        None => sums.push((name.to_owned(), spend)),
    }
}

fn add(sum: NanoUsd, more: NanoUsd) -> NanoUsd {
    sum.checked_add(more).unwrap_or(NanoUsd::MAX)
}

/// A request under LiteLLM's field names.
fn row(log: &LogRow) -> Value {
    let row = &log.row;
    let after = |ms: u64| Times::Z.print(row.admitted_ms.saturating_add(ms).saturating_mul(1_000));
    let status = if (200..300).contains(&row.http_status) {
        "success"
    } else {
        "failure"
    };
    let maybe = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    json!({
        "request_id": row.request_id,
        "call_type": row.call_type,
        "api_key": row.api_key,
        "spend": dollars(row.spend),
        "total_tokens": row.usage.total_tokens(),
        "prompt_tokens": row.usage.prompt_tokens(),
        "completion_tokens": row.usage.completion_tokens(),
        "startTime": after(0),
        "endTime": after(row.duration_ms),
        "completionStartTime": after(row.first_byte_ms.unwrap_or(row.duration_ms)),
        "request_duration_ms": row.duration_ms,
        "model": row.model,
        "model_id": "",
        "model_group": row.model_group,
        "custom_llm_provider": row.provider,
        "api_base": "",
        "user": row.user_id,
        "metadata": metadata(log, status),
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": row.tags,
        "team_id": maybe(&row.team_id),
        "organization_id": null,
        "end_user": row.end_user,
        "requester_ip_address": maybe(&row.client_ip),
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "session_id": null,
        "status": status,
        "mcp_namespaced_tool_name": null,
        "agent_id": null,
        "litellm_call_id": row.event_id.to_string(),
    })
}

fn metadata(log: &LogRow, status: &str) -> Value {
    let row = &log.row;
    let maybe = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    json!({
        "user_api_key": row.api_key,
        "user_api_key_alias": log.key_alias,
        "user_api_key_user_id": maybe(&row.user_id),
        "user_api_key_team_id": maybe(&row.team_id),
        "user_api_key_team_alias": log.team_alias,
        "user_api_key_org_id": null,
        "requester_ip_address": maybe(&row.client_ip),
        "spend_logs_metadata": null,
        "status": status,
        "additional_usage_values": {
            "cache_read_input_tokens": row.usage.cache_read,
            "cache_creation_input_tokens": row.usage.cache_write.saturating_add(row.usage.cache_write_1h),
        },
        "usage_object": {
            "prompt_tokens": row.usage.prompt_tokens(),
            "completion_tokens": row.usage.completion_tokens(),
            "total_tokens": row.usage.total_tokens(),
            "prompt_tokens_details": {
                "cached_tokens": row.usage.cache_read,
                "audio_tokens": row.usage.audio_input,
                "image_tokens": row.usage.image_input,
            },
            "completion_tokens_details": {
                "reasoning_tokens": row.usage.reasoning,
                "audio_tokens": row.usage.audio_output,
            },
        },
        "tollkeeper": {
            "estimated": !row.exact,
            "swept": row.version == 0,
            "http_status": row.http_status,
        },
    })
}

//! `GET /global/activity/cache_hits`.
//!
//! No answer comes from a cache of the gateway: every completion is generated, and paid for. A hit is a request answered with success whose
//! prompt the provider read from its prompt cache, at least in part; `cached_prompt_tokens` says how much of it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::activity::{asked, seen};
use crate::app::App;
use crate::error::ApiError;
use crate::ledger::CALL_TYPES;
use crate::openapi::schema::{NUMBER, Record, TEXT, TEXTS, WHOLE, list, one};
use crate::policy::{Authorized, GlobalActivity};
use crate::request::{Param, Query};
use crate::routes::activity::scope::mine;
use crate::routes::answer::Answer;
use crate::store::keys::token_of;
use crate::store::reports::{By, failures, key_names, sums, top_keys};
use crate::store::spend::DailySums;

/// The answer.
pub static CACHE_HITS: Record = Record::new(
    "CacheHits",
    &[
        (
            "groups",
            list(&one(&Record::new(
                "",
                &[
                    ("call_type", TEXT),
                    ("api_requests cache_hits failed_requests", WHOLE),
                    (
                        "cached_completion_tokens generated_completion_tokens cached_prompt_tokens",
                        WHOLE,
                    ),
                ],
            ))),
        ),
        (
            "totals",
            one(&Record::new(
                "",
                &[
                    ("api_requests cache_hits failed_requests", WHOLE),
                    ("cached_completion_tokens cached_prompt_tokens", WHOLE),
                    ("cache_hit_ratio", NUMBER),
                ],
            )),
        ),
        (
            "filter_options",
            one(&Record::new("", &[("key_aliases models", TEXTS)])),
        ),
        (
            "error_breakdown",
            list(&one(&Record::new(
                "",
                &[("call_type error_code error_class", TEXT), ("count", WHOLE)],
            ))),
        ),
    ],
);

/// The query.
pub static CACHE_HITS_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::texts("api_keys"),
    Param::texts("models"),
];

/// Keys whose aliases are offered to filter by.
const MOST_ALIASES: u32 = 500;
/// Most values of a filter.
const MOST_NAMED: usize = 500;

/// Requests by kind of call, those that were read from a prompt cache, and those that failed.
pub async fn cache_hits(
    State(app): State<App>,
    by: Authorized<GlobalActivity>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), CACHE_HITS_QUERY);
    let days = asked(&query)?;
    let keys = several(&query, "api_keys");
    let models = several(&query, "models");
    query.finish()?;
    let tokens = keys.iter().map(|key| token_of(key)).collect::<Vec<_>>();
    let everything = seen(&by, days.clone());
    let mut which = everything.clone();
    which.api_keys = (!tokens.is_empty()).then(|| tokens.clone());
    let mut connection = app.store.read().await?;

    let found = sums(
        &mut connection,
        &which,
        &[By::Endpoint, By::ModelGroup],
        None,
    )
    .await?;
    let mut groups: BTreeMap<String, DailySums> = BTreeMap::new();
    for (names, sums) in &found {
        let [endpoint, model] = &names[..] else {
            continue;
        };
        if models.is_empty() || models.contains(model) {
            groups
                .entry(call_type(endpoint).to_owned())
                .or_default()
                .add(sums);
        }
    }
    let mut totals = DailySums::default();
    for group in groups.values() {
        totals.add(group);
    }

    let all_models = sums(&mut connection, &everything, &[By::ModelGroup], None).await?;
    let all_models = all_models
        .into_iter()
        .filter_map(|(names, _)| names.into_iter().next());
    let all_models = all_models.collect::<BTreeSet<_>>();
    let used = top_keys(&mut connection, &everything, MOST_ALIASES).await?;
    let names = key_names(&mut connection, &used).await?;
    let alias = |token: &String| {
        let alias = names.get(token).and_then(|name| name.alias.clone());
        alias.unwrap_or_else(|| "Unnamed Key".to_owned())
    };
    let aliases = used.iter().map(alias).collect::<BTreeSet<_>>();

    let mine = (!by.is_admin()).then(|| mine(&by.caller));
    let failed = failures(&mut connection, &days, mine.as_ref(), &tokens, &models).await?;
    let mut errors: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for failure in failed {
        let kind = (call_type(&failure.endpoint).to_owned(), failure.http_status);
        *errors.entry(kind).or_default() += failure.requests;
    }
    Ok(Answer::new(json!({
        "groups": groups.iter().map(|(call_type, sums)| group(call_type, sums)).collect::<Value>(),
        "totals": {
            "api_requests": totals.successful_requests,
            "cache_hits": totals.cache_hits,
            "failed_requests": totals.failed_requests,
            "cached_completion_tokens": 0,
            "cached_prompt_tokens": totals.cache_read,
            "cache_hit_ratio": ratio(totals.cache_hits, totals.successful_requests),
        },
        "filter_options": {"key_aliases": aliases, "models": all_models},
        "error_breakdown": errors.iter().map(|((call_type, status), count)| json!({
            "call_type": call_type,
            "error_code": status.to_string(),
            "error_class": error_class(*status),
            "count": count,
        })).collect::<Value>(),
    })))
}

fn group(call_type: &str, sums: &DailySums) -> Value {
    json!({
        "call_type": call_type,
        "api_requests": sums.successful_requests,
        "cache_hits": sums.cache_hits,
        "failed_requests": sums.failed_requests,
        "cached_completion_tokens": 0,
        "generated_completion_tokens": sums.completion_tokens,
        "cached_prompt_tokens": sums.cache_read,
    })
}

/// Four digits are enough for a share.
fn ratio(hits: i64, requests: i64) -> Value {
    let parts = hits
        .saturating_mul(10_000)
        .checked_div(requests)
        .unwrap_or(0);
    let text = format!("{}.{:04}", parts / 10_000, parts % 10_000);
    text.parse::<serde_json::Number>()
        .map_or(Value::Null, Value::Number)
}

/// Values that are given several times, or separated by commas.
fn several(query: &Query, name: &str) -> Vec<String> {
    let given = query.texts(name);
    let each = given.iter().flat_map(|text| text.split(','));
    let each = each.map(str::trim).filter(|text| !text.is_empty());
    each.take(MOST_NAMED).map(str::to_owned).collect()
}

fn call_type(endpoint: &str) -> &str {
    let known = CALL_TYPES.iter().find(|(_, path)| *path == endpoint);
    known.map_or(endpoint, |(call_type, _)| call_type)
}

/// LiteLLM's name of what a status means.
const fn error_class(status: u64) -> &'static str {
    match status {
        0 => "APIConnectionError",
        400 | 422 => "BadRequestError",
        401 => "AuthenticationError",
        403 => "PermissionDeniedError",
        404 => "NotFoundError",
        408 | 504 => "Timeout",
        429 => "RateLimitError",
        500 => "InternalServerError",
        503 => "ServiceUnavailableError",
        _ => "APIError",
    }
}

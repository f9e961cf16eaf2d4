//! How many requests there were, and how many failed.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{Of, Record, TEXT, TEXT_OR_NULL, WHOLE, list, one};
use crate::policy::{Authorized, GlobalActivity, GlobalExceptions};
use crate::request::{Param, Query};
use crate::routes::activity::scope::{days, mine};
use crate::routes::answer::Answer;
use crate::store::reports::{By, Days, Mine, Reach, Which, failures, sums};
use crate::store::spend::{DailySums, Dimension};

/// The answer of `/global/activity`.
pub static ACTIVITY: Record = Record::new(
    "GlobalActivity",
    &[
        ("daily_data", list(&one(&DAY))),
        ("sum_api_requests sum_total_tokens", WHOLE),
    ],
);
static DAY: Record = Record::new("", &[("date", TEXT), ("api_requests total_tokens", WHOLE)]);
/// The answer of `/global/activity/model`.
pub static BY_MODEL: Of = list(&one(&OF_MODEL));
static OF_MODEL: Record = Record::new(
    "ActivityOfModel",
    &[
        ("model", TEXT_OR_NULL),
        (
            "daily_data",
            list(&one(&Record::with(
                "",
                &[&DAY],
                &[("model_group", TEXT_OR_NULL)],
            ))),
        ),
        ("sum_api_requests sum_total_tokens", WHOLE),
    ],
);
/// The answer of `/global/activity/exceptions`.
pub static EXCEPTIONS: Record = Record::new(
    "ActivityExceptions",
    &[
        (
            "daily_data",
            list(&one(&Record::new(
                "",
                &[
                    ("date", TEXT),
                    ("num_rate_limit_exceptions num_exceptions", WHOLE),
                ],
            ))),
        ),
        ("sum_num_rate_limit_exceptions sum_num_exceptions", WHOLE),
    ],
);

/// The query of `/global/activity` and `/global/activity/model`.
pub static ACTIVITY_QUERY: &[Param] = &[Param::text("start_date"), Param::text("end_date")];
/// The query of `/global/activity/exceptions`.
pub static EXCEPTIONS_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::text("model_group"),
];

/// Most models of one answer: those asked most.
const MOST_MODELS: usize = 10;

/// The days that are asked for.
pub(super) fn asked(query: &Query) -> Result<Days, ApiError> {
    days(query)?.ok_or_else(|| SpendRefusal::DatesMissing.into())
}

/// What of all requests the caller sees: their own where they are no admin.
pub(super) fn seen<R>(by: &Authorized<R>, days: Days) -> Which {
    let mut which = Which::all(Dimension::User, days);
    if !by.is_admin() {
        which.reach = match mine(&by.caller) {
            Mine::User(own) => Reach::These(vec![own]),
            mine @ Mine::Key(_) => Reach::Partly {
                whole: Vec::new(),
                partly: None,
                mine,
            },
        };
    }
    which
}

/// A day as charts name it: `Nov 23`.
fn label(date: &str) -> String {
    NaiveDate::parse_from_str(date, "%Y-%m-%d")
        .map_or_else(|_| date.to_owned(), |day| day.format("%b %d").to_string())
}

const fn tokens(sums: &DailySums) -> i64 {
    sums.prompt_tokens + sums.completion_tokens
}

/// `GET /global/activity`: requests and tokens of each day.
pub async fn activity(
    State(app): State<App>,
    by: Authorized<GlobalActivity>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), ACTIVITY_QUERY);
    let which = seen(&by, asked(&query)?);
    query.finish()?;
    let mut found = sums(&mut *app.store.read().await?, &which, &[By::Date], None).await?;
    found.sort();
    let mut all = DailySums::default();
    let mut daily = Vec::new();
    for (names, sums) in &found {
        let date = names.first().map_or_else(String::new, |date| label(date));
        all.add(sums);
        daily.push(json!({
            "date": date, "api_requests": sums.api_requests, "total_tokens": tokens(sums),
        }));
    }
    Ok(Answer::new(json!({
        "daily_data": daily,
        "sum_api_requests": all.api_requests,
        "sum_total_tokens": tokens(&all),
    })))
}

/// `GET /global/activity/model`: the same for each of the models that were asked most.
pub async fn by_model(
    State(app): State<App>,
    by: Authorized<GlobalActivity>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), ACTIVITY_QUERY);
    let which = seen(&by, asked(&query)?);
    query.finish()?;
    let by = [By::ModelGroup, By::Date];
    let mut found = sums(&mut *app.store.read().await?, &which, &by, None).await?;
    found.sort();
    let mut models: BTreeMap<String, (DailySums, Vec<Value>)> = BTreeMap::new();
    for (names, sums) in &found {
        let [model, date] = &names[..] else { continue };
        let (all, daily) = models.entry(model.clone()).or_default();
        all.add(sums);
        daily.push(json!({
            "model_group": named(model), "date": label(date),
            "api_requests": sums.api_requests, "total_tokens": tokens(sums),
        }));
    }
    let mut models = models.into_iter().collect::<Vec<_>>();
    models.sort_by_key(|(_, (all, _))| std::cmp::Reverse(all.api_requests));
    let model = |(model, (all, daily)): (String, (DailySums, Vec<Value>))| {
        json!({
            "model": named(&model), "daily_data": daily,
            "sum_api_requests": all.api_requests, "sum_total_tokens": tokens(&all),
        })
    };
    let models = models.into_iter().take(MOST_MODELS).map(model);
    Ok(Answer::new(models.collect()))
}

fn named(model: &str) -> Option<&str> {
    Some(model).filter(|model| !model.is_empty())
}

/// `GET /global/activity/exceptions`: requests of each day that failed, and those of them that met a rate limit of the provider.
pub async fn exceptions(
    State(app): State<App>,
    _by: Authorized<GlobalExceptions>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), EXCEPTIONS_QUERY);
    let days = asked(&query)?;
    let model = query.text("model_group").filter(|model| !model.is_empty());
    query.finish()?;
    let models = model.into_iter().collect::<Vec<_>>();
    let mut connection = app.store.read().await?;
    let found = failures(&mut connection, &days, None, &[], &models).await?;
    let mut by_day: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for failure in &found {
        let (limited, all) = by_day.entry(&failure.date).or_default();
        *all += failure.requests;
        if failure.http_status == 429 {
            *limited += failure.requests;
        }
    }
    let daily = by_day.iter().map(|(date, (limited, all))| {
        json!({"date": label(date), "num_rate_limit_exceptions": limited, "num_exceptions": all})
    });
    let sum = |of: fn(&(u64, u64)) -> u64| by_day.values().map(of).sum::<u64>();
    Ok(Answer::new(json!({
        "daily_data": daily.collect::<Value>(),
        "sum_num_rate_limit_exceptions": sum(|(limited, _)| *limited),
        "sum_num_exceptions": sum(|(_, all)| *all),
    })))
}

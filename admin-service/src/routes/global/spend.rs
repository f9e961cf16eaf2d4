//! `/global/spend` and what is under it. Where no days are named, the last thirty count, as in LiteLLM.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{
    ANY, NUMBER, Of, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE, list, map, one,
};
use crate::policy::{Authorized, GlobalSpend};
use crate::request::{Body, END_USERS as END_USERS_BODY, Param, Query};
use crate::routes::activity::scope::{day, days, days_until_today};
use crate::routes::answer::Answer;
use crate::routes::shape::{maybe_dollars, nano_dollars};
use crate::store::keys::token_of;
use crate::store::reports::{
    self, By, KeySpend, Reach, Which, entity_names, key_names, sums, total,
};
use crate::store::spend::{DailySums, Dimension};

/// The answer of `/global/spend`.
pub static SPEND: Record = Record::new("GlobalSpend", &[("spend max_budget", NUMBER)]);
/// The answer of `/global/spend/logs`.
pub static DAYS: Of = list(&one(&DAY));
static DAY: Record = Record::new("SpendOfDay", &[("date", TEXT), ("spend", NUMBER)]);
/// The answer of `/global/spend/keys`.
pub static KEYS: Of = list(&one(&KEY));
static KEY: Record = Record::new(
    "SpendOfKey",
    &[
        ("api_key", TEXT),
        ("key_alias key_name", TEXT_OR_NULL),
        ("total_spend", NUMBER),
    ],
);
/// The answer of `/global/spend/models`.
pub static MODELS: Of = list(&one(&MODEL));
static MODEL: Record = Record::new("SpendOfModel", &[("model", TEXT), ("total_spend", NUMBER)]);
/// The answer of `/global/spend/provider`.
pub static PROVIDERS: Of = list(&one(&PROVIDER));
static PROVIDER: Record = Record::new("SpendOfProvider", &[("provider", TEXT), ("spend", NUMBER)]);
/// The answer of `/global/spend/teams`. A day holds its date, and beside it each team's sum under the team's name.
pub static TEAMS: Record = Record::new(
    "SpendOfTeams",
    &[
        ("daily_spend", list(&map(&ANY))),
        ("teams", TEXTS),
        (
            "total_spend_per_team",
            list(&one(&Record::new(
                "",
                &[("team_id", TEXT), ("total_spend", NUMBER)],
            ))),
        ),
    ],
);
/// The answer of `/global/spend/end_users`.
pub static END_USERS: Of = list(&one(&END_USER));
static END_USER: Record = Record::new(
    "SpendOfEndUser",
    &[
        ("end_user", TEXT_OR_NULL),
        ("total_count", WHOLE),
        ("total_spend", NUMBER),
    ],
);
/// The answer of `/global/spend/tags`.
pub static TAGS: Record = Record::new(
    "SpendOfTags",
    &[(
        "spend_per_tag",
        list(&one(&Record::new(
            "",
            &[("name", TEXT), ("spend", NUMBER), ("log_count", WHOLE)],
        ))),
    )],
);
/// The answer of `/global/spend/all_tag_names`.
pub static TAG_NAMES: Record = Record::new("TagNames", &[("tag_names", TEXTS)]);

/// The query of `/global/spend/logs`.
pub static LOGS_QUERY: &[Param] = &[Param::text("api_key")];
/// The query of `/global/spend/keys` and `models`.
pub static KEYS_QUERY: &[Param] = &[Param::whole("limit", 10, 1, 1_000)];
/// The query of `/global/spend/provider`.
pub static PROVIDERS_QUERY: &[Param] = &[Param::text("start_date"), Param::text("end_date")];
/// The query of `/global/spend/tags`.
pub static TAGS_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::text("tags"),
];

/// What keys without a team are called among teams.
const NO_TEAM: &str = "Unassigned";
/// Most customers of one answer.
const MOST_END_USERS: u32 = 100;

/// `GET /global/spend`: what was spent in the last thirty days, and the budget of all.
pub async fn spend(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
) -> Result<Answer, ApiError> {
    let which = Which::all(Dimension::User, days_until_today(&app, 30));
    let all = total(&mut *app.store.read().await?, &which).await?;
    let budget = app
        .settings()
        .proxy
        .budget
        .as_ref()
        .map(|budget| budget.max);
    let budget = budget.map_or_else(|| json!(0.0), |budget| maybe_dollars(Some(budget)));
    Ok(Answer::new(
        json!({"spend": nano_dollars(all.spend), "max_budget": budget}),
    ))
}

/// `GET /global/spend/logs`: what was spent each day, by all or by one key.
pub async fn logs(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), LOGS_QUERY);
    let key = query.text("api_key").filter(|key| !key.is_empty());
    query.finish()?;
    let mut which = Which::all(Dimension::User, days_until_today(&app, 30));
    which.api_keys = key.map(|key| vec![token_of(&key)]);
    let mut days = sums(&mut *app.store.read().await?, &which, &[By::Date], None).await?;
    days.sort();
    let shown = days
        .iter()
        .map(|(names, sums)| json!({"date": names.first(), "spend": nano_dollars(sums.spend)}));
    Ok(Answer::new(shown.collect()))
}

/// `GET /global/spend/keys`: the keys that spent most.
pub async fn keys(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), KEYS_QUERY);
    let most = query.whole("limit");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let days = days_until_today(&app, 30);
    let keys = reports::heaviest_keys(&mut connection, &days, most).await?;
    let tokens = keys.iter().map(|key| key.api_key.clone());
    let names = key_names(&mut connection, &tokens.collect::<Vec<_>>()).await?;
    let shown = keys.iter().map(|KeySpend { api_key, spend }| {
        let name = names.get(api_key);
        json!({
            "api_key": api_key,
            "key_alias": name.and_then(|name| name.alias.clone()),
            "key_name": name.and_then(|name| name.name.clone()),
            "total_spend": nano_dollars(*spend),
        })
    });
    Ok(Answer::new(shown.collect()))
}

/// `GET /global/spend/models`: the models that cost most.
pub async fn models(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), KEYS_QUERY);
    let most = query.whole("limit");
    query.finish()?;
    let which = Which::all(Dimension::User, days_until_today(&app, 30));
    let mut connection = app.store.read().await?;
    let models = sums(&mut connection, &which, &[By::Model], Some(most)).await?;
    let shown = models.iter().map(
        |(names, sums)| json!({"model": names.first(), "total_spend": nano_dollars(sums.spend)}),
    );
    Ok(Answer::new(shown.collect()))
}

/// `GET /global/spend/provider`: what each provider cost.
pub async fn providers(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), PROVIDERS_QUERY);
    let days = days(&query)?.ok_or(SpendRefusal::ReportDatesMissing)?;
    query.finish()?;
    let which = Which::all(Dimension::User, days);
    let all = sums(&mut *app.store.read().await?, &which, &[By::Provider], None).await?;
    let shown = all
        .iter()
        .map(|(names, sums)| json!({"provider": names.first(), "spend": nano_dollars(sums.spend)}));
    Ok(Answer::new(shown.collect()))
}

/// `GET /global/spend/teams`: what teams spent each day, under their names.
pub async fn teams(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
) -> Result<Answer, ApiError> {
    let days = days_until_today(&app, 30);
    let mut connection = app.store.read().await?;
    let all = Which::all(Dimension::User, days.clone());
    let all = sums(&mut connection, &all, &[By::Date], None).await?;
    let teams = Which::all(Dimension::Team, days);
    let by = [By::Date, By::Entity];
    let by_team = sums(&mut connection, &teams, &by, None).await?;
    let ids = by_team
        .iter()
        .filter_map(|(names, _)| names.get(1).cloned());
    let ids = ids.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let aliases = entity_names(&mut connection, Dimension::Team, &ids).await?;
    let mut by_day: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (names, sums) in all {
        let day = by_day.entry(names.into_iter().next().unwrap_or_default());
        *day.or_default().entry(NO_TEAM.to_owned()).or_default() += sums.spend;
    }
    let mut requests_without_team = false;
    for (names, sums) in by_team {
        let [date, id] = &names[..] else { continue };
        let name = aliases.get(id).unwrap_or(id);
        let day = by_day.entry(date.clone()).or_default();
        *day.entry(name.clone()).or_default() += sums.spend;
        *day.entry(NO_TEAM.to_owned()).or_default() -= sums.spend;
    }
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    for day in by_day.values_mut() {
        // What is not a team's; a day on which all was one's has none of it.
        if day.len() > 1 && day.get(NO_TEAM) == Some(&0) {
            day.remove(NO_TEAM);
        }
        requests_without_team |= day.contains_key(NO_TEAM);
        for (name, spend) in day {
            *totals.entry(name.clone()).or_default() += *spend;
        }
    }
    if !requests_without_team {
        totals.remove(NO_TEAM);
    }
    let mut totals = totals.into_iter().collect::<Vec<_>>();
    totals.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let daily = by_day.iter().map(|(date, teams)| {
        let mut day: Map<String, Value> = teams
            .iter()
            .map(|(name, spend)| (name.clone(), nano_dollars(*spend)))
            .collect();
        day.insert("date".into(), json!(date));
        Value::Object(day)
    });
    Ok(Answer::new(json!({
        "daily_spend": daily.collect::<Value>(),
        "teams": totals.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "total_spend_per_team": totals
            .iter()
            .map(|(name, spend)| json!({"team_id": name, "total_spend": nano_dollars(*spend)}))
            .collect::<Value>(),
    })))
}

/// `POST /global/spend/end_users`: what was spent for each customer, and without one, by all or by one key.
pub async fn end_users(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, END_USERS_BODY)?;
    let key = body.text("api_key").value().filter(|key| !key.is_empty());
    let (from, to) = (body.text("startTime").value(), body.text("endTime").value());
    let ignored = body.ignored.clone();
    let mut days = days_until_today(&app, 30);
    if let Some(from) = from {
        days.first = day("startTime", &from)?.to_string();
    }
    if let Some(to) = to {
        days.last = day("endTime", &to)?.to_string();
    }
    let api_keys = key.map(|key| vec![token_of(&key)]);
    let which = |dimension| Which {
        api_keys: api_keys.clone(),
        ..Which::all(dimension, days.clone())
    };
    let mut connection = app.store.read().await?;
    let customers = which(Dimension::EndUser);
    let named = total(&mut connection, &customers).await?;
    let most = Some(MOST_END_USERS);
    let customers = sums(&mut connection, &customers, &[By::Entity], most).await?;
    let mut rest = total(&mut connection, &which(Dimension::User)).await?;
    rest.add_times(&named, -1);
    let row = |name: Option<&String>, sums: &DailySums| {
        json!({
            "end_user": name,
            "total_count": sums.api_requests,
            "total_spend": nano_dollars(sums.spend),
        })
    };
    let mut rows = customers
        .iter()
        .map(|(names, sums)| (sums.spend, row(names.first(), sums)))
        .collect::<Vec<_>>();
    if rest.api_requests > 0 {
        rows.push((rest.spend, row(None, &rest)));
    }
    rows.sort_by_key(|(spend, _)| std::cmp::Reverse(*spend));
    let rows = rows.into_iter().map(|(_, row)| row);
    Ok(Answer::new(rows.collect()).ignoring(&ignored))
}

/// `GET /global/spend/tags`: what was spent under tags.
pub async fn tags(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), TAGS_QUERY);
    let days = days(&query)?.ok_or(SpendRefusal::ReportDatesMissing)?;
    let tags = query
        .text("tags")
        .filter(|tags| !tags.is_empty() && tags != "all-tags");
    query.finish()?;
    let mut which = Which::all(Dimension::Tag, days);
    if let Some(tags) = tags {
        let tags = tags.split(',').take(500).map(|tag| tag.trim().to_owned());
        which.reach = Reach::These(tags.collect());
    }
    let tags = reports::tag_sums(&mut *app.store.read().await?, &which).await?;
    let shown = tags.iter().map(
        |tag| json!({"name": tag.tag, "spend": nano_dollars(tag.spend), "log_count": tag.requests}),
    );
    Ok(Answer::new(
        json!({"spend_per_tag": shown.collect::<Value>()}),
    ))
}

/// `GET /global/spend/all_tag_names`: every tag that a request had.
pub async fn tag_names(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
) -> Result<Answer, ApiError> {
    let names = reports::tag_names(&mut *app.store.read().await?).await?;
    Ok(Answer::new(json!({ "tag_names": names })))
}

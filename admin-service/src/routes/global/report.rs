//! `GET /global/spend/report`: by day and team or customer, or by model of one key, user, team or customer.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{ANY, Of, list, map};
use crate::policy::{Authorized, GlobalSpend};
use crate::request::{Param, Query};
use crate::routes::activity::scope::days;
use crate::routes::answer::Answer;
use crate::routes::shape::nano_dollars;
use crate::routes::spend::{MOST_KEYS, by_entity};
use crate::store::keys::token_of;
use crate::store::reports::{By, Reach, Which, dearest, entity_names, spent_by_day, sums};
use crate::store::spend::Dimension;

/// The answer: objects whose names depend on what is asked for.
pub static REPORT: Of = list(&map(&ANY));

/// The query.
pub static REPORT_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::text("group_by"),
    Param::text("api_key"),
    Param::text("internal_user_id"),
    Param::text("team_id"),
    Param::text("customer_id"),
];

/// Most sums of one report.
const MOST_SUMS: u32 = 20_000;

/// The report.
pub async fn report(
    State(app): State<App>,
    _by: Authorized<GlobalSpend>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), REPORT_QUERY);
    let days = days(&query)?.ok_or(SpendRefusal::DatesMissing)?;
    let given = |name: &str| query.text(name).filter(|text| !text.is_empty());
    let group = given("group_by").unwrap_or_else(|| "team".to_owned());
    let one = [
        ("api_key", Dimension::User),
        ("internal_user_id", Dimension::User),
        ("team_id", Dimension::Team),
        ("customer_id", Dimension::EndUser),
    ];
    for (name, dimension) in one {
        let Some(id) = given(name) else { continue };
        let mut which = Which::all(dimension, days);
        if name == "api_key" {
            which.api_keys = Some(vec![token_of(&id)]);
            return by_entity(&app, &which, By::ApiKey, "api_key").await;
        }
        which.reach = Reach::These(vec![id]);
        let called = match name {
            "internal_user_id" => "user_id",
            "customer_id" => "customer",
            name => name,
        };
        return by_entity(&app, &which, By::Entity, called).await;
    }
    match group.as_str() {
        "team" => {
            by_day(
                &app,
                &Which::all(Dimension::Team, days),
                "teams",
                "team_name",
            )
            .await
        }
        "customer" => {
            let which = Which::all(Dimension::EndUser, days);
            by_day(&app, &which, "customers", "customer").await
        }
        "api_key" => {
            let which = Which::all(Dimension::User, days);
            by_entity(&app, &which, By::ApiKey, "api_key").await
        }
        _ => Err(SpendRefusal::BadGroup.into()),
    }
}

async fn by_day(
    app: &App,
    which: &Which,
    plural: &str,
    singular: &str,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    // What a day cost an entity is of all keys; those are named that have ever spent most.
    let by = [By::Date, By::Entity];
    let totals = sums(&mut connection, which, &by, Some(MOST_SUMS)).await?;
    let keys = dearest(&mut connection, By::ApiKey, &which.days.first, MOST_KEYS).await?;
    let by = [By::Entity, By::Model, By::ApiKey];
    let found = spent_by_day(&mut connection, which, (By::ApiKey, &keys), &by).await?;
    let ids = totals.iter().filter_map(|(names, _)| names.get(1).cloned());
    let ids = ids.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let aliases = entity_names(&mut connection, which.dimension, &ids).await?;
    let mut days: BTreeMap<&str, BTreeMap<&str, (i64, Vec<Value>)>> = BTreeMap::new();
    for (names, sums) in &totals {
        let [date, entity] = &names[..] else {
            continue;
        };
        let name = aliases.get(entity).unwrap_or(entity);
        let (total, _) = days.entry(date).or_default().entry(name).or_default();
        *total += sums.spend;
    }
    for (names, spent) in &found {
        let [entity, model, api_key] = &names[..] else {
            continue;
        };
        let name = aliases.get(entity).unwrap_or(entity);
        for on in spent {
            // An entity that is beyond the most has no total either.
            let day = days.get_mut(on.date.as_str());
            let Some((_, parts)) = day.and_then(|day| day.get_mut(name.as_str())) else {
                continue;
            };
            parts.push(json!({
                "model": model,
                "spend": nano_dollars(on.spend),
                "total_tokens": on.tokens,
                "api_key": api_key,
            }));
        }
    }
    let shown = days.into_iter().map(|(date, entities)| {
        let entities = entities.into_iter().map(|(name, (total, parts))| {
            json!({singular: name, "total_spend": nano_dollars(total), "metadata": parts})
        });
        json!({
            "group_by_day": format!("{date}T00:00:00+00:00"),
            plural: entities.collect::<Value>(),
        })
    });
    Ok(Answer::new(shown.collect()))
}

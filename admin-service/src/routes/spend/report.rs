//! What a key, user, team or organization spent, by model.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{NUMBER, Of, Record, TEXT, WHOLE, list, one};
use crate::policy::{Authorized, OrganizationSpendReport, SpendReports, TeamSpendReport};
use crate::request::{Param, Query};
use crate::routes::activity::scope::{self, days, mine};
use crate::routes::answer::Answer;
use crate::routes::shape::nano_dollars;
use crate::store::keys::token_of;
use crate::store::reports::{By, Mine, Reach, Sums, Which, dearest, sums, sums_of};
use crate::store::spend::{DailySums, Dimension};

/// The answer.
pub static REPORT: Of = list(&one(&SPENT));
static SPENT: Record = Record::new(
    "SpendReport",
    &[
        ("total_cost", NUMBER),
        ("total_input_tokens total_output_tokens", WHOLE),
        ("model_details", list(&one(&MODEL))),
        ("api_key user_id team_id organization_id", TEXT.or_absent()),
    ],
);
static MODEL: Record = Record::new(
    "SpendReportModel",
    &[
        ("model", TEXT),
        ("total_cost", NUMBER),
        ("total_input_tokens total_output_tokens", WHOLE),
    ],
);

macro_rules! reports {
    ($($name:ident, $action:ty, $query:ident, $param:literal, $dimension:ident;)*) => {$(
        #[doc = concat!("The query: days and `", $param, "`.")]
        pub static $query: &[Param] = &[
            Param::text("start_date"),
            Param::text("end_date"),
            Param::text($param),
        ];

        #[doc = concat!("What each `", $param, "` that the caller sees spent, or one of them.")]
        pub async fn $name(
            State(app): State<App>,
            by: Authorized<$action>,
            RawQuery(query): RawQuery,
        ) -> Result<Answer, ApiError> {
            let query = Query::parse(query.as_deref(), $query);
            let days = days(&query)?.ok_or(SpendRefusal::ReportDatesMissing)?;
            let asked = query.text($param).filter(|id| !id.is_empty());
            query.finish()?;
            let reach = scope::reach(&app, &by, Dimension::$dimension, asked.map(|id| vec![id])).await?;
            let which = Which { reach, ..Which::all(Dimension::$dimension, days) };
            by_entity(&app, &which, By::Entity, Dimension::$dimension.column()).await
        }
    )*};
}

reports! {
    user_report, SpendReports, USER_REPORT_QUERY, "internal_user_id", User;
    team_report, TeamSpendReport, TEAM_REPORT_QUERY, "team_id", Team;
    organization_report, OrganizationSpendReport, ORGANIZATION_REPORT_QUERY, "organization_id", Organization;
}

/// The query: days and `api_key`.
pub static KEY_REPORT_QUERY: &[Param] = &[
    Param::text("start_date"),
    Param::text("end_date"),
    Param::text("api_key"),
];

/// `GET /key/spend/report`: what a key spent; without one, all of the caller's.
pub async fn key_report(
    State(app): State<App>,
    by: Authorized<SpendReports>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), KEY_REPORT_QUERY);
    let days = days(&query)?.ok_or(SpendRefusal::ReportDatesMissing)?;
    let asked = query.text("api_key").filter(|key| !key.is_empty());
    query.finish()?;
    let mut which = Which::all(Dimension::User, days);
    which.api_keys = asked.map(|key| vec![token_of(&key)]);
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
    by_entity(&app, &which, By::ApiKey, "api_key").await
}

/// Most entities of one report, the dearest ones.
const MOST: usize = 1_000;
/// Most sums that are read for it.
const MOST_SUMS: u32 = 20_000;
/// Keys and users that a report of everybody names.
pub(in crate::routes) const MOST_KEYS: u32 = 500;
pub(in crate::routes) const MOST_USERS: u32 = 250;

/// Sums by entity, and by model within each.
pub(in crate::routes) async fn by_entity(
    app: &App,
    which: &Which,
    by: By,
    name: &str,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let parts = [by, By::Model];
    let found = if which.is_everything() {
        let most = if by == By::ApiKey {
            MOST_KEYS
        } else {
            MOST_USERS
        };
        let names = dearest(&mut connection, by, &which.days.first, most).await?;
        sums_of(&mut connection, which, (by, &names), &parts).await?
    } else {
        sums(&mut connection, which, &parts, Some(MOST_SUMS)).await?
    };
    Ok(Answer::new(shown(found, name)))
}

fn shown(found: Sums, name: &str) -> Value {
    let mut entities: BTreeMap<String, (DailySums, Vec<Value>)> = BTreeMap::new();
    for (names, sums) in found {
        let mut names = names.into_iter();
        let (Some(entity), Some(model)) = (names.next(), names.next()) else {
            continue;
        };
        let (all, models) = entities.entry(entity).or_default();
        all.add(&sums);
        models.push(json!({
            "model": model,
            "total_cost": nano_dollars(sums.spend),
            "total_input_tokens": sums.prompt_tokens,
            "total_output_tokens": sums.completion_tokens,
        }));
    }
    let mut entities = entities.into_iter().collect::<Vec<_>>();
    entities.sort_by_key(|(_, (all, _))| std::cmp::Reverse(all.spend));
    let entity = |(entity, (all, models)): (String, (DailySums, Vec<Value>))| {
        json!({
            name: entity,
            "total_cost": nano_dollars(all.spend),
            "total_input_tokens": all.prompt_tokens,
            "total_output_tokens": all.completion_tokens,
            "model_details": models,
        })
    };
    entities.into_iter().take(MOST).map(entity).collect()
}

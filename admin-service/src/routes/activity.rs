//! What users, teams, organisations, customers and tags did by day: `/…/daily/activity`, the same in one answer (`/aggregated`) and as a file
//! (`/export`).

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{
    NUMBER, OBJECT, Of, Record, TEXT, WHOLE, WHOLE_OR_NULL, list, map, one,
};
use crate::policy::{
    Authorized, CustomerActivity, OrganizationActivity, TagActivity, TeamActivity, UserActivity,
};
use crate::request::Query;
use crate::routes::answer::Answer;
use crate::store::reports::{self, By, Which};
use crate::store::spend::Dimension;

mod breakdown;
mod export;
mod queries;
pub(super) mod scope;

pub(super) use breakdown::Metrics;
use breakdown::{Breakdown, Names, Shown};
pub use export::EXPORTED;
pub use queries::*;

/// The answer: days with their parts, and the sums of all.
pub static ACTIVITY: Record = Record::new(
    "DailyActivity",
    &[("results", list(&DAY)), ("metadata", one(&METADATA))],
);
static DAY: Of = one(&Record::new(
    "",
    &[
        ("date", TEXT),
        ("metrics", one(&METRICS)),
        ("breakdown", one(&BREAKDOWN)),
    ],
));
static BREAKDOWN: Record = Record::new(
    "DailyActivityBreakdown",
    &[
        (
            "models model_groups providers endpoints entities",
            map(&PART),
        ),
        ("api_keys", map(&KEY)),
        ("mcp_servers guardrails", OBJECT),
    ],
);
static PART: Of = one(&Record::new(
    "DailyActivityPart",
    &[
        ("metrics", one(&METRICS)),
        ("metadata", OBJECT),
        ("api_key_breakdown", map(&KEY)),
    ],
));
static KEY: Of = one(&Record::new(
    "DailyActivityKey",
    &[("metrics", one(&METRICS)), ("metadata", OBJECT)],
));
/// What [`Metrics`] prints.
pub static METRICS: Record = Record::new(
    "SpendMetrics",
    &[
        (
            "spend flat_cost ptu_hours compression_savings_spend prompt_caching_savings_spend",
            NUMBER,
        ),
        (
            "gateway_injected_caching_savings_spend autorouter_savings_spend",
            NUMBER,
        ),
        (
            "prompt_tokens completion_tokens total_tokens cache_read_input_tokens cache_creation_input_tokens",
            WHOLE,
        ),
        (
            "compression_saved_tokens api_requests successful_requests failed_requests",
            WHOLE,
        ),
        ("total_response_time_ms timed_requests", WHOLE),
    ],
);
static METADATA: Record = Record::new(
    "DailyActivityMetadata",
    &[
        (
            "total_spend total_flat_cost total_ptu_hours total_compression_savings_spend",
            NUMBER,
        ),
        (
            "total_prompt_caching_savings_spend total_gateway_injected_caching_savings_spend",
            NUMBER,
        ),
        ("total_autorouter_savings_spend", NUMBER),
        (
            "total_prompt_tokens total_completion_tokens total_tokens total_cache_read_input_tokens",
            WHOLE,
        ),
        (
            "total_cache_creation_input_tokens total_compression_saved_tokens total_api_requests",
            WHOLE,
        ),
        (
            "total_successful_requests total_failed_requests total_response_time_ms total_timed_requests",
            WHOLE,
        ),
        ("page total_pages", WHOLE),
        ("has_more", crate::openapi::schema::FLAG),
        ("api_key_limit total_api_keys", WHOLE_OR_NULL),
        ("entity_total_api_keys", crate::openapi::schema::NULL),
    ],
);

/// Most entities or keys that a request names.
const MOST_NAMED: usize = 500;

macro_rules! handlers {
    ($($dimension:ident, $act:ident: $page:ident, $aggregated:ident, $export:ident;)*) => {$(
        /// A page of it.
        pub async fn $page(
            State(app): State<App>,
            by: Authorized<$act>,
            RawQuery(query): RawQuery,
        ) -> Result<Answer, ApiError> {
            page(&app, &by, Dimension::$dimension, query.as_deref()).await
        }

        /// All of it.
        pub async fn $aggregated(
            State(app): State<App>,
            by: Authorized<$act>,
            RawQuery(query): RawQuery,
        ) -> Result<Answer, ApiError> {
            aggregated(&app, &by, Dimension::$dimension, query.as_deref()).await
        }

        /// All of it as a file.
        pub async fn $export(
            State(app): State<App>,
            by: Authorized<$act>,
            RawQuery(query): RawQuery,
        ) -> Result<Response, ApiError> {
            export::export(&app, &by, Dimension::$dimension, query.as_deref()).await
        }
    )*};
}

handlers! {
    User, UserActivity: user, user_aggregated, user_export;
    Team, TeamActivity: team, team_aggregated, team_export;
    Organization, OrganizationActivity: organization, organization_aggregated, organization_export;
    EndUser, CustomerActivity: customer, customer_aggregated, customer_export;
    Tag, TagActivity: tag, tag_aggregated, tag_export;
}

/// The query parameters that name entities, and those that leave some out.
const fn parameters(dimension: Dimension) -> (&'static str, Option<&'static str>) {
    match dimension {
        Dimension::User => ("user_id", None),
        Dimension::Team => ("team_ids", Some("exclude_team_ids")),
        Dimension::Organization => ("organization_ids", Some("exclude_organization_ids")),
        Dimension::EndUser => ("end_user_ids", Some("exclude_end_user_ids")),
        Dimension::Tag => ("tags", None),
    }
}

/// Reads what all of these routes are asked with, narrowed to what the caller may see.
async fn which<R>(
    app: &App,
    by: &Authorized<R>,
    dimension: Dimension,
    query: &Query,
) -> Result<Which, ApiError> {
    let (named, left_out) = parameters(dimension);
    let asked = match (dimension, query.text(named)) {
        (Dimension::User, Some(user)) => Some(vec![user]),
        (_, text) => listed(named, text)?,
    };
    let excluded = match left_out {
        None => Vec::new(),
        Some(left_out) => listed(left_out, query.text(left_out))?.unwrap_or_default(),
    };
    let days = scope::days(query)?.ok_or(SpendRefusal::DatesMissing)?;
    let model = query.text("model").filter(|model| !model.is_empty());
    let api_keys = listed("api_key", query.text("api_key"))?.map(|keys| {
        keys.iter()
            .map(|key| crate::store::keys::token_of(key))
            .collect()
    });
    Ok(Which {
        dimension,
        reach: scope::reach(app, by, dimension, asked).await?,
        excluded,
        days,
        model,
        api_keys,
    })
}

/// A list separated by commas; an empty one is none.
fn listed(name: &'static str, text: Option<String>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let list = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let list = list.map(str::to_owned).collect::<Vec<_>>();
    if list.len() > MOST_NAMED {
        return Err(SpendRefusal::TooManyNamed(name, MOST_NAMED).into());
    }
    Ok(Some(list).filter(|list| !list.is_empty()))
}

async fn page<R>(
    app: &App,
    by: &Authorized<R>,
    dimension: Dimension,
    query: Option<&str>,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query, page_query(dimension));
    let page = query.whole("page");
    let size = query.whole("page_size");
    let which = which(app, by, dimension, &query).await?;
    query.finish()?;
    let mut connection = app.store.read().await?;
    let (rows, more) = reports::page(&mut connection, &which, page, size).await?;
    let counted = reports::count(&mut connection, &which).await?;
    let mut breakdown = Breakdown::default();
    for row in &rows {
        breakdown.row(row, dimension != Dimension::User);
    }
    let names = Names::read(&mut connection, &breakdown, dimension).await?;
    let mut metadata = breakdown.metadata();
    metadata.insert("page".into(), json!(page));
    metadata.insert(
        "total_pages".into(),
        json!(
            counted
                .div_ceil(u64::from(size))
                .max(u64::from(page) + u64::from(more))
        ),
    );
    metadata.insert("has_more".into(), json!(more));
    answer(&breakdown, &names, metadata)
}

async fn aggregated<R>(
    app: &App,
    by: &Authorized<R>,
    dimension: Dimension,
    query: Option<&str>,
) -> Result<Answer, ApiError> {
    const MODELS: [By; 5] = [
        By::Date,
        By::Model,
        By::ModelGroup,
        By::Provider,
        By::Endpoint,
    ];
    let mut query = Query::parse(query, aggregated_query(dimension));
    let most = query.whole("api_key_limit");
    let which = which(app, by, dimension, &query).await?;
    query.finish()?;
    let mut connection = app.store.read().await?;
    let mut breakdown = Breakdown::default();
    for (names, sums) in reports::sums(&mut connection, &which, &MODELS, None).await? {
        breakdown.models(&names, &sums);
    }
    if dimension != Dimension::User {
        let by = [By::Date, By::Entity];
        for (names, sums) in reports::sums(&mut connection, &which, &by, None).await? {
            breakdown.entity(&names, &sums);
        }
    }
    let keys = reports::top_keys(&mut connection, &which, most).await?;
    for row in reports::of_keys(&mut connection, &which, &keys).await? {
        breakdown.key(&row, dimension != Dimension::User);
    }
    let all_keys = reports::count_keys(&mut connection, &which).await?;
    let names = Names::read(&mut connection, &breakdown, dimension).await?;
    let mut metadata = breakdown.metadata();
    metadata.insert("page".into(), json!(1));
    metadata.insert("total_pages".into(), json!(1));
    metadata.insert("has_more".into(), json!(false));
    metadata.insert("api_key_limit".into(), json!(most));
    metadata.insert("total_api_keys".into(), json!(all_keys));
    answer(&breakdown, &names, metadata)
}

fn answer(
    breakdown: &Breakdown,
    names: &Names,
    mut metadata: serde_json::Map<String, Value>,
) -> Result<Answer, ApiError> {
    for absent in ["api_key_limit", "total_api_keys", "entity_total_api_keys"] {
        metadata.entry(absent).or_insert(Value::Null);
    }
    Answer::written(&Shown {
        breakdown,
        names,
        metadata,
    })
}

//! `GET /model_group/info`: models by the names that clients use.

use axum::extract::{RawQuery, State};
use contract::records::ModelRecord;
use serde_json::{Value, json};

use super::access::Lists;
use crate::app::App;
use crate::catalogue::price_fields;
use crate::error::ApiError;
use crate::openapi::schema::{
    FLAG, NULL, NUMBER_OR_NULL, Of, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE_OR_NULL, list, one,
};
use crate::policy::{Authorized, ModelInfo};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;

static GROUP: Record = Record::new(
    "ModelGroup",
    &[
        ("model_group", TEXT),
        ("providers", TEXTS),
        ("max_input_tokens max_output_tokens tpm rpm", WHOLE_OR_NULL),
        ("input_cost_per_token output_cost_per_token", NUMBER_OR_NULL),
        ("mode", TEXT_OR_NULL),
        ("is_public_model_group", FLAG),
        // What a provider's model can do is not in the price list.
        (
            "input_cost_per_pixel itpm otpm supports_parallel_function_calling supports_vision supports_web_search \
             supports_url_context supports_reasoning supports_function_calling supported_openai_params \
             configurable_clientside_auth_params health_status health_response_time health_checked_at",
            NULL,
        ),
    ],
);
static A_GROUP: Of = one(&GROUP);
/// What [`group_info`] answers.
pub static GROUP_INFO: Record = Record::new("ModelGroups", &[("data", list(&A_GROUP))]);
/// The query of [`group_info`].
pub const GROUP_QUERY: &[Param] = &[Param::text("model_group")];

/// The models that the caller may call.
pub async fn group_info(
    State(app): State<App>,
    by: Authorized<ModelInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), GROUP_QUERY);
    let only = query.text("model_group").filter(|name| !name.is_empty());
    query.finish()?;
    let mut connection = app.store.read().await?;
    let lists = Lists::of(&mut connection, &by.caller).await?;
    let (catalogue, _) = app.catalogue(&mut connection).await?;
    let settings = &catalogue.settings;
    let data: Vec<Value> = settings
        .models
        .iter()
        .filter(|name| only.as_ref().is_none_or(|only| only == *name))
        .filter_map(|name| Some((name, catalogue.find(name)?)))
        .filter(|(name, record)| lists.allow(settings, name, Some(record)))
        .map(|(name, record)| shown(name, record))
        .collect();
    Ok(Answer::new(json!({ "data": data })))
}

fn shown(name: &str, record: &ModelRecord) -> Value {
    let prices = record.price.as_ref().map(price_fields).unwrap_or_default();
    let price = |field: &str| prices.get(field).cloned().unwrap_or_default();
    let mut group = json!({
        "model_group": name,
        "providers": [record.provider],
        "max_input_tokens": record.max_input_tokens,
        "max_output_tokens": record.max_output_tokens,
        "input_cost_per_token": price("input_cost_per_token"),
        "output_cost_per_token": price("output_cost_per_token"),
        "mode": record.mode,
        "tpm": record.limits.tpm,
        "rpm": record.limits.rpm,
        "is_public_model_group": false,
    });
    for unknown in [
        "input_cost_per_pixel",
        "itpm",
        "otpm",
        "supports_parallel_function_calling",
        "supports_vision",
        "supports_web_search",
        "supports_url_context",
        "supports_reasoning",
        "supports_function_calling",
        "supported_openai_params",
        "configurable_clientside_auth_params",
        "health_status",
        "health_response_time",
        "health_checked_at",
    ] {
        group[unknown] = Value::Null;
    }
    group
}

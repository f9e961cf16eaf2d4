//! `GET /models` and `GET /models/{model_id}`, in OpenAI's shape.

use axum::extract::{Path, RawQuery, State};
use contract::records::ModelRecord;
use serde_json::{Value, json};

use super::access::Lists;
use crate::app::App;
use crate::error::{ApiError, ModelRefusal};
use crate::openapi::schema::{
    Of, Record, TEXT, TEXT_OR_NULL, WHOLE, WHOLE_OR_NULL, list as listing, one as record,
};
use crate::policy::{Authorized, ModelList};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::store::teams;

/// What OpenAI's clients take for the time at which a model was made: LiteLLM's constant.
const CREATED: u64 = 1_677_610_602;

/// A model of a list.
pub static MODEL: Record = Record::new(
    "OpenAiModel",
    &[
        ("id object owned_by", TEXT),
        ("created", WHOLE),
        ("mode", TEXT_OR_NULL.or_absent()),
        (
            "max_input_tokens max_output_tokens",
            WHOLE_OR_NULL.or_absent(),
        ),
    ],
);
static A_MODEL: Of = record(&MODEL);
/// What [`list`] answers.
pub static LISTED: Record = Record::new(
    "OpenAiModels",
    &[("object", TEXT), ("data", listing(&A_MODEL))],
);

/// The query of [`list`].
pub const LIST_QUERY: &[Param] = &[
    Param::flag("return_wildcard_routes"),
    Param::text("team_id"),
    Param::flag("include_model_access_groups"),
    Param::flag("only_model_access_groups"),
    Param::flag("include_metadata"),
    Param::text("fallback_type"),
    Param::text("scope"),
    Param::flag("healthy_only"),
    Param::text("client_version"),
];

/// The models that the caller may call.
pub async fn list(
    State(app): State<App>,
    by: Authorized<ModelList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let team_id = query.text("team_id");
    let with_groups = query.flag("include_model_access_groups");
    let only_groups = query.flag("only_model_access_groups");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let lists = Lists::of(&mut connection, &by.caller).await?;
    let of_team = match &team_id {
        Some(id) => {
            let found = teams::find(&mut connection, id).await?;
            found.map_or_else(Lists::default, |team| Lists::of_team(id, team.callable()))
        }
        None => Lists::default(),
    };
    let (catalogue, _) = app.catalogue(&mut connection).await?;
    let settings = &catalogue.settings;
    let allowed = |name: &str| {
        let record = catalogue.find(name);
        lists.allow(settings, name, record) && of_team.allow(settings, name, record)
    };
    let mut data = Vec::new();
    if !only_groups {
        let names = settings.models.iter().filter(|name| allowed(name));
        data.extend(names.map(|name| shown(name, catalogue.find(name))));
    }
    if with_groups || only_groups {
        let groups = settings.access_groups.iter();
        let groups = groups.filter(|(_, models)| models.iter().any(|name| allowed(name)));
        data.extend(groups.map(|(name, _)| shown(name, None)));
    }
    Ok(Answer::new(json!({"data": data, "object": "list"})))
}

/// One of them.
pub async fn one(
    State(app): State<App>,
    by: Authorized<ModelList>,
    Path(model_id): Path<String>,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let lists = Lists::of(&mut connection, &by.caller).await?;
    let (catalogue, _) = app.catalogue(&mut connection).await?;
    let record = catalogue
        .find(&model_id)
        .filter(|record| lists.allow(&catalogue.settings, &model_id, Some(record)));
    match record {
        Some(record) => Ok(Answer::new(shown(&model_id, Some(record)))),
        None => Err(ModelRefusal::ModelNotListed(model_id).into()),
    }
}

fn shown(name: &str, record: Option<&ModelRecord>) -> Value {
    let mut model =
        json!({"id": name, "object": "model", "created": CREATED, "owned_by": "openai"});
    if let Some(record) = record {
        let numbers = [
            ("max_input_tokens", record.max_input_tokens),
            ("max_output_tokens", record.max_output_tokens),
        ];
        if let Some(mode) = &record.mode {
            model["mode"] = json!(mode);
        }
        for (field, number) in numbers {
            if let Some(number) = number {
                model[field] = json!(number);
            }
        }
    }
    model
}

//! `GET /model/info` and `GET /v2/model/info`: deployments with their prices.

use std::fmt::Write as _;

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::access::Lists;
use super::{fields, info_of};
use crate::app::App;
use crate::catalogue::Catalogue;
use crate::error::{ApiError, ModelRefusal};
use crate::openapi::schema::{OBJECT, Of, Record, TEXT, WHOLE, list, one};
use crate::policy::{Authorized, ModelInfo};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::store::catalogue_rows::CatalogueRows;
use crate::store::row::Object;

static DEPLOYMENT: Record = Record::new(
    "Deployment",
    &[("model_name", TEXT), ("litellm_params model_info", OBJECT)],
);
static A_DEPLOYMENT: Of = one(&DEPLOYMENT);
/// What [`info`] answers.
pub static INFO: Record = Record::new("Deployments", &[("data", list(&A_DEPLOYMENT))]);
/// What [`info_v2`] answers.
pub static INFO_V2: Record = Record::new(
    "DeploymentsPage",
    &[
        ("data", list(&A_DEPLOYMENT)),
        ("total_count current_page total_pages size", WHOLE),
    ],
);

/// The query of [`info`].
pub const INFO_QUERY: &[Param] = &[
    Param::text("litellm_model_id"),
    Param::flag("include_team_models"),
    Param::text("teamId"),
    Param::flag("healthy_only"),
];
/// The query of [`info_v2`].
pub const INFO_V2_QUERY: &[Param] = &[
    Param::text("model"),
    Param::text("search"),
    Param::text("modelId"),
    Param::text("teamId"),
    Param::text("sortBy"),
    Param::text("sortOrder"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("size", 50, 1, 1_000),
];

/// One deployment, as it is told.
struct Deployment {
    name: String,
    id: String,
    params: Object,
    info: Object,
}

impl Deployment {
    fn json(&self) -> Value {
        json!({"model_name": self.name, "litellm_params": self.params, "model_info": self.info})
    }
}

/// The deployments that the caller may call, or the one that is asked for.
pub async fn info(
    State(app): State<App>,
    by: Authorized<ModelInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), INFO_QUERY);
    let id = query.text("litellm_model_id").filter(|id| !id.is_empty());
    query.finish()?;
    let mut all = allowed(&app, &by).await?;
    if let Some(id) = id {
        all.retain(|deployment| deployment.id == id);
        if all.is_empty() {
            return Err(ModelRefusal::ModelMissing(id).into());
        }
    }
    let data: Vec<Value> = all.iter().map(Deployment::json).collect();
    Ok(Answer::new(json!({ "data": data })))
}

/// The same by page, searched by name.
pub async fn info_v2(
    State(app): State<App>,
    by: Authorized<ModelInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), INFO_V2_QUERY);
    let (model, id) = (query.text("model"), query.text("modelId"));
    let search = query.text("search").map(|text| text.to_lowercase());
    let (page, size) = (query.whole("page"), query.whole("size"));
    query.finish()?;
    let mut all = allowed(&app, &by).await?;
    all.retain(|deployment| {
        let name = deployment.name.to_lowercase();
        search.as_ref().is_none_or(|search| name.contains(search))
            && model.as_ref().is_none_or(|model| deployment.name == *model)
            && id.as_ref().is_none_or(|id| deployment.id == *id)
    });
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let before = usize::try_from(page - 1).unwrap_or(usize::MAX);
    let data: Vec<Value> = all
        .iter()
        .skip(before.saturating_mul(size))
        .take(size)
        .map(Deployment::json)
        .collect();
    Ok(Answer::new(json!({
        "data": data, "total_count": all.len(), "current_page": page, "size": size,
        "total_pages": all.len().div_ceil(size),
    })))
}

async fn allowed(app: &App, by: &Authorized<ModelInfo>) -> Result<Vec<Deployment>, ApiError> {
    let mut connection = app.store.read().await?;
    let lists = Lists::of(&mut connection, &by.caller).await?;
    let (catalogue, rows) = app.catalogue(&mut connection).await?;
    let mut all = deployments(&catalogue, &rows);
    all.retain(|deployment| {
        let name = &deployment.name;
        lists.allow(&catalogue.settings, name, catalogue.find(name))
    });
    Ok(all)
}

fn deployments(catalogue: &Catalogue, rows: &CatalogueRows) -> Vec<Deployment> {
    let mut all: Vec<Deployment> = rows
        .models
        .iter()
        .map(|row| of_entry(catalogue, &row.entry(), Some(&row.model_id)))
        .collect();
    if let Some(list) = &catalogue.list {
        all.extend(list.iter().map(|entry| of_entry(catalogue, entry, None)));
        return all;
    }
    let names = catalogue.settings.models.iter();
    let known = names.filter_map(|name| catalogue.find(name));
    let of_database = |name: &str| rows.models.iter().any(|row| row.model_name == name);
    let known = known.filter(|record| !of_database(&record.name));
    all.extend(known.map(|record| {
        let model = format!("{}/{}", record.provider, record.upstream);
        let entry = json!({"model_name": record.name, "litellm_params": {"model": model}});
        of_entry(catalogue, &entry, None)
    }));
    all
}

/// An entry of a `model_list`, with what is known of its model and without secrets.
fn of_entry(catalogue: &Catalogue, entry: &Value, id: Option<&str>) -> Deployment {
    let object = |field: &str| {
        let value = entry.get(field).and_then(Value::as_object);
        value.cloned().unwrap_or_default()
    };
    let (mut params, mut stated) = (object("litellm_params"), object("model_info"));
    fields::without_secrets(&mut params);
    fields::without_secrets(&mut stated);
    let name = entry.get("model_name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let served = catalogue.served_by(entry);
    let record = served.first().filter(|record| record.name == name);
    let own = stated.get("id").and_then(Value::as_str).map(str::to_owned);
    let db = id.is_some();
    // The same entry has the same id at every start.
    let named = || hex_of(&json!([name, params]).to_string());
    let id = id.map(str::to_owned).or(own).unwrap_or_else(named);
    let info = info_of(&stated, record, &id, db);
    Deployment {
        name,
        id,
        params,
        info,
    }
}

/// SHA-256 of a text, hexadecimal.
fn hex_of(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

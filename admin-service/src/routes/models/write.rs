//! `POST /model/new`, `POST /model/update`, `PATCH /model/{model_id}/update` and `POST /model/delete`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{fields, row};
use crate::app::App;
use crate::error::{ApiError, ModelRefusal};
use crate::openapi::schema::{FLAG, OBJECT, Record, TEXT};
use crate::policy::{Authorized, ModelDelete, ModelNew, ModelUpdate, Writes};
use crate::request::{Body, MODEL_ID, NEW_MODEL, Patch, UPDATE_MODEL};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::teams::rights;
use crate::store::models::{self, ModelRow};
use crate::store::row::Object;
use crate::store::{Change, Tx, teams};

/// What a change answers.
pub static WRITTEN: Record = Record::new(
    "ModelRow",
    &[
        (
            "model_id model_name created_at created_by updated_at updated_by",
            TEXT,
        ),
        ("litellm_params model_info", OBJECT),
        ("blocked", FLAG),
    ],
);
/// What [`delete`] answers.
pub static DELETED: Record = Record::new("ModelDeleted", &[("message", TEXT)]);

/// Parameters that would change where a request goes, which Envoy decides, or who answers it: always the provider.
const UNENFORCED: [&str; 5] = [
    "api_base",
    "base_url",
    "api_version",
    "weight",
    "mock_response",
];

/// What a request says of a model, without secrets.
struct Said {
    body: Body,
    params: Patch<Object>,
    info: Patch<Object>,
    ignored: Vec<String>,
    unenforced: Vec<&'static str>,
}

impl Said {
    fn read(mut body: Body) -> Self {
        let mut ignored = std::mem::take(&mut body.ignored);
        let mut params = body.object("litellm_params");
        let mut unenforced = Vec::new();
        if let Patch::Set(params) = &mut params {
            let secret = fields::without_secrets(params).into_iter();
            ignored.extend(secret.map(|name| format!("litellm_params.{name}")));
            let sent = UNENFORCED
                .into_iter()
                .filter(|name| params.contains_key(*name));
            unenforced.extend(sent);
        }
        let mut info = body.object("model_info");
        if let Patch::Set(info) = &mut info {
            let secret = fields::without_secrets(info).into_iter();
            ignored.extend(secret.map(|name| format!("model_info.{name}")));
        }
        Self {
            body,
            params,
            info,
            ignored,
            unenforced,
        }
    }

    /// The id that `model_info` names.
    fn id(&self) -> Option<String> {
        let Patch::Set(info) = &self.info else {
            return None;
        };
        let id = info.get("id")?.as_str()?;
        Some(id.to_owned()).filter(|id| !id.is_empty())
    }

    fn apply(&self, model: &mut ModelRow) {
        let mut body = self.body.clone();
        if let Patch::Set(name) = body.text("model_name") {
            model.model_name = name;
        }
        body.flag("blocked").apply_or(&mut model.blocked, false);
        if let Patch::Set(params) = &self.params {
            fields::merge(&mut model.params, params.clone());
        }
        if let Patch::Set(info) = &self.info {
            fields::merge(&mut model.info, info.clone());
            // Told with every answer, kept by the row itself.
            model.info.remove("id");
            model.info.remove("db_model");
        }
    }
}

/// Adds a model to those that are served.
pub async fn new(
    State(app): State<App>,
    by: Authorized<ModelNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let said = Said::read(Body::parse(&bytes, NEW_MODEL)?);
    let mut model = ModelRow {
        model_id: said
            .id()
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        ..ModelRow::default()
    };
    said.apply(&mut model);
    check(&app, &model)?;
    let done = app.store.write(&New { by: &by, model }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(answer(&said, &done.value, published))
}

/// Changes what the request says of the model that `model_info.id` names, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<ModelUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let said = Said::read(Body::parse(&bytes, UPDATE_MODEL)?);
    let id = said.id().ok_or(ModelRefusal::ModelIdMissing)?;
    change(&app, &by, &id, said, ModelRefusal::ModelMissing).await
}

/// The same for the model that the path names.
pub async fn patch(
    State(app): State<App>,
    by: Authorized<ModelUpdate>,
    Path(model_id): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let said = Said::read(Body::parse(&bytes, UPDATE_MODEL)?);
    change(&app, &by, &model_id, said, ModelRefusal::ModelNotFound).await
}

async fn change(
    app: &App,
    by: &Authorized<ModelUpdate>,
    model_id: &str,
    said: Said,
    missing: fn(String) -> ModelRefusal,
) -> Result<Answer, ApiError> {
    let update = Update {
        app,
        by,
        model_id,
        said: &said,
        missing,
    };
    let done = app.store.write(&update).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(answer(&said, &done.value, published))
}

/// Takes a model of the database away; one of the file comes back where there is one of the same name.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<ModelDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, MODEL_ID)?;
    let id = body.text("id").value().unwrap_or_default();
    let done = app.store.write(&Delete { by: &by, id: &id }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let message = format!("Model: {id} deleted successfully");
    Ok(Answer::new(json!({ "message": message }))
        .ignoring(&body.ignored)
        .published(published))
}

fn answer(said: &Said, model: &ModelRow, published: bool) -> Answer {
    Answer::new(row(model))
        .ignoring(&said.ignored)
        .unenforced(said.unenforced.iter().copied())
        .published(published)
}

/// Refuses a model that could not be served.
fn check(app: &App, model: &ModelRow) -> Result<(), ApiError> {
    let entry: Value = model.entry();
    match app.catalogue_of_file().check(&entry) {
        Ok(_) => Ok(()),
        Err(error) => Err(ModelRefusal::BadModel(error.to_string()).into()),
    }
}

/// The team whose own the model is lists it, as in LiteLLM: its keys may call it. An empty list allows it anyway.
async fn list_in_team<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    model: &ModelRow,
) -> Result<(), ApiError> {
    let Some(id) = model.info.get("team_id").and_then(Value::as_str) else {
        return Ok(());
    };
    let found = teams::lock(tx, id).await?;
    let before = found.ok_or_else(|| ModelRefusal::UnknownTeams(vec![id.to_owned()]))?;
    if before.models.is_empty() || before.models.contains(&model.model_name) {
        return Ok(());
    }
    let mut team = before.clone();
    team.models.push(model.model_name.clone());
    rights::within_organization(tx.connection(), by, Some(&before), &team).await?;
    Ok(teams::update(tx, by, &before, &mut team).await?)
}

struct New<'a> {
    by: &'a Authorized<ModelNew>,
    model: ModelRow,
}

impl Change for New<'_> {
    type Answer = ModelRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<ModelRow, ApiError> {
        let mut model = self.model.clone();
        if models::lock(tx, &model.model_id).await?.is_some() {
            return Err(ModelRefusal::ModelExists(model.model_id).into());
        }
        models::put(tx, self.by, None, &mut model).await?;
        list_in_team(tx, self.by, &model).await?;
        Ok(model)
    }
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<ModelUpdate>,
    model_id: &'a str,
    said: &'a Said,
    missing: fn(String) -> ModelRefusal,
}

impl Change for Update<'_> {
    type Answer = ModelRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<ModelRow, ApiError> {
        let found = models::lock(tx, self.model_id).await?;
        let before = found.ok_or_else(|| (self.missing)(self.model_id.to_owned()))?;
        let mut model = before.clone();
        self.said.apply(&mut model);
        check(self.app, &model)?;
        models::put(tx, self.by, Some(&before), &mut model).await?;
        list_in_team(tx, self.by, &model).await?;
        Ok(model)
    }
}

struct Delete<'a> {
    by: &'a Authorized<ModelDelete>,
    id: &'a str,
}

impl Change for Delete<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let found = models::lock(tx, self.id).await?;
        let model = found.ok_or_else(|| ModelRefusal::ModelMissing(self.id.to_owned()))?;
        Ok(models::delete(tx, self.by, &model).await?)
    }
}

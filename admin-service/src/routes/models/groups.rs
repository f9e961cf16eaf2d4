//! `/access_group/…`: groups of models that keys, teams and users may name in their lists.

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::assigned_groups::take_from_all;
use crate::app::App;
use crate::error::{ApiError, ModelRefusal};
use crate::openapi::schema::{Of, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE, list, one};
use crate::policy::{
    AccessGroupDelete, AccessGroupInfo, AccessGroupNew, AccessGroupUpdate, Authorized,
};
use crate::request::{Body, NEW_GROUP, UPDATE_GROUP};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::access_groups::{self, GroupRow, Which};
use crate::store::{Change, Tx};

/// A group as answers show it.
pub static GROUP: Record = Record::new(
    "AccessGroup",
    &[
        ("access_group", TEXT),
        ("access_group_id description", TEXT_OR_NULL),
        ("model_names", TEXTS),
        ("deployment_count", WHOLE),
    ],
);
static A_GROUP: Of = one(&GROUP);
/// What [`list_groups`] answers.
pub static GROUPS: Record = Record::new("AccessGroups", &[("access_groups", list(&A_GROUP))]);
/// What [`new_group`] and [`update_group`] answer.
pub static GROUP_CHANGED: Record = Record::new(
    "AccessGroupChanged",
    &[
        ("access_group access_group_id", TEXT),
        ("description", TEXT_OR_NULL),
        ("model_names", TEXTS),
        ("models_updated", WHOLE),
    ],
);
/// What [`delete_group`] answers.
pub static GROUP_DELETED: Record = Record::new(
    "AccessGroupDeleted",
    &[("access_group message", TEXT), ("models_updated", WHOLE)],
);

/// Makes a group.
pub async fn new_group(
    State(app): State<App>,
    by: Authorized<AccessGroupNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, NEW_GROUP)?;
    let group = GroupRow {
        access_group_id: uuid::Uuid::new_v4().to_string(),
        name: body.text("access_group").value().unwrap_or_default(),
        description: body.text("description").value(),
        models: body.texts("model_names").value().unwrap_or_default(),
        ..GroupRow::default()
    };
    if group.name.trim().is_empty() {
        return Err(ModelRefusal::GroupWithoutName.into());
    }
    known_models(&app, &group.models).await?;
    let done = app.store.write(&New { by: &by, group }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(changed(&done.value))
        .ignoring(&body.ignored)
        .published(published))
}

/// Replaces a group's models.
pub async fn update_group(
    State(app): State<App>,
    by: Authorized<AccessGroupUpdate>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, UPDATE_GROUP)?;
    let models = body.clone().texts("model_names").value();
    known_models(&app, &models.unwrap_or_default()).await?;
    let update = Update {
        by: &by,
        name: &name,
        body: &body,
    };
    let done = app.store.write(&update).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(changed(&done.value))
        .ignoring(&body.ignored)
        .published(published))
}

/// Deletes a group: lists that name it allow nothing by it any more.
pub async fn delete_group(
    State(app): State<App>,
    by: Authorized<AccessGroupDelete>,
    Path(name): Path<String>,
) -> Result<Answer, ApiError> {
    let delete = Delete {
        by: &by,
        name: &name,
    };
    let done = app.store.write(&delete).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let message = format!("Access group '{name}' deleted successfully");
    Ok(Answer::new(
        json!({"access_group": name, "models_updated": done.value.models.len(), "message": message}),
    )
    .published(published))
}

/// One group, of the database or of the models themselves.
pub async fn group(
    State(app): State<App>,
    _by: Authorized<AccessGroupInfo>,
    Path(name): Path<String>,
) -> Result<Answer, ApiError> {
    let all = all(&app).await?;
    let mut found = all
        .into_iter()
        .filter(|group| group["access_group"] == name);
    match found.next() {
        Some(group) => Ok(Answer::new(group)),
        None => Err(ModelRefusal::GroupMissing(name).into()),
    }
}

/// All of them, by name.
pub async fn list_groups(
    State(app): State<App>,
    _by: Authorized<AccessGroupInfo>,
) -> Result<Answer, ApiError> {
    Ok(Answer::new(json!({ "access_groups": all(&app).await? })))
}

async fn all(app: &App) -> Result<Vec<Value>, ApiError> {
    let (catalogue, rows) = app.catalogue(&mut *app.store.read().await?).await?;
    let groups = catalogue.settings.access_groups.iter();
    // Groups of the database are known by their ids too.
    let groups = groups.filter(|(name, _)| {
        rows.groups
            .iter()
            .all(|group| group.access_group_id != **name)
    });
    let shown = groups.map(|(name, models)| {
        let row = rows.groups.iter().find(|group| group.name == *name);
        json!({
            "access_group": name,
            "access_group_id": row.map(|group| &group.access_group_id),
            "description": row.and_then(|group| group.description.as_ref()),
            "model_names": models,
            "deployment_count": models.len(),
        })
    });
    Ok(shown.collect())
}

fn changed(group: &GroupRow) -> Value {
    json!({
        "access_group": group.name,
        "access_group_id": group.access_group_id,
        "description": group.description,
        "model_names": group.models,
        "models_updated": group.models.len(),
    })
}

/// A group is of models that are served.
async fn known_models(app: &App, models: &[String]) -> Result<(), ApiError> {
    let (catalogue, _) = app.catalogue(&mut *app.store.read().await?).await?;
    let mut unknown = models
        .iter()
        .filter(|name| !name.contains('*') && catalogue.find(name).is_none());
    match unknown.next() {
        Some(name) => Err(ModelRefusal::GroupOfUnknownModel(name.clone()).into()),
        None => Ok(()),
    }
}

struct New<'a> {
    by: &'a Authorized<AccessGroupNew>,
    group: GroupRow,
}

impl Change for New<'_> {
    type Answer = GroupRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<GroupRow, ApiError> {
        let mut group = self.group.clone();
        let which = Which::Name(&self.group.name);
        if access_groups::lock(tx, which).await?.is_some() {
            return Err(ModelRefusal::GroupExists(group.name).into());
        }
        access_groups::put(tx, self.by, None, &mut group).await?;
        Ok(group)
    }
}

struct Update<'a> {
    by: &'a Authorized<AccessGroupUpdate>,
    name: &'a str,
    body: &'a Body,
}

impl Change for Update<'_> {
    type Answer = GroupRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<GroupRow, ApiError> {
        let found = access_groups::lock(tx, Which::Name(self.name)).await?;
        let before = found.ok_or_else(|| ModelRefusal::GroupMissing(self.name.to_owned()))?;
        let mut group = before.clone();
        let mut body = self.body.clone();
        body.texts("model_names")
            .apply_or(&mut group.models, Vec::new());
        body.text("description").apply(&mut group.description);
        access_groups::put(tx, self.by, Some(&before), &mut group).await?;
        Ok(group)
    }
}

struct Delete<'a> {
    by: &'a Authorized<AccessGroupDelete>,
    name: &'a str,
}

impl Change for Delete<'_> {
    type Answer = GroupRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<GroupRow, ApiError> {
        let found = access_groups::lock(tx, Which::Name(self.name)).await?;
        let group = found.ok_or_else(|| ModelRefusal::GroupMissing(self.name.to_owned()))?;
        take_from_all(tx, self.by, &group.access_group_id).await?;
        access_groups::delete(tx, self.by, &group).await?;
        Ok(group)
    }
}

//! `/v1/access_group`: groups of models with the keys and teams that have them.
//!
//! The groups are those of `/access_group/…`; here they are named by id, and say to whom they are assigned. What is assigned is the key's or
//! team's own `access_group_ids`: both sides show the same.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::app::App;
use crate::error::{ApiError, ModelRefusal};
use crate::openapi::schema::{Of, Record, TEXT, TEXT_OR_NULL, TEXTS, list, one};
use crate::policy::{
    AccessGroupDelete, AccessGroupInfo, AccessGroupNew, AccessGroupUpdate, Authorized, Writes,
};
use crate::request::{Body, CHANGE_ASSIGNED_GROUP, NEW_ASSIGNED_GROUP, Patch};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::shape::Times;
use crate::routes::teams::rights;
use crate::store::access_groups::{self, Assigned, FIELD, GroupRow, Which, ids_of, links};
use crate::store::row::Object;
use crate::store::{Change, Tx, keys, teams};

/// A group as answers show it.
pub static ASSIGNED_GROUP: Record = Record::new(
    "AssignedAccessGroup",
    &[
        ("access_group_id access_group_name", TEXT),
        ("description created_by updated_by", TEXT_OR_NULL),
        (
            "access_model_names access_mcp_server_ids access_agent_ids assigned_team_ids assigned_key_ids",
            TEXTS,
        ),
        (
            "access_mcp_servers access_agents assigned_teams assigned_keys",
            list(&one(&NAMED)),
        ),
        ("created_at updated_at", TEXT),
    ],
);
static NAMED: Record = Record::new("", &[("id", TEXT), ("name", TEXT_OR_NULL)]);
static ONE: Of = one(&ASSIGNED_GROUP);
/// Several.
pub static ASSIGNED_GROUPS: Of = list(&ONE);

/// Fields that name what is not served: kept and echoed.
const KEPT: [&str; 2] = ["access_mcp_server_ids", "access_agent_ids"];

/// `POST /v1/access_group`.
pub async fn create(
    State(app): State<App>,
    by: Authorized<AccessGroupNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, NEW_ASSIGNED_GROUP)?;
    let answer = put(&app, &by, None, body).await?;
    Ok(answer.status(StatusCode::CREATED))
}

/// `PUT /v1/access_group/{access_group_id}`: changes what it names.
pub async fn change(
    State(app): State<App>,
    by: Authorized<AccessGroupUpdate>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, CHANGE_ASSIGNED_GROUP)?;
    put(&app, &by, Some(&id), body).await
}

/// `GET /v1/access_group`: all of them, the newest first.
pub async fn all(
    State(app): State<App>,
    _by: Authorized<AccessGroupInfo>,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let mut groups = access_groups::all(&mut connection).await?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.created_at));
    let shown = shown(&mut connection, &groups).await?;
    Ok(Answer::new(Value::Array(shown)))
}

/// `GET /v1/access_group/{access_group_id}`.
pub async fn info(
    State(app): State<App>,
    _by: Authorized<AccessGroupInfo>,
    Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let found = access_groups::find(&mut connection, Which::Id(&id)).await?;
    let group = found.ok_or(ModelRefusal::AssignedGroupMissing(id))?;
    let mut shown = shown(&mut connection, &[group]).await?;
    Ok(Answer::new(shown.pop().unwrap_or_default()))
}

/// `DELETE /v1/access_group/{access_group_id}`: no key and no team has it any more.
pub async fn remove(
    State(app): State<App>,
    by: Authorized<AccessGroupDelete>,
    Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let done = app.store.write(&Remove { by: &by, id }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::nothing().published(published))
}

/// Groups as LiteLLM prints them.
async fn shown(
    connection: &mut AnyConnection,
    groups: &[GroupRow],
) -> Result<Vec<Value>, ApiError> {
    let ids: Vec<String> = groups
        .iter()
        .map(|group| group.access_group_id.clone())
        .collect();
    let all = links(connection, &ids).await?;
    let ids = |assigned: &[Assigned]| json!(assigned.iter().map(|(id, _)| id).collect::<Vec<_>>());
    let named = |assigned: &[Assigned]| {
        let named = assigned
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name}));
        Value::Array(named.collect())
    };
    let shown = groups.iter().map(|group| {
        let links = all.get(&group.access_group_id).cloned().unwrap_or_default();
        let [servers, agents] = KEPT.map(|field| {
            let kept = group.extra.get(field).and_then(Value::as_array);
            kept.cloned().unwrap_or_default()
        });
        let unnamed = |ids: &[Value]| {
            let named = ids.iter().map(|id| json!({"id": id, "name": null}));
            Value::Array(named.collect())
        };
        json!({
            "access_group_id": group.access_group_id,
            "access_group_name": group.name,
            "description": group.description,
            "access_model_names": group.models,
            "access_mcp_servers": unnamed(&servers),
            "access_mcp_server_ids": servers,
            "access_agents": unnamed(&agents),
            "access_agent_ids": agents,
            "assigned_team_ids": ids(&links.teams),
            "assigned_teams": named(&links.teams),
            "assigned_key_ids": ids(&links.keys),
            "assigned_keys": named(&links.keys),
            "created_at": Times::Z.print(group.created_at),
            "created_by": group.created_by,
            "updated_at": Times::Z.print(group.updated_at),
            "updated_by": group.updated_by,
        })
    });
    Ok(shown.collect())
}

async fn put<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    id: Option<&str>,
    mut body: Body,
) -> Result<Answer, ApiError> {
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = KEPT.into_iter().filter(|field| {
        let sent = body.get(field).and_then(Value::as_array);
        sent.is_some_and(|ids| !ids.is_empty())
    });
    let unenforced: Vec<&str> = unenforced.collect();
    let done = app.store.write(&Put { by, id, body }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut shown = shown(&mut *app.store.read().await?, &[done.value]).await?;
    Ok(Answer::new(shown.pop().unwrap_or_default())
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct Put<'a, R> {
    by: &'a Authorized<R>,
    /// The group that is changed; none for a new one.
    id: Option<&'a str>,
    body: Body,
}

impl<R: Writes> Change for Put<'_, R> {
    type Answer = GroupRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<GroupRow, ApiError> {
        let before = match self.id {
            Some(id) => {
                let found = access_groups::lock(tx, Which::Id(id)).await?;
                Some(found.ok_or_else(|| ModelRefusal::AssignedGroupMissing(id.to_owned()))?)
            }
            None => None,
        };
        let mut group = before.clone().unwrap_or_else(|| GroupRow {
            access_group_id: uuid::Uuid::new_v4().to_string(),
            ..GroupRow::default()
        });
        let mut body = self.body.clone();
        if let Some(name) = body.text("access_group_name").value() {
            group.name = name;
        }
        if group.name.trim().is_empty() {
            return Err(ModelRefusal::GroupWithoutName.into());
        }
        let named = access_groups::find(tx.connection(), Which::Name(&group.name)).await?;
        if named.is_some_and(|named| named.access_group_id != group.access_group_id) {
            return Err(ModelRefusal::AssignedGroupExists(group.name).into());
        }
        body.text("description").apply(&mut group.description);
        body.texts("access_model_names")
            .apply_or(&mut group.models, Vec::new());
        for field in KEPT {
            if let Some(ids) = listed(body.texts(field)) {
                group.extra.insert(field.to_owned(), json!(ids));
            }
        }
        access_groups::put(tx, self.by, before.as_ref(), &mut group).await?;
        let wanted = Wanted {
            by: self.by,
            id: &group.access_group_id,
        };
        if let Some(teams) = listed(body.texts("assigned_team_ids")) {
            wanted.teams(tx, &teams).await?;
        }
        if let Some(keys) = listed(body.texts("assigned_key_ids")) {
            wanted.keys(tx, &keys).await?;
        }
        Ok(group)
    }
}

/// A list that a request sets; `null` is the empty one.
fn listed(sent: Patch<Vec<String>>) -> Option<Vec<String>> {
    match sent {
        Patch::Absent => None,
        Patch::Null => Some(Vec::new()),
        Patch::Set(list) => Some(list),
    }
}

/// Who is to have a group, and nobody else.
struct Wanted<'a, R> {
    by: &'a Authorized<R>,
    id: &'a str,
}

impl<R: Writes> Wanted<'_, R> {
    async fn teams(&self, tx: &mut Tx, wanted: &[String]) -> Result<(), ApiError> {
        let now = self.assigned(tx).await?.teams;
        let mut unknown = Vec::new();
        for (id, has) in differences(&now, wanted.iter().cloned()) {
            let Some(before) = teams::lock(tx, &id).await? else {
                unknown.push(id);
                continue;
            };
            let mut team = before.clone();
            give(&mut team.extra, self.id, has);
            rights::within_organization(tx.connection(), self.by, Some(&before), &team).await?;
            teams::update(tx, self.by, &before, &mut team).await?;
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(ModelRefusal::UnknownTeams(unknown).into())
        }
    }

    /// Keys that are not there are left out, as LiteLLM leaves them out.
    async fn keys(&self, tx: &mut Tx, wanted: &[String]) -> Result<(), ApiError> {
        let now = self.assigned(tx).await?.keys;
        let wanted = wanted.iter().map(|named| keys::token_of(named));
        for (token, has) in differences(&now, wanted) {
            if let Some(before) = keys::lock(tx, keys::Which::Token(&token)).await? {
                let mut key = before.clone();
                give(&mut key.extra, self.id, has);
                keys::update(tx, self.by, "updated", &before, &mut key).await?;
            }
        }
        Ok(())
    }

    async fn assigned(&self, tx: &mut Tx) -> Result<access_groups::Links, ApiError> {
        let mut all = links(tx.connection(), &[self.id.to_owned()]).await?;
        Ok(all.remove(self.id).unwrap_or_default())
    }
}

/// Who differs from what is wanted, in one order, and whether they are to have the group.
fn differences(now: &[Assigned], wanted: impl Iterator<Item = String>) -> Vec<(String, bool)> {
    let now: BTreeSet<String> = now.iter().map(|(id, _)| id.clone()).collect();
    let wanted: BTreeSet<String> = wanted.collect();
    let differ = now.symmetric_difference(&wanted);
    differ.map(|id| (id.clone(), wanted.contains(id))).collect()
}

/// Leaves no key and no team with a group.
pub(super) async fn take_from_all<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    id: &str,
) -> Result<(), ApiError> {
    let wanted = Wanted { by, id };
    wanted.teams(tx, &[]).await?;
    wanted.keys(tx, &[]).await
}

fn give(extra: &mut Object, id: &str, has: bool) {
    let mut ids = ids_of(extra);
    ids.retain(|own| own != id);
    if has {
        ids.push(id.to_owned());
    }
    extra.insert(FIELD.to_owned(), json!(ids));
}

struct Remove<'a> {
    by: &'a Authorized<AccessGroupDelete>,
    id: String,
}

impl Change for Remove<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let found = access_groups::lock(tx, Which::Id(&self.id)).await?;
        let group = found.ok_or_else(|| ModelRefusal::AssignedGroupMissing(self.id.clone()))?;
        take_from_all(tx, self.by, &self.id).await?;
        Ok(access_groups::delete(tx, self.by, &group).await?)
    }
}

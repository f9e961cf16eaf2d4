//! `GET /team/permissions_list`, `POST /team/permissions_update`: what members of role `user` may do with the team's keys.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::json;

use super::edit::{Edit, edit};
use super::rights;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, TEXTS};
use crate::policy::{Authorized, TeamPermissionsList, TeamPermissionsUpdate};
use crate::request::{Body, Param, Problem, Query, Step, TEAM_PERMISSIONS};
use crate::routes::answer::Answer;
use crate::store::teams;

/// The routes that may be given, as LiteLLM lists them.
const AVAILABLE: [&str; 21] = [
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/regenerate",
    "/key/service-account/generate",
    "/key/{key_id}/regenerate",
    "/key/block",
    "/key/unblock",
    "/key/bulk_update",
    "/team/key/bulk_update",
    "/key/{key_id}/reset_spend",
    "/key/access_group_assignment",
    "/auto_router/manage",
    "/key/info",
    "/key/health",
    "/key/list",
    "/key/aliases",
    "/team/daily/activity",
    "/team/daily/activity/aggregated",
    "/spend/logs",
    "/spend/logs/v2",
];

/// The query of `/team/permissions_list`.
pub const PERMISSIONS_QUERY: &[Param] = &[Param::required("team_id")];
/// The answer of `/team/permissions_list`.
pub static PERMISSIONS: Record = Record::new(
    "TeamPermissions",
    &[
        ("team_id", TEXT),
        ("team_member_permissions all_available_permissions", TEXTS),
    ],
);

/// What members may do, and what they could be let do.
pub async fn permissions_list(
    State(app): State<App>,
    by: Authorized<TeamPermissionsList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), PERMISSIONS_QUERY);
    let team_id = query.required("team_id");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let found = teams::find(&mut connection, &team_id).await?;
    let team = found.ok_or_else(|| TeamRefusal::TeamUpdateMissing(team_id.clone()))?;
    rights::must_administer(&mut connection, &by, &team).await?;
    Ok(Answer::new(json!({
        "team_id": team_id,
        "team_member_permissions": team.team_member_permissions,
        "all_available_permissions": AVAILABLE,
    })))
}

/// Replaces what members may do.
pub async fn permissions_update(
    State(app): State<App>,
    by: Authorized<TeamPermissionsUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_PERMISSIONS)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let permissions = body.texts("team_member_permissions").value();
    let permissions = permissions.unwrap_or_default();
    known("team_member_permissions", &permissions)?;
    let edited = Edit::Permissions(permissions);
    edit(&app, &by, team_id, edited, &body.ignored).await
}

/// A permission that nothing asks for would only look like one.
pub(super) fn known(field: &str, permissions: &[String]) -> Result<(), ApiError> {
    let unknown = |permission: &String| !AVAILABLE.contains(&permission.as_str());
    let Some(at) = permissions.iter().position(unknown) else {
        return Ok(());
    };
    let (last, others) = AVAILABLE.split_last().unwrap_or((&"", &[]));
    let msg = format!("Input should be '{}' or '{last}'", others.join("', '"));
    let mut problem = Problem::body("enum", field, msg);
    problem.loc.push(Step::Index(at));
    Err(problem.into())
}

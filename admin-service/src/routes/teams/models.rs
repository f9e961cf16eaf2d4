//! `POST /team/model/add`, `/team/model/delete`.

use axum::body::Bytes;
use axum::extract::State;

use super::edit::{Edit, edit};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Authorized, TeamModelAdd, TeamModelDelete};
use crate::request::{Body, TEAM_MODELS};
use crate::routes::answer::Answer;

/// Adds models to a team's.
pub async fn add(
    State(app): State<App>,
    by: Authorized<TeamModelAdd>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_MODELS)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let models = body.texts("models").value().unwrap_or_default();
    edit(&app, &by, team_id, Edit::AddModels(models), &body.ignored).await
}

/// Takes models from a team's. A team whose last model is taken has none.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<TeamModelDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_MODELS)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let models = body.texts("models").value().unwrap_or_default();
    edit(
        &app,
        &by,
        team_id,
        Edit::DeleteModels(models),
        &body.ignored,
    )
    .await
}

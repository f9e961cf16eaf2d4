//! `POST /team/block`, `/team/unblock`.

use axum::body::Bytes;
use axum::extract::State;

use super::edit::{Edit, edit};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Authorized, TeamBlock, TeamUnblock};
use crate::request::{Body, TEAM_ID};
use crate::routes::answer::Answer;

/// Blocks a team: its keys are refused from the next request on.
pub async fn block(
    State(app): State<App>,
    by: Authorized<TeamBlock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_ID)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    edit(&app, &by, team_id, Edit::Block(true), &body.ignored).await
}

/// Unblocks a team.
pub async fn unblock(
    State(app): State<App>,
    by: Authorized<TeamUnblock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_ID)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    edit(&app, &by, team_id, Edit::Block(false), &body.ignored).await
}

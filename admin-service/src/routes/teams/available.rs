//! `GET /team/available`: teams of `default_internal_user_params.available_teams`, which users join by themselves.

use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{ANY, FLAG, Of, Record, TEXT, TEXT_OR_NULL, list, one};
use crate::policy::{Authorized, TeamAvailable};
use crate::routes::answer::Answer;
use crate::store::{teams, users};

/// The answer.
pub static AVAILABLE: Of = list(&ONE_OPEN);
static ONE_OPEN: Of = one(&OPEN_TEAM);
/// A team as strangers see it.
static OPEN_TEAM: Record = Record::new(
    "AvailableTeam",
    &[
        ("team_id", TEXT),
        ("team_alias organization_id", TEXT_OR_NULL),
        ("models members_with_roles", list(&ANY)),
        ("blocked", FLAG),
    ],
);

/// The teams that the caller may join and is not in yet. Strangers see what a team offers, not who is in it.
pub async fn available(
    State(app): State<App>,
    by: Authorized<TeamAvailable>,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let mine = match &by.caller.user_id {
        Some(own) => users::teams_of(&mut connection, own).await?,
        None => Vec::new(),
    };
    let mut all = Vec::new();
    for team_id in open_to_all(&app) {
        if mine.contains(&team_id) {
            continue;
        }
        if let Some(team) = teams::find(&mut connection, &team_id).await? {
            all.push(json!({
                "team_id": team.team_id,
                "team_alias": team.team_alias,
                "organization_id": team.organization_id,
                "models": team.models,
                "members_with_roles": [],
                "blocked": team.blocked,
            }));
        }
    }
    Ok(Answer::new(Value::Array(all)))
}

/// Ids of the teams that users join by themselves.
pub(super) fn open_to_all(app: &App) -> Vec<String> {
    app.settings().user_defaults.available_teams.clone()
}

//! `GET /team/{team_id}/members/me`.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{MEMBERSHIP, memberships};
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL};
use crate::policy::{Authorized, TeamMemberSelf};
use crate::routes::answer::Answer;
use crate::store::{members, teams};

/// The answer.
pub static OWN_MEMBERSHIP: Record = Record::with(
    "OwnMembership",
    &[&MEMBERSHIP],
    &[("role", TEXT), ("user_email team_alias", TEXT_OR_NULL)],
);

/// The caller's own membership, with what it has spent and may spend.
pub async fn me(
    State(app): State<App>,
    by: Authorized<TeamMemberSelf>,
    Path(team_id): Path<String>,
) -> Result<Answer, ApiError> {
    let mut connection = app.store.read().await?;
    let own = by.caller.user_id.as_deref().unwrap_or_default();
    let member = members::find(&mut connection, &team_id, own).await?;
    // Whoever is not in a team is not told whether there is one.
    let member = member.ok_or_else(|| TeamRefusal::TeamInfoMissing(team_id.clone()))?;
    let team = teams::find(&mut connection, &team_id).await?;
    let (role, email) = (member.role.clone(), member.user_email.clone());
    let mut shown = memberships(&mut connection, &app, &[member]).await?;
    let mut answer = shown.pop().unwrap_or_default();
    if let Value::Object(object) = &mut answer {
        object.insert("role".into(), json!(role));
        object.insert("user_email".into(), json!(email));
        let alias = team.and_then(|team| team.team_alias);
        object.insert("team_alias".into(), json!(alias));
    }
    Ok(Answer::new(answer))
}

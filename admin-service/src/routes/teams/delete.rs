//! `POST /team/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::rights;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXTS};
use crate::policy::{Authorized, TeamDelete, Writes};
use crate::request::{Body, TEAM_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::keys::{self, Owner};
use crate::store::teams::TeamRow;
use crate::store::{Change, Tx, members, teams};

/// The answer.
pub static DELETED: Record = Record::new("DeletedTeams", &[("deleted_teams", TEXTS)]);

/// Deletes teams with their keys and memberships, all that are named or none.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<TeamDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_IDS)?;
    let mut team_ids = body.texts("team_ids").value().unwrap_or_default();
    team_ids.sort();
    team_ids.dedup();
    let done = app
        .store
        .write(&Delete {
            by: &by,
            team_ids: &team_ids,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let body_ignored = body.ignored;
    Ok(Answer::new(json!({ "deleted_teams": team_ids }))
        .ignoring(&body_ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<TeamDelete>,
    team_ids: &'a [String],
}

impl Change for Delete<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        for team_id in self.team_ids {
            let found = teams::lock(tx, team_id).await?;
            let team = found.ok_or_else(|| TeamRefusal::TeamDeleteMissing(team_id.clone()))?;
            rights::must_administer(tx.connection(), self.by, &team).await?;
            delete_whole(tx, self.by, &team).await?;
        }
        Ok(())
    }
}

/// Deletes a team whose row is locked, with its keys and memberships.
pub(in crate::routes) async fn delete_whole<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    team: &TeamRow,
) -> Result<(), ApiError> {
    for key in keys::lock_of_owner(tx, Owner::Team(&team.team_id)).await? {
        keys::delete(tx, by, &key).await?;
    }
    let mut members = members::of_team(tx.connection(), &team.team_id).await?;
    // In the order in which a deletion of users takes them: neither waits for what the other holds.
    members.sort_by(|one, other| one.user_id.cmp(&other.user_id));
    for member in members {
        members::delete(tx, by, &member).await?;
    }
    Ok(teams::delete(tx, by, team).await?)
}

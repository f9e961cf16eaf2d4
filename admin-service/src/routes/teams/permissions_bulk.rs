//! `POST /team/permissions_bulk_update`: further permissions for the members of many teams.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::permissions::known;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, TEXTS, WHOLE};
use crate::policy::{Authorized, TeamPermissionsBulkUpdate};
use crate::request::{Body, TEAM_PERMISSIONS_BULK};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::teams;
use crate::store::{Change, Tx};

/// The answer.
pub static PERMISSIONS_APPENDED: Record = Record::new(
    "TeamPermissionsAppended",
    &[
        ("message", TEXT),
        ("teams_updated", WHOLE),
        ("permissions_appended", TEXTS.or_null()),
    ],
);

/// Teams of one transaction, where all teams are changed.
const BATCH: u32 = 100;

/// Adds permissions to those that the members of teams have: of named teams in one transaction, of all teams a hundred at a time.
pub async fn permissions_bulk_update(
    State(app): State<App>,
    by: Authorized<TeamPermissionsBulkUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_PERMISSIONS_BULK)?;
    let ignored = std::mem::take(&mut body.ignored);
    let permissions = body.texts("permissions").value().unwrap_or_default();
    known("permissions", &permissions)?;
    let team_ids = body.texts("team_ids").value().unwrap_or_default();
    let all = body.flag("apply_to_all_teams").value() == Some(true);
    if permissions.is_empty() {
        let nothing = json!({"message": "No permissions provided", "teams_updated": 0, "permissions_appended": Value::Null});
        return Ok(Answer::new(nothing).ignoring(&ignored));
    }
    if all != team_ids.is_empty() {
        return Err(TeamRefusal::WhichTeams { both: all }.into());
    }
    let mut append = Append {
        by: &by,
        permissions: &permissions,
        team_ids,
        must_exist: !all,
    };
    let (mut updated, mut published, mut after) = (0_u64, true, String::new());
    loop {
        if all {
            let mut connection = app.store.read().await?;
            append.team_ids = teams::ids_after(&mut connection, &after, BATCH).await?;
        }
        let done = app.store.write(&append).await?;
        updated += done.value;
        published &= app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
        match append.team_ids.last() {
            Some(last) if all => after.clone_from(last),
            _ => break,
        }
    }
    Ok(Answer::new(json!({
        "message": "Team permissions updated successfully",
        "teams_updated": updated,
        "permissions_appended": permissions,
    }))
    .ignoring(&ignored)
    .published(published))
}

struct Append<'a> {
    by: &'a Authorized<TeamPermissionsBulkUpdate>,
    permissions: &'a [String],
    team_ids: Vec<String>,
    must_exist: bool,
}

impl Change for Append<'_> {
    /// How many teams were changed: one that had the permissions is not.
    type Answer = u64;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<u64, ApiError> {
        let (mut updated, mut missing) = (0, Vec::new());
        // In one order, so that two such requests wait for each other and do not block each other.
        let mut ids = self.team_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let Some(before) = teams::lock(tx, &id).await? else {
                missing.push(id);
                continue;
            };
            let mut team = before.clone();
            let permissions = &mut team.team_member_permissions;
            permissions.extend(self.permissions.iter().cloned());
            permissions.sort_unstable();
            permissions.dedup();
            let has = |permission| before.team_member_permissions.contains(permission);
            if !self.permissions.iter().all(has) {
                teams::update(tx, self.by, &before, &mut team).await?;
                updated += 1;
            }
        }
        // A team that was deleted since all were listed is none of all.
        if self.must_exist && !missing.is_empty() {
            return Err(TeamRefusal::TeamsMissing(missing).into());
        }
        Ok(updated)
    }
}

//! `POST /team/key/bulk_update`: one change of many keys of a team.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::ownership::{self, Permission};
use super::update::{Bulk, MOST, change};
use crate::app::App;
use crate::error::{ApiError, KeyRefusal, TeamRefusal};
use crate::policy::{Authorized, KeyTeamBulkUpdate};
use crate::request::{Body, Problem, TEAM_KEY_FIELDS, TEAM_KEYS_UPDATE};
use crate::routes::answer::Answer;
use crate::routes::teams::rights;
use crate::store::{keys, teams};

const BULK_UPDATE: Permission = Permission {
    route: "/team/key/bulk_update",
    name: "TEAM_KEY_BULK_UPDATE",
};

/// Changes keys of a team, each by itself: one that is refused leaves the others changed. Each change is held to what `/key/update` of that key
/// by the same caller is held to.
pub async fn team_bulk_update(
    State(app): State<App>,
    by: Authorized<KeyTeamBulkUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, TEAM_KEYS_UPDATE)?;
    let ignored = std::mem::take(&mut body.ignored);
    let team_id = body.text("team_id").value().unwrap_or_default();
    let fields = body.object("update_fields").value().unwrap_or_default();
    for name in fields.keys() {
        if !TEAM_KEY_FIELDS.iter().any(|field| field.name == name) {
            let problem = Problem::body("extra_forbidden", name, "Extra inputs are not permitted");
            return Err(problem.within("update_fields").into());
        }
    }
    if fields.is_empty() {
        let msg = "Value error, update_fields must specify at least one field to update.";
        return Err(Problem::body("value_error", "update_fields", msg).into());
    }
    let fields = Body::from_map(fields, TEAM_KEY_FIELDS).map_err(|error| match error {
        ApiError::Invalid(found) => {
            let within = found.into_iter().map(|found| found.within("update_fields"));
            ApiError::Invalid(within.collect())
        }
        other => other,
    })?;
    let named = body.texts("key_ids").value().unwrap_or_default();
    let all = body.flag("all_keys_in_team").value() == Some(true);
    if all != named.is_empty() {
        let msg = if all {
            "Value error, Provide either `key_ids` or `all_keys_in_team=True`, not both."
        } else {
            "Value error, Must provide either `key_ids` (non-empty) or `all_keys_in_team=True`."
        };
        return Err(Problem::whole_body("value_error", msg).into());
    }
    let mut connection = app.store.read().await?;
    let found = teams::find(&mut connection, &team_id).await?;
    let team = found.ok_or_else(|| TeamRefusal::TeamUpdateMissing(team_id.clone()))?;
    let standing = rights::standing(&mut connection, &by, &team).await?;
    if !standing.administers() {
        ownership::may_in_team(&mut connection, &by.caller, &team_id, BULK_UPDATE).await?;
    }
    let asked = if all {
        let keys = keys::of_owner(&mut connection, keys::Owner::Team(&team_id)).await?;
        keys.into_iter().map(|key| key.token).collect()
    } else {
        named
    };
    drop(connection);
    if asked.len() > MOST {
        return Err(KeyRefusal::TooManyKeys(MOST).into());
    }
    let mut bulk = Bulk::of(ignored);
    for named in asked {
        let mut one = fields.clone();
        one.set("key", Value::String(named.clone()));
        let outcome = change(&app, &by, one, Some(&team_id)).await;
        bulk.add(&app, Value::String(named), outcome).await?;
    }
    Ok(bulk.answer())
}

//! `team_member_key_duration` of a team: how long its members' keys live.
//!
//! A member's key gets it where the request says no `duration`. Whoever does not administer the team gives no key of it longer. Keys of no user
//! (service accounts) are nobody's membership and are left alone.

use sqlx::AnyConnection;

use super::ownership;
use crate::caller::Caller;
use crate::domain::budget_window::duration_us;
use crate::error::{ApiError, GrantRefusal};
use crate::store::keys::KeyRow;
use crate::store::teams;

/// The team's field.
pub(in crate::routes) const FIELD: &str = "team_member_key_duration";

/// What a member's key of this team may have: the duration, and when a key that is made now ends by it.
async fn of_team(
    connection: &mut AnyConnection,
    key: &KeyRow,
    now_us: u64,
) -> Result<Option<(String, u64)>, ApiError> {
    let (Some(team), Some(_)) = (&key.team_id, &key.user_id) else {
        return Ok(None);
    };
    let team = teams::find(connection, team).await?;
    let said = team.and_then(|team| Some(team.extra.get(FIELD)?.as_str()?.to_owned()));
    // What is kept was read when it came.
    Ok(said.and_then(|text| {
        let length = duration_us(&text)?;
        Some((text, now_us.saturating_add(length)))
    }))
}

/// Ends a new key whose request says no duration; answers the duration, if the team's ends it.
pub(super) async fn fill(
    connection: &mut AnyConnection,
    key: &mut KeyRow,
    now_us: u64,
) -> Result<Option<String>, ApiError> {
    let Some((text, end)) = of_team(connection, key, now_us).await? else {
        return Ok(None);
    };
    if key.expires.is_some_and(|expires| expires <= end) {
        return Ok(None);
    }
    key.expires = Some(end);
    Ok(Some(text))
}

/// Refuses an end that is later than the team's, or none, to whoever does not administer the team.
pub(super) async fn hold(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
    asked: Option<&str>,
    now_us: u64,
) -> Result<(), ApiError> {
    let Some((bound, end)) = of_team(connection, key, now_us).await? else {
        return Ok(());
    };
    let within = key.expires.is_some_and(|expires| expires <= end);
    if within || ownership::is_team_admin(connection, caller, key).await? {
        return Ok(());
    }
    let asked = asked.unwrap_or("-1").to_owned();
    Err(GrantRefusal::AboveBound {
        field: "duration",
        asked,
        bound,
    }
    .into())
}

//! `key_generation_settings`: which roles make keys, and what their requests must say.
//!
//! Proxy admins are free of the rules of team keys; personal keys they make only where they are listed, as in LiteLLM.

use sqlx::AnyConnection;

use super::ownership;
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, GrantRefusal};
use crate::policy::Authorized;
use crate::request::Body;

/// What can be told from the request alone: what must be `sent`, before defaults and bounds make `body` of it.
pub(super) fn check<R>(
    app: &App,
    by: &Authorized<R>,
    sent: &Body,
    body: &Body,
) -> Result<(), ApiError> {
    let settings = app.settings();
    let settings = &settings.key_generation;
    if body.has("team_id") {
        let names = &settings.team.required_params;
        return if by.is_admin() {
            Ok(())
        } else {
            required(sent, names)
        };
    }
    let role = by.caller.role.as_str();
    if let Some(allowed) = &settings.personal.allowed_roles
        && !allowed.iter().any(|allowed| allowed == role)
    {
        let allowed = allowed.clone();
        return Err(GrantRefusal::PersonalKeysRestricted { allowed, role }.into());
    }
    required(sent, &settings.personal.required_params)
}

fn required(body: &Body, names: &[String]) -> Result<(), ApiError> {
    match names.iter().find(|name| !body.has(name)) {
        Some(name) => Err(GrantRefusal::RequiredParam(name.clone()).into()),
        None => Ok(()),
    }
}

/// Whether the caller's role in the team may make keys of it. Whoever is not in the team is refused by the team's permissions.
pub(super) async fn check_in_team(
    connection: &mut AnyConnection,
    app: &App,
    caller: &Caller,
    team_id: &str,
) -> Result<(), ApiError> {
    let settings = app.settings();
    let Some(allowed) = &settings.key_generation.team.allowed_roles else {
        return Ok(());
    };
    let member = ownership::membership(connection, caller, Some(team_id)).await?;
    match member {
        Some(member) if !allowed.contains(&member.role) => {
            let (allowed, role) = (allowed.clone(), member.role);
            Err(GrantRefusal::TeamRoleMayNotMakeKeys { allowed, role }.into())
        }
        _ => Ok(()),
    }
}

//! What somebody who is no admin may do to keys: to their own, and to their team's as the team lets them. How much they may give a key is
//! `grant`'s.

use sqlx::AnyConnection;

use super::change::Money;
use crate::caller::Caller;
use crate::error::{AccessRefusal, ApiError, GrantRefusal, KeyRefusal};
use crate::routes::teams::rights::administers_organization;
use crate::settings::{SelfServeBudgets, Settings};
use crate::store::keys::KeyRow;
use crate::store::members::{self, MemberRow};
use crate::store::teams;

/// What every member may do.
const ALWAYS: [&str; 2] = ["/key/health", "/key/info"];

/// A key route as the team's permissions name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permission {
    pub(super) route: &'static str,
    pub(super) name: &'static str,
}

/// Changing a team's key.
pub(super) const UPDATE: Permission = Permission {
    route: "/key/update",
    name: "KEY_UPDATE",
};
const DELETE: Permission = Permission {
    route: "/key/delete",
    name: "KEY_DELETE",
};
const REGENERATE: Permission = Permission {
    route: "/key/regenerate",
    name: "KEY_REGENERATE",
};

/// The caller's own id, or LiteLLM's words for having none.
fn own(caller: &Caller) -> String {
    caller.user().to_owned()
}

/// Whether the caller is an admin of the key's team, or of the organization that team or key belongs to.
pub(super) async fn is_team_admin(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<bool, ApiError> {
    let member = membership(connection, caller, key.team_id.as_deref()).await?;
    if member.is_some_and(|member| member.role == "admin") {
        return Ok(true);
    }
    let organization = organization_of(connection, key).await?;
    administers_organization(connection, caller, organization.as_deref()).await
}

/// The organization of a key: its team's, or its own where it has no team.
async fn organization_of(
    connection: &mut AnyConnection,
    key: &KeyRow,
) -> Result<Option<String>, ApiError> {
    match &key.team_id {
        Some(team) => Ok(teams::find(connection, team)
            .await?
            .and_then(|team| team.organization_id)),
        None => Ok(key.organization_id.clone()),
    }
}

/// A key of an organization spends the organization's money: only its admins put one there, and a team's key is of the team's organization.
pub(super) async fn may_organize(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
    before: Option<&KeyRow>,
) -> Result<(), ApiError> {
    let was = before.and_then(|before| before.organization_id.as_ref());
    let Some(organization) = &key.organization_id else {
        return Ok(());
    };
    if was == Some(organization) && before.map(|before| &before.team_id) == Some(&key.team_id) {
        return Ok(());
    }
    let of_team = match &key.team_id {
        Some(team) => teams::find(connection, team).await?,
        None => None,
    };
    let fits = of_team.is_none_or(|team| team.organization_id.as_ref() == Some(organization));
    if fits && administers_organization(connection, caller, Some(organization)).await? {
        return Ok(());
    }
    Err(GrantRefusal::AdminOnlyField("organization_id").into())
}

/// The caller's membership of a team.
pub(super) async fn membership(
    connection: &mut AnyConnection,
    caller: &Caller,
    team: Option<&str>,
) -> Result<Option<MemberRow>, ApiError> {
    match (team, caller.user_id.as_deref()) {
        (Some(team), Some(user)) => Ok(members::find(connection, team, user).await?),
        _ => Ok(None),
    }
}

/// A key that names a team needs the team's permission.
pub(super) async fn may_in_team(
    connection: &mut AnyConnection,
    caller: &Caller,
    team_id: &str,
    permission: Permission,
) -> Result<(), ApiError> {
    let Some(team) = teams::find(connection, team_id).await? else {
        return Err(GrantRefusal::TeamMissingForKey(team_id.to_owned()).into());
    };
    if administers_organization(connection, caller, team.organization_id.as_deref()).await? {
        return Ok(());
    }
    let Some(member) = membership(connection, caller, Some(team_id)).await? else {
        return Err(GrantRefusal::NotInTeam {
            user: own(caller),
            team: team_id.to_owned(),
        }
        .into());
    };
    if member.role == "admin"
        || team
            .team_member_permissions
            .iter()
            .any(|may| may == permission.route)
    {
        return Ok(());
    }
    let mut permitted: Vec<String> = ALWAYS.iter().map(|route| (*route).to_owned()).collect();
    permitted.extend(
        team.team_member_permissions
            .into_iter()
            .filter(|may| !ALWAYS.contains(&may.as_str())),
    );
    let Permission { route, name } = permission;
    Err(GrantRefusal::TeamPermission {
        route,
        name,
        permitted,
        team: team_id.to_owned(),
    }
    .into())
}

/// Nothing that only an admin may set was set.
pub(super) fn no_admin_fields(key: &KeyRow, before: Option<&KeyRow>) -> Result<(), ApiError> {
    let preset: &[&[&str]] = &[
        &[],
        &["llm_api_routes"],
        &["management_routes"],
        &["info_routes"],
    ];
    let routes_same = before.is_some_and(|before| before.allowed_routes == key.allowed_routes);
    if !routes_same && !preset.iter().any(|preset| key.allowed_routes == *preset) {
        return Err(GrantRefusal::AdminOnlyField("allowed_routes").into());
    }
    let permissions_same = before.is_some_and(|before| before.permissions == key.permissions);
    if !permissions_same && !key.permissions.is_empty() {
        return Err(GrantRefusal::AdminOnlyField("permissions").into());
    }
    Ok(())
}

/// Whoever blocks or unblocks a key without being a proxy admin is an admin of its team.
pub(super) async fn may_block(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
    route: &str,
    wrapped: bool,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, key).await? {
        return Ok(());
    }
    let (role, user) = (caller.role.as_str(), own(caller));
    Err(AccessRefusal::AdminsOnly {
        what: route.to_owned(),
        role,
        user,
        wrapped,
    }
    .into())
}

/// A key of a team that belongs to no user: a service account's. Members with permission share it.
fn is_service_account(key: &KeyRow) -> bool {
    key.user_id.is_none() && key.team_id.is_some()
}

fn owns(caller: &Caller, key: &KeyRow) -> bool {
    key.user_id.is_some() && key.user_id == caller.user_id
}

/// A change of a key by its owner, a member with permission, or an admin of its team.
pub(super) async fn may_update(
    connection: &mut AnyConnection,
    settings: &Settings,
    caller: &Caller,
    before: &KeyRow,
    money: Money,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, before).await? {
        return Ok(());
    }
    let shared = is_service_account(before);
    let of_team = membership(connection, caller, before.team_id.as_deref()).await?;
    if shared
        && of_team.is_some()
        && let Some(team) = &before.team_id
    {
        may_in_team(connection, caller, team, UPDATE).await?;
    } else if !owns(caller, before) {
        let asked = before.user_id.clone().unwrap_or_else(|| "None".to_owned());
        return Err(GrantRefusal::KeyForOther {
            asked,
            own: own(caller),
        }
        .into());
    }
    let refused = |what: &str| {
        let (role, user) = (caller.role.as_str(), own(caller));
        AccessRefusal::AdminsOnly {
            what: what.to_owned(),
            role,
            user,
            wrapped: true,
        }
    };
    let made = before.created_by == caller.user_id;
    let self_served = money == Money::SelfServe
        && made
        && !shared
        && settings.self_serve_budgets != SelfServeBudgets::Disabled;
    if money != Money::Untouched && !self_served {
        return Err(refused("/key/update (max_budget/spend)").into());
    }
    if shared {
        return Ok(());
    }
    if !made {
        return Err(refused("/key/update").into());
    }
    match &before.team_id {
        Some(team) => may_in_team(connection, caller, team, UPDATE).await,
        None => Ok(()),
    }
}

/// A deletion by the key's owner, a member with permission, or an admin of its team.
pub(super) async fn may_delete(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    may_end(
        connection,
        caller,
        key,
        DELETE,
        KeyRefusal::NotYourKeyToDelete,
    )
    .await
}

/// Another value for a key, by the same people who may delete it.
pub(super) async fn may_regenerate(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    let refused = KeyRefusal::NotYourKeyToRegenerate;
    may_end(connection, caller, key, REGENERATE, refused).await
}

async fn may_end(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
    permission: Permission,
    refused: KeyRefusal,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, key).await? {
        return Ok(());
    }
    match &key.team_id {
        None if owns(caller, key) => Ok(()),
        Some(team) if owns(caller, key) || is_service_account(key) => {
            // Whoever is not in the team at all learns nothing of its key.
            if membership(connection, caller, Some(team)).await?.is_none() && !owns(caller, key) {
                return Err(refused.into());
            }
            may_in_team(connection, caller, team, permission).await
        }
        _ => Err(refused.into()),
    }
}

/// Whoever sets back what a key has spent is an admin: of the proxy, or of its team.
pub(super) async fn may_reset_spend(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    may_block(connection, caller, key, "/key/{key}/reset_spend", false).await
}

//! What somebody who is no admin may do to keys: to their own, and to their team's as the team lets them. How much they may give a key is
//! `grant`'s.

use sqlx::AnyConnection;

use crate::caller::Caller;
use crate::error::{ApiError, Refusal};
use crate::routes::teams::rights::administers_organization;
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
    Err(Refusal::AdminOnlyField("organization_id").into())
}

async fn membership(
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
        return Err(Refusal::TeamMissingForKey(team_id.to_owned()).into());
    };
    if administers_organization(connection, caller, team.organization_id.as_deref()).await? {
        return Ok(());
    }
    let Some(member) = membership(connection, caller, Some(team_id)).await? else {
        return Err(Refusal::NotInTeam {
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
    Err(Refusal::TeamPermission {
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
        return Err(Refusal::AdminOnlyField("allowed_routes").into());
    }
    let permissions_same = before.is_some_and(|before| before.permissions == key.permissions);
    if !permissions_same && !key.permissions.is_empty() {
        return Err(Refusal::AdminOnlyField("permissions").into());
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
    Err(Refusal::AdminsOnly {
        what: route.to_owned(),
        role,
        user,
        wrapped,
    }
    .into())
}

/// A change of a key by its owner, a member with permission, or an admin of its team.
pub(super) async fn may_update(
    connection: &mut AnyConnection,
    caller: &Caller,
    before: &KeyRow,
    money: bool,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, before).await? {
        return Ok(());
    }
    if before.user_id.is_none() || before.user_id != caller.user_id {
        let asked = before.user_id.clone().unwrap_or_else(|| "None".to_owned());
        return Err(Refusal::KeyForOther {
            asked,
            own: own(caller),
        }
        .into());
    }
    let refused = |what: &str| {
        let (role, user) = (caller.role.as_str(), own(caller));
        Refusal::AdminsOnly {
            what: what.to_owned(),
            role,
            user,
            wrapped: true,
        }
    };
    if money {
        return Err(refused("/key/update (max_budget/spend)").into());
    }
    if before.created_by != caller.user_id {
        return Err(refused("/key/update").into());
    }
    if let Some(team) = &before.team_id {
        let permission = Permission {
            route: "/key/update",
            name: "KEY_UPDATE",
        };
        may_in_team(connection, caller, team, permission).await?;
    }
    Ok(())
}

/// A deletion by the key's owner, a member with permission, or an admin of its team.
pub(super) async fn may_delete(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, key).await? {
        return Ok(());
    }
    let owns = key.user_id.is_some() && key.user_id == caller.user_id;
    if owns && key.team_id.is_none() {
        return Ok(());
    }
    if let (true, Some(team)) = (owns, &key.team_id) {
        let permission = Permission {
            route: "/key/delete",
            name: "KEY_DELETE",
        };
        return may_in_team(connection, caller, team, permission).await;
    }
    Err(Refusal::NotYourKeyToDelete.into())
}

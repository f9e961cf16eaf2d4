//! Whom an admin of organizations may make: plain users of their own organizations, with no more than they have themselves.

use crate::caller::Role;
use crate::error::{AccessRefusal, ApiError, UserRefusal};
use crate::policy::{Authorized, UserNew};
use crate::routes::keys::{limits_within, models_within};
use crate::routes::teams::Joining;
use crate::store::keys::KeyRow;
use crate::store::users::{self, UserRow};
use crate::store::{Tx, organization_members, teams};

/// Refuses what the caller may not make, and fills from the caller's own row what the request leaves open.
pub(super) async fn check(
    tx: &mut Tx,
    by: &Authorized<UserNew>,
    user: &mut UserRow,
    key: Option<&KeyRow>,
    organizations: &[String],
    joined: &[Joining],
) -> Result<(), ApiError> {
    let own = by.caller.user_id.as_deref();
    let theirs = organization_members::administered(tx.connection(), own).await?;
    let only_theirs = organizations.iter().all(|id| theirs.contains(id));
    let Some(own) = own.filter(|_| only_theirs && !organizations.is_empty()) else {
        return Err(AccessRefusal::OnlyProxyAdmin {
            route: "/user/new".to_owned(),
            role: by.caller.role.as_str(),
            user: by.caller.masked_user(),
        }
        .into());
    };
    let role = Role::parse(user.user_role.as_deref());
    if matches!(role, Role::ProxyAdmin | Role::ProxyAdminViewer) {
        return Err(UserRefusal::RoleForAdmins(role.as_str().to_owned()).into());
    }
    if user.sso_user_id.is_some() {
        return Err(UserRefusal::UserFieldForAdmins("sso_user_id").into());
    }
    if key.is_some_and(|key| !key.permissions.is_empty()) {
        return Err(UserRefusal::UserFieldForAdmins("permissions").into());
    }
    for joining in joined {
        let team = teams::find(tx.connection(), &joining.team_id).await?;
        let organization = team.and_then(|team| team.organization_id);
        if !organization.is_some_and(|id| theirs.contains(&id)) {
            return Err(UserRefusal::UserFieldForAdmins("teams").into());
        }
    }
    let found = users::find(tx.connection(), users::Which::Id(own)).await?;
    let own = found.ok_or_else(|| UserRefusal::UserMissing(own.to_owned()))?;
    if user.models.is_empty() {
        user.models.clone_from(&own.models);
    }
    models_within(&user.models, &own.models, false)?;
    user.limits = std::mem::take(&mut user.limits).or(own.limits.clone());
    limits_within(&user.limits, &own.limits)
}

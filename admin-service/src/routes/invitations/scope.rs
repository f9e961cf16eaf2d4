//! Whom an admin of teams or organizations may invite.
//!
//! A link sets a password: whoever makes one can become the user. So they invite only who is theirs alone (every team of the user is one they
//! administer, or of an organization they administer), who has no password yet, and who has no more rights than a user.

use sqlx::AnyConnection;

use crate::caller::{Caller, Role};
use crate::error::{ApiError, InvitationRefusal};
use crate::store::users::UserRow;
use crate::store::{Tx, members, organization_members, passwords, teams};

/// Refuses whoever may not invite `user`; who administers nothing is not told whether there is such a user.
pub(super) async fn check(
    tx: &mut Tx,
    caller: &Caller,
    user: Option<&UserRow>,
) -> Result<(), ApiError> {
    let refused = || ApiError::from(InvitationRefusal::InvitationForAdmins(caller.role.as_str()));
    let Some(user) = user else {
        return Err(refused());
    };
    let role = Role::parse(user.user_role.as_deref());
    let plain = !matches!(role, Role::ProxyAdmin | Role::ProxyAdminViewer);
    let connection = tx.connection();
    let claimed = passwords::find(connection, &user.user_id).await?.is_some();
    if plain
        && !claimed
        && user.sso_user_id.is_none()
        && is_theirs(connection, caller.user_id.as_deref(), &user.user_id).await?
    {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Whether every team and organization of `user_id` is one that `admin` administers, and there is one.
async fn is_theirs(
    connection: &mut AnyConnection,
    admin: Option<&str>,
    user_id: &str,
) -> Result<bool, ApiError> {
    let Some(admin) = admin.filter(|admin| *admin != user_id) else {
        return Ok(false);
    };
    let organizations = organization_members::administered(connection, Some(admin)).await?;
    let memberships = organization_members::of_user(connection, user_id).await?;
    let foreign = memberships
        .iter()
        .any(|member| member.is_admin() || !organizations.contains(&member.organization_id));
    let joined = members::of_user(connection, user_id).await?;
    if foreign || (joined.is_empty() && memberships.is_empty()) {
        return Ok(false);
    }
    for member in joined {
        let own = members::find(connection, &member.team_id, admin).await?;
        if own.is_some_and(|own| own.role == "admin") && member.role != "admin" {
            continue;
        }
        let team = teams::find(connection, &member.team_id).await?;
        let organization = team.and_then(|team| team.organization_id);
        if !organization.is_some_and(|id| organizations.contains(&id)) {
            return Ok(false);
        }
    }
    Ok(true)
}

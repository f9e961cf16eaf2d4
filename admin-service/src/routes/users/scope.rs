//! What admins of teams and organizations may see of users who are theirs.

use sqlx::AnyConnection;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::store::{members, organization_members, teams};

/// What of a user is in somebody's scope.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Whether anything is.
    pub(super) any: bool,
    /// The user's teams that the caller administers, by themselves or as admin of their organization.
    pub(super) teams: Vec<String>,
}

/// What of `user_id` the caller administers.
pub(super) async fn of(
    connection: &mut AnyConnection,
    caller: &Caller,
    user_id: &str,
) -> Result<Scope, ApiError> {
    let mut scope = Scope::default();
    let Some(own) = &caller.user_id else {
        return Ok(scope);
    };
    let administered = organization_members::administered(connection, Some(own)).await?;
    for member in members::of_user(connection, user_id).await? {
        let mine = members::find(connection, &member.team_id, own).await?;
        let mut is_admin = mine.is_some_and(|mine| mine.role == "admin");
        if !is_admin && !administered.is_empty() {
            let team = teams::find(connection, &member.team_id).await?;
            let organization = team.and_then(|team| team.organization_id);
            is_admin = organization.is_some_and(|id| administered.contains(&id));
        }
        if is_admin {
            scope.teams.push(member.team_id);
        }
    }
    let memberships = organization_members::of_user(connection, user_id).await?;
    scope.any = !scope.teams.is_empty()
        || memberships
            .iter()
            .any(|member| administered.contains(&member.organization_id));
    Ok(scope)
}

/// The organizations that the caller administers or has a team in that they administer; `None` for one who administers nothing.
pub(super) async fn administered(
    connection: &mut AnyConnection,
    caller: &Caller,
) -> Result<Option<Vec<String>>, ApiError> {
    let Some(own) = &caller.user_id else {
        return Ok(None);
    };
    let mut all = organization_members::administered(connection, Some(own)).await?;
    let mut any = !all.is_empty();
    for member in members::of_user(connection, own).await? {
        if member.role == "admin" {
            any = true;
            let team = teams::find(connection, &member.team_id).await?;
            all.extend(team.and_then(|team| team.organization_id));
        }
    }
    Ok(any.then_some(all))
}

//! How a caller stands to a team, and what an organization lets its teams have.
//!
//! Decides: whether somebody administers a team (its admin, an admin of its organization, a proxy admin), and whether a team stays within its
//! organization. Failure stance: who administers nothing is refused as if the route were a proxy admin's; an organization that is not
//! there has no teams.

use sqlx::AnyConnection;

use crate::caller::Caller;
use crate::error::{ApiError, GrantRefusal, OrganizationRefusal, Refusal, TeamRefusal};
use crate::policy::{Authorized, Reach};
use crate::routes::keys;
use crate::store::organization_members;
use crate::store::row::LimitColumns;
use crate::store::teams::TeamRow;
use crate::store::{budgets, members, organizations};

/// How somebody stands to a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routes) enum Standing {
    /// A proxy admin, or whoever the policy lets do it to any team.
    Proxy,
    /// An admin of its organization.
    Organization,
    /// Its admin.
    Team,
    /// A member.
    Member,
    /// Nothing of these.
    Stranger,
}

impl Standing {
    /// Whether it comes with authority over the team.
    pub(in crate::routes) const fn administers(self) -> bool {
        matches!(self, Self::Proxy | Self::Organization | Self::Team)
    }
}

/// How the caller stands to a team.
pub(in crate::routes) async fn standing<R>(
    connection: &mut AnyConnection,
    by: &Authorized<R>,
    team: &TeamRow,
) -> Result<Standing, ApiError> {
    if by.is_admin() {
        return Ok(Standing::Proxy);
    }
    let found = of_caller(connection, &by.caller, team).await?;
    // Where the policy reaches organizations only, an admin of the team is a member like others.
    Ok(match (found, by.reach) {
        (Standing::Team, Reach::Organization) => Standing::Member,
        _ => found,
    })
}

/// The same for somebody who is no proxy admin.
pub(in crate::routes) async fn of_caller(
    connection: &mut AnyConnection,
    caller: &Caller,
    team: &TeamRow,
) -> Result<Standing, ApiError> {
    let Some(own) = caller.user_id.as_deref() else {
        return Ok(Standing::Stranger);
    };
    if administers_organization(connection, caller, team.organization_id.as_deref()).await? {
        return Ok(Standing::Organization);
    }
    let member = members::find(connection, &team.team_id, own).await?;
    Ok(match member {
        Some(member) if member.role == "admin" => Standing::Team,
        Some(_) => Standing::Member,
        None => Standing::Stranger,
    })
}

/// Whether the caller is an admin of this organization.
pub(in crate::routes) async fn administers_organization(
    connection: &mut AnyConnection,
    caller: &Caller,
    organization_id: Option<&str>,
) -> Result<bool, ApiError> {
    let (Some(organization), Some(own)) = (organization_id, caller.user_id.as_deref()) else {
        return Ok(false);
    };
    let member = organization_members::find(connection, organization, own).await?;
    Ok(member.is_some_and(|member| member.is_admin()))
}

/// The caller's authority over a team, or the refusal of having none.
pub(in crate::routes) async fn must_administer<R>(
    connection: &mut AnyConnection,
    by: &Authorized<R>,
    team: &TeamRow,
) -> Result<Standing, ApiError> {
    let standing = standing(connection, by, team).await?;
    if standing.administers() {
        return Ok(standing);
    }
    if by.reach == Reach::Organization {
        return Err(by.only_admins());
    }
    Err(TeamRefusal::NotTeamAdmin {
        route: by.route.clone(),
        team: team.team_id.clone(),
    }
    .into())
}

/// What is new about a team is within its organization, and whoever is no proxy admin administers the organization that they put it in.
pub(in crate::routes) async fn within_organization<R>(
    connection: &mut AnyConnection,
    by: &Authorized<R>,
    before: Option<&TeamRow>,
    team: &TeamRow,
) -> Result<(), ApiError> {
    let moved = before.is_none_or(|before| before.organization_id != team.organization_id);
    let Some(id) = &team.organization_id else {
        // Only proxy admins make teams of no organization, and take one out of its own.
        return if moved && !by.is_admin() {
            Err(by.only_admins())
        } else {
            Ok(())
        };
    };
    if moved
        && !by.is_admin()
        && !administers_organization(connection, &by.caller, Some(id)).await?
    {
        return Err(by.only_admins());
    }
    let organization = organizations::find(connection, id).await?;
    let organization =
        organization.ok_or_else(|| OrganizationRefusal::OrganizationMissing(id.clone()))?;
    let budget = budgets::find(connection, &organization.budget_id).await?;
    let most = budget.map(|row| row.limits).unwrap_or_default();
    let was = before.filter(|_| !moved);
    if was.is_none_or(|before| before.callable() != team.callable()) {
        keys::models_within(&team.callable(), &organization.models, false).map_err(beyond)?;
    }
    let asked = keys::changed(team.limits.clone(), was.map(|before| before.limits.clone()));
    limits_within(&asked, &most)
}

/// Limits of a team, or of what is in it, that an owner's hold.
pub(in crate::routes) fn limits_within(
    asked: &LimitColumns,
    most: &LimitColumns,
) -> Result<(), ApiError> {
    keys::limits_within(asked, most)
        .and_then(|()| keys::window_within(asked, most))
        .map_err(beyond)
}

/// The refusal of a key that would have more than its owner, for what is no key.
fn beyond(error: ApiError) -> ApiError {
    match error {
        ApiError::Refused(Refusal::Grant(GrantRefusal::MoreThanOwn { field, asked, own })) => {
            OrganizationRefusal::BeyondOwner { field, asked, own }.into()
        }
        other => other,
    }
}

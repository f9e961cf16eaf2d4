//! Organizations and their members.

use super::{AUTH, BAD, FORBIDDEN, NOT_FOUND};
use crate::error::Wire;

/// An organization that is not there, is already, or is not this caller's; a member likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizationRefusal {
    /// More than the owner (the team, the organization) has.
    BeyondOwner {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// What the owner has.
        own: String,
    },
    /// An organization that is not there.
    OrganizationMissing(String),
    /// An organization of this id exists.
    OrganizationExists(String),
    /// An organization to delete that is not there.
    OrganizationDeleteMissing(String),
    /// The caller is not in the organization it asks about.
    NotYourOrganization {
        /// The caller.
        user: String,
        /// The organization.
        organization: String,
    },
    /// The member is in the organization already.
    OrganizationMemberExists {
        /// The user.
        user: String,
        /// The organization.
        organization: String,
    },
    /// A budget row that others share, and limits for it, in one request.
    BudgetAndLimits,
    /// A user whom only proxy admins take into an organization.
    NotYourUserToTake(String),
    /// Somebody who is no member of the organization.
    NotInOrganization {
        /// The user.
        user: String,
        /// The organization.
        organization: String,
    },
}

impl OrganizationRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::BeyondOwner { field, asked, own } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "Nobody is given more than their team or organization has: {field}={asked}, own {field}={own}"
                ),
            ),
            Self::OrganizationMissing(id) => {
                let message = format!("Organization not found for organization_id={id}");
                Wire::detail_error(NOT_FOUND, message)
            }
            Self::OrganizationExists(id) => {
                let message = format!(
                    "Organization id = {id} already exists. Please use a different organization id."
                );
                Wire::detail_error(BAD, message)
            }
            Self::OrganizationDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Organization={id} not found"))
            }
            Self::NotYourOrganization { user, organization } => Wire::detail_error(
                FORBIDDEN,
                format!("User={user} not authorized to access this organization={organization}"),
            ),
            Self::OrganizationMemberExists { user, organization } => Wire::detail_error(
                BAD,
                format!("User={user} is in organization={organization} already"),
            ),
            Self::BudgetAndLimits => Wire::detail_error(
                BAD,
                "budget_id names limits that others share: send budget_id or limits, not both.",
            ),
            Self::NotYourUserToTake(user) => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Only proxy admins take a user of no organization of yours into one: user_id={user}"
                ),
            ),
            Self::NotInOrganization { user, organization } => Wire::detail_error(
                NOT_FOUND,
                format!("User={user} is not in organization={organization}"),
            ),
        }
    }
}

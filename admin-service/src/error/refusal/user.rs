//! Users.

use super::{AUTH, BAD, CONFLICT, FORBIDDEN, INVALID, NOT_FOUND};
use crate::error::Wire;

/// A user who is not there, is already, or is not this caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRefusal {
    /// A user of this e-mail address exists.
    EmailExists(String),
    /// A user of this id exists.
    UserExists(String),
    /// A user of this id at the identity provider exists.
    SsoUserExists(String),
    /// `/user/info` of a user that is not there.
    UserMissing(String),
    /// Somebody else's user.
    NotYourUser {
        /// Whose.
        asked: String,
        /// The caller.
        own: String,
    },
    /// A write to a user that is not there.
    UserUpdateMissing(String),
    /// `/v2/user/info` of a user that is not there.
    UserInfoMissing(String),
    /// Only admins list users.
    UserListForAdmins,
    /// A role that the caller may not give.
    RoleForAdmins(String),
    /// A field of a user that this caller may not set.
    UserFieldForAdmins(&'static str),
    /// An organization that is not there.
    UserOrganizationMissing(String),
    /// More users in one request than may be.
    TooManyUsers(usize),
    /// Neither users nor changes for all of them.
    NoBulkUpdate,
    /// A user to delete that is not there.
    UserDeleteMissing(String),
    /// A team named in `teams` that is not there.
    UserTeamMissing(String),
}

impl UserRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::EmailExists(email) => {
                let message = format!("User with email {email} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::UserExists(id) => {
                let message = format!("User with id {id} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::SsoUserExists(id) => {
                let message = format!("User with sso_user_id {id} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::UserMissing(id) => {
                Wire::error(NOT_FOUND, INVALID, format!("User {id} not found"))
            }
            Self::NotYourUser { asked, own } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "key not allowed to access this user's info. user_id={asked}, key's user_id={own}"
                ),
            ),
            Self::UserUpdateMissing(id) | Self::UserInfoMissing(id) => {
                Wire::error(NOT_FOUND, INVALID, format!("User not found: {id}"))
            }
            Self::UserListForAdmins => Wire::detail_error(
                FORBIDDEN,
                "Only proxy admins and organization admins can list users.",
            ),
            Self::RoleForAdmins(role) => Wire::param(
                FORBIDDEN,
                AUTH,
                "user_role",
                format!("Only proxy admins can create users with the role {role}."),
            ),
            Self::UserFieldForAdmins(field) => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!("Only proxy admins can set `{field}` of a user."),
            ),
            Self::UserOrganizationMissing(id) => Wire::detail_error(
                NOT_FOUND,
                format!("Organization doesn't exist in db. Organization={id}."),
            ),
            Self::TooManyUsers(most) => Wire::error(
                BAD,
                INVALID,
                format!("At most {most} users can be updated in one request."),
            ),
            Self::NoBulkUpdate => Wire::error(
                BAD,
                INVALID,
                "Must specify either 'users' for individual updates or 'all_users=True' with 'user_updates' for bulk updates",
            ),
            Self::UserDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("User not found, passed user_id={id}"))
            }
            Self::UserTeamMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Team doesn't exist in db. Team={id}."))
            }
        }
    }
}

//! Invitations and what is done with their links.

use super::{BAD, INVALID, UNAUTHORIZED};
use crate::error::Wire;

/// Nobody is invited, or a link leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvitationRefusal {
    /// An invitation for nobody.
    InvitationUserMissing,
    /// Only admins invite; the role.
    InvitationForAdmins(&'static str),
    /// No such invitation.
    InvitationMissing,
    /// No such link.
    LinkMissing,
    /// The link's time is over.
    LinkExpired,
    /// The link was used.
    LinkUsed,
    /// No onboarding token.
    OnboardingMissing,
    /// An onboarding token of another link, or none.
    OnboardingInvalid,
    /// The link is another user's.
    OnboardingOther {
        /// Who was named.
        got: String,
        /// Whose it is.
        expected: String,
    },
}

impl InvitationRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::InvitationUserMissing => Wire::python(
                BAD,
                INVALID,
                "error",
                "User id does not exist in 'LiteLLM_UserTable'. Fix this by creating user via `/user/new`.",
            ),
            Self::InvitationForAdmins(role) => {
                let message =
                    format!("Admin-only endpoint. Not allowed to access this., your role={role}");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::InvitationMissing => {
                Wire::detail_error(BAD, "Invitation id does not exist in the database.")
            }
            Self::LinkMissing => {
                Wire::detail_error(UNAUTHORIZED, "Invitation link does not exist in db.")
            }
            Self::LinkExpired => Wire::detail_error(UNAUTHORIZED, "Invitation link has expired."),
            Self::LinkUsed => {
                Wire::detail_error(UNAUTHORIZED, "Invitation link has already been used.")
            }
            Self::OnboardingMissing => Wire::detail_error(
                UNAUTHORIZED,
                "Missing onboarding session for invitation link.",
            ),
            Self::OnboardingInvalid => Wire::detail_error(
                UNAUTHORIZED,
                "Invalid onboarding session for invitation link.",
            ),
            Self::OnboardingOther { got, expected } => Wire::detail_error(
                UNAUTHORIZED,
                format!(
                    "Invalid invitation link. The user id submitted does not match the user id this link \
                     is attached to. Got={got}, Expected={expected}"
                ),
            ),
        }
    }
}

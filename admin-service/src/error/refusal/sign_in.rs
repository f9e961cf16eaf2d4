//! Signing in, sessions and passwords.

use axum::http::StatusCode;

use super::{AUTH, BAD, FORBIDDEN, UNAUTHORIZED};
use crate::error::Wire;

/// Nobody is signed in, or no password changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInRefusal {
    /// Name or password are wrong.
    BadCredentials,
    /// Too many failed sign-ins; for how many seconds there may be none.
    SignInsBlocked {
        /// Seconds.
        seconds: u64,
    },
    /// Too many sign-ins at once.
    TooManySignIns,
    /// Passwords sign nobody in: the identity provider does.
    OnlySso,
    /// The identity provider lacks settings.
    SsoIncomplete(String),
    /// Only admins use the pages; the role.
    PagesForAdmins(String),
    /// Only a session ends this way.
    NotASession,
    /// Only a session that a password began changes it.
    NotAPasswordSession,
    /// The current password is another one.
    WrongPassword,
    /// A password that the policy refuses; what it lacks.
    WeakPassword(String),
}

impl SignInRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::BadCredentials => Wire::param(
                UNAUTHORIZED,
                AUTH,
                "invalid_credentials",
                "Invalid credentials used to access UI. Check 'UI_USERNAME' and 'UI_PASSWORD', or the \
                 password set for your user",
            ),
            Self::SignInsBlocked { .. } => Wire::param(
                StatusCode::TOO_MANY_REQUESTS,
                AUTH,
                "username",
                "Too many failed sign-in attempts. Try again later.",
            ),
            Self::TooManySignIns => Wire::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "Too many people sign in at this moment. Try again.",
            ),
            Self::OnlySso => Wire::error(
                FORBIDDEN,
                AUTH,
                "Signing in with a password is disabled: sign in by SSO.",
            ),
            Self::SsoIncomplete(message) => {
                Wire::detail_error(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            Self::PagesForAdmins(role) => Wire::detail_error(
                UNAUTHORIZED,
                format!(
                    "User not allowed to access proxy. User role={role}, proxy mode=admin_only"
                ),
            ),
            Self::NotASession => Wire::detail_error(
                FORBIDDEN,
                "Only UI session tokens can be revoked through this endpoint.",
            ),
            Self::NotAPasswordSession => Wire::detail_error(
                FORBIDDEN,
                "Passwords can only be changed from a dashboard session created by logging in with a password.",
            ),
            Self::WrongPassword => Wire::detail_error(BAD, "Current password is incorrect."),
            Self::WeakPassword(lacks) => Wire::param(
                BAD,
                "validation_error",
                "password",
                format!("Password does not meet the required policy: {lacks}."),
            ),
        }
    }
}

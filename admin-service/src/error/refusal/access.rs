//! Who asks: what is wrong with a credential, a session, and what its holder may not call at all.

use super::{AUTH, BAD, FORBIDDEN, INVALID, UNAUTHORIZED, python_list};
use crate::error::Wire;

/// No credential, or one that may not do this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// No credential in any form.
    NoCredential,
    /// `Authorization` without scheme.
    MalformedCredential,
    /// Two credentials of one request differ.
    CredentialsDisagree,
    /// Not `sk-…`; carries the value with its middle masked.
    NotAVirtualKey(String),
    /// A key that nobody has.
    UnknownKey,
    /// The caller's key is blocked.
    KeyBlocked,
    /// The caller's user is blocked.
    UserBlocked(String),
    /// The caller's team is blocked.
    TeamBlocked(String),
    /// The caller's key expired.
    KeyExpired {
        /// `sk-...abcd`.
        display: String,
        /// When.
        expired: String,
        /// Now.
        now: String,
    },
    /// The caller's key may not call this route.
    RouteNotAllowed {
        /// What it may call.
        allowed: Vec<String>,
        /// The route.
        route: String,
    },
    /// The role may not call this route.
    OnlyProxyAdmin {
        /// The route.
        route: String,
        /// The role.
        role: &'static str,
        /// The user, masked.
        user: String,
    },
    /// A viewing role tried to write.
    ViewerMayNot {
        /// The role.
        role: &'static str,
        /// The route.
        route: String,
    },
    /// Only the master key may call this route.
    OnlyMasterKey(String),
    /// The session ended, by itself or by its user.
    SessionOver,
    /// A page of another site made a browser ask.
    OtherSite,
    /// Only admins; names route and caller.
    AdminsOnly {
        /// The route, with what of it.
        what: String,
        /// The role.
        role: &'static str,
        /// The user.
        user: String,
        /// Whether the sentence is raised inside a handler that wraps it.
        wrapped: bool,
    },
}

impl AccessRefusal {
    /// Status and body.
    #[expect(clippy::too_many_lines, reason = "one row for every refusal")]
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::NoCredential => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, No api key passed in.",
            ),
            Self::MalformedCredential => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.",
            ),
            Self::CredentialsDisagree => Wire::error(
                BAD,
                INVALID,
                "The request carries several credentials that differ. Send one, or the same in all.",
            ),
            Self::NotAVirtualKey(masked) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "LiteLLM Virtual Key expected. Received={masked}, expected to start with 'sk-'."
                ),
            ),
            Self::UnknownKey => Wire::param(
                UNAUTHORIZED,
                "token_not_found_in_db",
                "key",
                "Authentication Error, Invalid API key provided.",
            ),
            Self::KeyBlocked => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
            ),
            Self::UserBlocked(user) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, User={user} is blocked. Ask a proxy admin to unblock it."
                ),
            ),
            Self::TeamBlocked(team) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Team={team} is blocked. Update via `/team/unblock` if you're an admin."
                ),
            ),
            Self::KeyExpired {
                display,
                expired,
                now,
            } => Wire::param(
                UNAUTHORIZED,
                "expired_key",
                display,
                format!(
                    "Authentication Error - Expired Key. Key Expiry time {expired} and current time {now}"
                ),
            ),
            Self::RouteNotAllowed { allowed, route } => Wire::detail(
                FORBIDDEN,
                format!(
                    "Virtual key is not allowed to call this route. Only allowed to call routes: {}. \
                     Tried to call route: {route}",
                    python_list(&allowed)
                ),
            ),
            Self::OnlyProxyAdmin { route, role, user } => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Only proxy admin can be used to generate, delete, update info \
                     for new keys/users/teams. Route={route}. Your role={role}. Your user_id={user}"
                ),
            ),
            Self::ViewerMayNot { role, route } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "user not allowed to access this route, role= {role}. Trying to access: {route}"
                ),
            ),
            Self::OnlyMasterKey(route) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Tried to access route={route}, which is only for MASTER KEY"
                ),
            ),
            Self::SessionOver => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, the session is over. Sign in again.",
            ),
            Self::OtherSite => Wire::error(
                FORBIDDEN,
                AUTH,
                "A session changes things from pages of this service only: the request says neither \
                 `sec-fetch-site: same-origin` nor an `origin` that is this service's.",
            ),
            Self::AdminsOnly {
                what,
                role,
                user,
                wrapped,
            } => {
                let message = format!(
                    "Only proxy admins, team admins, or org admins can call {what}. \
                     user_role={role}, user_id={user}"
                );
                if wrapped {
                    Wire::python(FORBIDDEN, AUTH, "error", &message)
                } else {
                    Wire::detail_error(FORBIDDEN, message)
                }
            }
        }
    }
}

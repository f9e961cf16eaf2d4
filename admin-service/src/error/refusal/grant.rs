//! What a key may not be given: by whom, in which team, beyond what, under which value or alias.

use super::{AUTH, BAD, BAD_REQUEST, CONFLICT, FORBIDDEN, INVALID, UNAUTHORIZED, python_list};
use crate::error::Wire;

/// A key that nobody may make so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantRefusal {
    /// A service account without team.
    ServiceAccountWithoutTeam,
    /// The role may not make keys without team.
    PersonalKeysRestricted {
        /// The roles that may.
        allowed: Vec<String>,
        /// The caller's.
        role: &'static str,
    },
    /// The role in the team may not make keys of it.
    TeamRoleMayNotMakeKeys {
        /// The roles that may.
        allowed: Vec<String>,
        /// The caller's.
        role: String,
    },
    /// `key_generation_settings` requires this field.
    RequiredParam(String),
    /// More budget than `self_serve_budget_policy` leaves to an owner.
    SelfServeBudget(&'static str),
    /// A key for somebody else.
    KeyForOther {
        /// Whose.
        asked: String,
        /// The caller.
        own: String,
    },
    /// Only proxy admins may set this field of a key.
    AdminOnlyField(&'static str),
    /// A custom key without `sk-`.
    KeyFormat,
    /// A custom key that is too short.
    KeyTooShort,
    /// A custom key with a character that no virtual key has, or too long.
    KeyCharacters,
    /// A key of this value exists.
    KeyExists,
    /// An alias that another key has.
    AliasExists(String),
    /// More than the caller has.
    MoreThanOwn {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// What the caller has.
        own: String,
    },
    /// The key would belong to nobody there is; only proxy admins make such keys.
    OwnerMissing {
        /// `user_id` or `team_id`.
        field: &'static str,
        /// Who.
        id: String,
    },
    /// Above `upperbound_key_generate_params`.
    AboveBound {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// The bound.
        bound: String,
    },
    /// An unknown team, named by somebody who is no admin.
    TeamMissingForKey(String),
    /// The caller is not in the team.
    NotInTeam {
        /// The caller.
        user: String,
        /// The team.
        team: String,
    },
    /// A team member without this permission.
    TeamPermission {
        /// The route.
        route: &'static str,
        /// LiteLLM's name of it.
        name: &'static str,
        /// What the member may.
        permitted: Vec<String>,
        /// The team.
        team: String,
    },
    /// A value for a key, on a proxy that makes all values itself.
    KeyIsChosen,
}

impl GrantRefusal {
    /// Status and body.
    #[expect(clippy::too_many_lines, reason = "one row for every refusal")]
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::ServiceAccountWithoutTeam => Wire::detail(
                BAD,
                "team_id is required for service account keys. Please specify `team_id` in the request body.",
            ),
            Self::PersonalKeysRestricted { allowed, role } => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Personal key creation has been restricted by admin. Allowed roles={}. Your role={role}",
                    python_list(&allowed)
                ),
            ),
            Self::TeamRoleMayNotMakeKeys { allowed, role } => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Team member role {role} not in allowed_team_member_roles={}",
                    python_list(&allowed)
                ),
            ),
            Self::RequiredParam(name) => {
                Wire::error(BAD, INVALID, format!("Required param {name} not in data"))
            }
            Self::SelfServeBudget(field) => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "self_serve_budget_policy=lower_only: {field} of your key can be added or lowered, not raised or removed."
                ),
            ),
            Self::KeyForOther { asked, own } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "User can only create keys for themselves. Got user_id={asked}, Your ID={own}"
                ),
            ),
            Self::AdminOnlyField("allowed_routes") => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "Only proxy admins can set `allowed_routes` on a key. Use `key_type` to pick a preset route bucket instead.",
            ),
            Self::AdminOnlyField(field) => {
                let message = format!("Only proxy admins can set `{field}`.");
                Wire::python(FORBIDDEN, AUTH, "error", &message)
            }
            Self::KeyIsChosen => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "On this proxy nobody chooses the value of a key: leave it out, and a random one is made.",
            ),
            Self::KeyFormat => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: ****",
            ),
            Self::KeyTooShort => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.",
            ),
            Self::KeyCharacters => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. A key is sk- and at most 256 visible ASCII characters other than comma.",
            ),
            Self::KeyExists => Wire::param(
                CONFLICT,
                BAD_REQUEST,
                "key",
                "Key with this value already exists. Nothing was changed.",
            ),
            Self::AliasExists(alias) => Wire::param(
                BAD,
                BAD_REQUEST,
                "key_alias",
                format!(
                    "Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
                ),
            ),
            Self::MoreThanOwn { field, asked, own } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "A key cannot be given more than its owner has: {field}={asked}, own {field}={own}"
                ),
            ),
            Self::OwnerMissing { field, id } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "Only proxy admins make keys of an owner that does not exist: {field}={id}"
                ),
            ),
            Self::AboveBound {
                field,
                asked,
                bound,
            } => {
                let message = format!(
                    "{field} is over max limit set in config - user_value={asked}; max_value={bound}"
                );
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::TeamMissingForKey(team) => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Team not found for team_id={team}. Non-admin users cannot create keys for non-existent teams."
                ),
            ),
            Self::NotInTeam { user, team } => Wire::error(
                BAD,
                INVALID,
                format!("User={user} not assigned to team={team}"),
            ),
            Self::TeamPermission {
                route,
                name,
                permitted,
                team,
            } => Wire::param(
                UNAUTHORIZED,
                "team_member_permission_error",
                route,
                format!(
                    "Team member does not have permissions for endpoint: KeyManagementRoutes.{name}. You only \
                     have access to the following endpoints: {} for team {team}. To create keys for this team, \
                     please ask your proxy admin to check the team member permission settings and update the \
                     settings to allow team member users to create keys.",
                    python_list(&permitted)
                ),
            ),
        }
    }
}

//! Teams, their members and permissions.

use super::{AUTH, BAD, FORBIDDEN, INVALID, NOT_FOUND, UNAUTHORIZED, python_list};
use crate::error::Wire;

/// A team that is not there, is already, or is not this caller's; a member likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamRefusal {
    /// `/team/permissions_bulk_update` that names teams and means all, or neither.
    WhichTeams {
        /// Whether both were said.
        both: bool,
    },
    /// Teams that are not there.
    TeamsMissing(Vec<String>),
    /// A team of this id exists.
    TeamExists(String),
    /// `/team/info` of a team that is not there.
    TeamInfoMissing(String),
    /// A write to a team that is not there.
    TeamUpdateMissing(String),
    /// A team to delete that is not there.
    TeamDeleteMissing(String),
    /// A team to add a member to that is not there.
    MemberTeamMissing(String),
    /// The caller is not in the team it asks about.
    NotYourTeam {
        /// The caller.
        user: String,
        /// The team.
        team: String,
    },
    /// Neither proxy admin nor admin of the team.
    NotTeamAdmin {
        /// The route.
        route: String,
        /// The team.
        team: String,
    },
    /// A team admin may not edit the team.
    TeamAdminMayNotEdit,
    /// The member is in the team already.
    MemberExists {
        /// The member that was sent.
        member: String,
        /// The members there are.
        existing: String,
    },
    /// The user is in the team already, said of one of many.
    AlreadyMember(String),
    /// Somebody who is no member of the team.
    NotAMember,
    /// Other people's teams, asked for by somebody who is no admin; the role.
    OnlyAdminsListTeams(&'static str),
    /// More members in one request than are taken.
    TooManyMembers(usize),
    /// Fields of a team that its admins may not edit.
    TeamAdminMayNotEditFields {
        /// What was sent.
        fields: Vec<String>,
        /// What may be.
        editable: Vec<String>,
    },
    /// Path and body name different teams.
    TeamsDisagree,
    /// Team admins remove no members on this proxy.
    TeamAdminMayNotRemove,
}

impl TeamRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::WhichTeams { both } => Wire::detail_error(
                BAD,
                if both {
                    "Cannot set both apply_to_all_teams=true and team_ids"
                } else {
                    "Must provide team_ids or set apply_to_all_teams=true"
                },
            ),
            Self::TeamsMissing(ids) => Wire::detail_error(
                NOT_FOUND,
                format!("Team(s) not found: {}", python_list(&ids)),
            ),
            Self::TeamExists(id) => {
                let message =
                    format!("Team id = {id} already exists. Please use a different team id.");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::TeamInfoMissing(id) => {
                let message = format!("Team not found, passed team id: {id}.");
                Wire::python(NOT_FOUND, INVALID, "message", &message)
            }
            Self::TeamUpdateMissing(id) => {
                let message = format!("Team not found, passed team_id={id}");
                Wire::python(NOT_FOUND, INVALID, "error", &message)
            }
            Self::TeamDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Team not found, passed team_id={id}"))
            }
            Self::MemberTeamMissing(id) => Wire::detail_error(
                NOT_FOUND,
                format!("Team doesn't exist in db. Team={id}. Create team via `/team/new` call."),
            ),
            Self::NotYourTeam { user, team } => {
                let message = format!("User={user} not authorized to access this team={team}");
                Wire::python(FORBIDDEN, AUTH, "error", &message)
            }
            Self::NotTeamAdmin { route, team } => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Call not allowed. User not proxy admin OR team admin. route={route}, team_id={team}"
                ),
            ),
            Self::TeamAdminMayNotEdit => Wire::error(
                FORBIDDEN,
                AUTH,
                "Team admins on this proxy cannot edit team settings. Ask a proxy admin to enable fields \
                 under Settings > UI > Team admin editable fields.",
            ),
            Self::MemberExists { member, existing } => Wire::param(
                BAD,
                "team_member_already_in_team",
                "member",
                format!("User already in team. Member: {member}. Existing members=[{existing}]"),
            ),
            Self::AlreadyMember(user) => {
                Wire::detail_error(BAD, format!("User already in team. Member: user_id={user}"))
            }
            Self::NotAMember => Wire::detail_error(BAD, "User not found in team"),
            Self::OnlyAdminsListTeams(role) => Wire::detail_error(
                UNAUTHORIZED,
                format!("Only admin users can query all teams/other teams. Your user role={role}"),
            ),
            Self::TooManyMembers(most) => Wire::detail_error(
                BAD,
                format!("At most {most} members can be added in one request."),
            ),
            Self::TeamAdminMayNotEditFields { fields, editable } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "Team admins on this proxy cannot edit {}. They can edit: {}.",
                    python_list(&fields),
                    python_list(&editable)
                ),
            ),
            Self::TeamsDisagree => Wire::param(
                BAD,
                INVALID,
                "team_id",
                "team_id in the body is not the team of the path.",
            ),
            Self::TeamAdminMayNotRemove => Wire::detail_error(
                FORBIDDEN,
                "Team admins on this proxy cannot remove members. Ask a proxy admin.",
            ),
        }
    }
}

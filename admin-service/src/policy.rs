//! Who may do what: one table, and the proof that it was asked.
//!
//! Decides: per action and role, whether the caller may do it to anything, to what is theirs, or not at all, and which refusal that is. Leaves to
//! the routes what "theirs" means for one object. Failure stance: what the table does not allow is refused; an action is in the table or
//! does not compile.
//!
//! [`Authorized`] cannot be made elsewhere: a store function that changes something takes one, so no change happens unasked.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::App;
use crate::caller::{Caller, CallerKey, Role};
use crate::error::{ApiError, Refusal};

/// What somebody may do something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anything.
    Any,
    /// What is theirs; the route finds out.
    Own,
}

/// A cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    May(Reach),
    /// 401: management needs an admin.
    OnlyProxyAdmin,
    /// 403: this role only looks.
    ViewerMayNot,
}

/// Something that a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `/key/generate`.
    KeyGenerate,
    /// `/key/update`.
    KeyUpdate,
    /// `/key/delete`.
    KeyDelete,
    /// `/key/block`.
    KeyBlock,
    /// `/key/unblock`.
    KeyUnblock,
    /// `/key/info`.
    KeyInfo,
    /// `/key/list`.
    KeyList,
    /// `/user/new`.
    UserNew,
    /// `/user/update`.
    UserUpdate,
    /// `/user/delete`.
    UserDelete,
    /// `/user/info`.
    UserInfo,
    /// `/team/new`.
    TeamNew,
    /// `/team/update`.
    TeamUpdate,
    /// `/team/delete`.
    TeamDelete,
    /// `/team/member_add`.
    TeamMemberAdd,
    /// `/team/info`.
    TeamInfo,
    /// `/spend/logs`.
    SpendLogs,
    /// `/health`, `/health/backlog`, `/health/readiness/details`.
    HealthDetails,
}

const ANY: Verdict = Verdict::May(Reach::Any);
const OWN: Verdict = Verdict::May(Reach::Own);
const ADMIN: Verdict = Verdict::OnlyProxyAdmin;
const VIEW: Verdict = Verdict::ViewerMayNot;

/// One row: the action, its route, the groups by which a key's `allowed_routes` may name it, and the verdicts for proxy admin, proxy admin
/// viewer, internal user, internal user viewer, and a key without a role.
type Row = (Action, &'static str, &'static [&'static str], [Verdict; 5]);

const MANAGE: &[&str] = &["management_routes"];
const MANAGE_INFO: &[&str] = &["management_routes", "info_routes"];
const INFO: &[&str] = &["info_routes"];
const SPEND: &[&str] = &["spend_tracking_routes", "management_routes"];

/// The policy.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    //                                                               admin viewer user  u.viewer none
    (Action::KeyGenerate,   "/key/generate",    MANAGE,      [ANY, VIEW, OWN,   ADMIN, ADMIN]),
    (Action::KeyUpdate,     "/key/update",      MANAGE,      [ANY, VIEW, OWN,   ADMIN, ADMIN]),
    (Action::KeyDelete,     "/key/delete",      MANAGE,      [ANY, VIEW, OWN,   ADMIN, ADMIN]),
    (Action::KeyBlock,      "/key/block",       MANAGE,      [ANY, VIEW, OWN,   ADMIN, ADMIN]),
    (Action::KeyUnblock,    "/key/unblock",     MANAGE,      [ANY, VIEW, OWN,   ADMIN, ADMIN]),
    (Action::KeyInfo,       "/key/info",        MANAGE_INFO, [ANY, ANY,  OWN,   OWN,   OWN]),
    (Action::KeyList,       "/key/list",        MANAGE_INFO, [ANY, ANY,  OWN,   OWN,   OWN]),
    (Action::UserNew,       "/user/new",        MANAGE,      [ANY, VIEW, ADMIN, ADMIN, ADMIN]),
    (Action::UserUpdate,    "/user/update",     MANAGE,      [ANY, OWN,  ADMIN, ADMIN, ADMIN]),
    (Action::UserDelete,    "/user/delete",     MANAGE,      [ANY, VIEW, ADMIN, ADMIN, ADMIN]),
    (Action::UserInfo,      "/user/info",       MANAGE_INFO, [ANY, ANY,  OWN,   OWN,   OWN]),
    (Action::TeamNew,       "/team/new",        MANAGE,      [ANY, VIEW, ADMIN, ADMIN, ADMIN]),
    (Action::TeamUpdate,    "/team/update",     MANAGE,      [ANY, VIEW, OWN,   OWN,   ADMIN]),
    (Action::TeamDelete,    "/team/delete",     MANAGE,      [ANY, VIEW, ADMIN, ADMIN, ADMIN]),
    (Action::TeamMemberAdd, "/team/member_add", MANAGE,      [ANY, VIEW, OWN,   OWN,   ADMIN]),
    (Action::TeamInfo,      "/team/info",       MANAGE_INFO, [ANY, ANY,  OWN,   OWN,   OWN]),
    (Action::SpendLogs,     "/spend/logs",      SPEND,       [ANY, ANY,  OWN,   OWN,   OWN]),
    (Action::HealthDetails, "/health",          INFO,        [ANY, ANY,  ANY,   ANY,   ANY]),
];

/// The row of an action.
fn row(action: Action) -> Result<&'static Row, ApiError> {
    TABLE
        .iter()
        .find(|row| row.0 == action)
        .ok_or_else(|| ApiError::Broken(format!("no policy row for {action:?}")))
}

fn column(role: Role) -> usize {
    match role {
        Role::ProxyAdmin => 0,
        Role::ProxyAdminViewer => 1,
        Role::InternalUser => 2,
        Role::InternalUserViewer => 3,
        Role::Unknown => 4,
    }
}

/// The verdict of the table.
pub fn verdict(action: Action, role: Role) -> Result<Verdict, ApiError> {
    Ok(row(action)?.3[column(role)])
}

/// An action as a type, so that a handler's signature says what it was authorised for.
pub trait Act: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
}

/// An action that changes something.
pub trait Writes: Send + Sync + 'static {}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $(: $writes:ident)?;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Act for $name {
            const ACTION: Action = Action::$name;
        }
        $(impl $writes for $name {})?
    )*};
}

acts! {
    /// Makes a key.
    KeyGenerate: Writes;
    /// Changes a key.
    KeyUpdate: Writes;
    /// Deletes keys.
    KeyDelete: Writes;
    /// Blocks a key.
    KeyBlock: Writes;
    /// Unblocks a key.
    KeyUnblock: Writes;
    /// Reads a key.
    KeyInfo;
    /// Lists keys.
    KeyList;
    /// Makes a user.
    UserNew: Writes;
    /// Changes a user.
    UserUpdate: Writes;
    /// Deletes users.
    UserDelete: Writes;
    /// Reads a user.
    UserInfo;
    /// Makes a team.
    TeamNew: Writes;
    /// Changes a team.
    TeamUpdate: Writes;
    /// Deletes teams.
    TeamDelete: Writes;
    /// Adds members.
    TeamMemberAdd: Writes;
    /// Reads a team.
    TeamInfo;
    /// Reads the spend log.
    SpendLogs;
    /// Reads the service's state.
    HealthDetails;
}

/// The service's own upkeep: no caller asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep;
impl Writes for Upkeep {}

/// The proof that `caller` may do `R`.
#[derive(Clone, Debug)]
pub struct Authorized<R> {
    /// Who asked.
    pub caller: Caller,
    /// To what.
    pub reach: Reach,
    proof: PhantomData<R>,
}

impl Authorized<Upkeep> {
    /// For changes that the service makes by itself.
    pub fn of_service() -> Self {
        Self {
            caller: Caller::service(),
            reach: Reach::Any,
            proof: PhantomData,
        }
    }
}

impl<R> Authorized<R> {
    /// Whether the caller may do it to anything.
    pub fn is_admin(&self) -> bool {
        self.reach == Reach::Any
    }
}

impl<R: Act> FromRequestParts<App> for Authorized<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let route = parts.uri.path().to_owned();
        let caller = Caller::prove(parts, app).await?;
        let (_, _, groups, verdicts) = row(R::ACTION)?;
        if let CallerKey::Virtual { allowed_routes, .. } = &caller.key {
            let named = |allowed: &String| {
                let prefix = allowed.strip_suffix('*');
                groups.contains(&allowed.as_str())
                    || *allowed == route
                    || prefix.is_some_and(|prefix| route.starts_with(prefix))
            };
            if !allowed_routes.is_empty() && !allowed_routes.iter().any(named) {
                let allowed = allowed_routes.clone();
                return Err(Refusal::RouteNotAllowed { allowed, route }.into());
            }
        }
        match verdicts[column(caller.role)] {
            Verdict::May(reach) => Ok(Self {
                caller,
                reach,
                proof: PhantomData,
            }),
            Verdict::OnlyProxyAdmin => {
                let (role, user) = (caller.role.as_str(), caller.masked_user());
                Err(Refusal::OnlyProxyAdmin { route, role, user }.into())
            }
            Verdict::ViewerMayNot => Err(Refusal::ViewerMayNot {
                role: caller.role.as_str(),
                route,
            }
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_what_the_golden_table_says() {
        let mut text = String::new();
        for (_, route, _, verdicts) in TABLE {
            let cells: Vec<&str> = verdicts
                .iter()
                .map(|verdict| match verdict {
                    Verdict::May(Reach::Any) => "any",
                    Verdict::May(Reach::Own) => "own",
                    Verdict::OnlyProxyAdmin => "401",
                    Verdict::ViewerMayNot => "403",
                })
                .collect();
            text.extend([*route, " ", &cells.join(" "), "\n"]);
        }
        assert_eq!(text, include_str!("policy/golden.txt"));
    }

    #[test]
    fn only_a_proxy_admin_may_write_anything_that_is_not_theirs() {
        for (action, _, _, verdicts) in TABLE {
            let reads = matches!(
                action,
                Action::KeyInfo
                    | Action::KeyList
                    | Action::UserInfo
                    | Action::TeamInfo
                    | Action::SpendLogs
                    | Action::HealthDetails
            );
            assert!(
                reads || verdicts[1..].iter().all(|verdict| *verdict != ANY),
                "{action:?}"
            );
        }
    }
}

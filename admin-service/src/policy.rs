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
use crate::error::{AccessRefusal, ApiError};
use crate::store::organization_members::administered;

/// What somebody may do something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anything.
    Any,
    /// What is theirs, or of a team or organization that they administer; the route finds out.
    Own,
    /// Only what is of an organization that they administer; the route finds out, and refuses with [`Authorized::only_admins`].
    Organization,
}

/// A cell of the table for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    May(Reach),
    /// Nothing by the role: what a team or an organization adds, the route finds out, and refuses in its own words.
    ByRelation,
    /// 401: management needs an admin.
    OnlyProxyAdmin,
    /// 403: this role only looks.
    ViewerMayNot,
    /// Anything, for a key whose `permissions` have `get_spend_routes`; 401 for others.
    WithSpendPermission,
    /// 401: for the master key alone; any other key is told so, whatever its role.
    OnlyMasterKey,
}

impl Verdict {
    /// The word of the golden table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::May(Reach::Any) => "any",
            Self::May(Reach::Own) => "own",
            Self::May(Reach::Organization) => "organization",
            Self::ByRelation => "-",
            Self::OnlyProxyAdmin => "401",
            Self::ViewerMayNot => "403",
            Self::WithSpendPermission => "permit",
            Self::OnlyMasterKey => "master",
        }
    }
}

/// What a relation to a team or an organization adds to the verdict of the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nothing.
    Nothing,
    /// What is of the team.
    Team,
    /// What is of the team, where the team's permissions let its members.
    Permitted,
    /// What is of the organization.
    Organization,
    /// What is of the organization, for a role that may do it to what is theirs.
    OrganizationAsOwn,
}

impl Relation {
    /// The word of the golden table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "-",
            Self::Team => "team",
            Self::Permitted => "permitted",
            Self::Organization | Self::OrganizationAsOwn => "organization",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What is done, in a sentence.
    pub about: &'static str,
    /// Whether it changes something.
    pub writes: bool,
    /// The groups of routes by which a key's `allowed_routes` may name it.
    pub groups: &'static [&'static str],
    /// Verdicts for proxy admin, proxy admin viewer, internal user, internal user viewer, no role.
    pub verdicts: [Verdict; 5],
    /// What a team's admin, a team's member and an organization's admin may beside that. Where a role's verdict is a refusal, only being admin of
    /// an organization adds to it, and nothing does to a viewer of the proxy.
    pub relations: [Relation; 3],
}

impl Rule {
    /// The verdict for a role.
    pub const fn verdict(&self, role: Role) -> Verdict {
        let [admin, viewer, user, user_viewer, none] = self.verdicts;
        match role {
            Role::ProxyAdmin => admin,
            Role::ProxyAdminViewer => viewer,
            Role::InternalUser => user,
            Role::InternalUserViewer => user_viewer,
            Role::Unknown => none,
        }
    }
}

/// An action as a type, so that a handler's signature says what it was authorised for.
pub trait Act: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
}

/// An action that changes something.
pub trait Writes: Send + Sync + 'static {}

/// Makes of each row an [`Action`], its [`Rule`] and its type.
macro_rules! policy {
    ($($(#[doc = $doc:literal])+ $name:ident $(: $writes:ident)?, $groups:expr, $verdicts:expr, $relations:expr;)*) => {
        /// Something that a route does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Action {
            /// Its row of the table.
            pub const fn rule(self) -> &'static Rule {
                match self {
                    $(Self::$name => &Rule {
                        about: concat!($($doc),+),
                        writes: policy!(@writes $($writes)?),
                        groups: $groups,
                        verdicts: $verdicts,
                        relations: $relations,
                    },)*
                }
            }
        }

        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug)]
            pub struct $name;
            impl Act for $name {
                const ACTION: Action = Action::$name;
            }
            $(impl $writes for $name {})?
        )*
    };
    (@writes Writes) => { true };
    (@writes) => { false };
}

mod table;

pub use table::*;

/// The service's own upkeep: no caller asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep;
impl Writes for Upkeep {}

/// Signing in: somebody does it who proved by a password or a link who they are.
#[derive(Clone, Copy, Debug)]
pub struct SigningIn;
impl Writes for SigningIn {}

/// The proof that `caller` may do `R`.
#[derive(Clone, Debug)]
pub struct Authorized<R> {
    /// Who asked.
    pub caller: Caller,
    /// To what.
    pub reach: Reach,
    /// The path that was called.
    pub route: String,
    proof: PhantomData<R>,
}

impl Authorized<Upkeep> {
    /// For changes that the service makes by itself.
    pub fn of_service() -> Self {
        Self {
            caller: Caller::service(),
            reach: Reach::Any,
            route: String::new(),
            proof: PhantomData,
        }
    }
}

impl Authorized<SigningIn> {
    /// For what somebody changes by signing in: their own session and password.
    pub(crate) fn of_person(user_id: &str, from: String) -> Self {
        Self {
            caller: Caller::signing_in(user_id, from),
            reach: Reach::Own,
            route: String::new(),
            proof: PhantomData,
        }
    }
}

impl<R> Authorized<R> {
    /// Whether the caller may do it to anything.
    pub fn is_admin(&self) -> bool {
        self.reach == Reach::Any
    }

    /// The refusal of whoever turned out to administer nothing of what they asked for.
    pub fn only_admins(&self) -> ApiError {
        let (role, user) = (self.caller.role.as_str(), self.caller.masked_user());
        let route = self.route.clone();
        AccessRefusal::OnlyProxyAdmin { route, role, user }.into()
    }
}

/// What `caller` may do by this rule on this path, or why not.
pub fn permit(rule: &Rule, caller: &Caller, path: &str) -> Result<Reach, AccessRefusal> {
    if let CallerKey::Virtual { allowed_routes, .. } = &caller.key {
        let named = |allowed: &String| {
            let prefix = allowed.strip_suffix('*');
            rule.groups.contains(&allowed.as_str())
                || *allowed == path
                || prefix.is_some_and(|prefix| path.starts_with(prefix))
        };
        if !allowed_routes.is_empty() && !allowed_routes.iter().any(named) {
            return Err(AccessRefusal::RouteNotAllowed {
                allowed: allowed_routes.clone(),
                route: path.to_owned(),
            });
        }
    }
    let has_permission = matches!(
        caller.key,
        CallerKey::Virtual {
            get_spend_routes: true,
            ..
        }
    );
    match rule.verdict(caller.role) {
        Verdict::May(reach) => Ok(reach),
        Verdict::ByRelation => Ok(Reach::Own),
        Verdict::WithSpendPermission if has_permission => Ok(Reach::Any),
        Verdict::OnlyMasterKey if caller.key == CallerKey::Master => Ok(Reach::Any),
        Verdict::OnlyMasterKey => Err(AccessRefusal::OnlyMasterKey(path.to_owned())),
        // Whether they administer an organization is known once the route knows which one it is about.
        Verdict::OnlyProxyAdmin
            if rule.relations[2] == Relation::Organization && caller.user_id.is_some() =>
        {
            Ok(Reach::Organization)
        }
        Verdict::OnlyProxyAdmin | Verdict::WithSpendPermission => {
            Err(AccessRefusal::OnlyProxyAdmin {
                route: path.to_owned(),
                role: caller.role.as_str(),
                user: caller.masked_user(),
            })
        }
        Verdict::ViewerMayNot => Err(AccessRefusal::ViewerMayNot {
            role: caller.role.as_str(),
            route: path.to_owned(),
        }),
    }
}

impl<R: Act> FromRequestParts<App> for Authorized<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::prove(parts, app).await?;
        let route = parts.uri.path().to_owned();
        let reach = permit(R::ACTION.rule(), &caller, &route)?;
        if reach == Reach::Organization {
            // Which one it is about is the route's to find out; whoever administers none is not even told what is wrong with a request.
            let own = caller.user_id.as_deref();
            let mut connection = app.store.read().await?;
            if administered(&mut connection, own).await?.is_empty() {
                let (role, user) = (caller.role.as_str(), caller.masked_user());
                return Err(AccessRefusal::OnlyProxyAdmin { route, role, user }.into());
            }
        }
        Ok(Self {
            caller,
            reach,
            route,
            proof: PhantomData,
        })
    }
}

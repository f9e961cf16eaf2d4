//! Every way in which a request is not let through. One value each, so that the reply's status and wording sit in one place.

use contract::limits::Denial;

use super::limit_text::ScopeText;
use crate::json_scan::BodyError;

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No credential at all.
    NoKey,
    /// `Authorization` without a scheme that we know.
    MalformedKey,
    /// A credential that does not begin with `sk-`.
    NotAVirtualKey {
        shown: String,
    },
    /// Several credentials that differ.
    ConflictingKeys,
    /// Not in the index, deleted, or past its grace.
    UnknownKey,
    /// The route table lacks the path.
    UnknownRoute,
    /// The path wants this method.
    WrongMethod {
        expected: &'static str,
    },
    KeyBlocked,
    KeyExpired {
        expires_ms: u64,
        now_ms: u64,
        shown: String,
    },
    TeamBlocked {
        team: String,
    },
    UserBlocked {
        user: String,
    },
    CustomerBlocked {
        customer: String,
    },
    /// An owner without whom the key is none was deleted.
    OwnerGone,
    /// `allowed_routes` lacks the route.
    RouteNotAllowed {
        allowed: Vec<String>,
        route: &'static str,
    },
    /// The user's role may not call models.
    RoleMayNotCall,
    MasterMayNotCall,
    ModelNotAllowed {
        model: String,
        by: ModelList,
    },
    UnknownModel {
        model: String,
    },
    UnknownPrice {
        model: String,
    },
    /// `output_cap: reject`, and the request states none.
    NoOutputCap {
        field: &'static str,
    },
    /// The request would count in more scopes than can be.
    TooManyScopes,
    /// More is asked for than can be counted.
    TooMuchAsked,
    NoModel,
    Body(BodyError),
    BodyTooLarge {
        limit: usize,
    },
    ContentEncoding,
    Denied(Box<Denied>),
    Unavailable(Unavailable),
}

/// Whose list lacks a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelList {
    Key,
    Team,
    Member,
    Organization,
    User,
    Customer,
}

/// A limit said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub denial: Denial,
    /// Redis time of the denial, ms.
    pub now_ms: u64,
    pub scope: ScopeText,
    /// Status of a denial by budget.
    pub budget_status: u16,
    /// Tokens or nano-dollars that the request needs.
    pub needed: u64,
}

/// Why nothing can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Redis failed, or answered something that is no answer.
    Store,
    /// A partition or index is not open.
    NotReady,
    /// Redis holds an older record than one already seen.
    WentBack,
    /// Too much waits to be settled.
    Full,
    /// Records changed faster than they could be read, or Redis is slow.
    TooManyTries,
}

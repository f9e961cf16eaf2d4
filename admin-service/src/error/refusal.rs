//! The refusals, by what they are about: each file has its rules that say no, with the status, shape and sentence of each. The sentences that
//! clients match on are LiteLLM's.

use axum::http::StatusCode;

use super::{ApiError, Shape, Wire};

mod access;
mod budget;
mod grant;
mod invitation;
mod key;
mod model;
mod organization;
mod request;
mod sign_in;
mod spend;
mod team;
mod user;

pub use access::AccessRefusal;
pub use budget::BudgetRefusal;
pub use grant::GrantRefusal;
pub use invitation::InvitationRefusal;
pub use key::KeyRefusal;
pub use model::ModelRefusal;
pub use organization::OrganizationRefusal;
pub use request::RequestRefusal;
pub use sign_in::SignInRefusal;
pub use spend::SpendRefusal;
pub use team::TeamRefusal;
pub use user::UserRefusal;

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const CONFLICT: StatusCode = StatusCode::CONFLICT;

const INVALID: &str = "invalid_request_error";
const AUTH: &str = "auth_error";
const BAD_REQUEST: &str = "bad_request_error";
const MISSING: &str = "not_found_error";

/// Makes [`Refusal`] of the subjects.
macro_rules! subjects {
    ($($(#[doc = $doc:literal])+ $subject:ident($refusal:ident);)*) => {
        /// A rule that said no.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $subject($refusal),)*
        }

        impl Refusal {
            /// Status and body.
            pub fn wire(self) -> Wire {
                match self {
                    $(Self::$subject(refusal) => refusal.wire(),)*
                }
            }
        }

        $(
            impl From<$refusal> for Refusal {
                fn from(refusal: $refusal) -> Self {
                    Self::$subject(refusal)
                }
            }

            impl From<$refusal> for ApiError {
                fn from(refusal: $refusal) -> Self {
                    Self::Refused(refusal.into())
                }
            }
        )*
    };
}

subjects! {
    /// Who asks: what is wrong with a credential, a session, and what its holder may not call at all.
    Access(AccessRefusal);
    /// Signing in, sessions and passwords.
    SignIn(SignInRefusal);
    /// Invitations and what is done with their links.
    Invitation(InvitationRefusal);
    /// What is wrong with a request whatever it is about: its path, body, repetition, order, durations and amounts.
    Request(RequestRefusal);
    /// Keys there are: found, listed, changed, given another value, set back.
    Key(KeyRefusal);
    /// What a key may not be given: by whom, in which team, beyond what, under which value or alias.
    Grant(GrantRefusal);
    /// Budget rows, and the customers and tags that they limit.
    Budget(BudgetRefusal);
    /// Models and groups of them.
    Model(ModelRefusal);
    /// Users.
    User(UserRefusal);
    /// Teams, their members and permissions.
    Team(TeamRefusal);
    /// Organizations and their members.
    Organization(OrganizationRefusal);
    /// The spend log, reports and prices.
    Spend(SpendRefusal);
}

impl Refusal {
    /// After how many seconds the same request may be answered otherwise.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SignIn(SignInRefusal::SignInsBlocked { seconds }) => Some(*seconds),
            Self::SignIn(SignInRefusal::TooManySignIns) => Some(1),
            _ => None,
        }
    }

    /// The sentence alone, for an answer that tells several outcomes.
    pub fn sentence(self) -> String {
        match self.wire().shape {
            Shape::Error { message, .. } => message,
            Shape::Detail(detail) => match detail.get("error").unwrap_or(&detail) {
                serde_json::Value::String(sentence) => sentence.clone(),
                other => other.to_string(),
            },
        }
    }
}

/// A list as Python prints it: `['a', 'b']`.
pub fn python_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The sentence that [`Wire::python`] put into its dictionary.
fn raised(message: &str) -> &str {
    let inner = message
        .strip_prefix("{'error': ")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(message, |inner| inner.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests;

//! Where an exchange stands, and what it carries from one stage to the next.

use std::rc::Rc;

use contract::id::{ReservationId, Rev};
use contract::records::ModelRecord;
use contract::redis_key::Partition;
use contract::script::{By, Remaining};
use contract::spend_event::SpendBody;
use contract::virtual_key::KeyHash;

use super::bound::Bound;
use super::need::Need;
use super::turn::Pending;
use crate::clock::Now;
use crate::event::Headers;
use crate::json_scan::{RequestFacts, RequestScan};
use crate::key_place::KeyPlace;
use crate::key_state::KeyState;
use crate::route::Api;
use crate::scopes::Scopes;
use crate::usage::Meter;
use crate::worker::Carried;

/// The stages of an exchange. A transition consumes the stage, so that nothing of it can be used twice.
#[derive(Debug)]
pub(crate) enum State {
    /// Nothing has come.
    Expecting,
    /// The request arrives while the key is looked up.
    Gathering(Box<Gathering>),
    /// The request is complete; its model is looked up, or Redis decides.
    Admitting(Box<Admitting>),
    /// It was admitted and sent on; its answer is metered.
    Answering(Box<Answering>),
    /// Answered by us, settled, or given up: nothing more happens.
    Over,
}

/// What the headers said, kept until the request goes upstream, and how much was tried for it.
#[derive(Debug)]
pub(crate) struct Request {
    pub target: Target,
    /// The path of the route table.
    pub route: &'static str,
    pub hash: KeyHash,
    pub headers: ToForward,
    pub client_ip: Option<String>,
    /// The end user whom headers name.
    pub end_user: Option<String>,
    /// Where the key was looked for.
    pub key_place: KeyPlace,
    /// The request's headers, where it is not known yet where to look for the key.
    pub unread: Option<Headers>,
    /// Headers that may name the end user too, as settings say.
    pub other_headers: Headers,
    /// The tags that headers name.
    pub tags: Vec<String>,
    /// The customer's record was read for this request, not remembered.
    pub customer_fresh: bool,
    /// The key's records were read for this request, not remembered.
    pub fresh: bool,
    /// Calls made.
    pub calls: u32,
    /// Milliseconds spent waiting for Redis.
    pub waited_ms: u64,
    /// Made before the first admission call; the same for repeats.
    pub id: Option<ReservationId>,
    /// The catalogue revision to admit with, where the partition's marker lags behind the index's.
    pub lagging: Option<Rev>,
}

/// What a known route wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Metered(Api),
    ListModels,
}

/// What must become of the request's headers when it goes upstream.
#[derive(Debug, Default)]
pub(crate) struct ToForward {
    /// Names that must not go.
    pub remove: Vec<Vec<u8>>,
    /// The `:path` to send; `None` where it may stay.
    pub path: Option<Vec<u8>>,
    /// The client stated the body's length.
    pub has_length: bool,
}

/// The request arrives while the key is looked up.
#[derive(Debug)]
pub(crate) struct Gathering {
    pub request: Request,
    pub body: Body,
    pub lookup: Lookup,
}

/// How much of the body is there.
#[derive(Debug)]
pub(crate) enum Body {
    /// The route takes none.
    None,
    Arriving(Box<RequestScan>),
    Complete(Box<RequestFacts>),
}

/// How much of the key is known.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// It is being read.
    Asked(Pending, By),
    Known(Rc<KeyState>),
}

/// A complete request of a known key.
#[derive(Debug)]
pub(crate) struct Admission {
    pub request: Request,
    pub api: Api,
    pub facts: Box<RequestFacts>,
    pub key: Rc<KeyState>,
}

impl Admission {
    /// The model that the client named.
    pub(crate) fn model_named(&self) -> &str {
        self.facts.model.as_ref().map_or("", |model| &model.value)
    }

    pub(crate) fn waiting(self, step: Step) -> State {
        State::Admitting(Box::new(Admitting {
            admission: self,
            step,
        }))
    }
}

/// A request about which Redis was asked.
#[derive(Debug)]
pub(crate) struct Admitting {
    pub admission: Admission,
    pub step: Step,
}

/// What is waited for.
#[derive(Debug)]
pub(crate) enum Step {
    /// The model, under the name after aliases.
    Model(Pending, String),
    Admit(Box<Asked>, Pending),
    /// Expired reservations are swept; then the same question again.
    Sweep(Box<Question>, Pending),
}

/// What to ask Redis for.
#[derive(Debug)]
pub(crate) struct Question {
    pub model: Rc<ModelRecord>,
    pub bound: Bound,
    pub need: Need,
    pub by: By,
    /// Expired reservations were swept already.
    pub swept: bool,
    /// Slots are short: whatever the worker has finished is settled ahead of it.
    pub after_settling: bool,
}

impl Question {
    pub(crate) fn new(model: Rc<ModelRecord>, bound: Bound, need: Need) -> Self {
        Self {
            model,
            bound,
            need,
            by: By::Hash,
            swept: false,
            after_settling: false,
        }
    }
}

/// An admission as asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub question: Question,
    pub id: ReservationId,
    pub spend: SpendBody,
    /// `spend` as JSON: what a sweep charges.
    pub body: Vec<u8>,
    /// Settlements acknowledged when it was sent.
    pub acknowledged: u64,
    /// The worker's settlements that travel ahead of it.
    pub carried: Option<Carried>,
}

/// An admitted request.
#[derive(Debug)]
pub(crate) struct Answering {
    pub id: ReservationId,
    pub home: Partition,
    pub api: Api,
    pub key: Rc<KeyState>,
    pub scopes: Rc<Scopes>,
    pub model: Rc<ModelRecord>,
    pub need: Need,
    pub spend: SpendBody,
    pub remaining: Vec<Remaining>,
    pub since: Now,
    /// Before this the settlement must not reach Redis.
    pub settle_from: Now,
    pub first_byte: Option<Now>,
    pub hide_usage: bool,
    pub meter: Option<Meter>,
}

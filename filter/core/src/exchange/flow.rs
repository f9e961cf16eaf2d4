//! The request's way from its headers to the question that Redis decides: route, credential, lookup beside the arriving body, static checks,
//! model, need. Each stage is one function; what remembered records refuse is read again before it is believed.

use std::rc::Rc;

use contract::records::{ModelRecord, ProxySettings, Versioned};
use contract::redis_key;

use super::need::Need;
use super::refusal::{Refusal, Unavailable};
use super::state::{Admitting, Body, Gathering, Lookup, Question, Request, State, Step, Target};
use super::turn::{Outcome, Pending, Turn, mget, values};
use super::{admit, lookup, model_list, models, static_check};
use crate::config::OnStoreFailure;
use crate::event::{CallId, Headers};
use crate::json_scan::{BodyError, RequestFacts, RequestScan};
use crate::key_state::KeyState;
use crate::route::Api;

/// Longest model name that is looked up, in bytes.
const LONGEST_MODEL: usize = 512;

/// The request's headers came.
pub(crate) fn begin(
    turn: &mut Turn<'_>,
    headers: &Headers,
    end: bool,
    peer: Option<&[u8]>,
) -> State {
    let request = match super::request::read(headers, peer, turn.worker.config()) {
        Ok(request) => request,
        Err(refusal) => return turn.refuse(&refusal),
    };
    let metered = matches!(request.target, Target::Metered(_));
    let body = if metered {
        Body::Arriving(RequestScan::new(turn.worker.config().max_body_bytes))
    } else {
        Body::None
    };
    // A list of models is not compared with Redis by an admission, so it is never made from memory.
    let known = turn.worker.known_key(&request.hash).filter(|_| metered);
    let mut request = request;
    let lookup = match known {
        Some(state) if turn.worker.store_answers() || may_do_without_store(turn, &state) => {
            Lookup::Known(state)
        }
        Some(_) => return turn.unavailable(Unavailable::Store),
        None => match lookup::start(turn, &mut request) {
            Ok(lookup) => lookup,
            Err(refusal) => return turn.refuse(&refusal),
        },
    };
    let gathering = Box::new(Gathering {
        request,
        body,
        lookup,
    });
    if end {
        on_body(turn, gathering, &[], true)
    } else {
        advance(turn, gathering)
    }
}

/// Whether a failure of Redis does not stop this key.
pub(crate) fn may_do_without_store(turn: &Turn<'_>, state: &KeyState) -> bool {
    /// How long ago Redis must have confirmed it, ms.
    const CONFIRMED_MS: u64 = 60_000;
    turn.worker.config().on_store_failure == OnStoreFailure::Allow
        && turn.now.since(state.confirmed.get()) < CONFIRMED_MS
}

/// More of the request's body came.
pub(crate) fn on_body(
    turn: &mut Turn<'_>,
    mut gathering: Box<Gathering>,
    chunk: &[u8],
    end: bool,
) -> State {
    gathering.body = match scanned(gathering.body, chunk, end) {
        Ok(body) => body,
        Err(error) => return turn.refuse(&Refusal::Body(error)),
    };
    advance(turn, gathering)
}

fn scanned(body: Body, chunk: &[u8], end: bool) -> Result<Body, BodyError> {
    match body {
        Body::Arriving(mut scan) => {
            scan.push(chunk)?;
            if end {
                Ok(Body::Complete(Box::new(scan.finish()?)))
            } else {
                Ok(Body::Arriving(scan))
            }
        }
        body @ (Body::None | Body::Complete(_)) => Ok(body),
    }
}

/// Redis answered while the request arrives.
pub(crate) fn on_lookup(
    turn: &mut Turn<'_>,
    mut gathering: Box<Gathering>,
    call: CallId,
    outcome: Outcome<'_>,
) -> State {
    let awaited = match &gathering.lookup {
        Lookup::Index(pending) | Lookup::Records(pending, _) => pending.call == call,
        Lookup::Known(_) => false,
    };
    if !awaited {
        return State::Gathering(gathering);
    }
    match lookup::arrived(turn, &mut gathering, outcome) {
        Ok(lookup) => {
            gathering.lookup = lookup;
            advance(turn, gathering)
        }
        Err(refusal) => turn.refuse(&refusal),
    }
}

/// Goes on where both key and body are there.
fn advance(turn: &mut Turn<'_>, gathering: Box<Gathering>) -> State {
    let Gathering {
        request,
        body,
        lookup,
    } = *gathering;
    match (body, lookup) {
        (Body::None, Lookup::Known(state)) => list_models(turn, &request, &state),
        (Body::Complete(facts), Lookup::Known(state)) => decide(turn, request, facts, state),
        (body, lookup) => State::Gathering(Box::new(Gathering {
            request,
            body,
            lookup,
        })),
    }
}

fn list_models(turn: &mut Turn<'_>, request: &Request, state: &KeyState) -> State {
    match checked(turn, request, state) {
        Ok(settings) => model_list::reply(turn, state, &settings),
        Err(refusal) => turn.refuse(&refusal),
    }
}

/// The static rules, and the settings they were applied with.
fn checked(
    turn: &Turn<'_>,
    request: &Request,
    state: &KeyState,
) -> Result<Rc<ProxySettings>, Refusal> {
    let settings = turn
        .worker
        .catalogue
        .settings()
        .ok_or(Refusal::Unavailable(Unavailable::NotReady))?;
    let wanted = static_check::Wanted {
        route: request.route,
        calls_model: matches!(request.target, Target::Metered(_)),
        now_ms: turn.redis_ms(),
    };
    static_check::check(state, &settings, wanted).map(|()| settings)
}

/// Key and body are there: everything that needs no further question.
pub(crate) fn decide(
    turn: &mut Turn<'_>,
    request: Request,
    facts: Box<RequestFacts>,
    key: Rc<KeyState>,
) -> State {
    let Target::Metered(api) = request.target else {
        return State::Over;
    };
    if let Err(refusal) = checked(turn, &request, &key) {
        return refuse_or_reload(turn, request, facts, &refusal);
    }
    let Some(model) = facts.model.as_ref() else {
        return turn.refuse(&Refusal::NoModel);
    };
    let name = models::resolved(&key, &model.value);
    match turn.worker.catalogue.model(name) {
        Some(model) => price(turn, request, facts, key, api, model),
        None => {
            let name = name.to_owned();
            look_up_model(turn, request, facts, key, api, name)
        }
    }
}

/// A refusal from records read for this request stands; one from remembered records is checked against Redis first.
fn refuse_or_reload(
    turn: &mut Turn<'_>,
    request: Request,
    facts: Box<RequestFacts>,
    refusal: &Refusal,
) -> State {
    if request.fresh || !turn.worker.store_answers() {
        return turn.refuse(refusal);
    }
    reload(turn, request, facts)
}

/// Reads everything about the key again.
pub(crate) fn reload(turn: &mut Turn<'_>, mut request: Request, facts: Box<RequestFacts>) -> State {
    match lookup::start(turn, &mut request) {
        Ok(lookup) => State::Gathering(Box::new(Gathering {
            request,
            body: Body::Complete(facts),
            lookup,
        })),
        Err(refusal) => turn.refuse(&refusal),
    }
}

fn look_up_model(
    turn: &mut Turn<'_>,
    mut request: Request,
    facts: Box<RequestFacts>,
    key: Rc<KeyState>,
    api: Api,
    name: String,
) -> State {
    if name.len() > LONGEST_MODEL {
        return no_model(turn, request, facts, &key, &name);
    }
    if !turn.worker.store_answers() {
        return turn.unavailable(Unavailable::Store);
    }
    let slot = redis_key::model_slot(&name, turn.worker.config().partitions);
    let (ready, model) = (redis_key::index_ready(slot), redis_key::model(slot, &name));
    let mut commands = Vec::new();
    mget(&mut commands, &[&ready, &model, &ready]);
    match turn.call(&mut request, commands, 1) {
        Ok(pending) => {
            let step = Step::Model(pending, name);
            State::Admitting(Box::new(Admitting {
                request,
                api,
                facts,
                key,
                step,
            }))
        }
        Err(why) => turn.unavailable(why),
    }
}

/// The model was read, or not found.
pub(crate) fn on_model(
    turn: &mut Turn<'_>,
    admission: Admission,
    (pending, name): (Pending, String),
    outcome: Outcome<'_>,
) -> State {
    let Admission {
        mut request,
        api,
        facts,
        key,
    } = admission;
    let Ok(replies) = turn.arrived(&mut request, pending, outcome, 1) else {
        return turn.unavailable(Unavailable::Store);
    };
    let Some([ready, model, still_ready]) = replies.first().and_then(values::<3>) else {
        turn.store_failed();
        return turn.unavailable(Unavailable::Store);
    };
    turn.worker.store_answered();
    let ready = match lookup::open(turn, ready)
        .and_then(|ready| lookup::open(turn, still_ready).map(|_| ready))
    {
        Ok(ready) => ready,
        Err(refusal) => return turn.refuse(&refusal),
    };
    match turn.worker.catalogue.observe(ready.catalogue, turn.now) {
        std::cmp::Ordering::Less => {
            let refusal = lookup::went_back(turn);
            return turn.refuse(&refusal);
        }
        // The settings known are out of date too.
        std::cmp::Ordering::Greater => return reload(turn, request, facts),
        std::cmp::Ordering::Equal => {}
    }
    let Some(model) = model else {
        return no_model(turn, request, facts, &key, &name);
    };
    let Some(model) = Versioned::<ModelRecord>::decode(model) else {
        turn.store_failed();
        return turn.unavailable(Unavailable::Store);
    };
    let model = Rc::new(model.value);
    turn.worker.catalogue.learn_model(name, Rc::clone(&model));
    price(turn, request, facts, key, api, model)
}

/// Nobody knows the model. A key that may not call it is told so instead: which models exist is not its business.
fn no_model(
    turn: &mut Turn<'_>,
    request: Request,
    facts: Box<RequestFacts>,
    key: &KeyState,
    name: &str,
) -> State {
    let allowed = match turn.worker.catalogue.settings() {
        Some(settings) => models::check(key, &settings, name, None),
        None => Err(Refusal::Unavailable(Unavailable::NotReady)),
    };
    let refusal = allowed.err().unwrap_or_else(|| Refusal::UnknownModel {
        model: name.to_owned(),
    });
    refuse_or_reload(turn, request, facts, &refusal)
}

/// The model is there: may the key call it, and what does the request need?
fn price(
    turn: &mut Turn<'_>,
    request: Request,
    facts: Box<RequestFacts>,
    key: Rc<KeyState>,
    api: Api,
    model: Rc<ModelRecord>,
) -> State {
    let Some(settings) = turn.worker.catalogue.settings() else {
        return turn.unavailable(Unavailable::NotReady);
    };
    let asked_for = facts
        .model
        .as_ref()
        .map_or("", |model| model.value.as_str());
    let allowed = models::check(
        &key,
        &settings,
        models::resolved(&key, asked_for),
        Some(&model),
    );
    let need = allowed.and_then(|()| Need::of(&facts, api, &model, &key, turn.worker.config()));
    let need = match need {
        Ok(need) => need,
        Err(refusal) => return refuse_or_reload(turn, request, facts, &refusal),
    };
    admit::ask(
        turn,
        Admission {
            request,
            api,
            facts,
            key,
        },
        Question::new(model, need),
    )
}

/// What an admission is about, apart from the question itself.
pub(crate) struct Admission {
    pub request: Request,
    pub api: Api,
    pub facts: Box<RequestFacts>,
    pub key: Rc<KeyState>,
}

impl Admission {
    pub(crate) fn waiting(self, step: Step) -> State {
        let Self {
            request,
            api,
            facts,
            key,
        } = self;
        State::Admitting(Box::new(Admitting {
            request,
            api,
            facts,
            key,
            step,
        }))
    }
}

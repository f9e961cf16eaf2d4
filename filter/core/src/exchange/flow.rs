//! The request's way from its headers to the question that Redis decides: route, credential, lookup beside the arriving body, static checks,
//! model, need. Each stage is one function; what remembered records refuse is read again before it is believed.

use std::rc::Rc;

use contract::records::{ModelRecord, ProxySettings};

use super::bound::Bound;
use super::need::Need;
use super::refusal::{Refusal, Unavailable};
use super::state::{Admission, Body, Gathering, Lookup, Question, Request, State, Target};
use super::turn::{Outcome, Turn};
use super::{admit, lookup, model_list, model_lookup, models, static_check};
use crate::config::OnStoreFailure;
use crate::event::{CallId, Headers};
use crate::json_scan::{BodyError, RequestScan};
use crate::key_state::KeyState;

/// The request's headers came.
pub(crate) fn begin(
    turn: &mut Turn<'_>,
    headers: &Headers,
    end: bool,
    peer: Option<&[u8]>,
) -> State {
    let settings = turn.worker.catalogue.settings();
    let config = turn.worker.config();
    let place = (
        turn.worker.key_place(),
        turn.worker.key_place_is_certain(turn.now),
    );
    let request = match super::request::read(headers, peer, config, settings.as_deref(), place) {
        Ok(request) => request,
        Err(refusal) => return turn.refuse(&refusal),
    };
    let metered = matches!(request.target, Target::Metered(_));
    let body = if metered {
        let scan = RequestScan::new(turn.worker.config().max_body_bytes);
        Body::Arriving(Box::new(scan))
    } else {
        Body::None
    };
    // A list of models is not compared with Redis by an admission, so it is never made from memory.
    let by_memory = metered && request.unread.is_none();
    let known = turn.worker.known_key(&request.hash).filter(|_| by_memory);
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
        Lookup::Asked(pending, _) => pending.call == call,
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
    match (body, lookup, request.target) {
        (Body::None, Lookup::Known(state), _) => list_models(turn, &request, &state),
        (Body::Complete(facts), Lookup::Known(key), Target::Metered(api)) => decide(
            turn,
            Admission {
                request,
                api,
                facts,
                key,
            },
        ),
        (body, lookup, _) => State::Gathering(Box::new(Gathering {
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
    lookup::in_place(turn, request)?;
    let wanted = static_check::Wanted {
        route: request.route,
        calls_model: matches!(request.target, Target::Metered(_)),
        now_ms: turn.redis_ms(),
    };
    static_check::check(state, &settings, wanted).map(|()| settings)
}

/// Key and body are there: everything that needs no further question.
pub(super) fn decide(turn: &mut Turn<'_>, admission: Admission) -> State {
    if let Err(refusal) = checked(turn, &admission.request, &admission.key) {
        return refuse_or_reload(turn, admission, &refusal);
    }
    if admission.facts.model.is_none() {
        return turn.refuse(&Refusal::NoModel);
    }
    let name = models::resolved(&admission.key, admission.model_named());
    if let Some(model) = turn.worker.catalogue.model(name) {
        return price(turn, admission, model);
    }
    let name = name.to_owned();
    model_lookup::start(turn, admission, name)
}

/// The model is there: may the key call it, and what does the request need?
pub(super) fn price(turn: &mut Turn<'_>, admission: Admission, model: Rc<ModelRecord>) -> State {
    let Some(settings) = turn.worker.catalogue.settings() else {
        return turn.unavailable(Unavailable::NotReady);
    };
    let Admission {
        api, facts, key, ..
    } = &admission;
    let name = models::resolved(key, admission.model_named());
    let question = models::check(key, &settings, name, Some(&model))
        .and_then(|()| Bound::of(turn, &admission, &settings, &model))
        .and_then(|bound| {
            let need = Need::of(facts, *api, &model, &bound.scopes, turn.worker.config())?;
            Ok((bound, need))
        });
    match question {
        Ok((bound, need)) => admit::ask(turn, admission, Question::new(model, bound, need)),
        Err(refusal) => refuse_or_reload(turn, admission, &refusal),
    }
}

/// A refusal from records read for this request stands; one from remembered records is checked against Redis first.
pub(super) fn refuse_or_reload(
    turn: &mut Turn<'_>,
    admission: Admission,
    refusal: &Refusal,
) -> State {
    if admission.request.fresh || !turn.worker.store_answers() {
        return turn.refuse(refusal);
    }
    reload(turn, admission)
}

/// Reads everything about the key again.
pub(super) fn reload(turn: &mut Turn<'_>, admission: Admission) -> State {
    let Admission {
        mut request, facts, ..
    } = admission;
    match lookup::start(turn, &mut request) {
        Ok(lookup) => {
            let body = Body::Complete(facts);
            State::Gathering(Box::new(Gathering {
                request,
                body,
                lookup,
            }))
        }
        Err(refusal) => turn.refuse(&refusal),
    }
}

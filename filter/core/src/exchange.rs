//! One request with its answer, from headers to settlement. [`Exchange::step`] takes what happened and returns what to do.
//!
//! Decides which stage an event belongs to; each stage is a module named after the request's way. Failure stance: an event that fits no stage
//! changes nothing, a paused request stays paused, and whatever ends an exchange leaves exactly one settlement or release behind if anything
//! was, or may have been, reserved for it.

mod admit;
mod answer;
mod auth;
mod bound;
mod denied;
mod flow;
mod limit_headers;
mod limit_text;
mod lookup;
mod model_list;
mod model_lookup;
mod models;
mod named;
mod need;
mod refusal;
mod reply;
mod request;
mod settle;
mod spend_body;
mod stale;
mod state;
mod static_check;
mod turn;
mod upstream;

use self::state::{Admitting, State, Step};
use self::turn::{Outcome, Turn};
use crate::clock::Now;
use crate::effect::Effect;
use crate::event::{CallId, Event};
use crate::worker::Worker;

/// One request with its answer.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// An exchange of which nothing has come yet.
    pub const fn new() -> Self {
        Self {
            state: State::Expecting,
        }
    }

    /// Something happened; this is to be done, in order.
    pub fn step(&mut self, worker: &mut Worker, now: Now, event: Event<'_>) -> Vec<Effect> {
        let mut turn = Turn {
            worker,
            now,
            effects: Vec::with_capacity(24),
        };
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = next(&mut turn, state, event);
        turn.effects
    }

    /// Whether nothing more can happen: replied, settled or given up.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

fn next(turn: &mut Turn<'_>, state: State, event: Event<'_>) -> State {
    match (state, event) {
        (State::Expecting, Event::RequestHeaders { headers, end, peer }) => {
            flow::begin(turn, headers, end, peer)
        }
        (State::Gathering(gathering), Event::RequestBody { chunk, end }) => {
            flow::on_body(turn, gathering, chunk, end)
        }
        (State::Gathering(gathering), Event::Redis { call, outcome }) => {
            flow::on_lookup(turn, gathering, call, outcome)
        }
        (State::Admitting(admitting), Event::Redis { call, outcome }) => {
            on_redis(turn, admitting, call, outcome)
        }
        (State::Answering(answering), Event::ResponseHeaders { headers, end }) => {
            answer::on_headers(turn, answering, headers, end)
        }
        (State::Answering(answering), Event::ResponseBody { chunk, end }) => {
            answer::on_body(turn, answering, chunk, end)
        }
        (State::Answering(answering), Event::ResponseTrailers) => {
            answer::on_trailers(turn, *answering)
        }
        (State::Answering(answering), Event::Done) => answer::finished(turn, *answering, false),
        // The client left, or Envoy answers in our place, while Redis was asked.
        (State::Admitting(admitting), Event::ResponseHeaders { .. } | Event::Done) => {
            admit::abandoned(turn, &admitting.step, &admitting.admission.key);
            State::Over
        }
        // Nothing was reserved yet.
        (State::Expecting | State::Gathering(_), Event::ResponseHeaders { .. } | Event::Done) => {
            State::Over
        }
        (state, _) => state,
    }
}

fn on_redis(
    turn: &mut Turn<'_>,
    admitting: Box<Admitting>,
    call: CallId,
    outcome: Outcome<'_>,
) -> State {
    let awaited = match &admitting.step {
        Step::Model(pending, _) | Step::Admit(_, pending) | Step::Sweep(_, pending) => pending.call,
    };
    if awaited != call {
        return State::Admitting(admitting);
    }
    let Admitting { admission, step } = *admitting;
    match step {
        Step::Model(pending, name) => {
            model_lookup::on_model(turn, admission, (pending, name), outcome)
        }
        Step::Admit(asked, pending) => admit::on_answer(turn, admission, asked, pending, outcome),
        Step::Sweep(question, pending) => {
            denied::on_swept(turn, admission, *question, pending, outcome)
        }
    }
}

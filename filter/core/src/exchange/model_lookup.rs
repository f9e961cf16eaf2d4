//! Reads a model on its first use under a catalogue revision. Decides what its absence means; whether the key may call it and what it costs are
//! left to the flow.

use std::cmp::Ordering;
use std::rc::Rc;

use contract::records::{ModelRecord, Versioned};
use contract::redis_key;

use super::flow::{self, refuse_or_reload};
use super::lookup;
use super::models;
use super::refusal::{Refusal, Unavailable};
use super::state::{Admission, State, Step};
use super::turn::{Outcome, Pending, Turn, mget, values};

/// Longest model name that is looked up, in bytes.
const LONGEST_MODEL: usize = 512;

/// Starts reading the model `name`, after aliases.
pub(super) fn start(turn: &mut Turn<'_>, mut admission: Admission, name: String) -> State {
    if name.len() > LONGEST_MODEL {
        return unknown(turn, admission, name);
    }
    if !turn.worker.store_answers() {
        return turn.unavailable(Unavailable::Store);
    }
    let slot = redis_key::model_slot(&name, turn.worker.config().partitions);
    let (ready, model) = (redis_key::index_ready(slot), redis_key::model(slot, &name));
    let mut commands = Vec::new();
    mget(&mut commands, &[&ready, &model, &ready]);
    match turn.call(&mut admission.request, commands, 1) {
        Ok(pending) => admission.waiting(Step::Model(pending, name)),
        Err(why) => turn.unavailable(why),
    }
}

/// The model was read, or not found.
pub(super) fn on_model(
    turn: &mut Turn<'_>,
    mut admission: Admission,
    (pending, name): (Pending, String),
    outcome: Outcome<'_>,
) -> State {
    let Ok(replies) = turn.arrived(&mut admission.request, pending, outcome, 1) else {
        return turn.unavailable(Unavailable::Store);
    };
    let read = replies.first().and_then(values::<3>);
    let Some([ready, model, still_ready]) = read else {
        return garbage(turn);
    };
    turn.worker.store_answered();
    let opened =
        lookup::open(turn, ready).and_then(|ready| lookup::open(turn, still_ready).map(|_| ready));
    let ready = match opened {
        Ok(ready) => ready,
        Err(refusal) => return turn.refuse(&refusal),
    };
    match turn.worker.catalogue.observe(ready.catalogue, turn.now) {
        Ordering::Less => {
            let refusal = lookup::went_back(turn);
            return turn.refuse(&refusal);
        }
        // The settings known are out of date too.
        Ordering::Greater => return flow::reload(turn, admission),
        Ordering::Equal => {}
    }
    let Some(model) = model else {
        return unknown(turn, admission, name);
    };
    let Some(model) = Versioned::<ModelRecord>::decode(model) else {
        return garbage(turn);
    };
    let model = Rc::new(model.value);
    turn.worker.catalogue.learn_model(name, Rc::clone(&model));
    flow::price(turn, admission, model)
}

fn garbage(turn: &mut Turn<'_>) -> State {
    turn.store_failed();
    turn.unavailable(Unavailable::Store)
}

/// Nobody knows the model. A key that may not call it is told so instead: which models exist is not its business.
fn unknown(turn: &mut Turn<'_>, admission: Admission, name: String) -> State {
    let allowed = match turn.worker.catalogue.settings() {
        Some(settings) => models::check(&admission.key, &settings, &name, None),
        None => Err(Refusal::Unavailable(Unavailable::NotReady)),
    };
    let refusal = allowed
        .err()
        .unwrap_or(Refusal::UnknownModel { model: name });
    refuse_or_reload(turn, admission, &refusal)
}

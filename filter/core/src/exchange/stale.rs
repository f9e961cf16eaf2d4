//! Records or the catalogue changed since they were read; nothing was reserved. Decides what of the answer can be used at once and what must be
//! read again. A revision below one that was seen is never used.

use std::cmp::Ordering;
use std::rc::Rc;

use contract::records::{IndexEntry, Ready, Record, Versioned};

use super::admit;
use super::flow;
use super::lookup;
use super::refusal::{Refusal, Unavailable};
use super::state::{Admission, Question, State};
use super::turn::Turn;
use crate::customers::Unusable;
use crate::effect::Effect;
use crate::key_state::{Built, KeyState, ReadRecord};
use crate::metric::Metric;

/// Takes what came along, and decides anew.
pub(super) fn on_stale(
    turn: &mut Turn<'_>,
    mut admission: Admission,
    question: Question,
    ready: &Ready,
    stored: &[Option<Vec<u8>>],
) -> State {
    turn.effects.push(Effect::Measure(Metric::Stale, 1));
    match turn.worker.catalogue.observe(ready.catalogue, turn.now) {
        Ordering::Greater => return flow::reload(turn, admission),
        Ordering::Equal => admission.request.lagging = None,
        Ordering::Less if turn.worker.catalogue.may_lag(turn.now) => {
            // The index's marker was raised first. What was evaluated is the newer catalogue.
            admission.request.lagging = Some(ready.catalogue);
        }
        Ordering::Less => {
            let refusal = lookup::went_back(turn);
            return turn.refuse(&refusal);
        }
    }
    let key_count = admission.key.revs.len().min(stored.len());
    let (stored, of_customer) = stored.split_at(key_count);
    let customer_changed = match reread_customer(turn, &mut admission, &question, of_customer) {
        Ok(changed) => changed,
        Err(refusal) => return turn.refuse(&refusal),
    };
    let records = match reread(turn, &admission.key, stored) {
        Ok(records) => records,
        Err(refusal) => return turn.refuse(&refusal),
    };
    let known = &admission.key.revs;
    let changed = |at: usize| {
        records.get(at).map(|(_, record)| record.rev) != known.get(at).map(|(_, rev)| *rev)
    };
    if changed(0) {
        // The key's own record changed: it may have moved, so its index entry is read again too.
        turn.worker.forget_key(&admission.request.hash);
        return flow::reload(turn, admission);
    }
    if !(1..records.len()).any(changed) {
        return if customer_changed {
            flow::decide(turn, admission)
        } else {
            admit::ask(turn, admission, question)
        };
    }
    let entry = IndexEntry {
        home: admission.key.home,
        records: known.iter().map(|(id, _)| id.clone()).collect(),
        until_ms: admission.key.until_ms,
    };
    let binds = turn
        .worker
        .catalogue
        .settings()
        .is_some_and(|settings| settings.apply_user_budget_to_team_keys);
    match KeyState::build(admission.request.hash, &entry, records, binds, turn.now) {
        Built::State(state) => {
            turn.worker.remember_key(Rc::clone(&state));
            admission.request.fresh = true;
            flow::decide(
                turn,
                Admission {
                    key: state,
                    ..admission
                },
            )
        }
        Built::Deleted | Built::Inconsistent => {
            turn.worker.forget_key(&admission.request.hash);
            flow::reload(turn, admission)
        }
    }
}

/// Takes the customer's record; answers whether it is another than the request was evaluated with.
fn reread_customer(
    turn: &mut Turn<'_>,
    admission: &mut Admission,
    question: &Question,
    stored: &[Option<Vec<u8>>],
) -> Result<bool, Refusal> {
    let Some((id, sent)) = question.bound.customer(admission) else {
        return Ok(false);
    };
    let stored = stored.first().and_then(Option::as_deref);
    match turn.worker.customers.learn(id, stored, turn.now) {
        Ok(rev) => {
            admission.request.customer_fresh = true;
            Ok(rev != *sent)
        }
        Err(Unusable::WentBack) => Err(lookup::went_back(turn)),
        Err(Unusable::Garbage) => {
            turn.store_failed();
            Err(Refusal::Unavailable(Unavailable::Store))
        }
    }
}

fn reread(
    turn: &mut Turn<'_>,
    key: &KeyState,
    stored: &[Option<Vec<u8>>],
) -> Result<Vec<ReadRecord>, Refusal> {
    let mut records = Vec::with_capacity(stored.len());
    for ((id, _), stored) in key.revs.iter().zip(stored) {
        let Some(stored) = stored else {
            return Err(Refusal::Unavailable(Unavailable::NotReady));
        };
        let Some(record) = Versioned::<Record>::decode(stored) else {
            turn.store_failed();
            return Err(Refusal::Unavailable(Unavailable::Store));
        };
        if !turn.worker.accept_rev(id, record.rev) {
            return Err(lookup::went_back(turn));
        }
        records.push((id.clone(), record));
    }
    Ok(records)
}

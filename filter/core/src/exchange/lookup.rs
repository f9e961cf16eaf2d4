//! Reads what Redis knows about a key, in one call. Decides what the answer amounts to; what the key may do is left to the checks.
//!
//! Failure stance: only a ready index without the key says that a key is unknown (401). Whatever is missing, malformed or older than what was
//! seen before is 503, never an answer about the key.

use std::cmp::Ordering;
use std::rc::Rc;

use contract::records::{IndexEntry, ProxySettings, Ready, Record, Versioned};
use contract::redis_key::Partition;
use contract::script::{By, Call as _, Found, LookUp, ScriptError};

use super::refusal::{Refusal, Unavailable};
use super::request;
use super::state::{Gathering, Lookup, Request};
use super::turn::{Outcome, Turn};
use crate::effect::{Effect, Level};
use crate::key_place::KeyPlace;
use crate::key_state::{Built, KeyState, ReadRecord};
use crate::metric::Metric;

/// Most records that an index entry names.
const MOST_RECORDS: usize = 8;

/// Starts reading.
pub(crate) fn start(turn: &mut Turn<'_>, request: &mut Request) -> Result<Lookup, Refusal> {
    if !turn.worker.store_answers() {
        return Err(Refusal::Unavailable(Unavailable::Store));
    }
    request.fresh = true;
    ask(turn, request, By::Hash)
}

fn ask(turn: &mut Turn<'_>, request: &mut Request, by: By) -> Result<Lookup, Refusal> {
    let mut commands = Vec::with_capacity(512);
    call(turn, request).encode(by, &mut commands);
    let pending = turn
        .call(request, commands, 1)
        .map_err(Refusal::Unavailable)?;
    Ok(Lookup::Asked(pending, by))
}

fn call<'a>(turn: &Turn<'_>, request: &'a Request) -> LookUp<'a> {
    LookUp {
        partition: Partition(0),
        hash: &request.hash,
        known: turn.worker.catalogue.settings_rev(),
    }
}

/// Takes the outcome of the lookup's call.
pub(crate) fn arrived(
    turn: &mut Turn<'_>,
    gathering: &mut Gathering,
    outcome: Outcome<'_>,
) -> Result<Lookup, Refusal> {
    let request = &mut gathering.request;
    let (pending, by) = match &gathering.lookup {
        Lookup::Known(state) => return Ok(Lookup::Known(Rc::clone(state))),
        Lookup::Asked(pending, by) => (*pending, *by),
    };
    let replies = turn
        .arrived(request, pending, outcome, 1)
        .map_err(|_| Refusal::Unavailable(Unavailable::Store))?;
    let decoded = match replies.first() {
        Some(reply) => call(turn, request).decode(reply),
        None => Err(ScriptError::Malformed),
    };
    let found = match decoded {
        Ok(found) => found,
        Err(ScriptError::NoScript) if by == By::Hash => {
            turn.worker.store_answered();
            return ask(turn, request, By::Source);
        }
        Err(error) => {
            if let ScriptError::Redis(text) = error {
                turn.log(Level::Warn, format!("looking up a key failed: {text}"));
            }
            return Err(garbage(turn));
        }
    };
    turn.worker.store_answered();
    turn.worker.learn_time(pending.sent, turn.now, found.now_ms);
    if let Some(headers) = request.unread.take() {
        let ready = open(turn, found.index.as_deref())?;
        take_settings(turn, &ready, found.settings.as_deref())?;
        let place = turn.worker.key_place().cloned();
        let place = place.unwrap_or(KeyPlace::Anywhere);
        if request::identify(request, &headers, &place)? {
            return start(turn, request);
        }
    }
    let state = known(turn, request, &found)?;
    turn.worker.remember_key(Rc::clone(&state));
    Ok(Lookup::Known(state))
}

/// What the answer says about the key.
fn known(turn: &mut Turn<'_>, request: &Request, found: &Found) -> Result<Rc<KeyState>, Refusal> {
    let ready = open(turn, found.index.as_deref())?;
    take_settings(turn, &ready, found.settings.as_deref())?;
    in_place(turn, request)?;
    let Some(entry) = &found.entry else {
        turn.worker.forget_key(&request.hash);
        return Err(Refusal::UnknownKey);
    };
    let Some(Versioned { value: entry, .. }) = Versioned::<IndexEntry>::decode(entry) else {
        return Err(garbage(turn));
    };
    if entry.home != Partition(0)
        || entry.records.is_empty()
        || entry.records.len() > MOST_RECORDS
        || entry.records.len() != found.records.len()
    {
        return Err(garbage(turn));
    }
    if entry.until_ms.is_some_and(|until| until <= turn.redis_ms()) {
        turn.worker.forget_key(&request.hash);
        return Err(Refusal::UnknownKey);
    }
    open(turn, found.partition.as_deref())?;
    key_state(turn, request, &entry, &found.records)
}

/// Nothing is said of the key of a request that was read before another header counted: what it presents there was not looked at.
pub(crate) fn in_place(turn: &Turn<'_>, request: &Request) -> Result<(), Refusal> {
    if turn.worker.key_place() == Some(&request.key_place) {
        Ok(())
    } else {
        Err(Refusal::Unavailable(Unavailable::NotReady))
    }
}

/// A reply that is no answer counts as a failure of Redis.
fn garbage(turn: &mut Turn<'_>) -> Refusal {
    turn.store_failed();
    Refusal::Unavailable(Unavailable::Store)
}

/// The marker of an open index or partition with the P that is configured.
pub(crate) fn open(turn: &mut Turn<'_>, ready: Option<&[u8]>) -> Result<Ready, Refusal> {
    let Some(ready) = ready else {
        return Err(Refusal::Unavailable(Unavailable::NotReady));
    };
    let Some(ready) = Ready::decode(ready) else {
        return Err(garbage(turn));
    };
    if ready.partitions != turn.worker.config().partitions {
        return Err(Refusal::Unavailable(Unavailable::NotReady));
    }
    Ok(ready)
}

fn take_settings(
    turn: &mut Turn<'_>,
    ready: &Ready,
    settings: Option<&[u8]>,
) -> Result<(), Refusal> {
    if turn.worker.catalogue.observe(ready.catalogue, turn.now) == Ordering::Less {
        // Another marker already shows a newer catalogue; what was read here may be the older one.
        let known = turn.worker.catalogue.settings().is_some();
        return if known && turn.worker.catalogue.may_lag(turn.now) {
            Ok(())
        } else {
            Err(went_back(turn))
        };
    }
    let Some(settings) = settings else {
        // Left out, because they were known when the question was asked.
        return match turn.worker.catalogue.settings() {
            Some(_) => Ok(()),
            None => Err(Refusal::Unavailable(Unavailable::NotReady)),
        };
    };
    let Some(settings) = Versioned::<ProxySettings>::decode(settings) else {
        return Err(garbage(turn));
    };
    turn.worker.catalogue.learn_settings(settings.value);
    Ok(())
}

/// Something older than what was seen before.
pub(crate) fn went_back(turn: &mut Turn<'_>) -> Refusal {
    turn.effects
        .push(Effect::Measure(Metric::RevisionWentBack, 1));
    Refusal::Unavailable(Unavailable::WentBack)
}

fn key_state(
    turn: &mut Turn<'_>,
    request: &Request,
    entry: &IndexEntry,
    stored: &[Option<Vec<u8>>],
) -> Result<Rc<KeyState>, Refusal> {
    let mut records: Vec<ReadRecord> = Vec::with_capacity(stored.len());
    for (id, stored) in entry.records.iter().zip(stored) {
        // The index names it and the partition is open: it is missing only while something is being repaired.
        let Some(stored) = stored else {
            return Err(Refusal::Unavailable(Unavailable::NotReady));
        };
        let Some(record) = Versioned::<Record>::decode(stored) else {
            return Err(garbage(turn));
        };
        if !turn.worker.accept_rev(id, record.rev) {
            return Err(went_back(turn));
        }
        records.push((id.clone(), record));
    }
    let binds = turn
        .worker
        .catalogue
        .settings()
        .is_some_and(|settings| settings.apply_user_budget_to_team_keys);
    match KeyState::build(request.hash, entry, records, binds, turn.now) {
        Built::State(state) => Ok(state),
        Built::Deleted => {
            turn.worker.forget_key(&request.hash);
            Err(Refusal::UnknownKey)
        }
        Built::Inconsistent => Err(Refusal::Unavailable(Unavailable::NotReady)),
    }
}

//! Reads what Redis knows about a key: index entry and settings first, then the records in the key's home. Decides what the replies amount to;
//! what the key may do is left to the checks.
//!
//! Failure stance: only a ready index without the key says that a key is unknown (401). Whatever is missing, malformed or older than what was
//! seen before is 503, never an answer about the key.

use std::cmp::Ordering;
use std::rc::Rc;

use contract::records::{IndexEntry, ProxySettings, Ready, Record, Versioned};
use contract::redis_key;
use contract::resp::{Reply, encode_command};

use super::refusal::{Refusal, Unavailable};
use super::state::{Gathering, Lookup, Request};
use super::turn::{Outcome, Pending, Turn, list, mget, values};
use crate::effect::Effect;
use crate::key_state::{Built, KeyState, ReadRecord};
use crate::metric::Metric;

/// Envoy's Redis proxy answers `TIME` itself, by its own clock; from a script Redis answers.
const TIME: &[u8] = b"return redis.call('TIME')";
/// Most records that an index entry names.
const MOST_RECORDS: usize = 8;
/// Commands of the first call.
const INDEX_COMMANDS: usize = 2;

/// Starts reading the index entry and the settings.
pub(crate) fn start(turn: &mut Turn<'_>, request: &mut Request) -> Result<Lookup, Refusal> {
    if !turn.worker.store_answers() {
        return Err(Refusal::Unavailable(Unavailable::Store));
    }
    request.fresh = true;
    let slot = redis_key::index_slot(&request.hash, turn.worker.config().partitions);
    let (ready, settings) = (redis_key::index_ready(slot), redis_key::settings(slot));
    let entry = redis_key::index(slot, &request.hash);
    let mut commands = Vec::new();
    // The proxy splits MGET into single reads. The marker before and after them shows that the index was open all along.
    mget(&mut commands, &[&ready, &entry, &settings, &ready]);
    encode_command(&mut commands, &[b"EVAL", TIME, b"1", ready.as_bytes()]);
    let pending = turn
        .call(request, commands, INDEX_COMMANDS)
        .map_err(Refusal::Unavailable)?;
    Ok(Lookup::Index(pending))
}

/// Takes the outcome of the lookup's call.
pub(crate) fn arrived(
    turn: &mut Turn<'_>,
    gathering: &mut Gathering,
    outcome: Outcome<'_>,
) -> Result<Lookup, Refusal> {
    let request = &mut gathering.request;
    match &gathering.lookup {
        Lookup::Known(state) => Ok(Lookup::Known(Rc::clone(state))),
        Lookup::Index(pending) => {
            let pending = *pending;
            let replies = arrived_replies(turn, request, pending, outcome, INDEX_COMMANDS)?;
            let entry = index(turn, request, pending, replies)?;
            records(turn, request, entry)
        }
        Lookup::Records(pending, entry) => {
            let replies = arrived_replies(turn, request, *pending, outcome, 1)?;
            let state = key_state(turn, request, entry, replies)?;
            turn.worker.remember_key(Rc::clone(&state));
            Ok(Lookup::Known(state))
        }
    }
}

fn arrived_replies<'a>(
    turn: &mut Turn<'_>,
    request: &mut Request,
    pending: Pending,
    outcome: Outcome<'a>,
    commands: usize,
) -> Result<&'a [Reply], Refusal> {
    turn.arrived(request, pending, outcome, commands)
        .map_err(|_| Refusal::Unavailable(Unavailable::Store))
}

/// A reply that is no answer counts as a failure of Redis.
fn garbage(turn: &mut Turn<'_>) -> Refusal {
    turn.store_failed();
    Refusal::Unavailable(Unavailable::Store)
}

fn index(
    turn: &mut Turn<'_>,
    request: &Request,
    pending: Pending,
    replies: &[Reply],
) -> Result<Box<IndexEntry>, Refusal> {
    let [read, time] = replies else {
        return Err(garbage(turn));
    };
    let Some([ready, entry, settings, still_ready]) = values::<4>(read) else {
        return Err(garbage(turn));
    };
    let Some(redis_ms) = time_ms(time) else {
        return Err(garbage(turn));
    };
    turn.worker.store_answered();
    turn.worker.learn_time(pending.sent, turn.now, redis_ms);
    let ready = open(turn, ready)?;
    open(turn, still_ready)?;
    take_settings(turn, &ready, settings)?;
    let Some(entry) = entry else {
        turn.worker.forget_key(&request.hash);
        return Err(Refusal::UnknownKey);
    };
    let Some(entry) = Versioned::<IndexEntry>::decode(entry).map(|entry| entry.value) else {
        return Err(garbage(turn));
    };
    let partitions = turn.worker.config().partitions;
    if entry.home.0 >= partitions || entry.records.is_empty() || entry.records.len() > MOST_RECORDS
    {
        return Err(garbage(turn));
    }
    Ok(Box::new(entry))
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
        return Err(Refusal::Unavailable(Unavailable::NotReady));
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

fn records(
    turn: &mut Turn<'_>,
    request: &mut Request,
    entry: Box<IndexEntry>,
) -> Result<Lookup, Refusal> {
    if entry.until_ms.is_some_and(|until| until <= turn.redis_ms()) {
        turn.worker.forget_key(&request.hash);
        return Err(Refusal::UnknownKey);
    }
    let ready = redis_key::ready(entry.home);
    let names: Vec<String> = entry
        .records
        .iter()
        .map(|id| redis_key::record(entry.home, id))
        .collect();
    let mut all: Vec<&str> = vec![&ready];
    all.extend(names.iter().map(String::as_str));
    let mut commands = Vec::new();
    mget(&mut commands, &all);
    let pending = turn
        .call(request, commands, 1)
        .map_err(Refusal::Unavailable)?;
    Ok(Lookup::Records(pending, entry))
}

fn key_state(
    turn: &mut Turn<'_>,
    request: &Request,
    entry: &IndexEntry,
    replies: &[Reply],
) -> Result<Rc<KeyState>, Refusal> {
    let read = replies.first().and_then(list);
    let Some((ready, stored)) = read.as_deref().and_then(<[_]>::split_first) else {
        return Err(garbage(turn));
    };
    open(turn, *ready)?;
    if stored.len() != entry.records.len() {
        return Err(garbage(turn));
    }
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
    turn.worker.store_answered();
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

/// `TIME`'s seconds and microseconds, in ms.
fn time_ms(reply: &Reply) -> Option<u64> {
    let [Some(seconds), Some(micros)] = values::<2>(reply)? else {
        return None;
    };
    let number = |digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    number(seconds)?
        .checked_mul(1_000)?
        .checked_add(number(micros)? / 1_000)
}

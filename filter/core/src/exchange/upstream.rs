//! Sends an admitted request on: which headers go, which are set, which bytes of the body change. After this the reservation is live until it
//! is settled.
//!
//! The client's credential and every name of our own namespace stay behind; the model that was priced is the model the upstream sees.

use std::rc::Rc;

use contract::script::Remaining;

use super::state::{Admission, Answering, Asked, Request, State};
use super::turn::Turn;
use crate::clock::Now;
use crate::config::OutputCap;
use crate::effect::{Edit, Effect};
use crate::json_scan::{CapField, in_order};
use crate::renewals::Reservation;
use crate::route::Api;

/// How the request was let through.
pub(super) struct Sent {
    /// Redis time of the admission.
    pub admitted_ms: u64,
    /// What remains, scope by scope; empty where Redis did not say.
    pub remaining: Vec<Remaining>,
    /// Before this the settlement must not reach Redis.
    pub settle_from: Now,
}

/// Lets the request go, and takes charge of what it will cost.
pub(super) fn send(turn: &mut Turn<'_>, admission: Admission, asked: Asked, sent: Sent) -> State {
    let Sent {
        admitted_ms,
        remaining,
        settle_from,
    } = sent;
    let hide_usage = hides_usage(&admission);
    let edits = edits(turn, &admission, &asked);
    set_headers(
        turn,
        &admission.request,
        &asked,
        admitted_ms,
        &edits,
        admission.facts.body_bytes,
    );
    if !edits.is_empty() {
        turn.effects.push(Effect::EditRequestBody(edits));
    }
    turn.effects.push(Effect::Resume);
    let Asked {
        question,
        id,
        spend,
        body,
        ..
    } = asked;
    let Admission { api, key, .. } = admission;
    let scopes = question.bound.scopes;
    let reservation = Reservation {
        scopes: Rc::clone(&scopes),
        admitted_ms,
        tokens: question.need.tokens,
        cost: question.need.cost,
        body: body.into_boxed_slice(),
    };
    turn.worker.begin(id, reservation, turn.now);
    State::Answering(Box::new(Answering {
        id,
        home: key.home,
        api,
        key,
        scopes,
        model: question.model,
        need: question.need,
        spend,
        remaining,
        since: turn.now,
        settle_from,
        first_byte: None,
        hide_usage,
        meter: None,
    }))
}

/// The client did not ask for the chunk with usage that we need.
fn hides_usage(admission: &Admission) -> bool {
    matches!(admission.api, Api::ChatCompletions | Api::Completions)
        && admission.facts.stream
        && !admission.facts.asks_for_usage()
}

fn edits(turn: &Turn<'_>, admission: &Admission, asked: &Asked) -> Vec<Edit> {
    let facts = &admission.facts;
    let model = &asked.question.model;
    let need = &asked.question.need;
    let mut edits: Vec<Edit> = facts.leave_out_ours().collect();
    edits.extend(facts.rename_model(&model.upstream));
    if hides_usage(admission) {
        edits.extend(facts.ask_for_usage());
    }
    if need.capless && turn.worker.config().output_cap == OutputCap::Clamp {
        let field = CapField::of(admission.api, &model.provider);
        edits.extend(field.map(|field| facts.state_cap(field, need.cap_each())));
    }
    in_order(edits)
}

fn set_headers(
    turn: &mut Turn<'_>,
    request: &Request,
    asked: &Asked,
    admitted_ms: u64,
    edits: &[Edit],
    body_bytes: usize,
) {
    // First what the client sent goes, whatever its name; then ours is set.
    turn.effects.extend(
        request
            .headers
            .remove
            .iter()
            .cloned()
            .map(Effect::RemoveRequestHeader),
    );
    let mut set = |name, value: Vec<u8>| {
        turn.effects.push(Effect::RequestHeader {
            name,
            value: Some(value),
        });
    };
    if let Some(path) = &request.headers.path {
        set(":path", path.clone());
    }
    set("accept-encoding", b"identity".to_vec());
    if request.headers.has_length && !edits.is_empty() {
        set(
            "content-length",
            length(body_bytes, edits).to_string().into_bytes(),
        );
    }
    set(
        "x-tollkeeper-provider",
        asked.question.model.provider.clone().into_bytes(),
    );
    set(
        "x-tollkeeper-model",
        asked.question.model.name.clone().into_bytes(),
    );
    if turn.worker.config().admission_header {
        turn.effects.push(Effect::RequestHeader {
            name: "x-tollkeeper-admitted-ms",
            value: Some(admitted_ms.to_string().into_bytes()),
        });
    }
}

/// The body's length after the edits.
fn length(body_bytes: usize, edits: &[Edit]) -> usize {
    edits.iter().fold(body_bytes, |length, edit| {
        let gone = edit.end.saturating_sub(edit.start);
        length.saturating_sub(gone).saturating_add(edit.with.len())
    })
}

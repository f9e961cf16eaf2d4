//! The upstream's answer passes. Decides which headers the client sees, and meters the body; nothing that a client could use is held back. What it cost is settled as
//! soon as it is known: at the last piece, or where the exchange ends.

use super::limit_headers::{self, header};
use super::settle;
use super::state::{Answering, State};
use super::turn::Turn;
use crate::effect::Effect;
use crate::event::Headers;
use crate::usage::{Meter, MeterMode, Passed};

/// The answer's headers came.
pub(crate) fn on_headers(
    turn: &mut Turn<'_>,
    mut answering: Box<Answering>,
    headers: &Headers,
    end: bool,
) -> State {
    let value = |wanted: &[u8]| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_slice())
    };
    answering.spend.status = value(b":status").and_then(number).unwrap_or(0);
    let stream = value(b"content-type").is_some_and(is_event_stream);
    if answering.spend.status < 400 {
        let mode = MeterMode {
            stream,
            hide_usage: answering.hide_usage && stream,
        };
        answering.meter = Some(Meter::new(answering.api, mode));
        if mode.hide_usage && value(b"content-length").is_some() {
            turn.effects.push(Effect::ResponseHeader {
                name: "content-length".to_owned(),
                value: None,
            });
        }
    }
    client_headers(turn, &answering, headers);
    if end {
        finished(turn, *answering, true)
    } else {
        State::Answering(answering)
    }
}

fn is_event_stream(content_type: &[u8]) -> bool {
    let kind = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

fn number(status: &[u8]) -> Option<u16> {
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// The upstream may not speak in our name; its own limits are told as LiteLLM tells them, and ours take their place.
fn client_headers(turn: &mut Turn<'_>, answering: &Answering, headers: &Headers) {
    for (name, value) in headers {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        if name.starts_with("x-tollkeeper-") || name.starts_with("x-litellm-") {
            turn.effects.push(Effect::ResponseHeader {
                name: name.to_owned(),
                value: None,
            });
        } else if name.starts_with("x-ratelimit-") {
            turn.effects.push(Effect::ResponseHeader {
                name: name.to_owned(),
                value: None,
            });
            turn.effects
                .push(header(&format!("llm_provider-{name}"), value.clone()));
        }
    }
    limit_headers::set(&answering.scopes, &answering.remaining, &mut turn.effects);
    turn.effects
        .push(header("x-litellm-call-id", answering.id.to_string()));
    turn.effects.push(header(
        "x-litellm-model-group",
        visible(&answering.spend.model_group),
    ));
    let limits = &answering.key.key.limits;
    let own = [
        (
            "x-litellm-key-rpm-limit",
            limits.rpm.map(|rpm| rpm.to_string()),
        ),
        (
            "x-litellm-key-tpm-limit",
            limits.tpm.map(|tpm| tpm.to_string()),
        ),
        (
            "x-litellm-key-max-budget",
            limits
                .max_budget(turn.redis_ms())
                .map(|max| max.to_string()),
        ),
    ];
    turn.effects.extend(
        own.into_iter()
            .filter_map(|(name, value)| Some(header(name, value?))),
    );
}

/// A header's value holds visible ASCII only; the client chose this one.
fn visible(text: &str) -> Vec<u8> {
    text.bytes()
        .map(|byte| if byte.is_ascii_graphic() { byte } else { b'?' })
        .collect()
}

/// A piece of the answer came.
pub(crate) fn on_body(
    turn: &mut Turn<'_>,
    mut answering: Box<Answering>,
    chunk: &[u8],
    end: bool,
) -> State {
    if answering.first_byte.is_none() && !chunk.is_empty() {
        answering.first_byte = Some(turn.now);
    }
    if let Some(meter) = &mut answering.meter
        && let Passed::Replace(piece) = meter.push(chunk, end)
    {
        turn.effects.push(Effect::ReplaceResponseChunk(piece));
    }
    if end {
        finished(turn, *answering, true)
    } else {
        State::Answering(answering)
    }
}

/// The answer ended after its last piece. What the meter still holds cannot be passed on; it is only ever what no client can use.
pub(crate) fn on_trailers(turn: &mut Turn<'_>, mut answering: Answering) -> State {
    if let Some(meter) = &mut answering.meter {
        let _unusable = meter.push(&[], true);
    }
    finished(turn, answering, true)
}

/// The exchange is over before its answer was, or with it.
pub(crate) fn finished(turn: &mut Turn<'_>, answering: Answering, whole: bool) -> State {
    settle::settle(turn, answering, whole);
    State::Over
}

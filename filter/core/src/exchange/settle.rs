//! Turns an answer into one settlement: exact where the provider counted, else by what was delivered. Decides what is charged; who pays follows
//! from the reservation.
//!
//! A provider that failed and delivered nothing costs nothing. A client that left pays for its input and for what it was sent.

use contract::money::NanoUsd;
use contract::script::{MAX_TOKENS, Remaining};
use contract::usage::{Metered, Usage};

use super::need::price;
use super::state::Answering;
use super::turn::Turn;
use crate::effect::Effect;
use crate::estimate::delivered_tokens;
use crate::metric::Metric;
use crate::outbox::Finished;
use crate::scopes::Scopes;
use crate::usage::Outcome;

/// What is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Charge {
    usage: Usage,
    cost: NanoUsd,
    exact: bool,
}

/// Settles the exchange. The reservation ends here, once: whoever took it from the live ones settles it.
pub(crate) fn settle(turn: &mut Turn<'_>, answering: Answering, whole: bool) {
    let Some(reservation) = turn.worker.end(answering.home, &answering.id, turn.now) else {
        return;
    };
    let outcome = answering
        .meter
        .as_ref()
        .map(crate::usage::Meter::finish)
        .unwrap_or_default();
    let charge = charge(&answering, &outcome, whole);
    let metric = if charge.exact {
        Metric::SettledExact
    } else {
        Metric::SettledEstimated
    };
    turn.effects.push(Effect::Measure(metric, 1));
    let mut spend = answering.spend;
    spend.usage = charge.usage;
    spend.exact = charge.exact;
    spend.first_byte_ms = answering.first_byte.map(|at| at.since(answering.since));
    spend.duration_ms = turn.now.since(answering.since);
    spend.response_id = outcome.response_id.map(|id| id.chars().take(256).collect());
    // A body of plain strings and numbers always serialises; should it not, what was reserved is still a body.
    let body = serde_json::to_vec(&spend).map_or(reservation.body, Vec::into_boxed_slice);
    let awaited = is_awaited(&answering.scopes, &answering.remaining);
    let finished = Finished {
        id: answering.id,
        admitted_ms: reservation.admitted_ms,
        tokens: charge.usage.total_tokens().min(MAX_TOKENS),
        cost: charge.cost,
        scopes: reservation.scopes,
        body,
        awaited,
    };
    turn.worker
        .settle(finished, answering.settle_from, turn.now);
}

/// Whether somebody may be waiting for the slot: less than a quarter of some scope's slots was left, or nobody knows.
fn is_awaited(scopes: &Scopes, remaining: &[Remaining]) -> bool {
    let few = |limit: u64, remaining: u64| remaining.saturating_mul(4) < limit.saturating_add(4);
    scopes.iter().enumerate().any(|(index, scope)| {
        let left = remaining.get(index).and_then(|left| left.parallel);
        scope
            .limits
            .parallel
            .is_some_and(|limit| left.is_none_or(|left| few(limit.into(), left)))
    })
}

fn charge(answering: &Answering, outcome: &Outcome, whole: bool) -> Charge {
    if let Some(Metered::Exact(usage)) = &outcome.metered
        && let Some(cost) = cost(answering, usage, outcome.service_tier.as_deref())
    {
        return Charge {
            usage: *usage,
            cost,
            exact: true,
        };
    }
    let refused = answering.spend.status >= 400;
    let failed = outcome.failed && outcome.delivered_bytes == 0;
    if refused || failed {
        return Charge {
            usage: Usage::default(),
            cost: NanoUsd::ZERO,
            exact: false,
        };
    }
    let usage = estimated(answering, outcome, whole);
    let cost = cost(answering, &usage, outcome.service_tier.as_deref());
    Charge {
        usage,
        cost: cost.unwrap_or(answering.need.cost),
        exact: false,
    }
}

/// Input as estimated, output as delivered; at least what an intermediate count said.
fn estimated(answering: &Answering, outcome: &Outcome, whole: bool) -> Usage {
    let need = &answering.need;
    let seen = match &outcome.metered {
        Some(Metered::AtLeast(usage)) if usage.total_tokens() <= MAX_TOKENS => *usage,
        _ => Usage::default(),
    };
    // A whole document in which no text was recognised was still delivered.
    let unread = whole && outcome.delivered_bytes == 0;
    let bytes = if unread {
        outcome.body_bytes
    } else {
        outcome.delivered_bytes
    };
    let most = if need.capless {
        MAX_TOKENS
    } else {
        need.output
    };
    let output = delivered_tokens(bytes)
        .min(most)
        .max(seen.completion_tokens());
    Usage {
        input: need.input.max(seen.prompt_tokens()),
        output,
        ..Usage::default()
    }
}

/// `None` for a count so large that it cannot be true.
fn cost(answering: &Answering, usage: &Usage, tier: Option<&str>) -> Option<NanoUsd> {
    if usage.total_tokens() > MAX_TOKENS {
        return None;
    }
    match price(&answering.model) {
        Some(price) => price.cost(usage, tier),
        None => Some(NanoUsd::ZERO),
    }
}

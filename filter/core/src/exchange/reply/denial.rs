//! The reply to a request that a limit refused: LiteLLM's wording and headers, with scope, limit, used and reset.

use contract::limits::LimitKind;
use contract::money::NanoUsd;

use super::super::limit_headers;
use super::super::limit_text::{limit_type, utc};
use super::super::refusal::Denied;
use super::Shape;
use crate::metric::Metric;

/// The reply's parts.
pub(super) fn shape(denied: &Denied) -> Shape {
    let reset_ms = denied
        .denial
        .retry_after_ms
        .map(|wait| denied.now_ms.saturating_add(wait));
    let shape = match denied.denial.kind {
        LimitKind::Budget => over_budget(denied),
        kind @ (LimitKind::Rpm | LimitKind::Tpm | LimitKind::Parallel) => {
            over_rate(denied, kind, reset_ms)
        }
    };
    let shape = match (denied.denial.retry_after_ms, reset_ms) {
        (Some(wait), Some(reset)) => shape
            .header("retry-after", wait.div_ceil(1_000).max(1).to_string())
            .header("reset_at", utc(reset)),
        // A slot comes back when any request ends.
        _ if denied.denial.kind == LimitKind::Parallel && denied.denial.limit > 0 => {
            shape.header("retry-after", "1")
        }
        // No time helps; OpenAI's clients repeat a 429 unless told.
        _ => shape.header("x-should-retry", "false"),
    };
    shape.header("x-tollkeeper-scope", denied.scope.descriptor)
}

fn over_rate(denied: &Denied, kind: LimitKind, reset_ms: Option<u64>) -> Shape {
    let denial = &denied.denial;
    let (limit, used) = (denial.limit, denial.used);
    let remaining = limit.saturating_sub(used);
    let (metric, reason) = match kind {
        LimitKind::Rpm => (Metric::DeniedRpm, "rpm"),
        LimitKind::Tpm => (Metric::DeniedTpm, "tpm"),
        LimitKind::Parallel | LimitKind::Budget => (Metric::DeniedParallel, "parallel"),
    };
    let mut message = format!(
        "Rate limit exceeded for {}: {}. Limit type: {}. Current limit: {limit}, Remaining: {remaining}. ",
        denied.scope.descriptor,
        denied.scope.subject,
        limit_type(kind),
    );
    if let Some(reset) = reset_ms {
        message.push_str("Limit resets at: ");
        message.push_str(&utc(reset));
        message.push_str(". ");
    } else if kind == LimitKind::Tpm {
        message.push_str("The request alone needs more than the limit. ");
    }
    message.push_str("Used: ");
    message.push_str(&used.to_string());
    if kind == LimitKind::Tpm {
        message.push_str(", needed: ");
        message.push_str(&denied.needed.to_string());
    }
    let shape = Shape::new(429, "throttling_error", reason, metric, message)
        .header("rate_limit_type", limit_type(kind));
    let Some([limit_name, remaining_name, plain_limit, plain_remaining]) =
        limit_headers::names(denied.scope.descriptor, kind)
    else {
        return shape;
    };
    let shape = shape
        .header(limit_name, limit.to_string())
        .header(remaining_name, remaining.to_string());
    if plain_limit.is_empty() {
        return shape;
    }
    shape
        .header(plain_limit, limit.to_string())
        .header(plain_remaining, remaining.to_string())
}

fn over_budget(denied: &Denied) -> Shape {
    let denial = &denied.denial;
    let (max, used) = (
        NanoUsd::saturating(denial.limit),
        NanoUsd::saturating(denial.used),
    );
    let needed = NanoUsd::saturating(denied.needed);
    let [spend, most] = denied.scope.money;
    let mut message = format!("{} {spend}{used}, {most}{max}", denied.scope.over_budget);
    message.push_str(". Estimated request cost: ");
    message.push_str(&needed.to_string());
    if let Some(wait) = denial.retry_after_ms {
        message.push_str(". Budget resets at: ");
        message.push_str(&utc(denied.now_ms.saturating_add(wait)));
    }
    Shape::new(
        denied.budget_status,
        "budget_exceeded",
        "budget",
        Metric::DeniedBudget,
        message,
    )
}

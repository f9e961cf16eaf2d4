//! The fields of a budget row: what a request puts where.

use crate::domain::budget_window::{BudgetDuration, as_sent, exact};
use crate::domain::temporary_budget::parse_expiry;
use crate::error::{ApiError, Refusal, RequestRefusal};
use crate::request::{Body, Patch};
use crate::store::budgets::BudgetRow;
use crate::store::row::LimitColumns;

/// From when a window counts that a request gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routes) enum Counting {
    /// By the calendar.
    Calendar,
    /// From this very moment, as customers' budgets do.
    Now,
}

/// Puts the limits that `body` names into `row`; what it does not name stays.
pub(in crate::routes) fn apply(
    row: &mut BudgetRow,
    body: &mut Body,
    now_us: u64,
    counting: Counting,
) -> Result<(), ApiError> {
    limits(row, body, now_us, counting).map_err(plainly)
}

fn limits(
    row: &mut BudgetRow,
    body: &mut Body,
    now_us: u64,
    counting: Counting,
) -> Result<(), ApiError> {
    body.money("max_budget")?.apply(&mut row.limits.max_budget);
    body.money("soft_budget")?.apply(&mut row.soft_budget);
    body.whole("max_parallel_requests")
        .apply(&mut row.limits.max_parallel_requests);
    body.whole("tpm_limit").apply(&mut row.limits.tpm_limit);
    body.whole("rpm_limit").apply(&mut row.limits.rpm_limit);
    match body.take("tpd_limit") {
        Patch::Absent => {}
        Patch::Null => row.tpd_limit = None,
        Patch::Set(value) => row.tpd_limit = value.as_i64(),
    }
    body.object("model_max_budget")
        .apply(&mut row.model_max_budget);
    body.texts("allowed_models")
        .apply_or(&mut row.allowed_models, Vec::new());
    let reset_at = body.text("budget_reset_at");
    window(
        &mut row.limits,
        body.text("budget_duration"),
        now_us,
        counting,
    )?;
    if let Patch::Set(text) = reset_at
        && let Some(at_us) = parse_expiry(&text)
        && let Some(duration) = &row.limits.budget_duration
    {
        row.limits.budget_duration = Some(exact(as_sent(duration)));
        row.limits.budget_anchor = Some(at_us);
    }
    Ok(())
}

/// A window begins to count when it is given; the same one sent again goes on.
fn window(
    limits: &mut LimitColumns,
    duration: Patch<String>,
    now_us: u64,
    counting: Counting,
) -> Result<(), ApiError> {
    match duration {
        Patch::Absent => {}
        Patch::Null => {
            limits.budget_duration = None;
            limits.budget_anchor = None;
        }
        Patch::Set(text) => {
            if BudgetDuration::parse(&text).is_none() {
                return Err(RequestRefusal::BadBudgetDuration(text).into());
            }
            if limits.budget_duration.as_deref().map(as_sent) != Some(text.as_str()) {
                limits.budget_anchor = Some(now_us);
                limits.budget_duration = Some(match counting {
                    Counting::Calendar => text,
                    Counting::Now => exact(&text),
                });
            }
        }
    }
    Ok(())
}

/// LiteLLM's handlers of budget rows raise what others wrap.
fn plainly(error: ApiError) -> ApiError {
    match error {
        ApiError::Refused(Refusal::Request(
            refusal @ (RequestRefusal::NegativeBudget { .. }
            | RequestRefusal::BudgetTooLarge(_)
            | RequestRefusal::BadBudgetDuration(_)),
        )) => RequestRefusal::InDetail(Box::new(refusal)).into(),
        other => other,
    }
}

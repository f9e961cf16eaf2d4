//! What Redis is given: a fixed step while the clocks do not change, else boundaries ahead of time; and when it must be given anew.

use contract::window::BudgetWindow;

use super::local::{next_change, signed};
use super::{BudgetDuration, WindowRules, steps};

/// How many boundaries to come a record of dates carries when it is made.
const DATES_AHEAD: usize = 16;
/// The same for steps around a change of clocks.
const STEPS_AHEAD: usize = 48;
/// How many must be left: below that the record is made anew.
const LEAST_AHEAD: usize = 9;
/// How many steps before a change of clocks a fixed step is replaced by boundaries.
const STEPS_BEFORE: u64 = 24;
/// How far ahead changes of clocks are looked for; then again.
const YEAR_MS: u64 = 366 * 86_400_000;

/// The window, and when it must be made anew, microseconds since the epoch.
pub(super) fn window(
    duration: BudgetDuration,
    anchor_us: u64,
    now_us: u64,
    rules: &WindowRules,
) -> (BudgetWindow, Option<u64>) {
    let now = now_us / 1_000;
    if let BudgetDuration::Exact { every_ms } = duration {
        let window = BudgetWindow::Fixed {
            anchor_ms: anchor_us / 1_000,
            every_ms,
        };
        return (window, None);
    }
    if let BudgetDuration::Step { every_ms } = duration
        && let Some(fixed) = fixed(duration, every_ms, anchor_us, now, rules)
    {
        return fixed;
    }
    let ahead = match duration {
        BudgetDuration::Step { .. } => STEPS_AHEAD,
        _ => DATES_AHEAD,
    };
    let mut boundaries = Vec::with_capacity(ahead + 1);
    boundaries.extend(duration.start_ms(anchor_us, now, rules));
    let mut from = now;
    for _ in 0..ahead {
        let Some(next) = duration.next_ms(anchor_us, from, rules) else {
            break;
        };
        boundaries.push(next);
        from = next;
    }
    let refresh = boundaries.len().checked_sub(LEAST_AHEAD);
    let refresh = refresh
        .and_then(|at| boundaries.get(at))
        .map(|ms| ms * 1_000);
    (BudgetWindow::Calendar(boundaries), refresh)
}

/// The step by itself, if it stays on the wall clock for long enough.
fn fixed(
    duration: BudgetDuration,
    every_ms: u64,
    anchor_us: u64,
    now_ms: u64,
    rules: &WindowRules,
) -> Option<(BudgetWindow, Option<u64>)> {
    let began = duration.start_ms(anchor_us, now_ms, rules)?;
    // The window in course and the next one must be like all others: they are not where clocks or rules change.
    let end = began.checked_add(every_ms)?;
    let after = end.checked_add(every_ms)?;
    if duration.next_ms(anchor_us, now_ms, rules)? != end
        || duration.next_ms(anchor_us, end, rules)? != after
    {
        return None;
    }
    let window = BudgetWindow::Fixed {
        anchor_ms: began,
        every_ms,
    };
    let margin = every_ms.saturating_mul(STEPS_BEFORE);
    if rules.timezone == chrono_tz::Tz::UTC {
        return Some((window, None));
    }
    if margin > YEAR_MS {
        return None;
    }
    let moves = |moved: i64| !steps::is_even(every_ms) || moved % signed(every_ms) != 0;
    let until = now_ms.saturating_add(margin).saturating_add(YEAR_MS);
    let refresh = match next_change(rules.timezone, now_ms, until, moves) {
        Some(change) => change.saturating_sub(margin),
        // Clocks that have not changed for a year may yet: zones with rules of their own are looked at again.
        None => now_ms.saturating_add(YEAR_MS),
    };
    (refresh > now_ms).then_some((window, Some(refresh * 1_000)))
}

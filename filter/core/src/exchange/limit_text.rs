//! Words for scopes, limits and times in the messages and headers that clients see: LiteLLM's names.

use contract::limits::LimitKind;

use crate::key_state::{KeyState, Scope, ScopeKind};

/// A scope as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeText {
    /// LiteLLM's descriptor, such as `api_key`.
    pub descriptor: &'static str,
    /// What it describes: a hash or an id.
    pub subject: String,
    /// How a budget's message begins.
    pub over_budget: String,
    /// Whether a budget's message says `Spend` and `Budget`, as for users.
    pub as_user: bool,
}

impl ScopeText {
    pub(crate) fn of(state: &KeyState, scope: &Scope) -> Self {
        let user = || state.key.user.as_ref().map_or("", |id| id.as_str());
        let team = || state.key.team.as_ref().map_or("", |id| id.as_str());
        let exceeded = "Budget has been exceeded!";
        let (subject, over_budget) = match scope.kind {
            ScopeKind::Key => {
                let alias = state.key.alias.as_deref().unwrap_or("key");
                let text = format!("{exceeded} Key={alias} ({})", state.key.display);
                (state.hash.to_string(), text)
            }
            ScopeKind::User => (
                user().to_owned(),
                format!("ExceededBudget: User={} over budget.", user()),
            ),
            ScopeKind::Team => (team().to_owned(), format!("{exceeded} Team={}", team())),
            ScopeKind::Member => {
                let text = format!("{exceeded} User={} in Team={}", user(), team());
                (format!("{}:{}", team(), user()), text)
            }
        };
        let as_user = scope.kind == ScopeKind::User;
        Self {
            descriptor: descriptor(scope.kind),
            subject,
            over_budget,
            as_user,
        }
    }
}

/// LiteLLM's name of a kind of scope.
pub(crate) const fn descriptor(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Key => "api_key",
        ScopeKind::User => "user",
        ScopeKind::Team => "team",
        ScopeKind::Member => "team_member",
    }
}

/// LiteLLM's name of a kind of limit; budgets are told apart earlier.
pub(crate) const fn limit_type(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Rpm => "requests",
        LimitKind::Tpm => "tokens",
        LimitKind::Parallel => "max_parallel_requests",
        LimitKind::Budget => "budget",
    }
}

/// `2026-11-23 07:13:47 UTC`.
pub(crate) fn utc(ms: u64) -> String {
    let [year, month, day, hour, minute, second] = civil(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `2026-11-23 07:13:47.104000+00:00`, as Python prints a time.
pub(crate) fn python_time(ms: u64) -> String {
    let [year, month, day, hour, minute, second] = civil(ms);
    let milli = ms.checked_rem(1_000).unwrap_or(0);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}000+00:00")
}

/// Year, month, day, hour, minute and second of a time in ms since 1970; times after 9999 print as its last second.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the clamp keeps every number below 2^40, and no divisor is zero"
)]
fn civil(ms: u64) -> [u64; 6] {
    let seconds = (ms / 1_000).min(253_402_300_799);
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Counted from 1 March of year 0, in cycles of 400 years, so that the leap day is the last of its year.
    let from_march = days + 719_468;
    let (era, in_era) = (from_march / 146_097, from_march % 146_097);
    let year_in_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_in_era + u64::from(month <= 2);
    [year, month, day, time / 3_600, time / 60 % 60, time % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_by_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_000, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_164_800_000, "2024-02-29 00:00:00 UTC"),
            (1_795_418_027_104, "2026-11-23 07:13:47 UTC"),
            (1_798_761_599_999, "2026-12-31 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (u64::MAX, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(ms), text);
        }
        assert_eq!(
            python_time(1_795_418_027_104),
            "2026-11-23 07:13:47.104000+00:00"
        );
    }
}

//! Words for scopes, limits and times in the messages and headers that clients see: LiteLLM's names.

use contract::limits::LimitKind;

use crate::key_state::KeyState;
use crate::scopes::{Part, Scope, ScopeKind};

/// A scope as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeText {
    /// LiteLLM's descriptor, such as `api_key`.
    pub descriptor: &'static str,
    /// What it describes: a hash or an id.
    pub subject: String,
    /// How a budget's message begins.
    pub over_budget: String,
    /// What stands before the money spent and the most that may be.
    pub money: [&'static str; 2],
}

impl ScopeText {
    pub(crate) fn of(state: &KeyState, scope: &Scope) -> Self {
        let user = || state.key.user.as_ref().map_or("", |id| id.as_str());
        let team = || state.key.team.as_ref().map_or("", |id| id.as_str());
        let organization = || {
            let id = state.key.organization.as_ref();
            id.map_or("", |id| id.as_str())
        };
        let subject = match scope.kind {
            ScopeKind::Key => state.hash.to_string(),
            ScopeKind::User => user().to_owned(),
            ScopeKind::Team => team().to_owned(),
            ScopeKind::Member => format!("{}:{}", team(), user()),
            ScopeKind::Organization => organization().to_owned(),
            ScopeKind::OrganizationMember => format!("{}:{}", organization(), user()),
            ScopeKind::EndUser | ScopeKind::Tag | ScopeKind::Model => scope.subject.clone(),
            ScopeKind::Proxy => "proxy".to_owned(),
        };
        let (over_budget, money) = over_budget(state, scope, &subject);
        Self {
            descriptor: descriptor(scope),
            subject: match &scope.part {
                Part::Model(model) => format!("{subject}:{model}"),
                Part::Whole | Part::Window(_) => subject,
            },
            over_budget,
            money,
        }
    }
}

/// How LiteLLM says that a budget is used up, and what it calls the two amounts then.
fn over_budget(state: &KeyState, scope: &Scope, subject: &str) -> (String, [&'static str; 2]) {
    const COST: [&str; 2] = ["Current cost: ", "Max budget: "];
    const SPEND: [&str; 2] = ["Spend=", "Budget="];
    const WINDOW: [&str; 2] = ["Spend=$", "Limit=$"];
    let name = name(scope.kind);
    match &scope.part {
        Part::Whole => {}
        Part::Window(duration) => {
            return (
                format!("ExceededBudget: {name} over {duration} budget."),
                WINDOW,
            );
        }
        Part::Model(model) => {
            let whose = match scope.kind {
                ScopeKind::Key => {
                    let alias = state.key.alias.as_deref().unwrap_or("None");
                    format!("LiteLLM Virtual Key: {subject}, key_alias: {alias}")
                }
                _ => format!("{name}: {subject}"),
            };
            return (format!("{whose}, exceeded budget for model={model}."), COST);
        }
    }
    let exceeded = "Budget has been exceeded!";
    match scope.kind {
        ScopeKind::Key => {
            let alias = state.key.alias.as_deref().unwrap_or("key");
            let text = format!("{exceeded} Key={alias} ({})", state.key.display);
            (text, COST)
        }
        ScopeKind::Member => {
            let (team, user) = subject.split_once(':').unwrap_or((subject, ""));
            let user = state.key.user.as_ref().map_or(user, |id| id.as_str());
            let team = state.key.team.as_ref().map_or(team, |id| id.as_str());
            (format!("{exceeded} User={user} in Team={team}"), COST)
        }
        ScopeKind::OrganizationMember => {
            let user = state.key.user.as_ref().map_or("", |id| id.as_str());
            let organization = state.key.organization.as_ref();
            let organization = organization.map_or("", |id| id.as_str());
            let text = format!("{exceeded} User={user} in Organization={organization}");
            (text, COST)
        }
        ScopeKind::User | ScopeKind::EndUser => (
            format!("ExceededBudget: {name}={subject} over budget."),
            SPEND,
        ),
        ScopeKind::Proxy => ("ExceededBudget: proxy over budget.".to_owned(), SPEND),
        ScopeKind::Team | ScopeKind::Organization | ScopeKind::Tag | ScopeKind::Model => {
            (format!("{exceeded} {name}={subject}"), COST)
        }
    }
}

const fn name(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Key => "Key",
        ScopeKind::User => "User",
        ScopeKind::Team => "Team",
        ScopeKind::Member => "TeamMember",
        ScopeKind::Organization => "Organization",
        ScopeKind::OrganizationMember => "OrganizationMember",
        ScopeKind::EndUser => "End User",
        ScopeKind::Tag => "Tag",
        ScopeKind::Model => "Model",
        ScopeKind::Proxy => "Proxy",
    }
}

/// LiteLLM's name of a scope; limits for one model have names of their own.
pub(crate) const fn descriptor(scope: &Scope) -> &'static str {
    let of_model = matches!(scope.part, Part::Model(_));
    match scope.kind {
        ScopeKind::Key if of_model => "model_per_key",
        ScopeKind::User if of_model => "model_per_user",
        ScopeKind::Team if of_model => "model_per_team",
        ScopeKind::Member if of_model => "model_per_team_member",
        ScopeKind::Organization if of_model => "model_per_organization",
        ScopeKind::OrganizationMember if of_model => "model_per_organization_member",
        ScopeKind::EndUser if of_model => "model_per_end_user",
        ScopeKind::Tag if of_model => "model_per_tag",
        ScopeKind::Key => "api_key",
        ScopeKind::User => "user",
        ScopeKind::Team => "team",
        ScopeKind::Member => "team_member",
        ScopeKind::Organization => "organization",
        ScopeKind::OrganizationMember => "organization_member",
        ScopeKind::EndUser => "end_user",
        ScopeKind::Tag => "tag",
        ScopeKind::Model => "model",
        ScopeKind::Proxy => "proxy",
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

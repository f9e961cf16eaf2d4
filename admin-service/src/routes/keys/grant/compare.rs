//! Whether one list, limit or window is within another: the comparisons by which nobody gives more than they have.

use crate::domain::budget_window::duration_us;
use crate::error::{ApiError, GrantRefusal};
use crate::store::row::LimitColumns;

/// Only what differs from what was: the rest was given by somebody else.
pub(in crate::routes) fn changed(
    mut asked: LimitColumns,
    was: Option<LimitColumns>,
) -> LimitColumns {
    let Some(was) = was else { return asked };
    if asked.max_parallel_requests == was.max_parallel_requests {
        asked.max_parallel_requests = None;
    }
    if asked.tpm_limit == was.tpm_limit {
        asked.tpm_limit = None;
    }
    if asked.rpm_limit == was.rpm_limit {
        asked.rpm_limit = None;
    }
    if asked.max_budget == was.max_budget && asked.budget_duration == was.budget_duration {
        asked.max_budget = None;
    }
    asked
}

/// The same amount in a shorter window is more.
pub(in crate::routes) fn window_within(
    asked: &LimitColumns,
    own: &LimitColumns,
) -> Result<(), ApiError> {
    if asked.max_budget.is_none()
        || own.max_budget.is_none()
        || asked.budget_duration == own.budget_duration
    {
        return Ok(());
    }
    let length = |limits: &LimitColumns, unread| match &limits.budget_duration {
        Some(text) => duration_us(text).unwrap_or(unread),
        None => u64::MAX,
    };
    if length(asked, 0) >= length(own, u64::MAX) {
        return Ok(());
    }
    let named = |limits: &LimitColumns| {
        let duration = limits.budget_duration.clone();
        duration.unwrap_or_else(|| "None".to_owned())
    };
    Err(GrantRefusal::MoreThanOwn {
        field: "budget_duration",
        asked: named(asked),
        own: named(own),
    }
    .into())
}

pub(super) fn routes_within(asked: &[String], own: &[String]) -> Result<(), ApiError> {
    let covered = |asked: &&String| {
        own.iter().any(|own| {
            let prefix = own.strip_suffix('*');
            own == *asked || prefix.is_some_and(|prefix| asked.starts_with(prefix))
        })
    };
    match asked.iter().find(|asked| !covered(asked)) {
        Some(more) if !own.is_empty() => Err(GrantRefusal::MoreThanOwn {
            field: "allowed_routes",
            asked: more.clone(),
            own: own.join(", "),
        }
        .into()),
        _ => Ok(()),
    }
}

/// `in_team`: whether what is asked for may say "the models of its team".
pub(in crate::routes) fn models_within(
    asked: &[String],
    own: &[String],
    in_team: bool,
) -> Result<(), ApiError> {
    let all = |own: &String| matches!(own.as_str(), "*" | "all-proxy-models");
    if own.is_empty() || own.iter().any(all) {
        return Ok(());
    }
    let covered = |asked: &String| {
        (in_team && asked == "all-team-models")
            || own
                .iter()
                .any(|own| own == asked || matches_pattern(own, asked))
    };
    match asked.iter().find(|asked| !covered(asked)) {
        None => Ok(()),
        Some(more) => {
            let (asked, own) = (more.clone(), own.join(", "));
            Err(GrantRefusal::MoreThanOwn {
                field: "models",
                asked,
                own,
            }
            .into())
        }
    }
}

/// `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

pub(in crate::routes) fn limits_within(
    asked: &LimitColumns,
    own: &LimitColumns,
) -> Result<(), ApiError> {
    let more = |field: &'static str, asked: String, own: String| {
        Err(GrantRefusal::MoreThanOwn { field, asked, own }.into())
    };
    if let (Some(asked), Some(own)) = (asked.max_budget, own.max_budget)
        && asked > own
    {
        return more("max_budget", asked.to_string(), own.to_string());
    }
    for (field, asked, own) in [
        (
            "max_parallel_requests",
            asked.max_parallel_requests,
            own.max_parallel_requests,
        ),
        ("tpm_limit", asked.tpm_limit, own.tpm_limit),
        ("rpm_limit", asked.rpm_limit, own.rpm_limit),
    ] {
        if let (Some(asked), Some(own)) = (asked, own)
            && asked > own
        {
            return more(field, asked.to_string(), own.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn models_must_be_covered_by_the_owners() {
        let within =
            |asked: &[&str], own: &[&str]| models_within(&texts(asked), &texts(own), false).is_ok();
        assert!(within(&["gpt-4o"], &[]));
        assert!(within(&[], &["gpt-4o"]));
        assert!(within(&["gpt-4o"], &["gpt-4o", "x"]));
        assert!(within(&["openai/gpt-4o"], &["openai/*"]));
        assert!(within(&["anything"], &["*"]));
        assert!(!within(&["gpt-4"], &["gpt-4o"]));
        assert!(!within(&["openai/*"], &["openai/gpt-4o"]));
        assert!(!within(&["gpt-4"], &["no-default-models"]));
        assert!(!within(&["all-team-models"], &["gpt-4o"]));
        assert!(models_within(&texts(&["all-team-models"]), &texts(&["gpt-4o"]), true).is_ok());
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches_pattern("a*c*e", "abcde"));
        assert!(matches_pattern("*", ""));
        assert!(!matches_pattern("a*c", "abcd"));
        assert!(!matches_pattern("ab", "abc"));
        assert!(matches_pattern("a*a", "aXa"));
        assert!(!matches_pattern("a*a", "a"));
    }

    #[test]
    fn a_limit_above_the_owners_is_refused_and_an_open_one_is_not() {
        let own = LimitColumns {
            rpm_limit: Some(10),
            ..LimitColumns::default()
        };
        let asked = |rpm| LimitColumns {
            rpm_limit: rpm,
            ..LimitColumns::default()
        };
        assert!(limits_within(&asked(Some(11)), &own).is_err());
        assert!(limits_within(&asked(Some(10)), &own).is_ok());
        assert!(limits_within(&asked(None), &own).is_ok());
    }
}

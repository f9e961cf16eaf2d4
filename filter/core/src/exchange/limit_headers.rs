//! `x-ratelimit-*` of an admitted request: LiteLLM's names for each scope that has a limit, and OpenAI's plain names for the tightest.

use contract::limits::LimitKind;
use contract::script::Remaining;

use super::limit_text::descriptor;
use crate::effect::Effect;
use crate::scopes::Scopes;

macro_rules! names {
    ($descriptor:literal, $what:literal) => {
        (
            concat!("x-ratelimit-", $descriptor, "-limit-", $what),
            concat!("x-ratelimit-", $descriptor, "-remaining-", $what),
        )
    };
}

macro_rules! scope_names {
    ($descriptor:literal) => {
        [
            names!($descriptor, "requests"),
            names!($descriptor, "tokens"),
            names!($descriptor, "max_parallel_requests"),
        ]
    };
}

type Names = [(&'static str, &'static str); 3];

const PLAIN: [(&str, &str); 2] = [
    (
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
    ),
    ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
];

macro_rules! by_descriptor {
    ($($descriptor:literal)*) => {
        /// The names for a scope's descriptor.
        fn of(descriptor: &str) -> Option<&'static Names> {
            match descriptor {
                $($descriptor => {
                    const NAMES: Names = scope_names!($descriptor);
                    Some(&NAMES)
                })*
                _ => None,
            }
        }
    };
}

by_descriptor! {
    "api_key" "user" "team" "team_member" "organization" "end_user" "tag" "model"
    "model_per_key" "model_per_user" "model_per_team" "model_per_team_member" "model_per_organization"
    "model_per_end_user" "model_per_tag"
}

/// Limit and remaining of a scope by its descriptor, then the plain ones (empty where OpenAI has none). `None` for budgets.
pub(crate) fn names(scope: &str, kind: LimitKind) -> Option<[&'static str; 4]> {
    let [requests, tokens, parallel] = of(scope)?;
    let [plain_requests, plain_tokens] = PLAIN;
    let ((limit, remaining), (plain_limit, plain_remaining)) = match kind {
        LimitKind::Rpm => (*requests, plain_requests),
        LimitKind::Tpm => (*tokens, plain_tokens),
        LimitKind::Parallel => (*parallel, ("", "")),
        LimitKind::Budget => return None,
    };
    Some([limit, remaining, plain_limit, plain_remaining])
}

/// A limit and what remains of it.
#[derive(Clone, Copy)]
struct Left {
    limit: u64,
    remaining: u64,
}

/// Sets the headers of an admission whose answer was `remaining`, scope by scope. Of several scopes of one name the tightest is shown.
pub(crate) fn set(scopes: &Scopes, remaining: &[Remaining], effects: &mut Vec<Effect>) {
    let mut tightest: [Option<Left>; 2] = [None; 2];
    let mut shown: Vec<(&'static str, [Option<Left>; 3])> = Vec::with_capacity(4);
    for (scope, remaining) in scopes.iter().zip(remaining) {
        let limits = &scope.limits;
        let lefts = [
            left(limits.rpm.map(u64::from), remaining.rpm),
            left(limits.tpm, remaining.tpm),
            left(limits.parallel.map(u64::from), remaining.parallel),
        ];
        if lefts.iter().all(Option::is_none) {
            continue;
        }
        for (tightest, left) in tightest.iter_mut().zip(lefts) {
            *tightest = tighter(*tightest, left);
        }
        let name = descriptor(scope);
        if let Some((_, known)) = shown.iter_mut().find(|(known, _)| *known == name) {
            for (known, left) in known.iter_mut().zip(lefts) {
                *known = tighter(*known, left);
            }
        } else {
            shown.push((name, lefts));
        }
    }
    for (name, lefts) in shown {
        for ((limit, remaining), left) in of(name).into_iter().flatten().zip(lefts) {
            pair(limit, remaining, left, effects);
        }
    }
    for ((limit, remaining), left) in PLAIN.iter().zip(tightest) {
        pair(limit, remaining, left, effects);
    }
}

/// The one of which less remains, the first of equals.
fn tighter(first: Option<Left>, second: Option<Left>) -> Option<Left> {
    match (first, second) {
        (Some(first), Some(second)) if second.remaining < first.remaining => Some(second),
        (first, second) => first.or(second),
    }
}

fn left(limit: Option<u64>, remaining: Option<u64>) -> Option<Left> {
    limit
        .zip(remaining)
        .map(|(limit, remaining)| Left { limit, remaining })
}

fn pair(limit: &str, remaining: &str, left: Option<Left>, effects: &mut Vec<Effect>) {
    if let Some(left) = left {
        effects.push(header(limit, left.limit.to_string()));
        effects.push(header(remaining, left.remaining.to_string()));
    }
}

/// Sets one response header.
pub(crate) fn header(name: &str, value: impl Into<Vec<u8>>) -> Effect {
    Effect::ResponseHeader {
        name: name.to_owned(),
        value: Some(value.into()),
    }
}

//! `x-ratelimit-*` of an admitted request: LiteLLM's names for each scope that has a limit, and OpenAI's plain names for the tightest.

use contract::limits::LimitKind;
use contract::script::Remaining;

use super::limit_text::descriptor;
use crate::effect::Effect;
use crate::key_state::{KeyState, ScopeKind};

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

const KEY: Names = scope_names!("api_key");
const USER: Names = scope_names!("user");
const TEAM: Names = scope_names!("team");
const MEMBER: Names = scope_names!("team_member");
const PLAIN: [(&str, &str); 2] = [
    (
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
    ),
    ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
];

const fn of(kind: ScopeKind) -> &'static Names {
    match kind {
        ScopeKind::Key => &KEY,
        ScopeKind::User => &USER,
        ScopeKind::Team => &TEAM,
        ScopeKind::Member => &MEMBER,
    }
}

/// Limit and remaining of a scope by its descriptor, then the plain ones (empty where OpenAI has none). `None` for budgets.
pub(crate) fn names(scope: &str, kind: LimitKind) -> Option<[&'static str; 4]> {
    let kinds = [
        ScopeKind::Key,
        ScopeKind::User,
        ScopeKind::Team,
        ScopeKind::Member,
    ];
    let [requests, tokens, parallel] =
        of(kinds.into_iter().find(|kind| descriptor(*kind) == scope)?);
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

/// Sets the headers of an admission whose answer was `remaining`, scope by scope.
pub(crate) fn set(state: &KeyState, remaining: &[Remaining], effects: &mut Vec<Effect>) {
    let mut tightest: [Option<Left>; 2] = [None; 2];
    for (scope, remaining) in state.scopes.iter().zip(remaining) {
        let limits = &scope.limits;
        let lefts = [
            left(limits.rpm.map(u64::from), remaining.rpm),
            left(limits.tpm, remaining.tpm),
            left(limits.parallel.map(u64::from), remaining.parallel),
        ];
        for ((limit, remaining), left) in of(scope.kind).iter().zip(lefts) {
            pair(limit, remaining, left, effects);
        }
        for (tightest, left) in tightest.iter_mut().zip(lefts) {
            let tighter = |known: &Left| left.is_some_and(|left| left.remaining < known.remaining);
            if tightest.as_ref().is_none_or(tighter) {
                *tightest = left.or(*tightest);
            }
        }
    }
    for ((limit, remaining), left) in PLAIN.iter().zip(tightest) {
        pair(limit, remaining, left, effects);
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

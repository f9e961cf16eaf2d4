use contract::limits::{Denial, LimitKind};

use super::*;
use crate::exchange::limit_text::ScopeText;
use crate::exchange::refusal::Denied;
use crate::json_scan::BodyError;

fn sent(refusal: &Refusal) -> (u16, Vec<(String, String)>, Value) {
    let mut effects = Vec::new();
    refuse(refusal, &mut effects);
    let counted = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Measure(_, 1)))
        .count();
    assert_eq!(counted, 1, "each refusal is counted once");
    let Some(Effect::Reply {
        status,
        headers,
        body,
    }) = effects.pop()
    else {
        panic!("{effects:?}")
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect();
    (status, headers, serde_json::from_slice(&body).unwrap())
}

fn denied(kind: LimitKind, retry_after_ms: Option<u64>) -> Refusal {
    Refusal::Denied(Box::new(Denied {
        denial: Denial {
            scope: 0,
            kind,
            limit: 100,
            used: 90,
            retry_after_ms,
        },
        now_ms: 1_795_418_000_000,
        scope: ScopeText {
            descriptor: "team",
            subject: "t1".to_owned(),
            over_budget: "Budget has been exceeded! Team=t1".to_owned(),
            money: ["Current cost: ", "Max budget: "],
        },
        budget_status: 422,
        needed: 20,
    }))
}

#[test]
#[expect(clippy::too_many_lines, reason = "the table is the test")]
fn each_refusal_has_its_status_type_and_reason() {
    let text = || "x".to_owned();
    let table = [
        (Refusal::NoKey, "401 auth_error no_key"),
        (Refusal::MalformedKey, "401 auth_error malformed_key"),
        (
            Refusal::NotAVirtualKey { shown: text() },
            "401 auth_error not_a_virtual_key",
        ),
        (
            Refusal::ConflictingKeys,
            "400 invalid_request_error conflicting_keys",
        ),
        (Refusal::UnknownKey, "401 token_not_found_in_db unknown_key"),
        (Refusal::UnknownRoute, "404 not_found_error unknown_route"),
        (
            Refusal::WrongMethod { expected: "POST" },
            "405 invalid_request_error wrong_method",
        ),
        (Refusal::KeyBlocked, "401 auth_error key_blocked"),
        (
            Refusal::KeyExpired {
                expires_ms: 1,
                now_ms: 2,
                shown: text(),
            },
            "401 expired_key key_expired",
        ),
        (
            Refusal::TeamBlocked { team: text() },
            "401 auth_error team_blocked",
        ),
        (
            Refusal::UserBlocked { user: text() },
            "401 auth_error user_blocked",
        ),
        (Refusal::OwnerGone, "401 auth_error owner_gone"),
        (
            Refusal::RouteNotAllowed {
                allowed: vec![],
                route: "/v1/models",
            },
            "403 auth_error route_not_allowed",
        ),
        (Refusal::RoleMayNotCall, "403 auth_error role_may_not_call"),
        (
            Refusal::MasterMayNotCall,
            "403 auth_error master_may_not_call",
        ),
        (
            Refusal::ModelNotAllowed {
                model: text(),
                by: ModelList::Key,
            },
            "403 key_model_access_denied model_not_allowed_for_key",
        ),
        (
            Refusal::ModelNotAllowed {
                model: text(),
                by: ModelList::Team,
            },
            "403 team_model_access_denied model_not_allowed_for_team",
        ),
        (
            Refusal::ModelNotAllowed {
                model: text(),
                by: ModelList::User,
            },
            "403 user_model_access_denied model_not_allowed_for_user",
        ),
        (
            Refusal::UnknownModel { model: text() },
            "400 invalid_request_error unknown_model",
        ),
        (
            Refusal::UnknownPrice { model: text() },
            "400 invalid_request_error unknown_price",
        ),
        (
            Refusal::NoOutputCap {
                field: "max_tokens",
            },
            "400 invalid_request_error no_output_cap",
        ),
        (
            Refusal::TooMuchAsked,
            "400 invalid_request_error too_much_asked",
        ),
        (Refusal::NoModel, "400 invalid_request_error no_model"),
        (
            Refusal::Body(BodyError::NotAnObject),
            "400 invalid_request_error invalid_body",
        ),
        (
            Refusal::BodyTooLarge { limit: 9 },
            "413 invalid_request_error invalid_body",
        ),
        (
            Refusal::ContentEncoding,
            "415 invalid_request_error content_encoding",
        ),
        (denied(LimitKind::Rpm, Some(5)), "429 throttling_error rpm"),
        (denied(LimitKind::Tpm, Some(5)), "429 throttling_error tpm"),
        (
            denied(LimitKind::Parallel, None),
            "429 throttling_error parallel",
        ),
        (
            denied(LimitKind::Budget, None),
            "422 budget_exceeded budget",
        ),
        (
            Refusal::Unavailable(Unavailable::Store),
            "503 limiter_unavailable store_failed",
        ),
        (
            Refusal::Unavailable(Unavailable::NotReady),
            "503 limiter_unavailable not_ready",
        ),
        (
            Refusal::Unavailable(Unavailable::WentBack),
            "503 limiter_unavailable store_went_back",
        ),
        (
            Refusal::Unavailable(Unavailable::Full),
            "503 limiter_unavailable backlog_full",
        ),
        (
            Refusal::Unavailable(Unavailable::TooManyTries),
            "503 limiter_unavailable store_slow",
        ),
    ];
    for (refusal, expected) in table {
        let (status, headers, body) = sent(&refusal);
        let error = &body["error"];
        let reason = headers
            .iter()
            .find(|(name, _)| name == "x-tollkeeper-refusal")
            .unwrap();
        let found = format!("{status} {} {}", error["type"].as_str().unwrap(), reason.1);
        assert_eq!(found, expected);
        assert_eq!(
            error["code"],
            status.to_string(),
            "the code is the status as a string"
        );
        assert!(
            error.get("param").is_some() && error["message"].is_string(),
            "{error}"
        );
        assert!(headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
        let wait = headers.iter().any(|(name, _)| name == "retry-after");
        assert!(wait || status != 503, "{headers:?}");
    }
}

#[test]
fn a_denial_tells_limit_used_needed_and_the_true_time_to_wait() {
    let (_, headers, body) = sent(&denied(LimitKind::Tpm, Some(1_001)));
    assert_eq!(
        body["error"]["message"],
        "Rate limit exceeded for team: t1. Limit type: tokens. Current limit: 100, Remaining: 10. Limit resets at: 2026-11-23 07:13:21 UTC. Used: 90, needed: 20"
    );
    let of = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(of("retry-after"), Some("2"));
    assert_eq!(of("reset_at"), Some("2026-11-23 07:13:21 UTC"));
    assert_eq!(of("rate_limit_type"), Some("tokens"));
    assert_eq!(of("x-tollkeeper-scope"), Some("team"));
    assert_eq!(of("x-ratelimit-team-limit-tokens"), Some("100"));
    assert_eq!(of("x-ratelimit-team-remaining-tokens"), Some("10"));
    assert_eq!(of("x-ratelimit-remaining-tokens"), Some("10"));
}

#[test]
fn a_budgets_denial_tells_what_is_spent_and_when_it_begins_anew() {
    let (_, headers, body) = sent(&denied(LimitKind::Budget, Some(60_000)));
    assert_eq!(
        body["error"]["message"],
        "Budget has been exceeded! Team=t1 Current cost: 0.00000009, Max budget: 0.0000001. Estimated request cost: 0.00000002. Budget resets at: 2026-11-23 07:14:20 UTC"
    );
    assert!(headers.contains(&("retry-after".to_owned(), "60".to_owned())));
}

#[test]
fn an_expired_key_is_named_as_it_may_be_shown() {
    let refusal = Refusal::KeyExpired {
        expires_ms: 1,
        now_ms: 2,
        shown: "sk-...abcd".to_owned(),
    };
    assert_eq!(sent(&refusal).2["error"]["param"], "sk-...abcd");
}

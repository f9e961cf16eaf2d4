//! The way of a request that is let through, and what limits do to it.

use contract::limits::Limits;
use contract::records::{ModelRecord, Record};
use contract::redis_key::RecordId;
use filter_core::config::{Config, OutputCap};
use filter_core::effect::Effect;
use filter_core::event::Event;
use filter_core::metric::Metric;
use serde_json::json;

use crate::world::*;

#[test]
fn a_cold_request_takes_three_calls_and_a_warm_one_a_single_admission() {
    let mut world = World::with_limits(rpm(10));
    let cold = world.chat(HELLO);
    assert!(cold.resumed());
    // A script that is unknown by its hash is repeated with its source.
    assert_eq!(world.redis.log, ["LookUp", "MGET", "Admit"]);
    world.redis.log.clear();
    assert!(world.chat(HELLO).resumed());
    assert_eq!(world.redis.log, ["Admit"]);
    assert_eq!(world.count(Metric::Admitted), 2);
}

#[test]
fn the_lookup_begins_before_the_body_has_come() {
    let mut world = World::with_limits(rpm(10));
    let mut client = Client::new();
    let headers = headers("POST", "/v1/chat/completions", &[("x-api-key", KEY)]);
    world.drive(
        &mut client,
        Event::RequestHeaders {
            headers: &headers,
            end: false,
            peer: None,
        },
    );
    assert_eq!(world.redis.log, ["LookUp"]);
    for byte in HELLO.as_bytes() {
        world.drive(
            &mut client,
            Event::RequestBody {
                chunk: std::slice::from_ref(byte),
                end: false,
            },
        );
    }
    assert!(!client.resumed());
    world.drive(
        &mut client,
        Event::RequestBody {
            chunk: b"",
            end: true,
        },
    );
    assert!(client.resumed());
}

#[test]
fn the_upstream_sees_the_model_that_is_billed_and_neither_key_nor_our_names() {
    let mut world = World::with_limits(rpm(10));
    let headers = headers(
        "POST",
        "/chat/completions?trace=1&key=sk-test-key-0123456789abcdef",
        &[
            ("authorization", &format!("Bearer {KEY}")),
            ("x-api-key", KEY),
            ("x-tollkeeper-provider", "evil"),
            ("x-litellm-tags", "a, b"),
            ("x-envoy-max-retries", "5"),
            ("content-length", &HELLO.len().to_string()),
        ],
    );
    let client = world.send(&headers, HELLO.as_bytes());
    assert!(client.resumed());
    for name in [
        "authorization",
        "x-api-key",
        "x-tollkeeper-provider",
        "x-litellm-tags",
        "x-envoy-max-retries",
    ] {
        assert!(client.removed(name), "{name}");
    }
    assert_eq!(
        client.sent_header(":path").as_deref(),
        Some("/v1/chat/completions?trace=1")
    );
    assert_eq!(
        client.sent_header("accept-encoding").as_deref(),
        Some("identity")
    );
    assert_eq!(
        client.sent_header("x-tollkeeper-provider").as_deref(),
        Some("openai")
    );
    assert_eq!(
        client.sent_header("x-tollkeeper-model").as_deref(),
        Some("gpt-4o")
    );
    assert_eq!(client.sent_header("x-tollkeeper-admitted-ms"), None);
    assert_eq!(client.sent_body(HELLO)["model"], "gpt-4o-upstream");
    let provider = client.effects.iter().position(|effect| {
        matches!(
            effect,
            Effect::RequestHeader {
                name: "x-tollkeeper-provider",
                ..
            }
        )
    });
    let removal = client.effects.iter().position(|effect| {
        *effect == Effect::RemoveRequestHeader(b"x-tollkeeper-provider".to_vec())
    });
    assert!(removal < provider, "the client's goes before ours is set");
}

#[test]
fn where_a_key_header_is_configured_another_credential_neither_counts_nor_leaves() {
    let mut world = World::with(Config {
        key_header: Some("x-my-key".to_owned()),
        ..Config::default()
    });
    world.key(KEY, |_| {});
    for value in [KEY.to_owned(), format!("Bearer {KEY}")] {
        let headers = headers(
            "POST",
            "/v1/chat/completions?key=sk-third",
            &[
                ("authorization", "Bearer sk-other"),
                ("x-my-key", &value),
                ("x-kept", "sk-other"),
            ],
        );
        let client = world.send(&headers, HELLO.as_bytes());
        assert!(client.resumed(), "{value}");
        assert!(client.removed("authorization"));
        assert!(client.removed("x-my-key"));
        assert!(!client.removed("x-kept"));
        assert_eq!(
            client.sent_header(":path").as_deref(),
            Some("/v1/chat/completions")
        );
    }
    let refused = world.chat(HELLO);
    assert_eq!(refused.refusal(), (401, "no_key".to_owned()));
}

#[test]
fn the_key_does_not_leave_under_a_name_that_nobody_reads_it_from() {
    let mut world = World::with_limits(rpm(10));
    let bearer = format!("Bearer {KEY}");
    let longer = format!("{KEY}x");
    let headers = headers(
        "POST",
        "/v1/chat/completions",
        &[
            ("authorization", &bearer),
            ("x-copy", KEY),
            ("x-kept", &longer),
            ("x-list", &format!("a, {KEY}")),
            ("accept-encoding", KEY),
            ("proxy-authorization", &bearer),
        ],
    );
    let client = world.send(&headers, HELLO.as_bytes());
    assert!(client.resumed());
    for name in ["x-copy", "x-list", "proxy-authorization"] {
        assert!(client.removed(name), "{name}");
    }
    assert!(!client.removed("x-kept"));
    let last = client.effects.iter().rfind(|effect| match effect {
        Effect::RequestHeader { name, .. } => *name == "accept-encoding",
        Effect::RemoveRequestHeader(name) => name == b"accept-encoding",
        _ => false,
    });
    assert!(
        matches!(last, Some(Effect::RequestHeader { .. })),
        "what we set stays"
    );
}

#[test]
fn tags_are_taken_and_stay_behind() {
    let mut world = World::with_limits(rpm(10));
    let tagged = HELLO.replacen(
        '{',
        r#"{"tags":["a"],"metadata":{"tags":["b"]},"litellm_metadata":{"user":"u"},"#,
        1,
    );
    let client = world.chat(&tagged);
    let sent = client.sent_body(&tagged);
    let members: Vec<&str> = sent
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, ["max_tokens", "messages", "model"]);
}

#[test]
fn a_body_that_needs_no_change_is_left_alone() {
    let mut world = World::with_limits(rpm(10));
    world.model_record(&ModelRecord {
        name: "same".to_owned(),
        upstream: "same".to_owned(),
        provider: "openai".to_owned(),
        mode: None,
        max_input_tokens: None,
        max_output_tokens: None,
        price: None,
        limits: Limits::default(),
    });
    let client = world.chat(&HELLO.replace("gpt-4o", "same"));
    assert!(client.resumed());
    let edited = |effect: &Effect| matches!(effect, Effect::EditRequestBody(_));
    assert!(!client.effects.iter().any(edited));
    assert_eq!(client.sent_header("content-length"), None);
}

#[test]
fn the_admission_time_is_told_to_the_upstream_where_configured() {
    let mut world = World::with(Config {
        admission_header: true,
        ..Config::default()
    });
    world.key(KEY, |_| {});
    let client = world.chat(HELLO);
    assert_eq!(
        client.sent_header("x-tollkeeper-admitted-ms"),
        Some(world.redis_now().to_string())
    );
}

#[test]
fn a_limit_refuses_and_burns_no_other() {
    let mut world = World::with_limits(Limits {
        rpm: Some(2),
        tpm: Some(100_000),
        ..Limits::default()
    });
    assert!(world.chat(HELLO).resumed());
    assert!(world.chat(HELLO).resumed());
    let before = world.redis.model.figures(&key_id());
    let refused = world.chat(HELLO);
    let (status, headers, body) = refused.reply().unwrap();
    assert_eq!(status, 429);
    assert_eq!(body["error"]["type"], "throttling_error");
    assert_eq!(body["error"]["code"], "429");
    let message = refused.message();
    assert!(
        message.starts_with("Rate limit exceeded for api_key: "),
        "{message}"
    );
    assert!(
        message
            .contains("Limit type: requests. Current limit: 2, Remaining: 0. Limit resets at: 20"),
        "{message}"
    );
    assert!(message.ends_with("Used: 2"), "{message}");
    assert_eq!(headers["rate_limit_type"], "requests");
    assert_eq!(headers["x-tollkeeper-refusal"], "rpm");
    assert_eq!(headers["x-ratelimit-api_key-limit-requests"], "2");
    assert_eq!(headers["x-ratelimit-limit-requests"], "2");
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
    let wait: u64 = headers["retry-after"].parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert!(headers["reset_at"].ends_with(" UTC"));
    assert_eq!(world.redis.model.figures(&key_id()), before);
    world.now += wait * 1_000;
    assert!(
        world.chat(HELLO).resumed(),
        "after the time told it is admitted"
    );
}

#[test]
fn the_first_scope_that_refuses_is_named_in_its_order() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    key.user = Some(user("u1").id);
    key.team = Some(team("t1").id);
    key.limits = rpm(4);
    let mut of_user = user("u1");
    of_user.limits = rpm(3);
    let mut of_team = team("t1");
    of_team.limits = rpm(2);
    let mut of_member = member("t1", "u1");
    of_member.limits = rpm(1);
    let member_id = RecordId::member(&of_member.team, &of_member.user);
    world.publish(
        KEY,
        key,
        vec![
            (RecordId::user(&of_user.id), Record::User(of_user.clone())),
            (RecordId::team(&of_team.id), Record::Team(of_team.clone())),
            (member_id.clone(), Record::Member(of_member.clone())),
        ],
    );
    assert!(world.chat(HELLO).resumed());
    assert!(
        world
            .chat(HELLO)
            .message()
            .starts_with("Rate limit exceeded for team_member: t1:u1.")
    );
    of_member.limits = Limits::default();
    world.record(&member_id, Record::Member(of_member));
    assert!(world.chat(HELLO).resumed());
    assert!(
        world
            .chat(HELLO)
            .message()
            .starts_with("Rate limit exceeded for team: t1.")
    );
    of_team.limits = Limits::default();
    world.record(&RecordId::team(&of_team.id), Record::Team(of_team));
    assert!(world.chat(HELLO).resumed());
    assert!(
        world
            .chat(HELLO)
            .message()
            .starts_with("Rate limit exceeded for user: u1.")
    );
    assert_eq!(world.count(Metric::Stale), 2);
}

#[test]
fn a_budget_refuses_with_the_configured_status_and_says_what_is_spent() {
    let mut world = World::with_limits(budget("0.00001"));
    let refused = world.chat(HELLO);
    let (status, headers, body) = refused.reply().unwrap();
    assert_eq!(status, 422);
    assert_eq!(body["error"]["type"], "budget_exceeded");
    assert_eq!(headers["x-should-retry"], "false");
    let message = refused.message();
    assert!(
        message.starts_with(
            "Budget has been exceeded! Key=key (sk-...cdef) Current cost: 0.0, Max budget: 0.00001"
        ),
        "{message}"
    );
    world.settings(&contract::records::ProxySettings {
        budget_exceeded_status: 429,
        ..Default::default()
    });
    world.raise_catalogue();
    assert_eq!(world.chat(HELLO).refusal(), (429, "budget".to_owned()));
}

#[test]
fn a_users_budget_binds_personal_keys_and_team_keys_only_where_the_settings_say_so() {
    let mut world = World::new();
    let mut of_user = user("u1");
    of_user.limits = budget("0.000001");
    let owner = (RecordId::user(&of_user.id), Record::User(of_user.clone()));
    let personal = "sk-personal-key-000000001";
    let mut key = key_record(personal);
    key.user = Some(of_user.id.clone());
    world.publish(personal, key, vec![owner.clone()]);
    let mut key = key_record(KEY);
    key.user = Some(of_user.id.clone());
    key.team = Some(team("t1").id);
    let of_team = (RecordId::team(&team("t1").id), Record::Team(team("t1")));
    world.publish(KEY, key, vec![owner, of_team]);
    let headers = headers("POST", "/v1/chat/completions", &[("api-key", personal)]);
    let refused = world.send(&headers, HELLO.as_bytes());
    assert!(
        refused
            .message()
            .starts_with("ExceededBudget: User=u1 over budget. Spend=0.0, Budget=0.000001")
    );
    assert!(world.chat(HELLO).resumed());
    world.settings(&contract::records::ProxySettings {
        apply_user_budget_to_team_keys: true,
        ..Default::default()
    });
    world.raise_catalogue();
    assert_eq!(world.chat(HELLO).refusal(), (422, "budget".to_owned()));
}

#[test]
fn slots_are_held_until_the_answer_ends() {
    let mut world = World::with_limits(Limits {
        parallel: Some(1),
        ..Limits::default()
    });
    let mut first = world.chat(HELLO);
    assert!(first.resumed());
    let refused = world.chat(HELLO);
    assert_eq!(refused.refusal(), (429, "parallel".to_owned()));
    assert_eq!(refused.reply().unwrap().1["retry-after"], "1");
    world.answer(&mut first, "200", ANSWER);
    world.tick();
    assert!(world.chat(HELLO).resumed());
}

#[test]
fn expired_reservations_are_swept_and_the_question_asked_again() {
    let mut world = World::with_limits(Limits {
        parallel: Some(1),
        ..Limits::default()
    });
    // Another worker's reservation, which nobody renews.
    let mut other = World::with_limits(Limits {
        parallel: Some(1),
        ..Limits::default()
    });
    std::mem::swap(&mut world.redis, &mut other.redis);
    assert!(world.chat(HELLO).resumed());
    let lost = std::mem::take(&mut world.redis);
    let mut world = other;
    world.redis = lost;
    world.now += 40_000;
    world.tick();
    world.redis.log.clear();
    assert!(world.chat(HELLO).resumed());
    assert!(
        world.redis.log.contains(&"Sweep".to_owned()),
        "{:?}",
        world.redis.log
    );
}

#[test]
fn a_request_without_cap_reserves_a_quarter_of_the_tightest_token_limit() {
    let mut world = World::with_limits(Limits {
        tpm: Some(1_000),
        ..Limits::default()
    });
    for _ in 0..3 {
        let mut client = world.chat(BARE);
        assert!(client.resumed(), "{:?}", client.reply());
        assert!(world.tokens() <= 300);
        world.answer(&mut client, "200", ANSWER);
        world.tick();
    }
}

#[test]
fn a_request_without_cap_takes_what_the_budget_still_buys() {
    // 200 output tokens at 10 micro-dollars each.
    let mut world = World::with_limits(budget("0.002"));
    let client = world.chat(BARE);
    assert!(client.resumed(), "{:?}", client.reply());
    let held = world.redis.model.figures(&key_id()).held;
    assert!((1_900_000..=2_000_000).contains(&held), "{held}");
    assert_eq!(world.chat(BARE).refusal(), (422, "budget".to_owned()));
}

#[test]
fn a_stated_cap_is_never_shrunk() {
    let mut world = World::with_limits(budget("0.002"));
    let body = HELLO.replace("20}", "4000}");
    assert_eq!(world.chat(&body).refusal(), (422, "budget".to_owned()));
    assert!(world.chat(HELLO).resumed());
}

#[test]
fn a_request_that_alone_needs_more_than_the_limit_is_told_so() {
    let mut world = World::with_limits(Limits {
        tpm: Some(10),
        ..Limits::default()
    });
    let refused = world.chat(HELLO);
    let (status, headers, _) = refused.reply().unwrap();
    assert_eq!((status, headers["x-should-retry"].as_str()), (429, "false"));
    assert!(
        refused
            .message()
            .contains("The request alone needs more than the limit.")
    );
    assert!(!headers.contains_key("retry-after"));
}

#[test]
fn clamp_writes_the_reserved_cap_into_the_request() {
    let config = Config {
        output_cap: OutputCap::Clamp,
        default_output_cap: 50,
        ..Config::default()
    };
    for (path, body, field) in [
        ("/v1/chat/completions", BARE, "max_completion_tokens"),
        (
            "/v1/completions",
            r#"{"model":"gpt-4o","prompt":"hi"}"#,
            "max_tokens",
        ),
        (
            "/v1/responses",
            r#"{"model":"gpt-4o","input":"hi"}"#,
            "max_output_tokens",
        ),
    ] {
        let mut world = World::with(config.clone());
        world.key(KEY, |_| {});
        let client = world.post(path, body);
        assert_eq!(client.sent_body(body)[field], json!(50), "{path}");
        let mut world = World::with(config.clone());
        world.key(KEY, |_| {});
        let body = body.replace("\"model\"", "\"n\":1,\"model\"");
        assert_eq!(world.post(path, &body).sent_body(&body)[field], json!(50));
    }
}

#[test]
fn clamp_leaves_a_stated_cap_and_embeddings_alone() {
    let mut world = World::with(Config {
        output_cap: OutputCap::Clamp,
        ..Config::default()
    });
    world.key(KEY, |_| {});
    assert_eq!(world.chat(HELLO).sent_body(HELLO)["max_tokens"], json!(20));
    let body = r#"{"model":"embed","input":["a","b"]}"#;
    let sent = world.post("/v1/embeddings", body).sent_body(body);
    assert_eq!(
        sent.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["input", "model"]
    );
}

#[test]
fn reject_refuses_a_request_without_cap_and_names_the_field() {
    let mut world = World::with(Config {
        output_cap: OutputCap::Reject,
        ..Config::default()
    });
    world.key(KEY, |_| {});
    let refused = world.chat(BARE);
    assert_eq!(refused.refusal(), (400, "no_output_cap".to_owned()));
    assert_eq!(
        refused.reply().unwrap().2["error"]["param"],
        "max_completion_tokens"
    );
    assert!(world.chat(HELLO).resumed());
    assert!(
        world
            .post("/v1/embeddings", r#"{"model":"embed","input":"a"}"#)
            .resumed()
    );
}

#[test]
fn choices_and_inputs_multiply_what_is_reserved() {
    let mut world = World::with_limits(Limits {
        tpm: Some(1_000_000),
        ..Limits::default()
    });
    world.chat(HELLO);
    let one = world.tokens();
    world.chat(&HELLO.replace("\"max_tokens\"", "\"n\":5,\"max_tokens\""));
    assert_eq!(world.tokens(), one + one + 80);
}

#[test]
fn a_changed_limit_is_felt_by_the_next_request() {
    let mut world = World::with_limits(rpm(100));
    assert!(world.chat(HELLO).resumed());
    world.key(KEY, |key| key.limits = rpm(1));
    assert_eq!(world.chat(HELLO).refusal(), (429, "rpm".to_owned()));
    world.key(KEY, |key| key.limits = rpm(2));
    assert!(world.chat(HELLO).resumed());
}

#[test]
fn a_changed_price_is_felt_by_the_next_request() {
    let mut world = World::with_limits(budget("1"));
    let body = HELLO.replace("gpt-4o", "gpt-3.5-turbo");
    assert!(world.chat(&body).resumed());
    let before = world.redis.model.figures(&key_id()).held;
    world.model("gpt-3.5-turbo", "openai", Some((1_000_000, 3_000_000)));
    world.raise_catalogue();
    assert!(world.chat(&body).resumed());
    assert_eq!(world.redis.model.figures(&key_id()).held, before * 3);
}

#[test]
fn an_index_marker_ahead_of_its_partitions_stops_nobody() {
    let mut world = World::with_limits(rpm(10));
    assert!(world.chat(HELLO).resumed());
    // The catalogue is being published: the index's marker is raised, the partition's not yet.
    let mut ahead = world.ready();
    ahead.catalogue = contract::id::Rev::new(ahead.catalogue.get() + 100).unwrap();
    world.redis.values.insert(
        contract::redis_key::index_ready(P0),
        ahead.encode().into_bytes(),
    );
    let other = HELLO.replace("gpt-4o", "gpt-3.5-turbo");
    assert!(world.chat(&other).resumed());
    world.now += 5_000;
    assert_eq!(
        world.chat(HELLO).refusal(),
        (503, "store_went_back".to_owned()),
        "but not for ever"
    );
}

#[test]
fn every_metered_route_takes_both_its_forms() {
    let mut world = World::with_limits(rpm(100));
    for (path, body, call_type) in [
        ("/chat/completions", HELLO, "acompletion"),
        (
            "/completions",
            r#"{"model":"gpt-4o","prompt":"hi"}"#,
            "atext_completion",
        ),
        (
            "/embeddings",
            r#"{"model":"embed","input":"hi"}"#,
            "aembedding",
        ),
        (
            "/responses",
            r#"{"model":"gpt-4o","input":"hi"}"#,
            "aresponses",
        ),
    ] {
        for form in [path.to_owned(), format!("/v1{path}")] {
            let mut client = world.post(&form, body);
            assert!(client.resumed(), "{form}");
            let upstream = client.sent_header(":path").unwrap_or(form);
            assert_eq!(upstream, format!("/v1{path}"));
            world.answer(&mut client, "200", ANSWER);
            world.tick();
            let event = world.redis.model.events().last().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!(body["r"], call_type);
        }
    }
}

#[test]
fn aliases_of_key_and_team_name_the_model_that_is_billed() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    key.team = Some(team("t1").id);
    key.aliases
        .insert("fast".to_owned(), "gpt-3.5-turbo".to_owned());
    let mut of_team = team("t1");
    of_team
        .aliases
        .insert("fast".to_owned(), "gpt-4o".to_owned());
    of_team
        .aliases
        .insert("good".to_owned(), "gpt-4o".to_owned());
    world.publish(
        KEY,
        key,
        vec![(RecordId::team(&of_team.id), Record::Team(of_team))],
    );
    for (named, billed) in [
        ("fast", "gpt-3.5-turbo"),
        ("good", "gpt-4o"),
        ("gpt-4o", "gpt-4o"),
    ] {
        let body = HELLO.replace("gpt-4o", named);
        let client = world.chat(&body);
        assert_eq!(
            client.sent_header("x-tollkeeper-model").as_deref(),
            Some(billed)
        );
        assert_eq!(
            client.sent_body(&body)["model"],
            format!("{billed}-upstream")
        );
    }
}

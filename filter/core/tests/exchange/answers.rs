//! What is done with the upstream's answer: headers, metering, and exactly one settlement.

use contract::limits::Limits;
use contract::records::Record;
use contract::redis_key::RecordId;
use contract::window::BudgetWindow;
use filter_core::clock::Now;
use filter_core::effect::Effect;
use filter_core::event::Event;
use filter_core::metric::Metric;
use serde_json::Value;

use crate::world::*;

fn settled(world: &mut World) -> (u64, Value) {
    world.tick();
    let events = world.redis.model.events();
    let event = events.last().expect("a spend event");
    (
        event.cost.get(),
        serde_json::from_slice(&event.body).unwrap(),
    )
}

fn streamed(world: &mut World, client: &mut Client, pieces: &[&str], end: bool) -> String {
    let headers = pairs(&[
        (":status", "200"),
        ("content-type", "text/event-stream; charset=utf-8"),
    ]);
    world.step(
        client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    let mut seen = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        let last = end && at + 1 == pieces.len();
        let effects = world.step(
            client,
            Event::ResponseBody {
                chunk: piece.as_bytes(),
                end: last,
            },
        );
        let replaced = effects.into_iter().find_map(|effect| match effect {
            Effect::ReplaceResponseChunk(bytes) => Some(String::from_utf8(bytes).unwrap()),
            _ => None,
        });
        seen.push_str(&replaced.unwrap_or_else(|| (*piece).to_owned()));
    }
    world.step(client, Event::Done);
    seen
}

const STREAM: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":20,"stream":true}"#;
const DELTA: &str = "data: {\"id\":\"chatcmpl-2\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abcdefgh\"}}]}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-2\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}\n\n";
const END: &str = "data: [DONE]\n\n";

#[test]
fn the_providers_count_is_charged_exactly_and_once() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(HELLO);
    world.now += 250;
    world.answer(&mut client, "200", ANSWER);
    let (cost, body) = settled(&mut world);
    // 9 × 2,500,001 + 3 × 10,000,000 picodollars, rounded up to a nano-dollar.
    assert_eq!(cost, 52_501);
    assert_eq!(world.spent(&key_id()), 52_501);
    assert_eq!(
        (body["n"]["i"].as_u64(), body["n"]["o"].as_u64()),
        (Some(9), Some(3))
    );
    assert_eq!(body["x"], true);
    assert_eq!(body["s"], 200);
    assert_eq!(body["o"], "chatcmpl-1");
    assert_eq!(body["d"], 250);
    assert_eq!(body["f"], 250);
    assert_eq!(body["ip"], "10.1.2.3");
    assert_eq!(
        (body["m"].as_str(), body["g"].as_str(), body["p"].as_str()),
        (Some("gpt-4o"), Some("gpt-4o"), Some("openai"))
    );
    for _ in 0..5 {
        world.tick();
    }
    assert_eq!(world.redis.model.events().len(), 1);
    assert_eq!(world.redis.model.figures(&key_id()).held, 0);
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
    assert_eq!(
        (
            world.count(Metric::SettledExact),
            world.count(Metric::Live),
            world.count(Metric::Backlog)
        ),
        (1, 0, 0)
    );
}

#[test]
fn a_team_keys_settlement_carries_the_window_of_its_users_budget() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    key.user = Some(user("u1").id);
    key.team = Some(team("t1").id);
    let mut of_user = user("u1");
    of_user.limits = budget("0.000001");
    if let Some(budget) = &mut of_user.limits.budget {
        budget.window = BudgetWindow::Fixed {
            anchor_ms: 1_234,
            every_ms: 86_400_000,
        };
    }
    let of_user = (RecordId::user(&user("u1").id), Record::User(of_user));
    let of_team = (RecordId::team(&team("t1").id), Record::Team(team("t1")));
    world.publish(KEY, key, vec![of_user, of_team]);
    let mut client = world.chat(HELLO);
    assert!(client.resumed(), "the budget itself does not bind it");
    world.answer(&mut client, "200", ANSWER);
    let effects = world.worker.tick(Now(world.now));
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::CallRedis { commands, .. } => Some(String::from_utf8_lossy(commands)),
        _ => None,
    });
    let sent = sent.expect("a settlement");
    assert!(sent.contains("F1234,86400000"), "{sent}");
}

#[test]
fn the_slot_is_free_once_the_last_piece_came_without_waiting_for_the_clients_end() {
    let mut world = World::with_limits(Limits {
        parallel: Some(1),
        ..Limits::default()
    });
    let mut client = world.chat(HELLO);
    let headers = pairs(&[(":status", "200")]);
    world.step(
        &mut client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    world.step(
        &mut client,
        Event::ResponseBody {
            chunk: ANSWER.as_bytes(),
            end: true,
        },
    );
    assert!(client.exchange.is_over());
    world.tick();
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
}

#[test]
fn a_stream_is_made_to_end_with_usage_and_the_client_does_not_see_it() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(STREAM);
    assert_eq!(
        client.sent_body(STREAM)["stream_options"]["include_usage"],
        true
    );
    let seen = streamed(&mut world, &mut client, &[DELTA, USAGE, END], true);
    assert_eq!(seen, format!("{DELTA}{END}"));
    let (cost, body) = settled(&mut world);
    assert_eq!(cost, 75_001);
    assert_eq!(body["x"], true);
}

#[test]
fn a_stream_that_ends_with_trailers_is_settled_exactly_and_its_body_left_alone() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(STREAM);
    let cut = USAGE.trim_end();
    let headers = pairs(&[(":status", "200"), ("content-type", "text/event-stream")]);
    world.step(
        &mut client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    for piece in [DELTA, cut] {
        let chunk = piece.as_bytes();
        world.step(&mut client, Event::ResponseBody { chunk, end: false });
    }
    let effects = world.step(&mut client, Event::ResponseTrailers);
    let touches = |effect: &Effect| matches!(effect, Effect::ReplaceResponseChunk(_));
    assert!(!effects.iter().any(touches));
    assert!(client.exchange.is_over());
    world.step(&mut client, Event::Done);
    let (cost, body) = settled(&mut world);
    assert_eq!((cost, body["x"].as_bool()), (75_001, Some(true)));
    assert_eq!(world.redis.model.events().len(), 1);
}

#[test]
fn a_client_that_asked_for_usage_sees_it() {
    let mut world = World::with_limits(budget("1"));
    let body = STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    let mut client = world.chat(&body);
    let seen = streamed(&mut world, &mut client, &[DELTA, USAGE, END], true);
    assert_eq!(seen, format!("{DELTA}{USAGE}{END}"));
    assert_eq!(settled(&mut world).0, 75_001);
}

#[test]
fn a_stream_of_the_responses_api_is_left_as_it_is() {
    let mut world = World::with_limits(budget("1"));
    let body = r#"{"model":"gpt-4o","input":"hi","max_output_tokens":20,"stream":true}"#;
    let client = world.post("/v1/responses", body);
    assert!(client.sent_body(body).get("stream_options").is_none());
}

#[test]
fn a_stream_cut_by_the_client_costs_its_input_and_what_was_delivered() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(STREAM);
    let held = world.redis.model.figures(&key_id()).held;
    streamed(&mut world, &mut client, &[DELTA], false);
    let (cost, body) = settled(&mut world);
    assert_eq!(body["x"], false, "estimated");
    assert_eq!(body["n"]["o"], 2, "eight bytes");
    let input = body["n"]["i"].as_u64().unwrap();
    assert_eq!(cost, (input * 2_500_001 + 2 * 10_000_000).div_ceil(1_000));
    assert!(cost < held);
    assert_eq!(world.count(Metric::SettledEstimated), 1);
}

#[test]
fn what_was_delivered_is_never_charged_above_the_stated_cap() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(STREAM);
    let held = world.redis.model.figures(&key_id()).held;
    let much = DELTA.replace("abcdefgh", &"x".repeat(10_000));
    streamed(&mut world, &mut client, &[&much], false);
    assert_eq!(settled(&mut world).0, held);
}

#[test]
fn a_client_that_leaves_before_the_answer_pays_for_its_input() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(HELLO);
    world.step(&mut client, Event::Done);
    let (cost, body) = settled(&mut world);
    assert!(cost > 0);
    assert_eq!(body["n"]["o"], Value::Null);
    assert_eq!(body["s"], 0);
}

#[test]
fn an_upstream_that_failed_costs_nothing() {
    for status in ["500", "503", "504", "429", "400"] {
        let mut world = World::with_limits(budget("1"));
        let mut client = world.chat(HELLO);
        world.answer(&mut client, status, r#"{"error":{"message":"no"}}"#);
        let (cost, body) = settled(&mut world);
        assert_eq!((cost, body["s"].to_string()), (0, status.to_owned()));
        assert_eq!(world.tokens(), 0);
    }
}

#[test]
fn an_answer_without_usage_is_charged_by_what_was_delivered() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(HELLO);
    let headers = pairs(&[(":status", "200"), ("content-type", "text/plain")]);
    world.step(
        &mut client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    world.step(
        &mut client,
        Event::ResponseBody {
            chunk: b"not json at all, 32 bytes long..",
            end: true,
        },
    );
    let (_, body) = settled(&mut world);
    assert_eq!(body["n"]["o"], 8);
}

#[test]
fn an_unbelievable_count_is_not_believed() {
    let mut world = World::with_limits(budget("1"));
    let mut client = world.chat(HELLO);
    world.answer(
        &mut client,
        "200",
        &ANSWER.replace(
            "\"completion_tokens\":3",
            "\"completion_tokens\":9000000000000000000",
        ),
    );
    let (cost, body) = settled(&mut world);
    assert!(cost < 1_000_000, "{cost}");
    assert_eq!(body["n"]["o"], 3, "eleven bytes");
}

#[test]
fn the_client_sees_what_remains_of_its_limits_under_both_kinds_of_names() {
    let mut world = World::with_limits(Limits {
        rpm: Some(5),
        tpm: Some(10_000),
        parallel: Some(3),
        ..budget("1")
    });
    let mut client = world.chat(HELLO);
    let headers = pairs(&[
        (":status", "200"),
        ("content-type", "application/json"),
        ("x-tollkeeper-secret", "a"),
        ("x-litellm-call-id", "forged"),
        ("x-ratelimit-limit-requests", "777"),
    ]);
    world.step(
        &mut client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    let shown = |name: &str| client.shown_header(name);
    assert_eq!(
        shown("x-ratelimit-api_key-limit-requests").as_deref(),
        Some("5")
    );
    assert_eq!(
        shown("x-ratelimit-api_key-remaining-requests").as_deref(),
        Some("4")
    );
    assert_eq!(shown("x-ratelimit-limit-requests").as_deref(), Some("5"));
    assert_eq!(
        shown("x-ratelimit-remaining-requests").as_deref(),
        Some("4")
    );
    assert_eq!(
        shown("x-ratelimit-api_key-remaining-max_parallel_requests").as_deref(),
        Some("2")
    );
    assert_eq!(shown("x-ratelimit-limit-tokens").as_deref(), Some("10000"));
    assert_eq!(
        shown("llm_provider-x-ratelimit-limit-requests").as_deref(),
        Some("777")
    );
    assert_eq!(shown("x-tollkeeper-secret"), None);
    assert_eq!(shown("x-litellm-call-id").unwrap().len(), 32);
    assert_eq!(shown("x-litellm-model-group").as_deref(), Some("gpt-4o"));
    assert_eq!(shown("x-litellm-key-max-budget").as_deref(), Some("1.0"));
    assert!(client.effects.contains(&Effect::ResponseHeader {
        name: "x-tollkeeper-secret".to_owned(),
        value: None
    }));
}

#[test]
fn tags_and_end_user_reach_the_spend_log() {
    let mut world = World::with_limits(rpm(5));
    let body = HELLO.replace(
        "\"max_tokens\"",
        "\"user\":\"eu-1\",\"metadata\":{\"tags\":[\"x\",\"y\"]},\"max_tokens\"",
    );
    let named = headers(
        "POST",
        "/v1/chat/completions",
        &[("api-key", KEY), ("x-litellm-tags", "y, z,")],
    );
    let mut client = world.send(&named, body.as_bytes());
    world.answer(&mut client, "200", ANSWER);
    let (_, spend) = settled(&mut world);
    assert_eq!(spend["e"], "eu-1");
    assert_eq!(spend["l"], serde_json::json!(["x", "y", "z"]));
    let named = headers(
        "POST",
        "/v1/chat/completions",
        &[("api-key", KEY), ("x-litellm-customer-id", "eu-2")],
    );
    let mut client = world.send(&named, body.as_bytes());
    world.answer(&mut client, "200", ANSWER);
    assert_eq!(settled(&mut world).1["e"], "eu-2");
}

//! Requests meant to break the filter: whatever the bytes, no panic, no upstream call without an admission.

use filter_core::clock::Now;
use filter_core::event::{CallId, Event, Headers, StoreFailure};
use proptest::prelude::*;

use crate::world::*;

fn raw(pairs: &[(&[u8], &[u8])]) -> Headers {
    pairs
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

#[test]
fn headers_that_are_no_text_are_refused_or_carried_but_never_understood() {
    let mut world = World::with_limits(rpm(100));
    let post: (&[u8], &[u8]) = (b":method", b"POST");
    let path: (&[u8], &[u8]) = (b":path", b"/v1/chat/completions");
    for value in [
        b"Bearer sk-\xff\xfe".as_slice(),
        b"\xff\xfe",
        b"Bearer \x00",
        b"Bearer sk-\xc3\x28",
        b"Basic \xf0\x9f\x92\xa9",
        b"AWS4-HMAC-SHA256 Credential=Bearer \xff/,",
        b",,,,",
        b"Bearer",
        b" ",
    ] {
        let client = world.send(
            &raw(&[post, path, (b"authorization", value)]),
            HELLO.as_bytes(),
        );
        assert_eq!(client.refusal().0, 401, "{value:?}");
    }
    let key: (&[u8], &[u8]) = (b"api-key", KEY.as_bytes());
    for other in [
        (b"content-length".as_slice(), b"\xff".as_slice()),
        (b"content-length", b"99999999999999999999999999"),
        (b"x-litellm-tags", b"\xff,\xfe"),
        (b"x-litellm-customer-id", b"\xff"),
        (b"\xff\xfe", b"\xff"),
        (b"x-tollkeeper-\xff", b"1"),
    ] {
        let client = world.send(&raw(&[post, path, key, other]), HELLO.as_bytes());
        assert!(client.resumed(), "{other:?}");
    }
    for path in [
        b"\xff".as_slice(),
        b"/v1/chat/completions?\xff=\xfe&key=%",
        b"?",
        b"",
    ] {
        let client = world.send(&raw(&[post, (b":path", path)]), HELLO.as_bytes());
        assert!(!client.resumed());
    }
}

#[test]
fn doubled_and_huge_headers_are_bounded() {
    let mut world = World::with_limits(rpm(100));
    let bearer = format!("Bearer {KEY}");
    let doubled = headers(
        "POST",
        "/v1/chat/completions",
        &[("authorization", &bearer), ("authorization", &bearer)],
    );
    assert!(world.send(&doubled, HELLO.as_bytes()).resumed());
    let joined = format!("{bearer},{bearer}");
    assert!(
        world
            .send(
                &headers(
                    "POST",
                    "/v1/chat/completions",
                    &[("authorization", &joined)]
                ),
                HELLO.as_bytes()
            )
            .resumed()
    );
    let joined = format!("{bearer},Bearer sk-b");
    let client = world.send(
        &headers(
            "POST",
            "/v1/chat/completions",
            &[("authorization", &joined)],
        ),
        HELLO.as_bytes(),
    );
    assert_eq!(client.refusal(), (400, "conflicting_keys".to_owned()));
    let huge = "x".repeat(1_000_000);
    let client = world.send(
        &headers("POST", "/v1/chat/completions", &[("api-key", &huge)]),
        HELLO.as_bytes(),
    );
    assert_eq!(client.refusal().0, 401);
    assert!(client.message().len() < 200);
    let many: Vec<(String, String)> = (0..1_000)
        .map(|at| (format!("x-tollkeeper-{at}"), at.to_string()))
        .collect();
    let mut all = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
    all.extend(
        many.iter()
            .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())),
    );
    let client = world.send(&all, HELLO.as_bytes());
    assert!(client.resumed() && client.removed("x-tollkeeper-999"));
}

#[test]
fn a_clients_tags_and_end_user_stay_short_in_the_spend_log() {
    let mut world = World::with_limits(rpm(100));
    let long = "t".repeat(3_000);
    let many = (0..500)
        .map(|at| at.to_string())
        .collect::<Vec<_>>()
        .join(",");
    for tags in [long.as_str(), many.as_str()] {
        let named = headers(
            "POST",
            "/v1/chat/completions",
            &[
                ("api-key", KEY),
                ("x-litellm-tags", tags),
                ("x-litellm-customer-id", &long),
            ],
        );
        let mut client = world.send(&named, HELLO.as_bytes());
        world.answer(&mut client, "200", ANSWER);
        world.tick();
        assert!(world.redis.model.events().last().unwrap().body.len() < 2_000);
    }
}

fn any_headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just(b"authorization".to_vec()),
        Just(b"x-api-key".to_vec()),
        Just(b"content-encoding".to_vec()),
        Just(b"content-length".to_vec()),
        Just(b"x-litellm-tags".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    let value = prop_oneof![
        Just(format!("Bearer {KEY}").into_bytes()),
        Just(KEY.as_bytes().to_vec()),
        "[ -~]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let method = prop_oneof![
        Just(b"POST".to_vec()),
        Just(b"GET".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8)
    ];
    let path = prop_oneof![
        Just(b"/v1/chat/completions".to_vec()),
        Just(b"/v1/models".to_vec()),
        "/[a-zA-Z0-9/.%?=&;-]{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    (method, path, proptest::collection::vec((name, value), 0..6)).prop_map(
        |(method, path, mut rest)| {
            rest.push((b":method".to_vec(), method));
            rest.push((b":path".to_vec(), path));
            rest
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_header_and_no_body_makes_a_panic_or_an_upstream_call_without_admission(
        headers in any_headers(),
        body in prop_oneof![
            Just(HELLO.as_bytes().to_vec()),
            "[\\[\\]{}:,\"a-z0-9 ]{0,60}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..60),
        ],
        end in any::<bool>(),
    ) {
        let mut world = World::with_limits(rpm(5));
        let mut client = Client::new();
        world.drive(&mut client, Event::RequestHeaders { headers: &headers, end, peer: Some(&body) });
        for piece in body.chunks(7) {
            world.drive(&mut client, Event::RequestBody { chunk: piece, end: false });
        }
        world.drive(&mut client, Event::RequestBody { chunk: b"", end: true });
        prop_assert_eq!(client.resumed(), world.redis.model.figures(&key_id()).in_flight == 1);
        prop_assert!(client.resumed() != client.reply().is_some());
    }

    #[test]
    fn events_in_no_order_at_all_never_panic(order in proptest::collection::vec(0..8_u8, 0..40)) {
        let mut world = World::with_limits(rpm(5));
        let mut client = Client::new();
        let request = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
        let response = pairs(&[(":status", "200"), ("content-type", "text/event-stream")]);
        let garbage = [contract::resp::Reply::Integer(1)];
        for event in order {
            let event = match event {
                0 => Event::RequestHeaders { headers: &request, end: false, peer: None },
                1 => Event::RequestBody { chunk: HELLO.as_bytes(), end: true },
                2 => Event::ResponseHeaders { headers: &response, end: false },
                3 => Event::ResponseBody { chunk: b"data: {}\n\n", end: false },
                4 => Event::ResponseBody { chunk: b"", end: true },
                5 => Event::Redis { call: CallId(1), outcome: Err(StoreFailure::Timeout) },
                6 => Event::Redis { call: CallId(2), outcome: Ok(&garbage) },
                _ => Event::Done,
            };
            world.drive(&mut client, event);
        }
        world.worker.tick(Now(world.now));
    }
}

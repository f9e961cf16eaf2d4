//! Where a request's key is looked for, as the published settings say.

use contract::records::ProxySettings;
use filter_core::config::Config;

use crate::world::{Client, HELLO, KEY, World, headers, rpm};

fn named(header: Option<&str>) -> ProxySettings {
    ProxySettings {
        key_header: header.map(str::to_owned),
        ..ProxySettings::default()
    }
}

fn publish(world: &mut World, header: Option<&str>) {
    world.settings(&named(header));
    world.raise_catalogue();
}

fn send(world: &mut World, more: &[(&str, &str)]) -> Client {
    let headers = headers("POST", "/v1/chat/completions?key=sk-third", more);
    world.send(&headers, HELLO.as_bytes())
}

#[test]
fn from_the_first_request_on_the_header_of_the_settings_alone_counts() {
    let mut world = World::with_limits(rpm(10));
    publish(&mut world, Some("x-my-key"));
    for round in ["cold", "warm"] {
        let with_scheme = format!("Bearer {KEY}");
        for value in [KEY, &with_scheme] {
            let client = send(
                &mut world,
                &[("authorization", "Bearer sk-other"), ("x-my-key", value)],
            );
            assert!(client.resumed(), "{round} {value}");
            assert!(client.removed("authorization") && client.removed("x-my-key"));
            assert_eq!(
                client.sent_header(":path").as_deref(),
                Some("/v1/chat/completions")
            );
        }
    }
    let lookups = world.redis.log.iter().filter(|name| *name == "LookUp");
    assert_eq!(lookups.count(), 2, "where to look, then the key");
    let elsewhere = format!("Bearer {KEY}");
    let refused = send(&mut world, &[("authorization", &elsewhere)]);
    assert_eq!(refused.refusal(), (401, "no_key".to_owned()));
    let unknown = send(
        &mut world,
        &[("authorization", &elsewhere), ("x-my-key", "sk-nobody")],
    );
    assert_eq!(unknown.refusal(), (401, "unknown_key".to_owned()));
}

#[test]
fn before_the_settings_are_known_nothing_is_taken_from_another_header() {
    let mut world = World::with_limits(rpm(10));
    publish(&mut world, Some("x-my-key"));
    let elsewhere = format!("Bearer {KEY}");
    let refused = send(&mut world, &[("authorization", &elsewhere)]);
    assert_eq!(refused.refusal(), (401, "no_key".to_owned()));
    let mut world = World::with_limits(rpm(10));
    let conflict = send(&mut world, &[("authorization", &elsewhere)]);
    assert_eq!(
        conflict.refusal(),
        (400, "conflicting_keys".to_owned()),
        "without a header of its own every place counts"
    );
}

#[test]
fn another_header_counts_from_the_next_request_on() {
    let mut world = World::with_limits(rpm(20));
    let bearer = format!("Bearer {KEY}");
    let as_usual: &[(&str, &str)] = &[("authorization", &bearer), ("x-my-key", "sk-other")];
    let own: &[(&str, &str)] = &[("x-my-key", KEY)];
    let ask = |world: &mut World, more: &[(&str, &str)]| {
        let headers = headers("POST", "/v1/chat/completions", more);
        world.send(&headers, HELLO.as_bytes())
    };
    assert!(ask(&mut world, as_usual).resumed());
    publish(&mut world, Some("x-my-key"));
    // This one began before the change was seen; it is let in by neither rule, and told to come again.
    let seeing = ask(&mut world, as_usual);
    assert_eq!(seeing.refusal().0, 503);
    assert_eq!(ask(&mut world, as_usual).refusal().0, 401);
    assert!(ask(&mut world, own).resumed());
    publish(&mut world, None);
    assert_eq!(ask(&mut world, own).refusal().0, 503);
    let missing: &[(&str, &str)] = &[("x-my-key", "sk-other")];
    assert_eq!(ask(&mut world, missing).refusal().0, 401);
    assert!(ask(&mut world, as_usual).resumed());
}

#[test]
fn a_worker_whose_clients_all_changed_to_another_header_lets_them_in_after_a_second() {
    let mut world = World::with_limits(rpm(20));
    let bearer = format!("Bearer {KEY}");
    let usual: &[(&str, &str)] = &[("authorization", &bearer)];
    let own: &[(&str, &str)] = &[("x-my-key", KEY)];
    let ask = |world: &mut World, more: &[(&str, &str)]| {
        let headers = headers("POST", "/v1/chat/completions", more);
        world.send(&headers, HELLO.as_bytes())
    };
    assert!(ask(&mut world, usual).resumed());
    for (header, now) in [(Some("x-my-key"), own), (None, usual)] {
        publish(&mut world, header);
        let lookups = world.redis.log.len();
        assert_eq!(ask(&mut world, now).refusal(), (401, "no_key".to_owned()));
        assert_eq!(world.redis.log.len(), lookups, "seen a moment ago");
        world.now += 1_000;
        assert!(ask(&mut world, now).resumed());
        assert!(ask(&mut world, now).resumed());
    }
}

#[test]
fn the_header_of_the_filters_own_configuration_wins() {
    let mut world = World::with(Config {
        key_header: Some("x-mine".to_owned()),
        ..Config::default()
    });
    world.key(KEY, |_| {});
    publish(&mut world, Some("x-my-key"));
    for _ in 0..2 {
        assert!(send(&mut world, &[("x-mine", KEY), ("x-my-key", "sk-other")]).resumed());
    }
    assert_eq!(send(&mut world, &[("x-my-key", KEY)]).refusal().0, 401);
}

#[test]
fn a_header_that_means_something_else_is_none() {
    let mut world = World::with_limits(rpm(10));
    publish(&mut world, Some("host"));
    let headers = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
    assert!(world.send(&headers, HELLO.as_bytes()).resumed());
}

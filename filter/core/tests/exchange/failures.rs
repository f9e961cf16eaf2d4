//! Redis fails in every way while a request waits: nobody is admitted from nothing, nothing reserved is forgotten.

use contract::id::Rev;
use contract::records::Record;
use contract::redis_key::{self, RecordId};
use contract::resp::Reply;
use contract::script::AdmitAnswer;
use filter_core::clock::Now;
use filter_core::config::{Config, OnStoreFailure};
use filter_core::effect::Effect;
use filter_core::event::{CallId, Event, StoreFailure};
use filter_core::metric::Metric;

use crate::redis::admit_reply;
use crate::world::*;

const FAILURES: [StoreFailure; 4] = [
    StoreFailure::Dispatch,
    StoreFailure::Unreachable,
    StoreFailure::Timeout,
    StoreFailure::Malformed,
];

fn warm(config: Config) -> World {
    let mut world = World::with(config);
    world.key(KEY, |key| key.limits = rpm(100));
    world.tick();
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    world
}

/// A warm request that waits for its admission.
fn asking(world: &mut World) -> (Client, CallId, Vec<u8>) {
    let client = world.start(HELLO);
    let (call, commands, _) = client.asked();
    (client, call, commands)
}

fn in_flight(world: &World) -> u64 {
    world.redis.model.figures(&key_id()).in_flight
}

#[test]
fn a_call_that_fails_while_looking_up_is_503_and_never_401() {
    for failure in FAILURES {
        for answered in 0..3 {
            let mut world = World::with_limits(rpm(100));
            let mut client = world.start(HELLO);
            for _ in 0..answered {
                let (call, commands, replies) = client.asked();
                let answer = world.redis.run(world.redis_now(), &commands, replies);
                world.bring(&mut client, call, &answer);
            }
            let (call, _, _) = client.asked();
            world.fail(&mut client, call, failure);
            assert_eq!(client.refusal(), (503, "store_failed".to_owned()));
            let (_, headers, body) = client.reply().unwrap();
            assert_eq!(headers["retry-after"], "1");
            assert_eq!(body["error"]["type"], "limiter_unavailable");
        }
    }
}

#[test]
fn garbage_in_place_of_any_answer_is_503() {
    let garbage = [
        Reply::Integer(-1),
        Reply::Bulk(None),
        Reply::Array(None),
        Reply::Array(Some(vec![])),
        Reply::Simple(b"OK".to_vec()),
        Reply::Error(b"ERR upstream failure".to_vec()),
        Reply::Array(Some(vec![Reply::Bulk(Some(b"ok".to_vec()))])),
        Reply::Array(Some(vec![Reply::Bulk(Some(b"\xff".to_vec())); 4])),
        Reply::Array(Some(vec![Reply::Integer(7); 12])),
    ];
    for reply in garbage {
        for answered in 0..3 {
            let mut world = World::with_limits(rpm(100));
            world.redis.known = contract::script::all()
                .into_iter()
                .map(contract::script::Script::sha)
                .collect();
            let mut client = world.start(HELLO);
            for _ in 0..answered {
                let (call, commands, replies) = client.asked();
                let answer = world.redis.run(world.redis_now(), &commands, replies);
                world.bring(&mut client, call, &answer);
            }
            let (call, _, replies) = client.asked();
            let answer = vec![reply.clone(); replies];
            world.bring(&mut client, call, &answer);
            assert_eq!(client.refusal().0, 503, "{reply:?} after {answered}");
            assert!(client.exchange.is_over());
        }
    }
}

#[test]
fn an_admission_whose_answer_is_lost_is_released() {
    for failure in [
        StoreFailure::Timeout,
        StoreFailure::Unreachable,
        StoreFailure::Malformed,
    ] {
        let mut world = warm(Config::default());
        let (mut client, call, commands) = asking(&mut world);
        // It ran; only the answer is lost.
        world.redis.run(world.redis_now(), &commands, 1);
        assert_eq!(in_flight(&world), 1);
        world.fail(&mut client, call, failure);
        assert_eq!(client.refusal(), (503, "store_failed".to_owned()));
        world.tick();
        assert_eq!(in_flight(&world), 0);
        assert_eq!(world.count(Metric::Released), 1);
    }
}

#[test]
fn a_release_that_overtakes_its_admission_keeps_it_from_admitting() {
    let mut world = warm(Config::default());
    let (mut client, call, commands) = asking(&mut world);
    world.fail(&mut client, call, StoreFailure::Timeout);
    world.tick();
    world.redis.run(world.redis_now(), &commands, 1);
    assert_eq!(in_flight(&world), 0);
}

#[test]
fn a_call_that_was_never_made_needs_no_release() {
    let mut world = warm(Config::default());
    let (mut client, call, _) = asking(&mut world);
    world.fail(&mut client, call, StoreFailure::Dispatch);
    assert_eq!(client.refusal().0, 503);
    assert_eq!(world.count(Metric::Released), 0);
}

#[test]
fn a_client_that_leaves_while_redis_decides_is_released() {
    let mut world = warm(Config::default());
    let (mut client, _, commands) = asking(&mut world);
    world.redis.run(world.redis_now(), &commands, 1);
    world.step(&mut client, Event::Done);
    world.tick();
    assert_eq!(in_flight(&world), 0);
    assert_eq!(
        (
            world.count(Metric::Released),
            world.redis.model.events().len()
        ),
        (1, 1)
    );
}

#[test]
fn an_answer_later_than_the_time_out_is_never_used() {
    let mut world = warm(Config::default());
    let (mut client, call, commands) = asking(&mut world);
    let answer = world.redis.run(world.redis_now(), &commands, 1);
    world.now += 201;
    world.bring(&mut client, call, &answer);
    assert_eq!(client.refusal(), (503, "store_slow".to_owned()));
    world.tick();
    assert_eq!(in_flight(&world), 0);
}

#[test]
fn a_call_carries_the_time_after_which_it_must_not_admit() {
    let mut world = warm(Config::default());
    let (mut client, call, commands) = asking(&mut world);
    world.now += 201;
    let answer = world.redis.run(world.redis_now(), &commands, 1);
    let Reply::Array(Some(items)) = &answer[0] else {
        panic!("{answer:?}")
    };
    assert_eq!(items[0], Reply::Bulk(Some(b"late".to_vec())));
    world.bring(&mut client, call, &answer);
    assert!(!client.resumed());
    assert_eq!(in_flight(&world), 0);
}

#[test]
fn a_partition_or_index_that_is_not_open_is_503_and_renews_what_lives() {
    let mut world = warm(Config::default());
    let mut live = world.chat(HELLO);
    assert!(live.resumed());
    let values = std::mem::take(&mut world.redis.values);
    world.redis.model = contract::model::Model::new();
    assert_eq!(world.chat(HELLO).refusal(), (503, "not_ready".to_owned()));
    world.tick();
    assert_eq!(
        in_flight(&world),
        1,
        "the live reservation registered again"
    );
    let unknown = headers(
        "POST",
        "/v1/chat/completions",
        &[("api-key", "sk-never-seen")],
    );
    assert_eq!(
        world.send(&unknown, HELLO.as_bytes()).refusal(),
        (503, "not_ready".to_owned()),
        "no 401 from an empty Redis"
    );
    // The spend of before came back with the ledger's copy; here the worker's own is enough.
    for (name, value) in values
        .into_iter()
        .filter(|(name, _)| !name.ends_with(":ready"))
    {
        world.redis.put(name, value);
    }
    world.raise_catalogue();
    assert!(world.chat(HELLO).resumed());
    world.answer(&mut live, "200", ANSWER);
    world.now += 1_000;
    world.tick();
    world.now += 1_000;
    world.tick();
    assert_eq!(world.count(Metric::Backlog), 0);
}

#[test]
fn another_number_of_partitions_is_not_ready() {
    let mut world = World::with_limits(rpm(5));
    let mut ready = world.ready();
    ready.partitions = 64;
    world.redis.values.insert(
        contract::redis_key::index_ready(P0),
        ready.encode().into_bytes(),
    );
    assert_eq!(world.chat(HELLO).refusal(), (503, "not_ready".to_owned()));
}

#[test]
fn a_record_older_than_one_seen_is_never_used() {
    let mut world = warm(Config::default());
    let name = contract::redis_key::record(P0, &key_id());
    let old = world.redis.values[&name].clone();
    world.key(KEY, |key| key.blocked = true);
    assert_eq!(world.chat(HELLO).refusal().0, 401);
    // Redis came back from an old copy, in which the key is not blocked.
    world.redis.values.insert(name.clone(), old.clone());
    assert_eq!(
        world.chat(HELLO).refusal(),
        (503, "store_went_back".to_owned())
    );
    assert_eq!(world.count(Metric::RevisionWentBack), 1);
}

#[test]
fn a_catalogue_older_than_one_seen_is_never_used() {
    let mut world = warm(Config::default());
    world.now += 10_000;
    let mut ready = world.ready();
    ready.catalogue = Rev::new(1).unwrap();
    world.redis.values.insert(
        contract::redis_key::index_ready(P0),
        ready.encode().into_bytes(),
    );
    let other = HELLO.replace("gpt-4o", "gpt-3.5-turbo");
    assert_eq!(
        world.chat(&other).refusal(),
        (503, "store_went_back".to_owned())
    );
}

#[test]
fn failures_in_a_row_open_the_breaker_and_the_roots_renewal_closes_it() {
    let mut world = warm(Config::default());
    let mut live = world.chat(HELLO);
    for _ in 0..3 {
        let (mut client, call, _) = asking(&mut world);
        world.now += 200;
        world.fail(&mut client, call, StoreFailure::Timeout);
    }
    assert_eq!(world.count(Metric::BreakerOpened), 1);
    let calls = world.count(Metric::RedisCalls);
    assert_eq!(
        world.chat(HELLO).refusal(),
        (503, "store_failed".to_owned())
    );
    let cold = headers(
        "POST",
        "/v1/chat/completions",
        &[("api-key", "sk-never-seen")],
    );
    assert_eq!(
        world.send(&cold, b"").refusal(),
        (503, "store_failed".to_owned())
    );
    assert_eq!(
        world.count(Metric::RedisCalls),
        calls,
        "nobody waits for Redis any more"
    );
    let mut probes = Vec::new();
    for _ in 0..100 {
        let before = world.count(Metric::RedisCalls);
        world.failing_tick(StoreFailure::Timeout);
        if world.count(Metric::RedisCalls) > before {
            probes.push(world.now);
        }
        world.now += 50;
    }
    assert!(
        probes.windows(2).all(|pair| pair[1] - pair[0] <= 1_000),
        "{probes:?}"
    );
    assert!(probes.len() <= 11, "{probes:?}");
    // Redis is back, without the live reservation: a long time passed.
    world.redis.model = contract::model::Model::new();
    let values = std::mem::take(&mut world.redis.values);
    for (name, value) in values {
        world.redis.put(name, value);
    }
    world.raise_catalogue();
    world.now += 1_000;
    world.tick();
    assert_eq!(
        in_flight(&world),
        1,
        "what lives is known before anything new is admitted"
    );
    assert!(world.chat(HELLO).resumed());
    world.answer(&mut live, "200", ANSWER);
}

#[test]
fn all_calls_of_one_request_together_keep_its_answer_in_time() {
    let mut world = World::with_limits(rpm(5));
    let start = world.now;
    let mut client = world.start(HELLO);
    while client.reply().is_none() {
        assert!(world.now - start <= 300, "{}", world.now - start);
        let (call, commands, replies) = client.asked();
        let timeout = client.call().1;
        if timeout < 150 {
            world.now += timeout;
            world.fail(&mut client, call, StoreFailure::Timeout);
        } else {
            world.now += 150;
            let answer = world.redis.run(world.redis_now(), &commands, replies);
            world.bring(&mut client, call, &answer);
        }
    }
    assert_eq!(client.refusal().0, 503);
    assert!(world.now - start <= 300, "{}", world.now - start);
}

#[test]
fn a_record_that_changes_at_every_try_does_not_keep_a_request_for_ever() {
    let mut world = warm(Config::default());
    let (mut client, mut call, _) = asking(&mut world);
    let mut tries = 0;
    while client.reply().is_none() {
        tries += 1;
        assert!(tries < 20);
        world.key(KEY, |key| key.limits = rpm(50));
        let (last, commands, replies) = client.asked();
        call = last.max(call);
        let answer = world.redis.run(world.redis_now(), &commands, replies);
        world.bring(&mut client, call, &answer);
    }
    assert_eq!(client.refusal(), (503, "store_slow".to_owned()));
    world.tick();
    assert_eq!(in_flight(&world), 0);
}

fn allowing() -> Config {
    Config {
        on_store_failure: OnStoreFailure::Allow,
        ..Config::default()
    }
}

#[test]
fn with_allow_a_key_confirmed_within_a_minute_goes_on_and_is_settled_once() {
    let mut world = warm(allowing());
    let (mut client, call, commands) = asking(&mut world);
    // It may even have been admitted.
    world.redis.run(world.redis_now(), &commands, 1);
    world.fail(&mut client, call, StoreFailure::Timeout);
    assert!(client.resumed());
    assert_eq!(world.count(Metric::AllowedWithoutStore), 1);
    assert!(
        world.logged.iter().any(|line| line.contains("sk-...cdef")),
        "{:?}",
        world.logged
    );
    assert!(!world.logged.iter().any(|line| line.contains(KEY)));
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    assert_eq!(
        world.redis.model.events().len(),
        1,
        "not while a late admission could still be made"
    );
    world.now += 201;
    world.tick();
    assert_eq!(world.redis.model.events().len(), 2);
    assert_eq!(world.spent(&key_id()), 2 * 52_501);
    assert_eq!((in_flight(&world), world.count(Metric::Released)), (0, 0));
}

#[test]
fn with_allow_an_open_breaker_lets_known_keys_through_for_a_minute_and_unknown_ones_never() {
    let mut world = warm(allowing());
    for _ in 0..3 {
        let (mut client, call, _) = asking(&mut world);
        world.now += 1;
        world.fail(&mut client, call, StoreFailure::Timeout);
        assert!(client.resumed());
        world.step(&mut client, Event::Done);
    }
    let calls = world.count(Metric::RedisCalls);
    let mut client = world.chat(HELLO);
    assert!(client.resumed());
    assert_eq!(world.count(Metric::RedisCalls), calls);
    world.answer(&mut client, "200", ANSWER);
    let cold = headers(
        "POST",
        "/v1/chat/completions",
        &[("api-key", "sk-never-seen")],
    );
    assert_eq!(world.send(&cold, HELLO.as_bytes()).refusal().0, 503);
    world.now += 60_001;
    assert_eq!(
        world.chat(HELLO).refusal(),
        (503, "store_failed".to_owned())
    );
    for _ in 0..3 {
        world.now += 1_000;
        world.tick();
    }
    assert_eq!(
        world.redis.model.events().len(),
        5,
        "everything let through is settled"
    );
    assert_eq!(world.count(Metric::Backlog), 0);
}

#[test]
fn with_allow_a_partition_that_is_not_open_still_admits_nobody() {
    let mut world = warm(allowing());
    world.redis.model = contract::model::Model::new();
    assert_eq!(world.chat(HELLO).refusal(), (503, "not_ready".to_owned()));
}

#[test]
fn a_worker_that_owes_too_much_admits_nothing_more() {
    let mut world = warm(Config::default());
    let mut admitted = 0;
    world.key(KEY, |key| key.limits = contract::limits::Limits::default());
    loop {
        let mut client = world.chat(HELLO);
        if !client.resumed() {
            assert_eq!(client.refusal(), (503, "backlog_full".to_owned()));
            break;
        }
        admitted += 1;
        assert!(admitted < 20_000);
        world.step(&mut client, Event::Done);
    }
    let effects = world.worker.tick(Now(world.now));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::CallRedis { .. }))
    );
}

#[test]
fn an_owners_record_older_than_one_seen_is_never_used() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    key.user = Some(user("u1").id);
    let id = RecordId::user(&user("u1").id);
    world.publish(KEY, key, vec![(id.clone(), Record::User(user("u1")))]);
    let name = contract::redis_key::record(P0, &id);
    let old = world.redis.values[&name].clone();
    assert!(world.chat(HELLO).resumed());
    let mut blocked = user("u1");
    blocked.blocked = true;
    world.record(&id, Record::User(blocked));
    assert_eq!(
        world.chat(HELLO).refusal(),
        (401, "user_blocked".to_owned())
    );
    let mut open = user("u1");
    open.limits = rpm(9);
    world.record(&id, Record::User(open));
    assert!(world.chat(HELLO).resumed());
    // Redis came back from an old copy; the admission shows it.
    let (mut client, call, _) = asking(&mut world);
    let stale = AdmitAnswer::Stale {
        now_ms: world.redis_now(),
        ready: world.ready(),
        records: vec![
            Some(world.redis.values[&redis_key::record(P0, &key_id())].clone()),
            Some(old),
        ],
    };
    world.step(
        &mut client,
        Event::Redis {
            call,
            outcome: Ok(&[admit_reply(&stale)]),
        },
    );
    assert_eq!(client.refusal(), (503, "store_went_back".to_owned()));
}

#[test]
fn a_key_that_is_missing_in_a_closed_index_is_503_and_not_401() {
    let mut world = World::with_limits(rpm(5));
    world.redis.values.remove(&redis_key::index_ready(P0));
    let unknown = headers("POST", "/v1/chat/completions", &[("api-key", "sk-unknown")]);
    let refusal = world.send(&unknown, HELLO.as_bytes()).refusal();
    assert_eq!(refusal, (503, "not_ready".to_owned()));
}

#[test]
fn a_record_that_the_index_names_and_redis_lacks_is_503() {
    let mut world = World::with_limits(rpm(5));
    world.redis.values.remove(&redis_key::record(P0, &key_id()));
    assert_eq!(world.chat(HELLO).refusal(), (503, "not_ready".to_owned()));
}

//! What the root context owes to Redis: settlements in batches, repeats, renewals, and what a fail-over takes back.

use contract::id::ReservationId;
use contract::limits::Limits;
use contract::model::Model;
use contract::resp::Reply;
use contract::script::{AdmitAnswer, Remaining};
use filter_core::clock::Now;
use filter_core::effect::Effect;
use filter_core::event::{CallId, Event, StoreFailure};
use filter_core::metric::Metric;

use crate::redis::admit_reply;
use crate::world::*;

fn world() -> World {
    let mut world = World::with_limits(Limits {
        parallel: Some(100_000),
        ..Limits::default()
    });
    world.tick();
    world.chat(HELLO);
    world
}

fn finish(world: &mut World, requests: usize) {
    for _ in 0..requests {
        let mut client = world.chat(HELLO);
        assert!(client.resumed(), "{:?}", client.reply());
        world.answer(&mut client, "200", ANSWER);
    }
}

fn calls(effects: &[Effect]) -> Vec<(CallId, Vec<u8>, usize)> {
    let calls = effects.iter().filter_map(|effect| match effect {
        Effect::CallRedis {
            call,
            commands,
            replies,
            ..
        } => Some((*call, commands.clone(), *replies)),
        _ => None,
    });
    calls.collect()
}

fn events(world: &World) -> usize {
    world.redis.model.events().len()
}

#[test]
fn the_first_tick_tells_redis_that_the_worker_lives_and_learns_its_time() {
    let mut world = World::with_limits(rpm(5));
    world.tick();
    assert_eq!(world.redis.log, ["Renew"]);
    for _ in 0..100 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(
        world.redis.log,
        ["Renew"],
        "an idle worker says so every ten seconds only"
    );
    world.now += 5_000;
    world.tick();
    assert_eq!(world.redis.log, ["Renew", "Renew"]);
}

#[test]
fn settlements_wait_for_a_tick_or_for_thirty_two() {
    let mut world = World::with_limits(rpm(100_000));
    world.tick();
    finish(&mut world, 31);
    assert!(!world.worker.wants_flush(Now(world.now)));
    finish(&mut world, 1);
    assert!(world.worker.wants_flush(Now(world.now)));
    world.redis.log.clear();
    world.tick();
    assert_eq!(world.redis.log, ["Settle"], "in one command");
    assert_eq!(events(&world), 32);
}

#[test]
fn a_settlement_that_frees_a_limited_slot_does_not_wait() {
    let mut world = World::with_limits(Limits {
        parallel: Some(1),
        ..Limits::default()
    });
    world.tick();
    assert!(!world.worker.wants_flush(Now(world.now)));
    finish(&mut world, 1);
    assert!(world.worker.wants_flush(Now(world.now)));
    world.tick();
    assert!(!world.worker.wants_flush(Now(world.now)));
    finish(&mut world, 1);
}

#[test]
fn a_large_backlog_goes_out_in_few_calls() {
    let mut world = world();
    finish(&mut world, 1_000);
    world.redis.log.clear();
    world.tick();
    assert_eq!(events(&world), 1_000);
    assert_eq!(
        world
            .redis
            .log
            .iter()
            .filter(|name| *name == "Settle")
            .count(),
        16
    );
    assert_eq!(world.count(Metric::Backlog), 0);
}

#[test]
fn one_flush_at_a_time_and_a_failed_one_is_repeated_with_growing_pauses() {
    let mut world = world();
    finish(&mut world, 3);
    let first = world.worker.tick(Now(world.now));
    assert_eq!(calls(&first).len(), 1);
    assert_eq!(calls(&world.worker.tick(Now(world.now + 50))).len(), 0);
    let (call, commands, replies) = calls(&first).remove(0);
    // It ran, and only its answer is lost.
    world.redis.run(world.redis_now(), &commands, replies);
    world
        .worker
        .redis(Now(world.now), call, Err(StoreFailure::Timeout));
    assert_eq!(calls(&world.worker.tick(Now(world.now))).len(), 0);
    world.now += 50;
    world.tick();
    assert_eq!(events(&world), 3, "settled once");
    assert_eq!(world.spent(&key_id()), 3 * 52_501);
}

#[test]
fn an_outcome_that_never_comes_does_not_stop_settling() {
    let mut world = world();
    finish(&mut world, 3);
    world.worker.tick(Now(world.now));
    world.now += 5_000;
    world.tick();
    world.now += 50;
    world.tick();
    assert_eq!(events(&world), 3);
}

#[test]
fn scripts_that_redis_forgot_are_sent_along() {
    let mut world = world();
    finish(&mut world, 3);
    world.redis.known.clear();
    world.tick();
    assert_eq!(events(&world), 3);
    world.redis.known.clear();
    assert!(world.chat(HELLO).resumed());
    world.redis.known.clear();
    world.now += 10_000;
    world.redis.log.clear();
    world.tick();
    assert_eq!(world.redis.log, ["Renew"]);
}

#[test]
fn live_requests_are_renewed_every_ten_seconds_and_keep_their_slots() {
    let mut world = world();
    for _ in 0..300 {
        assert!(world.chat(HELLO).resumed());
    }
    for _ in 0..1_200 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(
        world.redis.model.figures(&key_id()).in_flight,
        301,
        "after a minute"
    );
    world.redis.log.clear();
    world.now += 10_000;
    world.tick();
    assert_eq!(world.redis.log, ["Renew"; 5], "sixty-four in one command");
}

#[test]
fn a_request_that_lasts_a_second_is_renewed_once_before_the_next_round() {
    let mut world = world();
    let mut short = world.chat(HELLO);
    world.answer(&mut short, "200", ANSWER);
    world.tick();
    world.redis.log.clear();
    for _ in 0..19 {
        world.now += 50;
        world.tick();
    }
    assert!(world.redis.log.is_empty(), "{:?}", world.redis.log);
    for _ in 0..100 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(world.redis.log, ["Renew"], "the one that lives, once");
    world.now += 10_000;
    world.tick();
    assert_eq!(world.redis.log, ["Renew", "Renew"], "the round of all");
}

#[test]
fn a_reservation_that_was_swept_is_settled_all_the_same() {
    let mut world = world();
    let mut client = world.chat(HELLO);
    world.now += 10_000;
    world.tick();
    let headers = pairs(&[(":status", "200")]);
    world.step(
        &mut client,
        Event::ResponseHeaders {
            headers: &headers,
            end: false,
        },
    );
    let ids = [id_of(&client)];
    world.now += 40_000;
    // Another worker's renewal keeps the partition's beat, and the admin service sweeps.
    let mut other = World::new();
    std::mem::swap(&mut other.redis, &mut world.redis);
    other.now = world.now;
    other.tick();
    std::mem::swap(&mut other.redis, &mut world.redis);
    let now = world.redis_now();
    world.redis.model.sweep(
        now,
        &contract::script::Sweep {
            partition: P0,
            ids: &ids,
        },
    );
    assert_eq!(events(&world), 1);
    world.tick();
    world.now += 10_000;
    let renewal = calls(&world.worker.tick(Now(world.now))).remove(0);
    let named = |commands: &[u8]| {
        let id = ids[0].to_string();
        commands
            .windows(id.len())
            .any(|bytes| bytes == id.as_bytes())
    };
    assert!(!named(&renewal.1), "what Redis gave up is not renewed");
    let answer = world.redis.run(world.redis_now(), &renewal.1, renewal.2);
    world.worker.redis(Now(world.now), renewal.0, Ok(&answer));
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    let versions: Vec<u8> = world
        .redis
        .model
        .events()
        .iter()
        .map(|event| event.version)
        .collect();
    assert_eq!(versions, [0, 1]);
    assert_eq!(world.spent(&key_id()), 52_501);
}

/// The id under which a request was admitted.
fn id_of(client: &Client) -> ReservationId {
    let id = client.effects.iter().find_map(|effect| match effect {
        Effect::ResponseHeader { name, value } if name == "x-litellm-call-id" => value.clone(),
        _ => None,
    });
    ReservationId::parse(std::str::from_utf8(&id.unwrap()).unwrap()).unwrap()
}

#[test]
fn what_a_fail_over_takes_back_is_sent_again_and_counted_once() {
    let mut world = world();
    finish(&mut world, 5);
    world.tick();
    let replica = world.redis.model.clone();
    let spent = world.spent(&key_id());
    finish(&mut world, 7);
    world.tick();
    assert_eq!(events(&world), 12);
    world.now += 3_000;
    world.redis.model = replica;
    // The next admission shows it.
    finish(&mut world, 1);
    world.tick();
    assert_eq!(world.count(Metric::Resent), 7);
    assert_eq!(events(&world), 13);
    assert_eq!(world.spent(&key_id()), spent + 8 * 52_501);
}

#[test]
fn an_idle_workers_renewal_shows_a_fail_over_too() {
    let mut world = world();
    finish(&mut world, 5);
    world.tick();
    let replica = world.redis.model.clone();
    finish(&mut world, 7);
    world.tick();
    world.redis.model = replica;
    for _ in 0..202 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(events(&world), 12);
}

#[test]
fn a_worker_whose_kept_settlements_do_not_reach_back_far_enough_goes_on_under_another_name() {
    let mut world = world();
    let replica = world.redis.model.clone();
    finish(&mut world, 4);
    world.tick();
    // Kept for thirty seconds, then forgotten.
    world.now += 31_000;
    world.tick();
    finish(&mut world, 3);
    world.tick();
    assert_eq!(events(&world), 7);
    world.redis.model = replica;
    finish(&mut world, 1);
    for _ in 0..40 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(
        events(&world),
        4,
        "the three that were kept and the new one"
    );
    assert_eq!(world.count(Metric::Backlog), 0);
    let workers: std::collections::BTreeSet<_> = world
        .redis
        .model
        .events()
        .iter()
        .map(|event| event.worker.clone())
        .collect();
    assert_eq!(workers.len(), 1);
    assert!(
        world
            .logged
            .iter()
            .any(|line| line.contains("new worker id"))
    );
}

#[test]
fn settlements_wait_for_a_partition_that_is_not_open() {
    let mut world = world();
    finish(&mut world, 3);
    let model = std::mem::take(&mut world.redis.model);
    for _ in 0..100 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(world.count(Metric::Backlog), 3);
    assert!(world.worker.tick(Now(world.now)).len() < 10);
    world.redis.model = model;
    for _ in 0..40 {
        world.now += 50;
        world.tick();
    }
    assert_eq!((events(&world), world.count(Metric::Backlog)), (3, 0));
}

#[test]
fn settlements_survive_any_number_of_failures_in_their_order() {
    let mut world = world();
    finish(&mut world, 3);
    for failure in [
        StoreFailure::Timeout,
        StoreFailure::Unreachable,
        StoreFailure::Malformed,
        StoreFailure::Dispatch,
    ] {
        for _ in 0..40 {
            world.now += 50;
            world.failing_tick(failure);
        }
    }
    for _ in 0..60 {
        world.now += 50;
        world.tick();
    }
    let sequences: Vec<u64> = world
        .redis
        .model
        .events()
        .iter()
        .map(|event| event.sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
}

#[test]
fn garbage_in_place_of_an_acknowledgement_acknowledges_nothing() {
    let mut world = world();
    finish(&mut world, 3);
    let mut client = world.start(HELLO);
    world.step(&mut client, Event::Done);
    for reply in [
        Reply::Bulk(None),
        Reply::Integer(5),
        Reply::Error(b"OOM command not allowed".to_vec()),
        Reply::Error(b"NOSCRIPT".to_vec()),
        Reply::Array(Some(vec![
            Reply::Bulk(Some(b"ok".to_vec())),
            Reply::Integer(-5),
            Reply::Integer(-5),
        ])),
    ] {
        for _ in 0..10 {
            world.now += 100;
            let mut calls = calls(&world.worker.tick(Now(world.now)));
            for _ in 0..3 {
                let Some((call, _, replies)) = calls.pop() else {
                    break;
                };
                let answer = vec![reply.clone(); replies];
                let more = world.worker.redis(Now(world.now), call, Ok(&answer));
                calls.extend(self::calls(&more));
            }
        }
    }
    for _ in 0..60 {
        world.now += 50;
        world.tick();
    }
    assert_eq!(events(&world), 3);
    assert_eq!(
        world.redis.model.figures(&key_id()).in_flight,
        1,
        "the one still live"
    );
}

#[test]
fn gauges_tell_what_waits_and_what_lives() {
    let mut world = world();
    let mut client = world.chat(HELLO);
    world.tick();
    assert_eq!(
        (world.count(Metric::Live), world.count(Metric::Backlog)),
        (2, 0)
    );
    world.answer(&mut client, "200", ANSWER);
    world.failing_tick(StoreFailure::Timeout);
    assert_eq!(
        (world.count(Metric::Live), world.count(Metric::Backlog)),
        (1, 1)
    );
    world.now += 1_000;
    world.tick();
    assert_eq!(
        (world.count(Metric::Live), world.count(Metric::Backlog)),
        (1, 0)
    );
}

#[test]
fn an_answer_that_was_overtaken_by_an_acknowledgement_is_no_fail_over() {
    let mut world = world();
    let mut client = world.start(HELLO);
    let (call, commands, replies) = client.asked();
    let before = world.redis.run(world.redis_now(), &commands, replies);
    finish(&mut world, 5);
    world.tick();
    world.bring(&mut client, call, &before);
    assert!(client.resumed());
    assert_eq!(
        (world.count(Metric::Resent), world.count(Metric::Backlog)),
        (0, 0)
    );
}

#[test]
fn a_renewal_that_redis_refused_is_repeated_whole() {
    let mut world = world();
    for _ in 0..2 {
        assert!(world.chat(HELLO).resumed());
    }
    world.redis.model = Model::new();
    world.now += 10_000;
    for (call, _, replies) in calls(&world.worker.tick(Now(world.now))) {
        let answer = vec![Reply::Error(b"ERR upstream failure".to_vec()); replies];
        world.worker.redis(Now(world.now), call, Ok(&answer));
    }
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
    world.now += 500;
    world.tick();
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 3);
}

#[test]
fn a_watermark_above_what_was_sent_acknowledges_nothing_unsent() {
    let mut world = world();
    finish(&mut world, 3);
    let mut client = world.start(HELLO);
    let admitted = AdmitAnswer::Admitted {
        now_ms: world.redis_now(),
        remaining: vec![Remaining {
            parallel: Some(5),
            ..Remaining::default()
        }],
        watermark: 1_000,
    };
    let call = client.call().0;
    world.step(
        &mut client,
        Event::Redis {
            call,
            outcome: Ok(&[admit_reply(&admitted)]),
        },
    );
    assert!(client.resumed());
    world.tick();
    assert_eq!(events(&world), 3);
}

//! Settlements that travel ahead of an admission: a slot that is free counts as free at once.

use contract::limits::Limits;
use contract::resp::Reply;
use filter_core::clock::Now;
use filter_core::effect::Effect;
use filter_core::event::{Event, StoreFailure};
use filter_core::metric::Metric;

use crate::world::*;

/// A key with so many slots, and scripts that Redis knows by their hashes.
fn slots(parallel: u32) -> World {
    let mut world = World::with_limits(Limits {
        parallel: Some(parallel),
        ..Limits::default()
    });
    let mut warm = world.chat(HELLO);
    world.answer(&mut warm, "200", ANSWER);
    world.tick();
    world.redis.log.clear();
    world
}

#[test]
fn a_client_with_one_slot_that_goes_on_at_once_is_never_refused() {
    let mut world = slots(1);
    for round in 0..50 {
        let mut client = world.chat(HELLO);
        assert!(client.resumed(), "round {round}: {:?}", client.reply());
        world.answer(&mut client, "200", ANSWER);
    }
    world.tick();
    assert_eq!(world.redis.model.events().len(), 51, "each settled once");
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
    assert_eq!(world.count(Metric::Backlog), 0);
}

#[test]
fn it_travels_in_the_same_call_and_only_where_slots_are_few() {
    let mut world = slots(1);
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    world.redis.log.clear();
    let client = world.chat(HELLO);
    assert_eq!(world.redis.log, ["Settle", "Admit"]);
    assert_eq!(calls(&client.effects).len(), 1);

    let mut world = slots(1_000);
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    assert!(!world.worker.wants_flush(Now(world.now)), "nobody waits");
    world.redis.log.clear();
    assert!(world.chat(HELLO).resumed());
    assert_eq!(world.redis.log, ["Admit"]);
}

#[test]
fn a_request_without_a_free_slot_asks_once_more_after_settling_what_the_worker_has_finished() {
    let mut world = slots(5);
    let mut clients: Vec<_> = (0..5).map(|_| world.chat(HELLO)).collect();
    // The first was admitted while four slots were left: its settlement is in no hurry by itself.
    world.answer(&mut clients[0], "200", ANSWER);
    assert!(!world.worker.wants_flush(Now(world.now)));
    world.redis.log.clear();
    assert!(world.chat(HELLO).resumed());
    assert_eq!(world.redis.log, ["Admit", "Settle", "Admit"]);
    world.redis.log.clear();
    assert_eq!(world.chat(HELLO).refusal(), (429, "parallel".to_owned()));
    assert_eq!(world.redis.log, ["Admit"], "nothing is left to settle");
}

#[test]
fn a_request_that_overtook_the_settlement_of_its_slot_asks_once_more() {
    let mut world = slots(1);
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    // The flush has left, and arrives only after the next request was denied.
    let flush = world.worker.tick(Now(world.now));
    let mut next = Client::new();
    let asked = begin(&mut world, &mut next);
    let denied = answers(&mut world, &asked);
    let settled = answers(&mut world, &flush);
    let (call, _) = next.call();
    let outcome = Ok(denied.as_slice());
    world.drive(&mut next, Event::Redis { call, outcome });
    assert!(next.resumed(), "{:?}", next.reply());
    let flush = flush.iter().find_map(|effect| match effect {
        Effect::CallRedis { call, .. } => Some(*call),
        _ => None,
    });
    world
        .worker
        .redis(Now(world.now), flush.unwrap(), Ok(&settled));
    world.answer(&mut next, "200", ANSWER);
    world.tick();
    assert_eq!(world.redis.model.events().len(), 3, "each settled once");
}

#[test]
fn what_travelled_with_a_call_that_failed_is_sent_again_and_counts_once() {
    for failure in [StoreFailure::Timeout, StoreFailure::Dispatch] {
        let mut world = slots(1);
        let mut client = world.chat(HELLO);
        world.answer(&mut client, "200", ANSWER);
        let mut next = Client::new();
        let effects = begin(&mut world, &mut next);
        if failure == StoreFailure::Timeout {
            // It arrived all the same.
            run(&mut world, &effects);
        }
        let (call, _) = next.call();
        world.fail(&mut next, call, failure);
        world.tick();
        world.now += 1_000;
        world.tick();
        assert_eq!(world.redis.model.events().len(), 2, "{failure:?}");
        assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
    }
}

#[test]
fn what_travelled_with_a_request_that_left_is_sent_again_and_counts_once() {
    let mut world = slots(1);
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    let mut next = Client::new();
    let effects = begin(&mut world, &mut next);
    run(&mut world, &effects);
    world.step(&mut next, Event::Done);
    world.tick();
    assert_eq!(world.redis.model.events().len(), 2);
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, 0);
    assert!(world.chat(HELLO).resumed());
}

#[test]
fn a_forgotten_script_is_answered_by_the_root_with_its_source() {
    let mut world = slots(1);
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    world.redis.known.clear();
    // By its hash the settlement is unknown, so the slot is not free yet; by the tick it is.
    let refused = world.chat(HELLO);
    assert_eq!(refused.refusal().0, 429);
    assert!(world.worker.wants_flush(Now(world.now)));
    world.tick();
    assert!(world.chat(HELLO).resumed());
    assert_eq!(world.redis.model.events().len(), 2);
}

/// A warm request up to its question, unanswered.
fn begin(world: &mut World, client: &mut Client) -> Vec<Effect> {
    let headers = headers("POST", "/v1/chat/completions", &[("x-api-key", KEY)]);
    let mut effects = world.step(
        client,
        Event::RequestHeaders {
            headers: &headers,
            end: false,
            peer: None,
        },
    );
    effects.extend(world.step(
        client,
        Event::RequestBody {
            chunk: HELLO.as_bytes(),
            end: true,
        },
    ));
    effects
}

fn calls<'a>(effects: &'a [Effect]) -> Vec<(&'a [u8], usize)> {
    let call = |effect: &'a Effect| match effect {
        Effect::CallRedis {
            commands, replies, ..
        } => Some((commands.as_slice(), *replies)),
        _ => None,
    };
    effects.iter().filter_map(call).collect()
}

/// Redis does what the calls say; nobody hears of it.
fn run(world: &mut World, effects: &[Effect]) {
    answers(world, effects);
}

/// Redis does what the calls say, and this is what it answers.
fn answers(world: &mut World, effects: &[Effect]) -> Vec<Reply> {
    let now_ms = world.redis_now();
    let mut all = Vec::new();
    for (commands, replies) in calls(effects) {
        all.extend(world.redis.run(now_ms, commands, replies));
    }
    all
}

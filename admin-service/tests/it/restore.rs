//! A Redis that was emptied, restarted or put back: closed until it holds again what the ledger knows.

use std::time::Duration;

use contract::redis_key;
use contract::script::{AdmitAnswer, SettleAnswer};
use tollkeeper_admin::publish::RedisState;

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker};
use crate::support::redis::TestRedis;
use crate::support::rows::{Key, number, write_keys};
use crate::support::service::Service;

fn key_with_budget(budget: i64) -> Key {
    Key {
        max_budget: Some(budget),
        ..Key::new("one")
    }
}

/// Lets scopes with money admit at once, as they do ten seconds after a restore.
async fn open_fully(redis: &TestRedis) {
    let key = redis_key::ready(P0);
    let marker = String::from_utf8(redis.get(&key).await.unwrap()).unwrap();
    let opened = format!("{}{:016}{}", &marker[..23], 0, &marker[39..]);
    redis.words(&format!("SET {key} {opened}")).await;
}

on_both!(a_first_start_admits_everything_at_once, first);
async fn first(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    assert_eq!(worker.ready().await.unwrap().full_ms, 0);
    worker.request(&key, 400).await;
    assert_eq!(service.health.report().redis, RedisState::Open);
}

on_both!(
    a_wiped_redis_is_closed_until_spend_and_watermarks_are_back,
    wiped
);
async fn wiped(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    let mut last = None;
    for _ in 0..3 {
        let admitted = worker.admitted(&key, 250).await;
        worker.settle(&admitted, 200).await;
        last = Some(admitted);
    }
    service.drain_all().await;
    redis.words("FLUSHALL").await;
    let last = last.unwrap();
    let closed = worker.settle_as(&last, 200, 4).await.unwrap();
    assert_eq!(closed, SettleAnswer::NotReady);

    let before_ms = redis.now_ms().await;
    service.publisher.watch_once().await.unwrap();
    let ready = worker.ready().await.unwrap();
    assert!(ready.full_ms >= before_ms + 10_000 && ready.full_ms <= before_ms + 20_000);
    assert_eq!(worker.admit(&key, 1).await.0, AdmitAnswer::NotReady);
    open_fully(&redis).await;
    // 600 are spent: 400 fit, 401 do not.
    let (denied, _) = worker.admit(&key, 401).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!((denial.limit, denial.used), (1_000, 600));
    worker.admitted(&key, 400).await;
    // The third settlement again: the watermark knows it.
    let repeated = worker.settle_as(&last, 200, 3).await.unwrap();
    assert!(
        matches!(repeated, SettleAnswer::Done { watermark: 3, .. }),
        "{repeated:?}"
    );
    assert_eq!(
        redis
            .number(&format!("XLEN {}", redis_key::spend(P0)))
            .await,
        0
    );
}

on_both!(
    what_was_not_drained_before_the_wipe_is_settled_again_and_counted_once,
    undrained
);
async fn undrained(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 100).await;
    service.drain_all().await;
    let lost = worker.admitted(&key, 300).await;
    worker.settle(&lost, 300).await;
    redis.words("FLUSHALL").await;
    service.publisher.watch_once().await.unwrap();
    // The worker sees a lower watermark than it had acknowledged, and sends what it kept.
    let again = worker.settle_as(&lost, 300, 2).await.unwrap();
    assert!(matches!(again, SettleAnswer::Done { watermark: 2, .. }));
    service.drain_all().await;
    open_fully(&redis).await;
    let (denied, _) = worker.admit(&key, 601).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.used, 400);
    assert_eq!(
        number(&database.store, "SELECT spent FROM spend_scopes").await,
        400
    );
}

on_both!(
    a_rate_limit_used_before_the_wipe_is_still_used_after_it,
    rate
);
async fn rate(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        rpm: Some(3),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    for _ in 0..2 {
        worker.request(&key, 0).await;
    }
    service.drain_all().await;
    redis.words("FLUSHALL").await;
    service.publisher.watch_once().await.unwrap();
    worker.admitted(&key, 0).await;
    let (denied, _) = worker.admit(&key, 0).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!((denial.limit, denial.used), (3, 3));
    let wait = denial.retry_after_ms.unwrap();
    assert!(wait > 50_000 && wait <= 66_000, "{wait}");
}

on_both!(
    a_live_request_comes_back_by_renewal_and_is_settled_once,
    live
);
async fn live(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 100).await;
    service.drain_all().await;
    let running = worker.admitted(&key, 500).await;
    redis.words("FLUSHALL").await;
    worker.renew(&[&running], 500).await;
    service.publisher.watch_once().await.unwrap();
    open_fully(&redis).await;
    let (denied, _) = worker.admit(&key, 401).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.used, 600);
    worker.settle(&running, 450).await;
    service.drain_all().await;
    assert_eq!(
        number(&database.store, "SELECT spent FROM spend_scopes").await,
        550
    );
}

on_both!(
    a_restart_from_the_append_only_file_keeps_what_redis_knows_better,
    restarted
);
async fn restarted(database: Database) {
    let mut redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        rpm: Some(2),
        ..key_with_budget(1_000)
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 100).await;
    service.drain_all().await;
    // Settled, not drained; and a second one is in flight: Redis alone knows of both.
    let in_flight = worker.admitted(&key, 300).await;
    let before = worker.ready().await.unwrap();
    redis.server.process().kill().await.unwrap();
    redis.server.restart().await.unwrap();
    let blocked = Key {
        blocked: true,
        ..Key::new("two")
    };
    blocked.write(&database.store).await;
    // The first call finds the old connection broken.
    let _ = service.publisher.watch_once().await;
    service.publisher.watch_once().await.unwrap();
    let after = worker.ready().await.unwrap();
    assert_ne!(after.run_id, before.run_id);
    assert_eq!(
        (after.full_ms, after.partitions),
        (before.full_ms, before.partitions)
    );
    // Published anew.
    assert_eq!(worker.scopes(&blocked).await.len(), 1);
    let (denied, _) = worker.admit(&key, 0).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!((denial.limit, denial.used), (2, 2));
    worker.settle(&in_flight, 300).await;
    service.drain_all().await;
    assert_eq!(
        number(
            &database.store,
            "SELECT spent FROM spend_scopes WHERE kind = 'key'"
        )
        .await,
        400
    );
}

on_both!(a_redis_that_went_back_in_time_is_closed_and_restored, back);
async fn back(database: Database) {
    let mut redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 100).await;
    let header = redis
        .get(&redis_key::scope(P0, &key.record()))
        .await
        .unwrap();
    worker.request(&key, 200).await;
    service.drain_all().await;
    // As a replica is that was promoted without the last settlement.
    let name = redis_key::scope(P0, &key.record());
    redis
        .link
        .command(&[b"SET", name.as_bytes(), &header])
        .await
        .unwrap();
    redis
        .words(&format!(
            "HSET {} {} 1",
            redis_key::watermarks(P0),
            worker.name
        ))
        .await;
    redis.server.process().kill().await.unwrap();
    redis.server.restart().await.unwrap();
    // The first call finds the old connection broken.
    let _ = service.publisher.watch_once().await;
    service.publisher.watch_once().await.unwrap();
    assert!(worker.ready().await.unwrap().full_ms > 0);
    open_fully(&redis).await;
    let (denied, _) = worker.admit(&key, 701).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.used, 300);
}

on_both!(a_redis_that_may_forget_is_not_opened, forgetful);
async fn forgetful(database: Database) {
    let redis = TestRedis::start().await;
    redis.words("CONFIG SET maxmemory-policy allkeys-lru").await;
    let running = Service::new("a", &database, &redis).start();
    let refused =
        |state: &RedisState| matches!(state, RedisState::Closed(why) if why.contains("noeviction"));
    running
        .health
        .wait_for(|report| refused(&report.redis))
        .await;
    assert_eq!(redis.get(&redis_key::ready(P0)).await, None);
    redis.words("CONFIG SET maxmemory-policy noeviction").await;
    running
        .health
        .wait_for(|report| report.redis == RedisState::Open)
        .await;
    redis
        .words("CONFIG SET maxmemory-policy volatile-lru")
        .await;
    running
        .health
        .wait_for(|report| report.warning.is_some())
        .await;
    running.stop().await;
}

on_both!(another_number_of_partitions_is_refused, partitions);
async fn partitions(database: Database) {
    let redis = TestRedis::start().await;
    let mut service = Service::new("a", &database, &redis);
    service.publisher.watch_once().await.unwrap();
    service.publisher.partitions = 2;
    let why = service
        .publisher
        .watch_once()
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        why,
        "Redis was opened with 1 partitions, and 2 are configured"
    );
    redis.words("FLUSHALL").await;
    let why = service
        .publisher
        .watch_once()
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        why,
        "the ledger was kept with 1 partitions: 2 cannot be used with this database"
    );
}

on_both!(two_services_that_race_restore_once_and_both_go_on, race);
async fn race(database: Database) {
    let redis = TestRedis::start().await;
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    let (one, two) = (
        Service::new("a", &database, &redis),
        Service::new("b", &database, &redis),
    );
    one.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 100).await;
    one.drain_all().await;
    let (one, two) = (one.start(), two.start());
    for _ in 0..3 {
        for service in [&one, &two] {
            service
                .health
                .wait_for(|report| report.redis == RedisState::Open)
                .await;
        }
        let restores = one.health.report().restores + two.health.report().restores;
        redis.words("FLUSHALL").await;
        tokio::select! {
            () = one.health.wait_for(|report| report.restores + two.health.report().restores > restores) => {}
            () = two.health.wait_for(|report| report.restores + one.health.report().restores > restores) => {}
        }
        open_fully(&redis).await;
        let (denied, _) = worker.admit(&key, 901).await;
        let AdmitAnswer::Denied { denial, .. } = denied else {
            panic!("{denied:?}")
        };
        assert_eq!(denial.used, 100);
    }
    one.stop().await;
    two.stop().await;
}

on_both!(ten_thousand_keys_are_back_within_five_seconds, many);
async fn many(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let keys = (0..10_000).map(|number| Key {
        user: Some(format!("u{}", number % 2_000)),
        team: Some(format!("t{}", number % 100)),
        rpm: Some(100),
        max_budget: Some(1_000_000),
        budget_duration: Some("30d"),
        ..Key::new(&format!("k{number}"))
    });
    let keys = keys.collect::<Vec<_>>();
    for keys in keys.chunks(1_000) {
        write_keys(&database.store, keys).await;
    }
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    for key in &keys[..300] {
        worker.request(key, 5).await;
    }
    service.drain_all().await;
    redis.words("FLUSHALL").await;
    let began = tokio::time::Instant::now();
    service.publisher.watch_once().await.unwrap();
    let took = began.elapsed();
    println!(
        "{:?}: 10,000 keys restored in {} ms",
        database.store.engine(),
        took.as_millis()
    );
    assert_eq!(worker.scopes(&keys[9_999]).await.len(), 4);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

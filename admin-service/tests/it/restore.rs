//! A Redis that was emptied, restarted or put back: closed until it holds again what the ledger knows.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::id::{CustomerId, OrganizationId, UserId};
use contract::records::{IndexEntry, Versioned};
use contract::redis_key::{self, RecordId};
use contract::resp::Reply;
use contract::script::{AdmitAnswer, SettleAnswer};
use contract::spend_event::{ChargedScope, SpendBody};
use contract::window::BudgetWindow;
use tollkeeper_admin::domain::budget_window::WindowRules;
use tollkeeper_admin::publish::{RedisState, refuse_error};
use tollkeeper_admin::store::outbox::Kind;
use tollkeeper_admin::store::spend;

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker, spend_body};
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
    let api = crate::spend::Api::start_closed(&database, &redis).await;
    let readiness = api.get("/health/readiness").await;
    assert_eq!(readiness["redis"], "closed");
    assert_eq!(
        readiness["redis_reason"],
        "Redis has maxmemory-policy allkeys-lru, under which it may forget what was spent: set maxmemory-policy noeviction"
    );
    drop(api);
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

on_both!(
    every_partition_has_what_its_keys_need_and_gets_it_back,
    many_partitions
);
async fn many_partitions(database: Database) {
    const P: u16 = 5;
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis).with_partitions(P);
    let keys = (0..12).map(|number| Key {
        user: (number % 2 > 0).then(|| "ada".to_owned()),
        team: (number % 3 > 0).then(|| format!("t{number}")),
        ..Key::new(&format!("k{number}"))
    });
    let keys = keys.collect::<Vec<_>>();
    write_keys(&database.store, &keys).await;
    service.publisher.watch_once().await.unwrap();
    let mut homes = BTreeSet::new();
    for (number, key) in (1..).zip(&keys) {
        let entry = entry(&redis, key, P).await;
        homes.insert(entry.home);
        for id in &entry.records {
            let name = redis_key::record(entry.home, id);
            assert!(redis.get(&name).await.is_some(), "{name}");
        }
        let body = serde_json::to_string(&spend_body(key, 3)).unwrap();
        let stream = redis_key::spend(entry.home);
        let now_ms = redis.now_ms().await;
        let event = format!("i {number:032x} v 1 w aa q {number} c 50 a {now_ms} b {body}");
        redis.words(&format!("XADD {stream} * {event}")).await;
    }
    assert!(homes.len() > 2, "{homes:?}");
    let all = service.publisher.all();
    let drained = service.ledger.drain(&all, 100).await.unwrap().unwrap();
    assert_eq!(drained.entries, keys.len());

    redis.words("FLUSHALL").await;
    service.publisher.watch_once().await.unwrap();
    for partition in all {
        for marker in [
            redis_key::ready(partition),
            redis_key::index_ready(partition),
        ] {
            assert!(redis.get(&marker).await.is_some(), "{marker}");
        }
    }
    for key in &keys {
        let home = entry(&redis, key, P).await.home;
        assert!(
            redis
                .get(&redis_key::scope(home, &key.record()))
                .await
                .is_some()
        );
        assert!(
            redis
                .number(&format!("HLEN {}", redis_key::watermarks(home)))
                .await
                > 0
        );
    }
}

async fn entry(redis: &TestRedis, key: &Key, partitions: u16) -> IndexEntry {
    let slot = redis_key::index_slot(&key.hash(), partitions);
    let stored = redis.get(&redis_key::index(slot, &key.hash())).await;
    Versioned::decode(&stored.expect("an entry"))
        .expect("an entry")
        .value
}

on_both!(
    a_redis_emptied_again_and_again_is_never_open_without_its_spend,
    emptied
);
async fn emptied(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let keys = (0..300).map(|number| Key {
        max_budget: Some(1_000),
        ..Key::new(&format!("k{number}"))
    });
    let keys = keys.collect::<Vec<_>>();
    write_keys(&database.store, &keys).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    for key in &keys {
        worker.request(key, 100).await;
    }
    service.drain_all().await;
    let services = [service, Service::new("b", &database, &redis)].map(Service::start);
    let headers = keys
        .iter()
        .map(|key| redis_key::scope(P0, &key.record()))
        .collect::<Vec<_>>();
    let names = headers
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    // Whenever the marker is there, so is every scope: both are read in one step.
    let script = "local m=redis.call('EXISTS',KEYS[1]) local n=redis.call('EXISTS',unpack(KEYS,2)) return m*1000+n";
    let (mut open, mut restored) = (0, 0);
    for round in 0..400 {
        if round % 7 == 0 {
            redis.words("FLUSHALL").await;
        }
        let mut args = vec!["EVAL", script];
        let count = (1 + keys.len()).to_string();
        let ready = redis_key::ready(P0);
        args.extend([count.as_str(), &ready]);
        args.extend(names.split(' '));
        let args = args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>();
        let Reply::Integer(seen) = redis.link.command(&args).await.unwrap() else {
            panic!("no number")
        };
        if seen >= 1_000 {
            assert_eq!(seen, 1_300, "open without its spend");
            open += 1;
        }
        restored = services
            .iter()
            .map(|service| service.health.report().restores)
            .sum::<u64>();
        tokio::time::sleep(Duration::from_millis(1 + round % 13 * 4)).await;
    }
    assert!(open > 20 && restored > 5, "{open} {restored}");
    for service in services {
        service.stop().await;
    }
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

/// What a scope's header says was spent; `None` without a header.
async fn spent(redis: &TestRedis, scope: &RecordId) -> Option<u64> {
    let header = redis.get(&redis_key::scope(P0, scope)).await?;
    Some(u64::from_be_bytes(header[10..18].try_into().unwrap()))
}

on_both!(every_scope_that_a_request_was_charged_in_is_back, named);
async fn named(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = key_with_budget(1_000);
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let now_ms = redis.now_ms().await;
    let scope = |id: RecordId, window| ChargedScope { id, window };
    let org = OrganizationId::new("org");
    let member = RecordId::organization_member(&org, &UserId::new("ada"));
    let hour = BudgetWindow::Fixed {
        anchor_ms: now_ms,
        every_ms: 3_600_000,
    };
    let charged = vec![
        scope(RecordId::organization(&org), BudgetWindow::Lifetime),
        scope(key.record().window("1h"), hour.clone()),
        scope(key.record().of_model("gpt-*"), BudgetWindow::Lifetime),
        scope(RecordId::tag("prod"), hour),
        scope(member, BudgetWindow::Lifetime),
        scope(RecordId::proxy(), BudgetWindow::Lifetime),
    ];
    // A customer's minute that is over.
    let over = scope(
        RecordId::customer(&CustomerId::new("ada")),
        BudgetWindow::Fixed {
            anchor_ms: 0,
            every_ms: 60_000,
        },
    );
    let before = now_ms - 200_000;
    let events = [
        (
            "0a",
            "300",
            format!("{before}-0"),
            before,
            vec![over.clone()],
        ),
        ("0b", "400", "*".to_owned(), now_ms, charged.clone()),
    ];
    for (id, cost, stream_id, admitted_ms, charged) in events {
        let body = SpendBody {
            organization: Some(org.clone()),
            end_user: Some("ada".to_owned()),
            charged,
            ..spend_body(&key, 3)
        };
        let body = serde_json::to_vec(&body).unwrap();
        let (id, admitted) = (id.repeat(16), admitted_ms.to_string());
        let stream = redis_key::spend(P0);
        let words = [
            "XADD",
            &stream,
            &stream_id,
            "i",
            &id,
            "v",
            "1",
            "w",
            "00000000000000aa",
            "q",
            "1",
            "a",
            &admitted,
            "c",
            cost,
            "b",
        ];
        let mut words = words.map(str::as_bytes).to_vec();
        words.push(&body);
        refuse_error(redis.link.command(&words).await.unwrap()).unwrap();
    }
    service.drain_all().await;
    let mut connection = database.store.read().await.unwrap();
    let rules = WindowRules::default();
    for (kind, id, total) in [
        (Kind::Organization, "org", 700),
        (Kind::Customer, "ada", 700),
        (Kind::Scope, "tag:prod", 400),
    ] {
        let ids = [id.to_owned()];
        let shown = spend::spent(&mut connection, kind, &ids, now_ms, &rules).await;
        assert_eq!(shown.unwrap()[id].total.get(), total, "{id}");
    }
    // The end of the tag's window shows nothing spent in the next one.
    let ids = ["tag:prod".to_owned()];
    let later = now_ms + 3_600_000;
    let shown = spend::spent(&mut connection, Kind::Scope, &ids, later, &rules).await;
    assert_eq!(shown.unwrap()["tag:prod"].spend.get(), 0);
    drop(connection);

    redis.words("FLUSHALL").await;
    service.publisher.watch_once().await.unwrap();
    for charged in &charged {
        let name = &charged.id;
        assert_eq!(spent(&redis, name).await, Some(400), "{name}");
        let segments = redis.get(&redis_key::segments(P0, name)).await.unwrap();
        assert_eq!(segments[6..10], [0, 0, 0, 1], "{name}");
    }
    assert_eq!(spent(&redis, &over.id).await, None, "its window is over");
}

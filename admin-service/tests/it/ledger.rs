//! From the spend stream into the database: every request once.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::id::{OrganizationId, ReservationId};
use contract::redis_key::{self, Partition};
use contract::script::AdmitAnswer;
use contract::spend_event::SpendBody;
use tollkeeper_admin::domain::budget_window::WindowRules;
use tollkeeper_admin::publish::RedisState;
use tollkeeper_admin::store::outbox::Kind;
use tollkeeper_admin::store::spend::{self, Difference};

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker, spend_body};
use crate::support::redis::TestRedis;
use crate::support::rows::{Key, number};
use crate::support::service::Service;

/// Puts an event on the stream as the scripts do.
async fn event(redis: &TestRedis, at: &Event, body: &SpendBody) {
    let body = serde_json::to_vec(body).unwrap();
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&at.id.to_be_bytes());
    let id = ReservationId::from_bytes(bytes).to_string();
    let (version, cost) = (at.version.to_string(), at.cost.to_string());
    let (worker, sequence) = match at.version {
        0 => ("", "0".to_owned()),
        _ => ("00000000000000aa", at.id.to_string()),
    };
    let admitted = at.admitted_ms.to_string();
    let key = redis_key::spend(P0);
    let stream_id = at.stream_id.as_deref().unwrap_or("*");
    let args = [
        "XADD", &key, stream_id, "i", &id, "v", &version, "w", worker, "q", &sequence, "c", &cost,
        "a", &admitted, "b",
    ];
    let mut args = args.map(str::as_bytes).to_vec();
    args.push(&body);
    let reply = redis.link.command(&args).await.unwrap();
    tollkeeper_admin::publish::refuse_error(reply).unwrap();
}

#[derive(Clone, Debug, Default)]
struct Event {
    id: u64,
    version: u8,
    cost: u64,
    admitted_ms: u64,
    stream_id: Option<String>,
}

async fn spent(database: &Database, kind: Kind, id: &str, now_ms: u64) -> (u64, u64) {
    let mut connection = database.store.read().await.unwrap();
    let ids = [id.to_owned()];
    let spent = spend::spent(&mut connection, kind, &ids, now_ms, &WindowRules::default()).await;
    let spent = spent.unwrap().get(id).copied().unwrap_or_default();
    (spent.spend.get(), spent.total.get())
}

on_both!(
    a_settled_request_is_one_row_and_counts_everywhere_once,
    once
);
async fn once(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        user: Some("ada".to_owned()),
        team: Some("ops".to_owned()),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    let request = worker.admitted(&key, 900).await;
    worker.settle(&request, 700).await;
    // The reply was lost: the same settlement again.
    worker.settle_as(&request, 700, 1).await.unwrap();
    service.drain_all().await;
    let store = &database.store;
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 1);
    assert_eq!(number(store, "SELECT spend FROM spend_logs").await, 700);
    assert_eq!(
        number(store, "SELECT sequence FROM spend_watermarks").await,
        1
    );
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM spend_scopes WHERE spent = 700 AND total = 700"
        )
        .await,
        4
    );
    for table in [
        "SELECT spend FROM daily_user_spend",
        "SELECT spend FROM daily_team_spend",
    ] {
        assert_eq!(number(store, table).await, 700);
    }
    assert_eq!(
        redis
            .number(&format!("XLEN {}", redis_key::spend(P0)))
            .await,
        0
    );
    let now_ms = redis.now_ms().await;
    assert_eq!(
        spent(&database, Kind::User, "ada", now_ms).await,
        (700, 700)
    );
}

on_both!(
    a_crash_between_commit_and_trim_loses_and_doubles_nothing,
    crash
);
async fn crash(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key::new("one");
    for id in 1..=30 {
        let at = Event {
            id,
            version: 1,
            cost: id,
            admitted_ms: 1_800_000_000_000,
            stream_id: None,
        };
        event(&redis, &at, &spend_body(&key, 10)).await;
    }
    // Twenty are committed; the crash comes before they leave the stream.
    let committed = service
        .ledger
        .commit(&[P0], 20, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(committed.entries, 20);
    assert_eq!(
        redis
            .number(&format!("XLEN {}", redis_key::spend(P0)))
            .await,
        30
    );
    service.drain_all().await;
    let store = &database.store;
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 30);
    assert_eq!(
        number(
            store,
            "SELECT CAST(SUM(spend) AS BIGINT) FROM daily_user_spend"
        )
        .await,
        465
    );
    assert_eq!(
        number(store, "SELECT api_requests FROM daily_user_spend").await,
        30
    );
    assert_eq!(
        number(store, "SELECT total FROM spend_scopes WHERE kind = 'key'").await,
        465
    );
    assert_eq!(
        redis
            .number(&format!("XLEN {}", redis_key::spend(P0)))
            .await,
        0
    );
}

on_both!(
    services_that_crash_while_draining_lose_and_double_nothing,
    crashes
);
async fn crashes(database: Database) {
    const EVENTS: u64 = 3_000;
    let redis = TestRedis::start().await;
    let key = Key::new("one");
    key.write(&database.store).await;
    for id in 1..=EVENTS {
        let at = Event {
            id,
            version: 1,
            cost: 1,
            admitted_ms: 1_800_000_000_000,
            stream_id: None,
        };
        event(&redis, &at, &spend_body(&key, 1)).await;
    }
    // Each is ended as soon as it has taken something off the stream, wherever it is by then.
    for name in ["a", "b", "c"] {
        let service = Service::new(name, &database, &redis);
        let running = service.start();
        running.health.wait_for(|report| report.drained > 0).await;
        running.crash();
    }
    let last = Service::new("d", &database, &redis).start();
    let store = &database.store;
    last.health
        .wait_for(|report| report.redis == RedisState::Open)
        .await;
    wait_for_empty(&redis).await;
    assert_eq!(
        number(store, "SELECT COUNT(*) FROM spend_logs").await,
        3_000
    );
    assert_eq!(
        number(store, "SELECT api_requests FROM daily_user_spend").await,
        3_000
    );
    assert_eq!(
        number(store, "SELECT total FROM spend_scopes WHERE kind = 'key'").await,
        3_000
    );
    last.stop().await;
}

/// Waits until the stream was trimmed; a trim is no event that could be awaited.
async fn wait_for_empty(redis: &TestRedis) {
    let empty = async {
        while redis
            .number(&format!("XLEN {}", redis_key::spend(P0)))
            .await
            > 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), empty)
        .await
        .expect("the stream is drained");
}

on_both!(a_settlement_after_a_sweep_corrects_every_sum, corrected);
async fn corrected(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        team: Some("ops".to_owned()),
        ..Key::new("one")
    };
    let at = |version, cost| Event {
        id: 7,
        version,
        cost,
        admitted_ms: 1_800_000_000_000,
        stream_id: None,
    };
    event(
        &redis,
        &at(0, 900),
        &SpendBody {
            status: 0,
            exact: false,
            ..spend_body(&key, 90)
        },
    )
    .await;
    service.drain_all().await;
    let store = &database.store;
    assert_eq!(
        number(store, "SELECT spend FROM daily_team_spend").await,
        900
    );
    assert_eq!(
        number(store, "SELECT failed_requests FROM daily_team_spend").await,
        1
    );
    event(&redis, &at(1, 400), &spend_body(&key, 40)).await;
    // The sweep's event again, after the settlement: it no longer stands.
    event(&redis, &at(0, 900), &spend_body(&key, 90)).await;
    service.drain_all().await;
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 1);
    assert_eq!(
        number(
            store,
            "SELECT spend FROM spend_logs WHERE version = 1 AND exact = 1"
        )
        .await,
        400
    );
    for (sum, expected) in [
        ("SELECT spend FROM daily_team_spend", 400),
        ("SELECT prompt_tokens FROM daily_team_spend", 40),
        ("SELECT api_requests FROM daily_team_spend", 1),
        ("SELECT successful_requests FROM daily_team_spend", 1),
        ("SELECT failed_requests FROM daily_team_spend", 0),
        ("SELECT spent FROM spend_scopes WHERE kind = 'team'", 400),
        ("SELECT total FROM spend_scopes WHERE kind = 'key'", 400),
    ] {
        assert_eq!(number(store, sum).await, expected, "{sum}");
    }
}

on_both!(
    spend_belongs_to_the_budget_window_of_its_stream_time,
    windows
);
async fn windows(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        max_budget: Some(1_000_000),
        budget_duration: Some("1h"),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    let hour = 1_800_000_000_000; // a full hour
    let body = spend_body(&key, 1);
    let at = |id, version, cost, ms: u64| Event {
        id,
        version,
        cost,
        admitted_ms: ms,
        stream_id: Some(format!("{ms}-{id}")),
    };
    event(&redis, &at(1, 1, 100, hour + 10), &body).await;
    event(&redis, &at(2, 0, 50, hour + 3_599_999), &body).await;
    service.drain_all().await;
    assert_eq!(
        spent(&database, Kind::Key, "one", hour + 3_599_999).await,
        (150, 150)
    );
    // On the dot, before anything else happens, the new window shows nothing spent.
    assert_eq!(
        spent(&database, Kind::Key, "one", hour + 3_600_000).await,
        (0, 150)
    );
    event(&redis, &at(3, 1, 7, hour + 3_600_000), &body).await;
    // The swept request of the old window is settled in the new one: the total is corrected, the new window is not charged.
    event(&redis, &at(2, 1, 20, hour + 3_600_005), &body).await;
    service.drain_all().await;
    assert_eq!(
        spent(&database, Kind::Key, "one", hour + 3_600_005).await,
        (7, 127)
    );
}

on_both!(
    an_entry_that_is_no_event_is_kept_and_holds_up_no_other,
    letters
);
async fn letters(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key::new("one");
    redis
        .words(&format!("XADD {} * what is-this", redis_key::spend(P0)))
        .await;
    let far = Event {
        id: 1,
        version: 1,
        cost: 1,
        admitted_ms: u64::MAX,
        stream_id: None,
    };
    event(&redis, &far, &spend_body(&key, 1)).await;
    let good = Event {
        id: 2,
        version: 1,
        cost: 5,
        admitted_ms: 1_800_000_000_000,
        stream_id: None,
    };
    event(&redis, &good, &spend_body(&key, 1)).await;
    let drained = service.ledger.drain(&[P0], 100).await.unwrap().unwrap();
    assert_eq!((drained.entries, drained.dead_letters), (3, 2));
    assert_eq!(service.health.report().dead_letters, 2);
    let store = &database.store;
    assert_eq!(spend::dead_letters(store).await.unwrap(), 2);
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 1);
    let mut connection = store.read().await.unwrap();
    let fields: Vec<(String, String)> =
        sqlx::query_as("SELECT fields, reason FROM spend_dead_letters ORDER BY stream_id")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    assert_eq!(fields[0].0, r#"[["what","is-this"]]"#);
    assert_eq!(fields[0].1, "field `i` is missing or wrong");
    assert!(fields[1].0.contains("18446744073709551615"));
}

on_both!(
    what_clients_and_providers_wrote_cannot_stop_the_drain,
    hostile
);
async fn hostile(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let long = "ä\0".repeat(40_000);
    let body = SpendBody {
        model_group: long.clone(),
        end_user: Some("nul \0 inside".to_owned()),
        response_id: Some(long.clone()),
        tags: vec![long],
        usage: contract::usage::Usage {
            input: u64::MAX,
            output: u64::MAX,
            ..Default::default()
        },
        duration_ms: u64::MAX,
        ..spend_body(&Key::new("one"), 1)
    };
    for id in 1..4 {
        let at = Event {
            id,
            version: 1,
            cost: 9_000_000_000_000_000,
            admitted_ms: 1_800_000_000_000,
            stream_id: None,
        };
        event(&redis, &at, &body).await;
    }
    let running = service.start();
    running.health.wait_for(|report| report.drained == 3).await;
    assert_eq!(
        number(&database.store, "SELECT COUNT(*) FROM spend_logs").await,
        3
    );
    assert_eq!(running.health.report().dead_letters, 0);
    running.stop().await;
}

on_both!(
    a_row_that_the_database_refuses_becomes_a_dead_letter,
    refused
);
async fn refused(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let mut connection = database.store.read().await.unwrap();
    // Stands for whatever a database may find wrong with one row alone.
    let forbid = "CREATE UNIQUE INDEX refuses ON spend_logs (end_user) WHERE end_user <> ''";
    sqlx::query(forbid).execute(&mut *connection).await.unwrap();
    drop(connection);
    let key = Key::new("one");
    for (id, end_user) in [(1, "x"), (2, "y"), (3, "x"), (4, "z")] {
        let body = SpendBody {
            end_user: Some(end_user.to_owned()),
            ..spend_body(&key, 1)
        };
        let at = Event {
            id,
            version: 1,
            cost: 1,
            admitted_ms: 1_800_000_000_000,
            stream_id: None,
        };
        event(&redis, &at, &body).await;
    }
    let running = service.start();
    running.health.wait_for(|report| report.drained == 4).await;
    let store = &database.store;
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 3);
    assert_eq!(
        number(store, "SELECT total FROM spend_scopes WHERE kind = 'key'").await,
        3
    );
    assert_eq!(running.health.report().dead_letters, 1);
    running.stop().await;
}

on_both!(of_two_services_one_drains, leaders);
async fn leaders(database: Database) {
    let redis = TestRedis::start().await;
    let (one, two) = (
        Service::new("a", &database, &redis),
        Service::new("b", &database, &redis),
    );
    let key = Key::new("one");
    for id in 1..=40 {
        let at = Event {
            id,
            version: 1,
            cost: 1,
            admitted_ms: 1_800_000_000_000,
            stream_id: None,
        };
        event(&redis, &at, &spend_body(&key, 1)).await;
    }
    let (first, second) = tokio::join!(one.ledger.drain(&[P0], 10), two.ledger.drain(&[P0], 10));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_some() != second.is_some(), "{first:?} {second:?}");
    let (leader, other) = if first.is_some() {
        (one, two)
    } else {
        (two, one)
    };
    assert!(leader.ledger.drain(&[P0], 10).await.unwrap().is_some());
    assert!(other.ledger.drain(&[P0], 10).await.unwrap().is_none());
    let (holder, until) = spend::holder(&database.store, "ledger")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(holder, leader.ledger.holder);
    assert!(until > database.store.clock().now_us());
    // A leader that stops gives way at once.
    let running = leader.start();
    running.health.wait_for(|report| report.drained >= 20).await;
    running.stop().await;
    assert!(other.ledger.drain(&[P0], 10).await.unwrap().is_some());
    assert_eq!(
        number(&database.store, "SELECT COUNT(*) FROM spend_logs").await,
        40
    );
}

on_both!(
    rows_scopes_and_days_agree_to_the_nano_dollar_after_anything,
    agree
);
async fn agree(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    // xorshift: the same sequence every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let keys = (0..6).map(|number| Key {
        user: (number % 3 > 0).then(|| format!("u{}", number % 2)),
        team: (number % 2 > 0).then(|| format!("t{}", number % 3)),
        ..Key::new(&format!("k{number}"))
    });
    let keys = keys.collect::<Vec<_>>();
    let mut stands = Stands::new();
    for _ in 0..120 {
        for _ in 0..below(30) {
            let id = 1 + below(600);
            let version = u8::from(below(4) > 0);
            let cost = below(9_000_000_000);
            let key = usize::try_from(id % 6).unwrap();
            let admitted_ms = 1_800_000_000_000 + id * 3_600_000;
            let at = Event {
                id,
                version,
                cost,
                admitted_ms,
                stream_id: None,
            };
            let tokens = below(5_000);
            let mut body = SpendBody {
                status: if below(5) == 0 { 500 } else { 200 },
                ..spend_body(&keys[key], tokens)
            };
            body.usage.cache_read = below(3);
            body.duration_ms = below(90);
            // Like the key these are the admission's, whichever of its events tells them.
            body.end_user = (id % 2 == 0).then(|| format!("c{}", id % 8));
            body.organization = (id % 5 < 3).then(|| OrganizationId::new("acme"));
            body.tags = (0..below(4)).map(|_| format!("tag{}", below(3))).collect();
            body.model_group = format!("group{}", below(2));
            event(&redis, &at, &body).await;
            let old = stands.get(&id).copied();
            if old.is_none_or(|(old, _, _)| old < version) {
                stands.insert(id, (version, cost, key));
            }
        }
        let count = usize::try_from(1 + below(40)).unwrap();
        match below(5) {
            // A crash before the trim.
            0 => drop(service.ledger.commit(&[P0], count, None).await.unwrap()),
            _ => drop(service.ledger.drain(&[P0], count).await.unwrap()),
        }
    }
    service.drain_all().await;
    agrees(&database, &keys, &stands).await;
    // These events came past the scripts, so no counter in Redis knows of them.
    let differences = service.ledger.reconcile().await.unwrap();
    let differences = differences
        .iter()
        .filter(|difference| difference.between != "scopes and counters in Redis");
    assert_eq!(differences.collect::<Vec<_>>(), Vec::<&Difference>::new());
}

/// Version, cost and key of every event that stands.
type Stands = BTreeMap<u64, (u8, u64, usize)>;

async fn agrees(database: &Database, keys: &[Key], stands: &Stands) {
    let store = &database.store;
    let total: u64 = stands.values().map(|(_, cost, _)| cost).sum();
    let total = i64::try_from(total).unwrap();
    let rows = i64::try_from(stands.len()).unwrap();
    assert!(rows > 400);
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, rows);
    for (sum, expected) in [
        ("SELECT CAST(SUM(spend) AS BIGINT) FROM spend_logs", total),
        (
            "SELECT CAST(SUM(spend) AS BIGINT) FROM daily_user_spend",
            total,
        ),
        (
            "SELECT CAST(SUM(total) AS BIGINT) FROM spend_scopes WHERE kind = 'key'",
            total,
        ),
        (
            "SELECT CAST(SUM(spent) AS BIGINT) FROM spend_scopes WHERE kind = 'key'",
            total,
        ),
        (
            "SELECT CAST(SUM(api_requests) AS BIGINT) FROM daily_user_spend",
            rows,
        ),
        (
            "SELECT CAST(SUM(successful_requests + failed_requests) AS BIGINT) FROM daily_user_spend",
            rows,
        ),
    ] {
        assert_eq!(number(store, sum).await, expected, "{sum}");
    }
    for (one, other) in [
        (
            "SELECT CAST(SUM(spend) AS BIGINT) FROM spend_logs WHERE team_id <> ''",
            "SELECT CAST(SUM(spend) AS BIGINT) FROM daily_team_spend",
        ),
        (
            "SELECT CAST(SUM(spend) AS BIGINT) FROM spend_logs WHERE user_id <> '' AND team_id <> ''",
            "SELECT CAST(SUM(spent) AS BIGINT) FROM spend_scopes WHERE kind = 'member'",
        ),
        (
            "SELECT CAST(SUM(prompt_tokens) AS BIGINT) FROM spend_logs",
            "SELECT CAST(SUM(prompt_tokens) AS BIGINT) FROM daily_user_spend",
        ),
    ] {
        assert_eq!(
            number(store, one).await,
            number(store, other).await,
            "{one}"
        );
    }
    for (number, key) in keys.iter().enumerate() {
        let expected: u64 = stands
            .values()
            .filter(|(_, _, of)| *of == number)
            .map(|(_, cost, _)| cost)
            .sum();
        assert_eq!(
            spent(database, Kind::Key, &key.id, u64::MAX / 2).await.1,
            expected
        );
    }
}

on_both!(
    a_request_of_a_vanished_worker_is_charged_as_reserved_and_corrected_if_it_settles,
    vanished
);
async fn vanished(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        max_budget: Some(10_000),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    let sent = worker.admitted(&key, 900).await;
    worker.renew(&[&sent], 900).await;
    let never_sent = worker.admitted(&key, 800).await;
    // Half a minute later: the deadlines are over, and other workers renew.
    let deadlines = redis_key::deadlines(P0);
    for request in [&sent, &never_sent] {
        redis
            .words(&format!("ZADD {deadlines} 1 {}", request.id))
            .await;
    }
    let swept = tollkeeper_admin::ledger::sweep(&redis.link, &[P0]).await;
    assert_eq!(swept.unwrap(), (1, 1));
    service.drain_all().await;
    let store = &database.store;
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 1);
    assert_eq!(
        number(store, "SELECT spend FROM spend_logs WHERE version = 0").await,
        900
    );
    assert_eq!(
        number(store, "SELECT COUNT(*) FROM spend_watermarks").await,
        0
    );
    // It was not gone after all.
    worker.settle(&sent, 300).await;
    service.drain_all().await;
    assert_eq!(
        number(store, "SELECT spend FROM spend_logs WHERE version = 1").await,
        300
    );
    assert_eq!(number(store, "SELECT spent FROM spend_scopes").await, 300);
    let (denied, _) = worker.admit(&key, 9_701).await;
    let AdmitAnswer::Denied { denial, .. } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.used, 300);
}

#[tokio::test]
async fn partitions_are_drained_each_to_its_own_place() {
    let database = Database::sqlite().await;
    let redis = TestRedis::start().await;
    let mut service = Service::new("a", &database, &redis);
    service.ledger.partitions = vec![Partition(0), Partition(1)];
    let body = serde_json::to_string(&spend_body(&Key::new("one"), 1)).unwrap();
    for partition in 0..2 {
        let key = redis_key::spend(Partition(partition));
        let id = format!("{:032x}", partition + 1);
        redis
            .words(&format!(
                "XADD {key} * i {id} v 1 w aa q 3 c 5 a 1800000000000 b {body}"
            ))
            .await;
    }
    let drained = service
        .ledger
        .drain(&[Partition(0), Partition(1)], 10)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((drained.entries, drained.last.len()), (2, 2));
    let store = &database.store;
    assert_eq!(
        number(store, "SELECT COUNT(*) FROM spend_scopes WHERE spent = 5").await,
        2
    );
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM spend_watermarks WHERE sequence = 3"
        )
        .await,
        2
    );
    assert_eq!(spent(&database, Kind::Key, "one", 0).await, (10, 10));
}

/// Not a limit: a figure, printed.
async fn measured(database: Database) {
    const EVENTS: u64 = 20_000;
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let keys = (0..200).map(|number| Key {
        user: Some(format!("u{}", number % 50)),
        team: Some(format!("t{}", number % 10)),
        ..Key::new(&format!("k{number}"))
    });
    let keys = keys.collect::<Vec<_>>();
    crate::support::rows::write_keys(&database.store, &keys).await;
    for id in 1..=EVENTS {
        let at = Event {
            id: id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            version: 1,
            cost: 5,
            admitted_ms: 1_800_000_000_000 + id,
            stream_id: None,
        };
        event(
            &redis,
            &at,
            &spend_body(&keys[usize::try_from(id % 200).unwrap()], 10),
        )
        .await;
    }
    let began = tokio::time::Instant::now();
    let mut drained = 0;
    while drained < EVENTS {
        let batch = service.ledger.drain(&[P0], 1_024).await.unwrap().unwrap();
        drained += u64::try_from(batch.entries).unwrap();
    }
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap();
    println!(
        "{:?}: {EVENTS} events in {millis} ms, {} a second",
        database.store.engine(),
        EVENTS * 1_000 / millis.max(1)
    );
    assert_eq!(
        number(&database.store, "SELECT COUNT(*) FROM spend_logs").await,
        20_000
    );
}
on_both!(a_long_stream_is_drained_in_batches, measured);

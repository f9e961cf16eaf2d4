//! What an administrator takes back of what was spent: ledger and Redis agree to the nano-dollar, whatever is on its way between them.

use contract::money::NanoUsd;
use contract::redis_key;
use contract::script::AdmitAnswer;
use tollkeeper_admin::domain::budget_window::WindowRules;
use tollkeeper_admin::policy::{Authorized, Upkeep};
use tollkeeper_admin::store::outbox::Kind;
use tollkeeper_admin::store::spend::{Reset, reset, spent};
use tollkeeper_admin::store::{Change, Store, StoreError, Tx};

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker};
use crate::support::redis::TestRedis;
use crate::support::rows::Key;
use crate::support::service::Service;

struct ResetKey<'a> {
    by: Authorized<Upkeep>,
    id: &'a str,
    to: u64,
}

impl Change for ResetKey<'_> {
    type Answer = Reset;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<Reset, StoreError> {
        let to = NanoUsd::new(self.to).expect("an amount");
        reset(
            tx,
            &self.by,
            Kind::Key,
            self.id,
            to,
            &WindowRules::default(),
        )
        .await
    }
}

async fn reset_to(store: &Store, key: &Key, to: u64) -> Reset {
    let by = Authorized::of_service();
    let change = ResetKey {
        by,
        id: &key.id,
        to,
    };
    store.write(&change).await.expect("reset").value
}

fn usd(nano: u64) -> NanoUsd {
    NanoUsd::new(nano).expect("an amount")
}

/// What the ledger says: in the window, and ever.
async fn in_ledger(store: &Store, key: &Key) -> (u64, u64) {
    let mut connection = store.read().await.unwrap();
    let ids = [key.id.clone()];
    let (now_ms, rules) = (store.clock().now_ms(), WindowRules::default());
    let all = spent(&mut connection, Kind::Key, &ids, now_ms, &rules)
        .await
        .unwrap();
    let spent = all.get(&key.id).copied().unwrap_or_default();
    (spent.spend.get(), spent.total.get())
}

/// What Redis says: the eight bytes of the scope's header that hold what was spent.
async fn in_redis(redis: &TestRedis, key: &Key) -> u64 {
    let header = redis.get(&redis_key::scope(P0, &key.record())).await;
    header.map_or(0, |header| {
        u64::from_be_bytes(header[10..18].try_into().unwrap())
    })
}

async fn opened(database: &Database) -> (TestRedis, Service, Key, Worker) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", database, &redis);
    let key = Key {
        max_budget: Some(1_000),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    service.publisher.push().await.unwrap();
    let worker = Worker::new(&redis);
    (redis, service, key, worker)
}

on_both!(
    what_is_in_flight_and_on_the_stream_stays_spent_after_a_reset,
    in_flight
);
async fn in_flight(database: Database) {
    let (redis, service, key, mut worker) = opened(&database).await;
    let store = &database.store;
    worker.request(&key, 400).await;
    service.drain_all().await;
    worker.request(&key, 30).await;
    let running = worker.admitted(&key, 200).await;
    assert_eq!(reset_to(store, &key, 100).await, Reset::From(usd(400)));
    assert_eq!(in_ledger(store, &key).await, (100, 400));
    assert_eq!(in_redis(&redis, &key).await, 430, "until it is told");
    service.publisher.push().await.unwrap();
    assert_eq!(in_redis(&redis, &key).await, 130);
    // Once more, as after a crash before the outbox row was forgotten: nothing.
    service.publisher.push().await.unwrap();
    worker.settle(&running, 150).await;
    service.drain_all().await;
    assert_eq!(in_redis(&redis, &key).await, 280);
    assert_eq!(in_ledger(store, &key).await, (280, 580));
    assert_eq!(reset_to(store, &key, 281).await, Reset::Less(usd(280)));
    assert_eq!(in_ledger(store, &key).await, (280, 580));
}

on_both!(
    a_key_that_was_over_its_budget_is_admitted_again,
    admitted_again
);
async fn admitted_again(database: Database) {
    let (redis, service, key, mut worker) = opened(&database).await;
    worker.request(&key, 1_000).await;
    service.drain_all().await;
    let (denied, _) = worker.admit(&key, 1).await;
    assert!(matches!(denied, AdmitAnswer::Denied { .. }), "{denied:?}");
    reset_to(&database.store, &key, 0).await;
    service.publisher.push().await.unwrap();
    assert_eq!(in_redis(&redis, &key).await, 0);
    worker.admitted(&key, 1_000).await;
}

on_both!(
    a_reset_that_redis_was_not_told_survives_its_wipe_once,
    wiped
);
async fn wiped(database: Database) {
    let (redis, service, key, mut worker) = opened(&database).await;
    let store = &database.store;
    worker.request(&key, 400).await;
    service.drain_all().await;
    reset_to(store, &key, 250).await;
    reset_to(store, &key, 200).await;
    redis.words("FLUSHALL").await;
    // Closed: it waits, and holds up no other row.
    key.write(store).await;
    service.publisher.push().await.unwrap();
    assert_eq!(service.health.report().outbox_waiting, 2);
    service.publisher.watch_once().await.unwrap();
    service.publisher.push().await.unwrap();
    assert_eq!(
        in_redis(&redis, &key).await,
        200,
        "the ledger's sum, not less"
    );
    assert_eq!(service.health.report().outbox_waiting, 0);
    reset_to(store, &key, 50).await;
    service.publisher.push().await.unwrap();
    assert_eq!(in_redis(&redis, &key).await, 50);
    assert_eq!(in_ledger(store, &key).await, (50, 400));
}

on_both!(resets_at_once_take_back_what_was_spent_once, at_once);
async fn at_once(database: Database) {
    let (redis, service, key, mut worker) = opened(&database).await;
    worker.request(&key, 900).await;
    service.drain_all().await;
    let store = &database.store;
    let all = (0..10).map(|_| reset_to(store, &key, 100));
    let found = futures::future::join_all(all).await;
    let from = |nano| {
        found
            .iter()
            .filter(|done| **done == Reset::From(usd(nano)))
            .count()
    };
    assert_eq!((from(900), from(100)), (1, 9));
    service.publisher.push().await.unwrap();
    assert_eq!(
        (in_redis(&redis, &key).await, in_ledger(store, &key).await),
        (100, (100, 900))
    );
}

//! What reaches Redis, in which order, and what never does.

use std::sync::Arc;
use std::time::Duration;

use contract::id::{KeyId, Rev};
use contract::records::{IndexEntry, ModelRecord, Record, Versioned};
use contract::redis_key::{self, RecordId, index_slot, model_slot};
use contract::script::{AdmitAnswer, Put};
use tollkeeper_admin::publish::RedisState;
use tollkeeper_admin::store::outbox;

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker};
use crate::support::redis::TestRedis;
use crate::support::rows::{Key, number, write_keys};
use crate::support::service::{Service, catalogue};

const LONG: Duration = Duration::from_secs(20);

async fn record(redis: &TestRedis, key: &Key) -> Option<Versioned<Record>> {
    let stored = redis.get(&redis_key::record(P0, &key.record())).await?;
    Some(Versioned::decode(&stored).expect("a record"))
}

async fn entry(redis: &TestRedis, key: &Key) -> Option<Versioned<IndexEntry>> {
    let slot = index_slot(&key.hash(), 1);
    let stored = redis.get(&redis_key::index(slot, &key.hash())).await?;
    Some(Versioned::decode(&stored).expect("an entry"))
}

on_both!(
    a_written_key_is_in_redis_when_its_writer_is_told_so,
    written
);
async fn written(database: Database) {
    let redis = TestRedis::start().await;
    let running = Service::new("a", &database, &redis).start();
    running
        .health
        .wait_for(|report| report.redis == RedisState::Open)
        .await;
    let key = Key {
        rpm: Some(5),
        ..Key::new("one")
    };
    let ids = key.write(&database.store).await;
    assert!(database.store.wait_published(&ids, LONG).await);
    let Record::Key(stored) = record(&redis, &key).await.unwrap().value else {
        panic!("no key")
    };
    assert_eq!((stored.id, stored.limits.rpm), (KeyId::new("one"), Some(5)));
    assert_eq!(
        entry(&redis, &key).await.unwrap().value.records,
        [key.record()]
    );
    assert_eq!(outbox::backlog(&database.store).await.unwrap(), (0, None));
    running.stop().await;
}

on_both!(
    changes_made_while_redis_is_away_arrive_in_their_last_state,
    away
);
async fn away(database: Database) {
    let mut redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    service.publisher.watch_once().await.unwrap();
    let running = service.start();
    redis.server.process().kill().await.unwrap();
    let key = Key::new("one");
    let mut ids = key.write(&database.store).await;
    ids.extend(
        Key {
            blocked: true,
            ..key.clone()
        }
        .write(&database.store)
        .await,
    );
    let gone = Key::new("gone");
    ids.extend(gone.write(&database.store).await);
    ids.extend(gone.delete(&database.store).await);
    assert!(
        !database
            .store
            .wait_published(&ids, Duration::from_millis(200))
            .await
    );
    assert_eq!(outbox::backlog(&database.store).await.unwrap().0, 4);
    redis.server.restart().await.unwrap();
    assert!(database.store.wait_published(&ids, LONG).await);
    let Record::Key(stored) = record(&redis, &key).await.unwrap().value else {
        panic!("no key")
    };
    assert!(stored.blocked);
    assert_eq!(record(&redis, &gone).await.unwrap().value, Record::Deleted);
    running.stop().await;
}

on_both!(
    a_deleted_key_is_a_tombstone_that_a_stale_push_cannot_raise,
    tombstone
);
async fn tombstone(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key::new("one");
    key.write(&database.store).await;
    service.publisher.push().await.unwrap();
    // What a publisher that stalls here still holds in its hands.
    let name = redis_key::record(P0, &key.record());
    let stale = redis.get(&name).await.unwrap();
    let before = record(&redis, &key).await.unwrap();
    key.delete(&database.store).await;
    service.publisher.push().await.unwrap();
    let deleted = record(&redis, &key).await.unwrap();
    assert_eq!(deleted.value, Record::Deleted);
    assert!(deleted.rev > before.rev);
    let values = [(name, stale)];
    assert_eq!(redis.link.call(&Put { values: &values }).await.unwrap(), 0);
    assert_eq!(record(&redis, &key).await.unwrap(), deleted);
    assert_eq!(
        entry(&redis, &key).await.unwrap().value.records,
        [key.record()]
    );
}

on_both!(the_next_admission_after_a_change_feels_it, felt);
async fn felt(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key::new("one");
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    let revs = worker.scopes(&key).await;
    worker.admitted(&key, 0).await;
    Key {
        rpm: Some(0),
        ..key.clone()
    }
    .write(&database.store)
    .await;
    service.publisher.push().await.unwrap();
    assert!(worker.scopes(&key).await[0].1 > revs[0].1);
    assert!(matches!(
        worker.admit(&key, 0).await.0,
        AdmitAnswer::Denied { .. }
    ));
}

on_both!(
    owners_without_a_row_have_a_record_until_the_row_comes,
    owners
);
async fn owners(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        user: Some("ada".to_owned()),
        team: Some("ops:1".to_owned()),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    assert_eq!(worker.scopes(&key).await.len(), 4);
    worker.request(&key, 5).await;
}

on_both!(new_prices_raise_the_catalogue_of_what_is_open, prices);
async fn prices(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    service.publisher.watch_once().await.unwrap();
    let worker = Worker::new(&redis);
    let first = worker.ready().await.unwrap();
    service.publisher.reconcile().await.unwrap();
    assert_eq!(worker.ready().await.unwrap(), first);

    let mut dearer = catalogue("2e-6");
    dearer.models.push(ModelRecord {
        name: "new".to_owned(),
        ..dearer.models[0].clone()
    });
    service.catalogue.send_replace(Arc::new(dearer));
    service.publisher.reconcile().await.unwrap();
    let second = worker.ready().await.unwrap();
    assert!(second.catalogue > first.catalogue);
    let slot = model_slot("gpt-4o-mini", 1);
    let name = redis_key::model(slot, "gpt-4o-mini");
    let model = Versioned::<ModelRecord>::decode(&redis.get(&name).await.unwrap()).unwrap();
    assert_eq!(model.rev, second.catalogue);
    assert_eq!(model.value.price.unwrap().base.input.unwrap().0, 2_000_000);

    service.catalogue.send_replace(Arc::new(catalogue("2e-6")));
    service.publisher.reconcile().await.unwrap();
    assert!(worker.ready().await.unwrap().catalogue > second.catalogue);
    assert_eq!(redis.get(&redis_key::model(slot, "new")).await, None);
    assert!(redis.get(&name).await.is_some());
}

on_both!(a_reconcile_brings_back_what_redis_lost, lost);
async fn lost(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let keys = (0..3)
        .map(|number| Key::new(&format!("k{number}")))
        .collect::<Vec<_>>();
    write_keys(&database.store, &keys).await;
    service.publisher.watch_once().await.unwrap();
    redis
        .words(&format!("DEL {}", redis_key::record(P0, &keys[1].record())))
        .await;
    service.publisher.reconcile().await.unwrap();
    assert!(record(&redis, &keys[1]).await.is_some());
}

on_both!(
    keys_newer_than_a_restored_backup_are_revoked_and_older_rows_win,
    backup
);
async fn backup(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let (old, new) = (Key::new("old"), Key::new("new"));
    write_keys(&database.store, &[old.clone(), new.clone()]).await;
    service.publisher.watch_once().await.unwrap();
    // The database goes back: one key was not there yet, the other was older.
    let mut connection = database.store.read().await.unwrap();
    for statement in [
        "DELETE FROM virtual_keys WHERE key_id = 'new'",
        "UPDATE virtual_keys SET rev = rev - 1000000, blocked = 1 WHERE key_id = 'old'",
    ] {
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    drop(connection);
    let before = record(&redis, &old).await.unwrap().rev;
    service.publisher.reconcile().await.unwrap();
    service.publisher.push().await.unwrap();
    assert_eq!(record(&redis, &new).await.unwrap().value, Record::Deleted);
    assert_eq!(entry(&redis, &new).await, None);
    let stored = record(&redis, &old).await.unwrap();
    assert!(stored.rev > before);
    let Record::Key(key) = stored.value else {
        panic!("no key")
    };
    assert!(key.blocked);
}

on_both!(
    a_tombstone_that_has_served_its_time_is_forgotten_on_both_sides,
    forgotten
);
async fn forgotten(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let (long_ago, lately) = (Key::new("long-ago"), Key::new("lately"));
    write_keys(&database.store, &[long_ago.clone(), lately.clone()]).await;
    long_ago.delete(&database.store).await;
    lately.delete(&database.store).await;
    let mut connection = database.store.read().await.unwrap();
    sqlx::query("UPDATE tombstones SET rev = rev - 90000000000 WHERE object_id = 'long-ago'")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    service.publisher.watch_once().await.unwrap();
    service.publisher.reconcile().await.unwrap();
    assert_eq!(record(&redis, &long_ago).await, None);
    assert_eq!(entry(&redis, &long_ago).await, None);
    assert_eq!(
        record(&redis, &lately).await.unwrap().value,
        Record::Deleted
    );
    let left = number(&database.store, "SELECT COUNT(*) FROM tombstones").await;
    assert_eq!(left, 1);
}

on_both!(one_object_that_cannot_be_read_holds_up_no_other, unreadable);
async fn unreadable(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let (broken, whole) = (Key::new("broken"), Key::new("whole"));
    broken.write(&database.store).await;
    let mut connection = database.store.read().await.unwrap();
    sqlx::query("UPDATE virtual_keys SET models = 'no list'")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    whole.write(&database.store).await;
    service.publisher.push().await.unwrap();
    assert!(record(&redis, &whole).await.is_some());
    assert_eq!(record(&redis, &broken).await, None);
    assert_eq!(outbox::backlog(&database.store).await.unwrap().0, 1);
    assert_eq!(service.health.report().outbox_waiting, 1);
}

on_both!(
    a_whole_page_of_rows_that_cannot_be_read_holds_up_none_behind_it,
    unreadable_page
);
async fn unreadable_page(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let broken: Vec<Key> = (0..501)
        .map(|at| Key::new(&format!("broken-{at}")))
        .collect();
    write_keys(&database.store, &broken).await;
    for statement in [
        "UPDATE virtual_keys SET models = 'no list'",
        "UPDATE outbox SET kind = 'strange' WHERE object_id = 'broken-7'",
    ] {
        let mut connection = database.store.read().await.unwrap();
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    let whole = Key::new("whole");
    whole.write(&database.store).await;
    service.publisher.push().await.unwrap();
    assert!(record(&redis, &whole).await.is_some());
    assert_eq!(outbox::backlog(&database.store).await.unwrap().0, 501);
}

#[tokio::test]
async fn a_record_is_never_written_over_by_the_same_or_a_lower_revision() {
    let redis = TestRedis::start().await;
    let name = redis_key::record(P0, &RecordId::key(&KeyId::new("one")));
    let at = |rev| {
        let value = Versioned {
            rev: Rev::new(rev).unwrap(),
            value: Record::Deleted,
        };
        value.encode().unwrap().into_bytes()
    };
    for (rev, written) in [(7, 1), (7, 0), (6, 0), (8, 1)] {
        let values = [(name.clone(), at(rev))];
        assert_eq!(
            redis.link.call(&Put { values: &values }).await.unwrap(),
            written,
            "{rev}"
        );
    }
}

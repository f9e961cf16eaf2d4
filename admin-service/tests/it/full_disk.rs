//! The ledger while the database's disk is full: what was spent waits on the stream, nothing of it is lost or written by halves, and no restart
//! is needed when there is room again. (Requests to the API: with its other failures.)

use std::time::Duration;

use contract::redis_key;
use tollkeeper_admin::ledger::{DrainError, Drained};
use tollkeeper_admin::store::spend::{compare_day, compare_totals, compared_days};
use tollkeeper_admin::store::{Change, StoreError, Tx};

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::P0;
use crate::support::redis::TestRedis;
use crate::support::rows::{Key, number, run};
use crate::support::service::Service;
use crate::support::small_disk::SmallDisk;
use crate::support::stream::Request;

const ROWS: &str = "SELECT COUNT(*) FROM spend_logs";
/// Events of one look at the stream.
const SOME: usize = 200;

/// Puts further events on the stream, each of `id` nano-dollars; answers the last id.
async fn put(redis: &TestRedis, key: &Key, after: u64) -> u64 {
    let until = after + u64::try_from(SOME).unwrap();
    for id in after + 1..=until {
        let request = Request::with_key(id, key, 1_800_000_000_000 + id, id);
        let request = request.with(|body| {
            body.model = "m".repeat(200);
            body.end_user = Some(format!("c{id}"));
        });
        request.put(redis).await;
    }
    until
}

/// Rows, sums and totals are of the same requests, whole ones.
async fn agrees(database: &Database) {
    let store = &database.store;
    assert_eq!(compare_totals(store).await.unwrap(), []);
    for day in compared_days(store).await.unwrap() {
        assert_eq!(compare_day(store, &day).await.unwrap(), []);
    }
}

#[track_caller]
fn is_full(drained: Result<Option<Drained>, DrainError>) {
    match drained {
        Err(DrainError::Store(StoreError::Full(_))) => {}
        other => panic!("not for want of room: {other:?}"),
    }
}

on_both!(
    what_was_spent_waits_while_the_disk_is_full_and_is_all_taken_up_when_there_is_room,
    waits
);
async fn waits(database: Database) {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (database, _server) = database.on(&disk).await;
    let store = &database.store;
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        user: Some("ada".to_owned()),
        team: Some("ops".to_owned()),
        ..Key::new("one")
    };
    key.write(store).await;
    let mut last = put(&redis, &key, 0).await;
    service.drain_all().await;
    disk.fill();
    // Files have room inside them still.
    let mut taken = SOME;
    let refused = loop {
        last = put(&redis, &key, last).await;
        match service.ledger.drain(&[P0], SOME).await {
            Ok(Some(drained)) => taken += drained.entries,
            refused => break refused,
        }
        assert!(last < 100_000, "the disk is full");
    };
    is_full(refused);
    is_full(service.ledger.drain(&[P0], SOME).await);
    let (put_in_all, taken) = (i64::try_from(last).unwrap(), i64::try_from(taken).unwrap());
    assert_eq!(number(store, ROWS).await, taken);
    agrees(&database).await;
    let waiting = format!("XLEN {}", redis_key::spend(P0));
    assert_eq!(redis.number(&waiting).await, put_in_all - taken);

    // The service is up all the while.
    let running = service.start();
    let unread = u64::try_from(put_in_all - taken).unwrap();
    let before = running.health.report().drained;
    running
        .health
        .wait_for(|report| report.stream_length == unread)
        .await;
    disk.clear();
    let all = running
        .health
        .wait_for(|report| report.stream_length == 0 && report.drained >= before + unread);
    let in_time = tokio::time::timeout(Duration::from_mins(1), all).await;
    in_time.expect("it goes on by itself");
    running.stop().await;
    assert_eq!(redis.number(&waiting).await, 0);
    assert_eq!(number(store, ROWS).await, put_in_all);
    assert_eq!(
        number(store, "SELECT CAST(SUM(spend) AS BIGINT) FROM spend_logs").await,
        put_in_all * (put_in_all + 1) / 2
    );
    assert_eq!(
        number(store, "SELECT COUNT(*) FROM spend_dead_letters").await,
        0,
        "a full disk is no fault of an event"
    );
    agrees(&database).await;
}

/// What SQLite may do where there is no room: the transaction is over before its statement is refused.
struct TakenBack;

impl Change for TakenBack {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(tx.connection()).await?;
        Err(StoreError::Full("the disk is full".to_owned()))
    }
}

#[tokio::test]
async fn a_transaction_that_sqlite_takes_back_by_itself_spoils_no_connection() {
    let database = Database::sqlite().await;
    let store = &database.store;
    for _ in 0..20 {
        let refused = store.write(&TakenBack).await;
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        run(store, "UPDATE leases SET holder = 'somebody'").await;
    }
}

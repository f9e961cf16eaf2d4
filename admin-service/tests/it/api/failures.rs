//! The database full, its disk full, the server or the file gone: 503 with `Retry-After`, nothing half-written, and no restart needed afterwards.
//! (Locked: with health.)

use futures::future::join_all;
use serde_json::json;
use sqlx::AnyConnection;

use super::clients::{Answer, Api, Client};
use crate::on_both;
use crate::support::database::Database;
use crate::support::small_disk::SmallDisk;

#[track_caller]
fn unavailable(answer: Answer) {
    assert_eq!(answer.header("retry-after"), Some("1"));
    let (status, body) = answer.refused();
    assert_eq!(
        (status, &body["error"]["type"]),
        (503, &json!("no_db_connection")),
        "{body}"
    );
}

/// Sets the page limit, to little more than there is for `None`, of every connection that the service has: it is a connection's own.
async fn limit_pages(api: &Api, pages: Option<i64>) {
    let app = api.service.app();
    let all = (0..app.config.database_connections.max(2)).map(|_| app.store.read());
    for connection in join_all(all).await {
        let mut connection = connection.expect("a connection");
        let pages = match pages {
            Some(pages) => pages,
            None => count(&mut connection, "PRAGMA page_count").await + 20,
        };
        let set = format!("PRAGMA max_page_count = {pages}");
        assert_eq!(count(&mut connection, &set).await, pages);
    }
}

async fn count(connection: &mut AnyConnection, sql: &str) -> i64 {
    let row: (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .expect("a count");
    row.0
}

/// Text that does not become shorter by being compressed.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    let mut text = String::new();
    while text.len() < length {
        text += &next();
    }
    text
}

/// Keys, their audit rows and their outbox rows: each change has all of them or none.
async fn whole(api: &Api, master: &Client, made: i64) {
    assert_eq!(master.get("/key/list").await.ok()["total_count"], made);
    let mut connection = api.service.app().store.read().await.expect("a connection");
    let audited = "SELECT COUNT(*) FROM audit_log WHERE table_name = 'LiteLLM_VerificationToken' AND action = 'created'";
    // The master key is a row too, made without anybody asking.
    assert_eq!(count(&mut connection, audited).await, made + 1);
    let rows = "SELECT COUNT(*) FROM virtual_keys";
    assert_eq!(count(&mut connection, rows).await, made + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_gives_503_still_reads_and_goes_on_when_there_is_room() {
    let api = Api::start(Database::sqlite().await).await;
    let master = api.master();
    limit_pages(&api, None).await;
    let long = json!({"metadata": {"text": "x".repeat(2_000)}});
    let mut made = 0;
    loop {
        let answer = master.post("/key/generate", long.clone()).await;
        if answer.status != 200 {
            unavailable(answer);
            break;
        }
        made += 1;
        assert!(made < 1_000, "the limit holds");
    }
    assert!(made > 0, "there was room for some");
    unavailable(master.post("/key/generate", long.clone()).await);
    whole(&api, &master, made).await;
    limit_pages(&api, Some(1_000_000)).await;
    master.post("/key/generate", long).await.ok();
    whole(&api, &master, made + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_gives_503_until_it_is_back() {
    let (database, mut server) = Database::own_postgres().await;
    let api = Api::start(database).await;
    let master = api.master();
    master.post("/key/generate", json!({})).await.ok();
    server.process().kill().await.unwrap();
    unavailable(master.post("/key/generate", json!({})).await);
    unavailable(master.get("/key/list").await);
    let holder = api.stranger();
    unavailable(holder.get("/key/info").await);
    assert_eq!(api.anonymous().get("/health/readiness").await.status, 503);
    let figures = master.get("/metrics").await.ok();
    let refused =
        "tollkeeper_http_requests_total{method=\"POST\",route=\"/key/generate\",status=\"503\"} 1";
    assert!(figures.as_str().unwrap().contains(refused), "{figures}");
    server.restart().await.unwrap();
    let ready = async || api.anonymous().get("/health/readiness").await.status == 200;
    while !ready().await {}
    whole(&api, &master, 1).await;
    master.post("/key/generate", json!({})).await.ok();
    whole(&api, &master, 2).await;
}

on_both!(
    a_disk_that_is_full_gives_503_still_reads_and_goes_on_when_there_is_room,
    full_disk
);
async fn full_disk(database: Database) {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (database, _server) = database.on(&disk).await;
    let api = Api::start(database).await;
    let master = api.master();
    let long = json!({"metadata": {"text": "x".repeat(20_000)}});
    master.post("/key/generate", long.clone()).await.ok();
    disk.fill();
    let mut made = 1;
    loop {
        let answer = master.post("/key/generate", long.clone()).await;
        if answer.status != 200 {
            unavailable(answer);
            break;
        }
        made += 1;
        assert!(made < 1_000, "the disk is full");
    }
    unavailable(master.post("/key/generate", long.clone()).await);
    whole(&api, &master, made).await;
    disk.clear();
    // The ledger and the publisher meet the full disk too, and need no restart either.
    let back = async || master.post("/key/generate", long.clone()).await;
    let mut answer = back().await;
    while answer.status == 503 {
        answer = back().await;
    }
    answer.ok();
    whole(&api, &master, made + 1).await;
    let published = api.service.app().health.clone();
    published
        .wait_for(|report| report.outbox_waiting == 0)
        .await;
}

/// PostgreSQL itself ends where it cannot write ahead: it has to be started again, by whatever watches over it, when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_cannot_write_ahead_gives_503_and_nothing_half_written() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (database, mut server) = Database::own_postgres_writing_ahead_on(&disk).await;
    let api = Api::start(database).await;
    let master = api.master();
    master.post("/key/generate", json!({})).await.ok();
    disk.fill();
    let long = json!({"metadata": {"text": noise(60_000)}});
    let mut made = 1;
    let refused = loop {
        let answer = master.post("/key/generate", long.clone()).await;
        if answer.status != 200 {
            break answer;
        }
        made += 1;
        assert!(made < 2_000, "the disk is full");
    };
    unavailable(refused);
    unavailable(master.post("/key/generate", json!({})).await);
    assert_eq!(api.anonymous().get("/health/readiness").await.status, 503);
    disk.clear();
    server
        .process()
        .ended(std::time::Duration::from_secs(20))
        .await
        .expect("it gave up");
    server.restart().await.unwrap();
    let ready = async || api.anonymous().get("/health/readiness").await.status == 200;
    while !ready().await {}
    whole(&api, &master, made).await;
    master.post("/key/generate", json!({})).await.ok();
    whole(&api, &master, made + 1).await;
    let health = &api.service.app().health;
    health.wait_for(|report| report.outbox_waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_taken_away_gives_503_until_it_or_a_copy_is_back() {
    let api = Api::start(Database::sqlite().await).await;
    let master = api.master();
    master.post("/key/generate", json!({})).await.ok();
    let file = std::path::PathBuf::from(api.database.url.trim_start_matches("sqlite:"));
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).unwrap();
    unavailable(master.post("/key/generate", json!({})).await);
    unavailable(master.get("/key/list").await);
    unavailable(api.stranger().get("/key/info").await);
    assert_eq!(api.anonymous().get("/health/readiness").await.status, 503);
    assert!(!file.exists(), "no empty database takes its place");
    std::fs::rename(&aside, &file).unwrap();
    whole(&api, &master, 1).await;
    master.post("/key/generate", json!({})).await.ok();
    whole(&api, &master, 2).await;

    // A copy of before, put in its place, is the database from now on.
    let copy = file.with_extension("copy");
    let into = format!("VACUUM INTO '{}'", copy.display());
    let mut connection = api.service.app().store.read().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(into))
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    master.post("/key/generate", json!({})).await.ok();
    whole(&api, &master, 3).await;
    std::fs::rename(&copy, &file).unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", file.display())).unwrap();
    }
    whole(&api, &master, 2).await;
    master.post("/key/generate", json!({})).await.ok();
    whole(&api, &master, 3).await;
}

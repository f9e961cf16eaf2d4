//! `Idempotency-Key`: what is sent twice is made once.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Answer, Api, Client, ONE_MODEL};
use crate::on_both;
use crate::support::database::Database;

async fn send(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key)];
    let body = body.to_string();
    client
        .call_with(Method::POST, path, Some(&body), &headers)
        .await
}

async fn keys(api: &Api) -> Value {
    api.master().get("/key/list").await.ok()["total_count"].clone()
}

on_both!(a_repeat_gets_the_same_answer_the_new_key_included, repeat);
async fn repeat(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"key_alias": "once"});
    let first = send(&master, "/key/generate", "a", &body).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let second = send(&master, "/key/generate", "a", &body).await;
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert_eq!(second.header("content-type"), first.header("content-type"));
    let (first, second) = (first.ok(), second.ok());
    assert_eq!(first, second);
    assert_eq!(keys(&api).await, 1);
    let holder = api.client(second["key"].as_str());
    holder.get("/key/info").await.ok();
    let other = send(&master, "/user/new", "a", &json!({})).await.ok();
    assert!(other["user_id"].is_string(), "a key of another route");
}

on_both!(another_request_of_the_same_key_is_refused, mismatch);
async fn mismatch(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    send(&master, "/key/generate", "a", &json!({})).await.ok();
    let other = send(&master, "/key/generate", "a", &json!({"rpm_limit": 1})).await;
    let (status, body) = other.refused();
    assert_eq!(status, 422);
    assert_eq!(body["error"]["param"], "Idempotency-Key");
    for wrong in ["", &"x".repeat(256)] {
        let refused = send(&master, "/key/generate", wrong, &json!({})).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    assert_eq!(keys(&api).await, 1);
}

on_both!(keys_of_different_callers_never_meet, callers);
async fn callers(database: Database) {
    let api = Api::start(database).await;
    let (one, two) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let body = json!({});
    let of_one = send(&one.client, "/key/generate", "a", &body).await.ok();
    let of_two = send(&two.client, "/key/generate", "a", &body).await.ok();
    assert_ne!(of_one["key"], of_two["key"]);
    assert_eq!(of_two["user_id"], json!(two.id));
    let viewer = json!({"user_id": one.id, "user_role": "internal_user_viewer"});
    api.master().post("/user/update", viewer).await.ok();
    let repeat = send(&one.client, "/key/generate", "a", &body).await;
    assert_eq!(repeat.status, 401, "who may no longer make keys sees none");
    let blocked = json!({"key": of_two["token"]});
    let with_it = api.client(of_two["key"].as_str());
    send(&with_it, "/key/generate", "b", &body).await.ok();
    api.master().post("/key/block", blocked).await.ok();
    assert_eq!(
        send(&with_it, "/key/generate", "b", &body).await.status,
        401
    );
}

on_both!(a_refusal_is_decided_anew, refusal);
async fn refusal(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"key_alias": "taken"});
    let taken = master.new_key(body.clone()).await;
    assert_eq!(send(&master, "/key/generate", "a", &body).await.status, 400);
    let delete = json!({"keys": [taken["token"]]});
    master.post("/key/delete", delete).await.ok();
    send(&master, "/key/generate", "a", &body).await.ok();
}

on_both!(of_many_at_once_one_makes_it, concurrent);
async fn concurrent(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"key_alias": "of many"});
    let all = (0..20).map(|_| send(&master, "/key/generate", "a", &body));
    let answers = join_all(all).await;
    let mut made: Vec<Value> = Vec::new();
    for answer in answers {
        match answer.status.as_u16() {
            200 => made.push(answer.body["key"].clone()),
            409 => assert_eq!(answer.header("retry-after"), Some("1")),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert!(!made.is_empty());
    made.dedup();
    assert_eq!(made.len(), 1, "one key");
    assert_eq!(keys(&api).await, 1);
    let later = send(&master, "/key/generate", "a", &body).await.ok();
    assert_eq!(later["key"], made[0]);
}

on_both!(after_a_day_a_key_is_new, expiry);
async fn expiry(database: Database) {
    const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;
    let now = Arc::new(AtomicU64::new(Clock::System.now_us()));
    let clock = Clock::Manual(Arc::clone(&now));
    let api = Api::configured(database, ONE_MODEL, clock).await;
    let master = api.master();
    let first = send(&master, "/key/generate", "a", &json!({})).await.ok();
    now.fetch_add(DAY_US - 1, std::sync::atomic::Ordering::SeqCst);
    let same = send(&master, "/key/generate", "a", &json!({})).await.ok();
    assert_eq!(same["key"], first["key"]);
    now.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let new = send(&master, "/key/generate", "a", &json!({})).await.ok();
    assert_ne!(new["key"], first["key"]);
    now.fetch_add(DAY_US, std::sync::atomic::Ordering::SeqCst);
    let store = &api.service.app().store;
    tollkeeper_admin::store::idempotency::forget_old(store)
        .await
        .unwrap();
    assert_eq!(rows(&api).await, 0, "nothing is kept longer");
}

on_both!(a_kept_answer_shows_no_key_to_who_reads_the_database, sealed);
async fn sealed(database: Database) {
    let api = Api::start(database).await;
    let made = send(
        &api.master(),
        "/key/generate",
        "a",
        &json!({"key_alias": "plain"}),
    )
    .await
    .ok();
    let mut connection = api.service.app().store.read().await.unwrap();
    let kept: (String, String) =
        sqlx::query_as("SELECT fingerprint, answer FROM idempotent_answers")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    let secret = made["key"].as_str().unwrap();
    let digits = secret.bytes().map(|byte| format!("{byte:02x}"));
    let as_hex = digits.collect::<Vec<_>>().concat();
    assert!(!kept.1.contains(secret) && !kept.1.contains(&as_hex));
    assert!(!kept.1.is_empty() && !kept.0.is_empty());
}

async fn rows(api: &Api) -> i64 {
    let mut connection = api.service.app().store.read().await.unwrap();
    let count: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM idempotent_answers")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    count.0
}

//! Health, and what happens when a part is gone.

use serde_json::json;
use sqlx::Connection;

use super::clients::{Api, assert_has};
use crate::on_both;
use crate::support::database::Database;

on_both!(a_healthy_service_says_so, healthy);
async fn healthy(database: Database) {
    let api = Api::start(database).await;
    let anybody = api.anonymous();
    for path in ["/health/liveliness", "/health/liveness"] {
        assert_eq!(anybody.get(path).await.ok(), json!("I'm alive!"));
    }
    assert_eq!(
        anybody.get("/health/readiness").await.ok(),
        json!({"status": "healthy", "db": "connected", "redis": "open"})
    );
    let master = api.master();
    assert_has(
        &master.get("/health").await.ok(),
        &json!({"healthy_count": 2, "unhealthy_count": 0}),
    );
    assert_has(
        &master.get("/health/backlog").await.ok(),
        &json!({"outbox_waiting": 0, "publish_lag_ms": 0,
        "spend_events_waiting": 0, "dead_letters": 0}),
    );
    assert_has(
        &master.get("/health/readiness/details").await.ok(),
        &json!({"status": "healthy", "db": "connected",
        "redis": "open", "version": "*"}),
    );
    let figures = master.get("/metrics").await;
    assert!(
        figures
            .header("content-type")
            .unwrap()
            .contains("version=0.0.4")
    );
    let figures = figures.ok();
    for line in [
        "# TYPE tollkeeper_outbox_waiting gauge",
        "tollkeeper_redis_open 1",
        "tollkeeper_spend_events_waiting 0",
        "tollkeeper_http_requests_total{method=\"GET\",route=\"/health/liveness\",status=\"200\"} 1",
    ] {
        let found = figures.as_str().unwrap().lines().any(|found| found == line);
        assert!(found, "{line} is not in {figures}");
    }
    let routes = anybody.get("/routes").await.ok();
    let paths = routes["routes"].as_array().unwrap();
    assert!(
        paths
            .iter()
            .any(|route| route["path"] == "/key/generate" && route["methods"] == json!(["POST"]))
    );
}

on_both!(every_answer_carries_the_headers_that_browsers_heed, headers);
async fn headers(database: Database) {
    let api = Api::start(database).await;
    for path in ["/health/liveness", "/nope", "/key/info"] {
        let answer = api.anonymous().get(path).await;
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.header("content-security-policy"),
            Some("frame-ancestors 'none'")
        );
    }
}

on_both!(
    without_redis_keys_are_made_all_the_same_and_the_answer_says_so,
    without_redis
);
async fn without_redis(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    api.redis.server.process().kill().await.unwrap();
    let answer = master.post("/key/generate", json!({})).await;
    assert!(
        answer
            .header("x-tollkeeper-warning")
            .unwrap()
            .starts_with("stored; not published yet")
    );
    let key = answer.ok();
    let holder = api.client(key["key"].as_str());
    holder.get("/key/info").await.ok();
    let backlog = master.get("/health/backlog").await.ok();
    assert!(
        backlog["outbox_waiting"].as_u64().unwrap() >= 1,
        "{backlog}"
    );
    assert!(backlog["publish_lag_ms"].as_u64().unwrap() > 0, "{backlog}");
    let health = api.service.app().health.clone();
    health
        .wait_for(|report| report.redis != tollkeeper_admin::publish::RedisState::Open)
        .await;
    assert_eq!(
        api.anonymous().get("/health/readiness").await.ok()["db"],
        "connected"
    );
    assert_has(
        &master.get("/health").await.ok(),
        &json!({"unhealthy_endpoints": [{"component": "redis"}]}),
    );
}

on_both!(
    a_database_that_is_locked_gives_503_and_nothing_is_half_done,
    locked
);
async fn locked(database: Database) {
    let postgres = database.url.starts_with("postgres");
    let api = Api::start(database).await;
    let master = api.master();
    let mut other = sqlx::AnyConnection::connect(&api.database.url)
        .await
        .expect("a connection");
    let lock = if postgres {
        "BEGIN; LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE"
    } else {
        "BEGIN EXCLUSIVE"
    };
    sqlx::raw_sql(lock)
        .execute(&mut other)
        .await
        .expect("the lock");
    let begun = tokio::time::Instant::now();
    let answer = master
        .post("/key/generate", json!({"key_alias": "late"}))
        .await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    let id = answer.header("x-tollkeeper-correlation-id");
    assert!(id.is_some_and(|id| id.len() == 32));
    let (status, body) = answer.refused();
    assert_eq!(
        (status, &body["error"]["type"]),
        (503, &json!("no_db_connection"))
    );
    assert!(begun.elapsed().as_secs() < 15, "bounded");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut other)
        .await
        .expect("the lock is given back");
    assert_eq!(
        master.get("/key/list").await.ok()["total_count"],
        0,
        "nothing of it was kept"
    );
    master
        .post("/key/generate", json!({"key_alias": "late"}))
        .await
        .ok();
}

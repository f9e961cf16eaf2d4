//! `GET /spend/logs`.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::{Config, Environment, Options};
use tollkeeper_admin::publish::RedisState;
use tollkeeper_admin::serve;

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::Worker;
use crate::support::redis::TestRedis;
use crate::support::rows::Key;

const MASTER: &str = "sk-master-key-of-the-tests-0123456789abcdef";

pub struct Api {
    service: serve::Service,
    client: reqwest::Client,
}

impl Api {
    async fn start(database: &Database, redis: &TestRedis) -> Self {
        Self::start_until(database, redis, |state| *state == RedisState::Open).await
    }

    /// Starts beside a Redis that is not opened.
    pub async fn start_closed(database: &Database, redis: &TestRedis) -> Self {
        let is_closed = |state: &RedisState| matches!(state, RedisState::Closed(_));
        Self::start_until(database, redis, is_closed).await
    }

    async fn start_until(
        database: &Database,
        redis: &TestRedis,
        holds: impl Fn(&RedisState) -> bool,
    ) -> Self {
        let options = Options {
            database: Some(database.url.clone()),
            redis: Some(redis.server.url()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            master_key: Some(MASTER.to_owned()),
            ..Options::default()
        };
        let config = Config::parse("", &options, Environment::from_pairs([])).unwrap();
        let service = serve::Service::start(config, Clock::System).await.unwrap();
        let health = &service.app().health;
        health.wait_for(|report| holds(&report.redis)).await;
        Self {
            service,
            client: reqwest::Client::new(),
        }
    }

    /// Waits until the service has published what the test wrote through a store of its own.
    async fn published(&self, ids: &[String]) {
        let store = &self.service.app().store;
        store.wake_publisher();
        assert!(store.wait_published(ids, Duration::from_secs(10)).await);
    }

    /// What anybody is told.
    pub async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.service.address());
        let answer = self.client.get(url).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn logs(&self, key: &str, query: &str) -> (StatusCode, Value) {
        let url = format!("http://{}/spend/logs{query}", self.service.address());
        let answer = self.client.get(url).bearer_auth(key).send().await.unwrap();
        let status = answer.status();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
        )
    }

    async fn rows(&self, key: &str, query: &str) -> Vec<Value> {
        let (status, body) = self.logs(key, query).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body.as_array().expect("a list").clone()
    }
}

/// Three requests of two users' keys, in the log.
async fn three_requests(database: &Database, redis: &TestRedis, api: &Api) -> [Key; 2] {
    let own = Key {
        user: Some("ada".to_owned()),
        team: Some("ops".to_owned()),
        ..Key::new("own-key")
    };
    let other = Key {
        user: Some("bob".to_owned()),
        ..Key::new("other-key")
    };
    let mut ids = own.write(&database.store).await;
    ids.extend(other.write(&database.store).await);
    api.published(&ids).await;
    let mut worker = Worker::new(redis);
    worker.request(&own, 1_500_000).await;
    worker.request(&own, 250).await;
    worker.request(&other, 7).await;
    api.service
        .app()
        .health
        .wait_for(|report| report.drained >= 3)
        .await;
    [own, other]
}

/// A number with exactly these digits.
fn number(digits: &str) -> Value {
    serde_json::from_str(digits).expect("a number")
}

fn today(database: &Database) -> String {
    let now = tollkeeper_admin::clock::date(database.store.clock().now_us()).unwrap();
    now.format("%Y-%m-%d").to_string()
}

on_both!(the_log_is_found_by_request_key_user_and_day, found);
async fn found(database: Database) {
    let redis = TestRedis::start().await;
    let api = Api::start(&database, &redis).await;
    let [own, _] = three_requests(&database, &redis, &api).await;
    assert_eq!(api.rows(MASTER, "").await.len(), 3);
    let by_secret = api.rows(MASTER, "?api_key=sk-own-key").await;
    assert_eq!(by_secret.len(), 2);
    assert_eq!(
        api.rows(MASTER, &format!("?api_key={}", own.hash())).await,
        by_secret
    );
    assert_eq!(api.rows(MASTER, "?user_id=bob").await.len(), 1);
    let request_id = by_secret[0]["request_id"].as_str().unwrap();
    let one = api.rows(MASTER, &format!("?request_id={request_id}")).await;
    assert_eq!(one, by_secret[..1]);
    let today = today(&database);
    let days = format!("?start_date={today}&end_date={today}&summarize=false");
    assert_eq!(api.rows(MASTER, &days).await.len(), 3);
    assert!(
        api.rows(
            MASTER,
            "?start_date=2020-01-01&end_date=2020-01-02&summarize=false"
        )
        .await
        .is_empty()
    );
    let (status, body) = api.logs(MASTER, "?start_date=yesterday").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        body["detail"][0]["loc"],
        serde_json::json!(["query", "start_date"])
    );
}

on_both!(a_row_has_litellms_fields_and_exact_money, fields);
async fn fields(database: Database) {
    let redis = TestRedis::start().await;
    let api = Api::start(&database, &redis).await;
    let [own, _] = three_requests(&database, &redis, &api).await;
    let rows = api.rows(MASTER, "?user_id=ada").await;
    let row = rows
        .iter()
        .find(|row| row["spend"] == number("0.0015"))
        .expect("the dear one");
    for (field, expected) in [
        ("call_type", "acompletion"),
        ("api_key", &own.hash().to_string()),
        ("model", "gpt-4o-mini"),
        ("model_group", "gpt-4o-mini"),
        ("custom_llm_provider", "openai"),
        ("user", "ada"),
        ("team_id", "ops"),
        ("status", "success"),
        ("requester_ip_address", "127.0.0.1"),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    assert_eq!(
        (row["total_tokens"].as_u64(), row["prompt_tokens"].as_u64()),
        (Some(10), Some(10))
    );
    assert_eq!(row["request_tags"], serde_json::json!(["t1"]));
    assert_eq!(row["request_duration_ms"], 12);
    assert_eq!(row["metadata"]["usage_object"]["prompt_tokens"], 10);
    assert_eq!(row["metadata"]["tollkeeper"]["estimated"], false);
    let time = row["startTime"].as_str().unwrap();
    assert!(
        time.starts_with(&today(&database)) && time.ends_with('Z'),
        "{time}"
    );
    let small = rows.iter().find(|row| row["spend"] == number("0.00000025"));
    assert!(small.is_some());
}

on_both!(a_summary_adds_up_by_day_key_user_and_model, summary);
async fn summary(database: Database) {
    let redis = TestRedis::start().await;
    let api = Api::start(&database, &redis).await;
    let [own, other] = three_requests(&database, &redis, &api).await;
    let today = today(&database);
    let days = api
        .rows(MASTER, &format!("?start_date={today}&end_date={today}"))
        .await;
    assert_eq!(days.len(), 1);
    let day = &days[0];
    assert_eq!(day["startTime"], today.as_str());
    assert_eq!(day["spend"].to_string(), "0.001500257");
    assert_eq!(day["users"]["ada"].to_string(), "0.00150025");
    assert_eq!(day["users"]["bob"].to_string(), "0.000000007");
    assert_eq!(day["models"]["gpt-4o-mini"].to_string(), "0.001500257");
    assert_eq!(day[own.hash().to_string()].to_string(), "0.00150025");
    assert_eq!(day[other.hash().to_string()].to_string(), "0.000000007");
}

on_both!(who_is_no_admin_sees_their_own_requests_alone, own);
async fn own(database: Database) {
    let redis = TestRedis::start().await;
    let api = Api::start(&database, &redis).await;
    three_requests(&database, &redis, &api).await;
    let rows = api.rows("sk-own-key", "").await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["user"] == "ada"));
    assert!(api.rows("sk-own-key", "?user_id=bob").await.is_empty());
    assert!(
        api.rows("sk-own-key", "?api_key=sk-other-key")
            .await
            .is_empty()
    );
    let today = today(&database);
    let days = api
        .rows(
            "sk-own-key",
            &format!("?start_date={today}&end_date={today}"),
        )
        .await;
    assert_eq!(days[0]["spend"].to_string(), "0.00150025");
    // A key without a user sees what it spent itself.
    let lone = Key::new("lone-key");
    let ids = lone.write(&database.store).await;
    api.published(&ids).await;
    assert!(api.rows("sk-lone-key", "").await.is_empty());
    assert!(
        api.rows("sk-lone-key", "?api_key=sk-own-key")
            .await
            .is_empty()
    );
}

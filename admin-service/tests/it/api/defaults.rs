//! Defaults and bounds of the configuration.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, error};
use crate::on_both;
use crate::support::database::Database;

fn with(settings: &str) -> String {
    format!("{ONE_MODEL}\nlitellm_settings:\n{settings}")
}

on_both!(new_keys_get_the_defaults_and_are_held_to_the_bounds, keys);
async fn keys(database: Database) {
    let file = with(
        "  default_key_generate_params: { max_budget: 7, models: [gpt-4o] }\n  upperbound_key_generate_params:\n    max_budget: 100\n    budget_duration: 10d\n    duration: 30d\n    max_parallel_requests: 1000\n    tpm_limit: 1000\n    rpm_limit: 500\n",
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let key = master.new_key(json!({})).await;
    assert_has(
        &key,
        &json!({"max_budget": 7.0, "models": ["gpt-4o"], "budget_duration": "10d", "expires": "*",
        "max_parallel_requests": 1000, "tpm_limit": 1000, "rpm_limit": 500}),
    );
    let above = |field: &str, asked: &str, bound: &str| {
        let message = format!(
            "{{'error': '{field} is over max limit set in config - user_value={asked}; max_value={bound}'}}"
        );
        error(400, "invalid_request_error", None, &message)
    };
    for (path, key) in [
        ("/key/generate", Value::Null),
        ("/key/update", key["key"].clone()),
    ] {
        let ask = async |field: &str, value: Value| {
            let mut body = json!({ field: value });
            if !key.is_null() {
                body["key"] = key.clone();
            }
            master.post(path, body).await
        };
        assert_eq!(
            ask("max_budget", json!(101)).await.refused(),
            above("max_budget", "101.0", "100.0")
        );
        assert_eq!(
            ask("tpm_limit", json!(1001)).await.refused(),
            above("tpm_limit", "1001", "1000")
        );
        assert_eq!(
            ask("budget_duration", json!("11d")).await.refused(),
            above("budget_duration", "11d", "10d")
        );
        assert_eq!(
            ask("duration", json!("-1")).await.refused(),
            above("duration", "-1", "30d")
        );
        ask("max_budget", json!(100)).await.ok();
    }
    let cleared = json!({"key": key["key"], "max_budget": null});
    let cleared = master.post("/key/update", cleared).await.ok();
    assert_eq!(
        cleared["max_budget"],
        json!(100.0),
        "no bound is shed by sending null"
    );
}

on_both!(new_users_get_the_defaults_of_their_role, users);
async fn users(database: Database) {
    let file = with(
        "  max_internal_user_budget: 10\n  internal_user_budget_duration: 1mo\n  default_internal_user_params: { user_role: internal_user, max_budget: 100, models: [gpt-4o] }\n",
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let new = async |body: Value| master.post("/user/new", body).await.ok();
    assert_has(
        &new(json!({})).await,
        &json!({"user_role": "internal_user", "max_budget": 100.0,
        "budget_duration": "1mo", "models": ["gpt-4o"]}),
    );
    assert_has(
        &new(json!({"max_budget": 3, "models": []})).await,
        &json!({"max_budget": 3.0, "models": []}),
    );
    let admin = new(json!({"user_role": "proxy_admin"})).await;
    assert_eq!(
        (&admin["max_budget"], &admin["models"]),
        (&Value::Null, &json!([]))
    );
}

on_both!(
    max_internal_user_budget_fills_an_empty_budget_once,
    internal
);
async fn internal(database: Database) {
    let file = with("  max_internal_user_budget: 10\n  internal_user_budget_duration: 1mo\n");
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let user = master
        .post("/user/new", json!({"user_role": "internal_user"}))
        .await
        .ok();
    assert_has(
        &user,
        &json!({"max_budget": 10.0, "budget_duration": "1mo"}),
    );
    let viewer = master
        .post("/user/new", json!({"user_role": "internal_user_viewer"}))
        .await
        .ok();
    assert_eq!(viewer["max_budget"], Value::Null);
    let raised = json!({"user_id": user["user_id"], "max_budget": 50});
    master.post("/user/update", raised).await.ok();
    let again = json!({"user_id": user["user_id"], "user_role": "internal_user"});
    let again = master.post("/user/update", again).await.ok();
    assert_eq!(
        again["data"]["max_budget"],
        json!(50.0),
        "a budget that was not sent stays"
    );
}

on_both!(the_time_zone_and_reset_time_move_the_reset, time_zone);
async fn time_zone(database: Database) {
    let file = with("  timezone: America/New_York\n  budget_reset_time: \"09:30\"\n");
    let clock = Clock::manual(1_795_417_796_000_000); // 2026-11-23 07:09:56 UTC
    let api = Api::configured(database, &file, clock).await;
    let key = api
        .master()
        .new_key(json!({"max_budget": 1, "budget_duration": "1d"}))
        .await;
    let path = format!("/key/info?key={}", key["token"].as_str().unwrap());
    let info = api.master().get(&path).await.ok();
    assert_eq!(info["info"]["budget_reset_at"], "2026-11-23T14:30:00+00:00");
}

//! Keys, compared with what LiteLLM was recorded to answer.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, error, text};
use crate::on_both;
use crate::support::database::Database;

/// 2026-11-23 07:09:56.908825 UTC: the moment of the recordings.
const RECORDED_US: u64 = 1_795_417_796_908_825;

on_both!(a_key_is_answered_as_litellm_recorded_it, recorded);
async fn recorded(database: Database) {
    let api = Api::configured(database, ONE_MODEL, Clock::manual(RECORDED_US)).await;
    let master = api.master();
    let user = api.person("internal_user").await;
    let sent = json!({"duration": "30d", "key_alias": "ala", "models": ["gpt-4o"], "max_budget": 10,
        "budget_duration": "30d", "tpm_limit": 100, "rpm_limit": 5, "max_parallel_requests": 3,
        "metadata": {"a": 1}, "user_id": user.id, "soft_budget": 5});
    let answer = master.post("/key/generate", sent).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    let key = answer.ok();
    let secret = text(&key, "key");
    assert_eq!(secret.len(), "sk-".len() + 43);
    let token = contract::virtual_key::VirtualKey::parse(secret.as_bytes())
        .unwrap()
        .hash()
        .to_string();
    assert_has(
        &key,
        &json!({"key_alias": "ala", "models": ["gpt-4o"], "spend": 0.0, "max_budget": 10.0,
        "user_id": user.id, "max_parallel_requests": 3, "metadata": {"a": 1}, "tpm_limit": 100, "rpm_limit": 5,
        "budget_duration": "30d", "budget_id": "*", "router_settings": {},
        "key_name": format!("sk-...{}", &secret[secret.len() - 4..]), "key_type": "default",
        "expires": "2026-12-23T07:09:56.908825Z", "token_id": token, "token": token,
        "created_by": "default_user_id", "updated_by": "default_user_id", "created_at": "*", "updated_at": "*",
        "litellm_budget_table": {"soft_budget": 5.0, "budget_id": key["budget_id"]}}),
    );

    let expected = json!({"key_name": key["key_name"], "key_alias": "ala", "soft_budget_cooldown": false,
        "spend": 0.0, "total_spend": 0.0, "expires": "2026-12-23T07:09:56.908825+00:00", "models": ["gpt-4o"],
        "user_id": user.id, "max_parallel_requests": 3, "metadata": {"a": 1}, "tpm_limit": 100, "rpm_limit": 5,
        "max_budget": 10.0, "budget_duration": "30d", "budget_reset_at": "2026-12-01T00:00:00+00:00",
        "key_type": "default", "budget_id": key["budget_id"], "created_by": "default_user_id",
        "rotation_count": 0, "auto_rotate": false, "status": "active"});
    for named in [&token, secret] {
        let info = master.get(&format!("/key/info?key={named}")).await.ok();
        assert_eq!(info["key"], json!(named));
        assert_has(&info["info"], &expected);
        assert_eq!(info["info"].get("token"), None);
        assert!(
            !info["info"].to_string().contains(secret),
            "the key is shown once"
        );
    }
    let own = api.client(Some(secret)).get("/key/info").await.ok();
    assert_eq!(own["key"], json!(token));

    let changed = json!({"key": secret, "max_budget": 20, "models": ["gpt-4o", "gpt-4"], "metadata": {"b": 2}});
    let changed = master.post("/key/update", changed).await.ok();
    assert_has(
        &changed,
        &json!({"key": secret, "token": token, "key_alias": "ala", "max_budget": 20.0,
        "models": ["gpt-4o", "gpt-4"], "metadata": {"b": 2}, "expires": "2026-12-23T07:09:56.908825+00:00",
        "budget_reset_at": "2026-12-01T00:00:00+00:00", "settings_updated_at": "*", "rpm_limit": 5}),
    );
    let forever = master
        .post("/key/update", json!({"key": secret, "duration": "-1"}))
        .await
        .ok();
    assert_eq!(forever["expires"], Value::Null);

    let blocked = master
        .post("/key/block", json!({ "key": secret }))
        .await
        .ok();
    assert_has(
        &blocked,
        &json!({"token": token, "blocked": true, "budget_reset_at": "2026-12-01T00:00:00Z"}),
    );
    let unblocked = master
        .post("/key/unblock", json!({ "key": secret }))
        .await
        .ok();
    assert_has(&unblocked, &json!({"token": token, "blocked": false}));

    let deleted = master
        .post("/key/delete", json!({ "keys": [secret] }))
        .await
        .ok();
    assert_eq!(deleted, json!({ "deleted_keys": [secret] }));
    for named in [&token, secret] {
        let info = master.get(&format!("/key/info?key={named}")).await.ok();
        assert_has(
            &info,
            &json!({"key": named, "info": {"key_alias": "ala", "max_budget": 20.0, "status": "deleted",
            "id": "*", "deleted_at": "*", "deleted_by": "default_user_id"}}),
        );
    }
}

on_both!(
    what_a_key_cannot_be_is_refused_as_litellm_refuses_it,
    refused
);
async fn refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let generate = async |body: Value| master.post("/key/generate", body).await.refused();
    let bad = |message: &str| error(400, "invalid_request_error", None, message);
    assert_eq!(
        generate(json!({"key": "zzz"})).await,
        bad(
            "{'error': \"Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: ****\"}"
        )
    );
    assert_eq!(
        generate(json!({"key": "sk-1"})).await,
        bad(
            "{'error': 'Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.'}"
        )
    );
    assert_eq!(generate(json!({"key": "sk-with,comma-in-it"})).await.0, 400);
    assert_eq!(
        generate(json!({"max_budget": -1})).await,
        bad("{'error': 'max_budget must be a non-negative finite number. Received: -1.0'}")
    );
    assert_eq!(generate(json!({"max_budget": 1e30})).await.0, 400);
    assert_eq!(
        generate(json!({"duration": "abc"})).await,
        error(
            400,
            "bad_request_error",
            Some("duration"),
            "Invalid duration format. Use a number and s, m, h, d, w or mo, such as 30d."
        )
    );
    assert_eq!(
        generate(json!({"budget_duration": "2mo"})).await,
        bad(
            "{'error': \"Invalid budget_duration '2mo'. Use a format like '1h', '24h', '7d', or '30d'.\"}"
        )
    );
    assert_eq!(
        generate(json!({"rpm_limit": -1})).await,
        (
            422,
            json!({"detail": [{"type": "greater_than_equal", "loc": ["body", "rpm_limit"], "msg": "Input should be greater than or equal to 0"}]})
        )
    );
    assert_eq!(
        generate(json!({"aliases": {"a": 1}})).await,
        (
            422,
            json!({"detail": [{"type": "string_type", "loc": ["body", "aliases", "a"], "msg": "Input should be a valid string"}]})
        )
    );
    assert_eq!(generate(json!({"budget_id": "nope"})).await.0, 400);
    assert_eq!(generate(json!({"spend": 5})).await.0, 400);
    assert_eq!(
        master
            .call(Method::POST, "/key/generate", None)
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]})
        )
    );
    let (status, body) = master
        .call(Method::POST, "/key/generate", Some("{bad json"))
        .await
        .refused();
    assert_eq!(
        (status, &body["error"]["param"]),
        (400, &json!("request_body"))
    );
    assert!(text(&body["error"], "message").starts_with("Invalid JSON payload: "));
    let large = format!(
        "{{\"metadata\": {{\"a\": \"{}\"}}}}",
        "x".repeat(1024 * 1024)
    );
    assert_eq!(
        master
            .call(Method::POST, "/key/generate", Some(&large))
            .await
            .status,
        413
    );
}

on_both!(a_key_that_is_not_there_is_told_as_litellm_tells_it, missing);
async fn missing(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let missing = |message| error(404, "not_found_error", Some("key"), message);
    assert_eq!(
        master.get("/key/info?key=sk-nope").await.refused(),
        missing("Key not found in database")
    );
    for path in ["/key/update", "/key/block", "/key/unblock"] {
        let body = json!({"key": "sk-nope"});
        assert_eq!(
            master.post(path, body).await.refused(),
            missing("Key not found."),
            "{path}"
        );
    }
    assert_eq!(
        master
            .post("/key/update", json!({"max_budget": 1}))
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body"], "msg": "Value error, either key or key_alias must be provided"}]})
        )
    );
    assert_eq!(
        master
            .post("/key/delete", json!({"keys": []}))
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body"], "msg": "Value error, At least one of 'keys' or 'key_aliases' must be provided."}]})
        )
    );
    assert_eq!(
        master
            .post("/key/delete", json!({"keys": ["sk-nope"]}))
            .await
            .refused(),
        error(
            404,
            "invalid_request_error",
            None,
            "{'error': 'No keys found'}"
        )
    );
}

on_both!(a_key_or_alias_that_exists_is_refused, duplicates);
async fn duplicates(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let chosen = json!({"key": "sk-0123456789abcdef", "key_alias": "one"});
    assert_eq!(
        master.post("/key/generate", chosen.clone()).await.ok()["key"],
        "sk-0123456789abcdef"
    );
    assert_eq!(
        master
            .post("/key/generate", json!({"key": "sk-0123456789abcdef"}))
            .await
            .status,
        409
    );
    assert_eq!(
        master
            .post("/key/generate", json!({"key": super::clients::MASTER}))
            .await
            .status,
        409
    );
    let (status, body) = master
        .post("/key/generate", json!({"key_alias": "one"}))
        .await
        .refused();
    assert_eq!(
        (status, &body["error"]["param"]),
        (400, &json!("key_alias"))
    );
    assert_eq!(body["error"]["type"], "bad_request_error");
    let other = master.new_key(json!({"key_alias": "two"})).await;
    let taken = json!({"key": other["key"], "key_alias": "one"});
    assert_eq!(master.post("/key/update", taken).await.status, 400);
    master
        .post("/key/delete", json!({"key_aliases": ["one"]}))
        .await
        .ok();
    // The alias is free again; the value never is.
    assert_eq!(master.post("/key/generate", chosen).await.status, 409);
    master.new_key(json!({"key_alias": "one"})).await;
}

on_both!(a_change_touches_what_it_names_and_null_clears, partial);
async fn partial(database: Database) {
    let clock = Clock::manual(RECORDED_US);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let sent = json!({"max_budget": 5, "budget_duration": "10d", "rpm_limit": 100, "config": {"x": 1},
        "guardrails": ["g"], "tags": ["t"], "surprise": 1, "agent_id": "agent"});
    let answer = master.post("/key/generate", sent).await;
    assert_eq!(
        answer.header("x-tollkeeper-ignored-fields"),
        Some("surprise")
    );
    assert_eq!(
        answer.header("x-tollkeeper-unenforced-fields"),
        Some("guardrails")
    );
    let key = answer.ok();
    let info = async || {
        master
            .get(&format!("/key/info?key={}", text(&key, "key")))
            .await
            .ok()["info"]
            .clone()
    };
    let before = info().await;
    assert_has(
        &before,
        &json!({"budget_reset_at": "2026-12-03T00:00:00+00:00", "config": {"x": 1},
        "metadata": {"guardrails": ["g"], "tags": ["t"]}, "agent_id": "agent"}),
    );

    clock.set_us(RECORDED_US + 86_400_000_000);
    let changed = json!({"key": key["key"], "rpm_limit": 200, "budget_duration": "10d"});
    master.post("/key/update", changed).await.ok();
    let mut after = info().await;
    assert_eq!(after["rpm_limit"], 200);
    for moved in ["rpm_limit", "updated_at", "settings_updated_at"] {
        after[moved] = before[moved].clone();
    }
    assert_eq!(after, before, "nothing else moved, the window neither");

    let cleared =
        json!({"key": key["key"], "max_budget": null, "budget_duration": null, "agent_id": null});
    let cleared = master.post("/key/update", cleared).await.ok();
    for name in [
        "max_budget",
        "budget_duration",
        "budget_reset_at",
        "agent_id",
    ] {
        assert_eq!(cleared[name], Value::Null, "{name}");
    }
    assert_eq!(cleared["rpm_limit"], 200);
}

on_both!(a_temporary_increase_needs_amount_and_end, temporary);
async fn temporary(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let key = master.new_key(json!({"max_budget": 0.5})).await;
    let update = async |mut body: Value| {
        body["key"] = key["key"].clone();
        master.post("/key/update", body).await
    };
    let both = json!({"temp_budget_increase": 100, "temp_budget_expiry": "2027-01-15"});
    assert_has(
        &update(both).await.ok(),
        &json!({"max_budget": 0.5,
        "metadata": {"temp_budget_expiry": "2027-01-15T00:00:00", "temp_budget_increase": 100.0}}),
    );
    assert_eq!(
        update(json!({"temp_budget_increase": 100})).await.refused(),
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body"], "msg": "Value error, temp_budget_increase and temp_budget_expiry must be set together"}]})
        )
    );
    assert_eq!(
        update(json!({"temp_budget_increase": 100, "temp_budget_expiry": "10d"}))
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "datetime_from_date_parsing", "loc": ["body", "temp_budget_expiry"], "msg": "Input should be a valid datetime or date, input is too short"}]})
        )
    );
}

//! `/tag/*`.

use contract::limits::Limits;
use contract::money::NanoUsd;
use contract::records::{ProxySettings, Versioned};
use contract::redis_key::{self, Partition};
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, detail};
use crate::on_both;
use crate::support::database::Database;

pub async fn settings(api: &Api) -> ProxySettings {
    let name = redis_key::settings(Partition(0));
    let bytes = api.redis.get(&name).await.expect("settings");
    Versioned::decode(&bytes).expect("settings").value
}

async fn limits(api: &Api, tag: &str) -> Option<Limits> {
    settings(api).await.tags.get(tag).cloned()
}

on_both!(a_tag_is_made_read_changed_and_deleted, life);
async fn life(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let sent = json!({"name": "team/ä", "description": "d", "models": ["m-1"], "model_info": {"m-1": "gpt-4o"},
        "max_budget": 2, "soft_budget": 1, "budget_duration": "30d", "rpm_limit": 5, "tpm_limit": 6, "max_parallel_requests": 7,
        "model_max_budget": {"gpt-4o": {"budget_limit": 1, "time_period": "1d"}}});
    let answer = master.post("/tag/new", sent.clone()).await;
    assert_eq!(
        answer.header("x-tollkeeper-unenforced-fields"),
        Some("models,model_info")
    );
    let made = answer.ok();
    assert_eq!(made["message"], "Tag team/ä created successfully");
    let expected = json!({"name": "team/ä", "description": "d", "models": ["m-1"], "model_info": {"m-1": "gpt-4o"},
        "spend": 0.0, "created_by": "default_user_id",
        "litellm_budget_table": {"max_budget": 2.0, "soft_budget": 1.0, "budget_duration": "30d", "rpm_limit": 5, "tpm_limit": 6,
            "max_parallel_requests": 7, "model_max_budget": {"gpt-4o": {"budget_limit": 1, "time_period": "1d"}}}});
    assert_has(&made["tag"], &expected);
    let found = limits(&api, "team/ä").await.expect("published");
    assert_eq!(
        (found.rpm, found.tpm, found.parallel),
        (Some(5), Some(6), Some(7))
    );
    let budget = found.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(2_000_000_000).unwrap());
    assert_eq!(
        found.models["gpt-4o"].budget.as_ref().unwrap().max,
        NanoUsd::new(1_000_000_000).unwrap()
    );
    assert_eq!(
        master.post("/tag/new", sent).await.refused(),
        detail(400, "Tag team/ä already exists")
    );

    let change = json!({"name": "team/ä", "rpm_limit": 9, "description": null});
    let changed = master.post("/tag/update", change).await.ok();
    assert_eq!(changed["message"], "Tag team/ä updated successfully");
    let mut expected = made["tag"].clone();
    expected["description"] = Value::Null;
    expected["updated_at"] = changed["tag"]["updated_at"].clone();
    expected["litellm_budget_table"]["rpm_limit"] = json!(9);
    expected["litellm_budget_table"]["updated_at"] =
        changed["tag"]["litellm_budget_table"]["updated_at"].clone();
    assert_eq!(changed["tag"].to_string(), expected.to_string());
    assert_eq!(limits(&api, "team/ä").await.unwrap().rpm, Some(9));

    let info = master
        .post("/tag/info", json!({"names": ["team/ä"]}))
        .await
        .ok();
    assert_eq!(info, json!({"team/ä": changed["tag"]}));
    assert_eq!(master.get("/tag/list").await.ok(), json!([changed["tag"]]));
    let deleted = master
        .post("/tag/delete", json!({"name": "team/ä"}))
        .await
        .ok();
    assert_eq!(deleted["message"], "Tag team/ä deleted successfully");
    assert_eq!(limits(&api, "team/ä").await, None);
    for (path, body) in [
        ("/tag/delete", json!({"name": "team/ä"})),
        ("/tag/update", json!({"name": "team/ä"})),
        ("/tag/info", json!({"names": ["team/ä"]})),
    ] {
        assert_eq!(
            master.post(path, body).await.refused(),
            detail(404, "Tag team/ä not found")
        );
    }
}

on_both!(a_tag_follows_the_budget_row_that_it_names, budget_row);
async fn budget_row(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let row = json!({"budget_id": "b", "rpm_limit": 1});
    master.post("/budget/new", row).await.ok();
    for name in ["one", "two"] {
        let tag = json!({"name": name, "budget_id": "b"});
        master.post("/tag/new", tag).await.ok();
    }
    let row = json!({"budget_id": "b", "rpm_limit": 2});
    master.post("/budget/update", row).await.ok();
    assert_eq!(limits(&api, "one").await.unwrap().rpm, Some(2));
    // A limit of one of them does not become the other's.
    let change = json!({"name": "one", "tpm_limit": 3});
    master.post("/tag/update", change).await.ok();
    assert_eq!(limits(&api, "one").await.unwrap().tpm, Some(3));
    assert_eq!(limits(&api, "two").await.unwrap().tpm, None);
    master.post("/budget/delete", json!({"id": "b"})).await.ok();
    assert_eq!(limits(&api, "two").await, Some(Limits::default()));
    let bad = json!({"name": "three", "budget_id": "none"});
    assert_eq!(master.post("/tag/new", bad).await.refused().0, 400);
    let bad = json!({"name": "three", "max_budget": -1});
    assert_eq!(master.post("/tag/new", bad).await.refused().0, 400);
    let bad = json!({"name": "three", "rpm_limit": "x"});
    assert_eq!(master.post("/tag/new", bad).await.refused().0, 422);
}

on_both!(tags_are_listed_without_money_for_users, users);
async fn users(database: Database) {
    let api = Api::start(database).await;
    let tag = json!({"name": "t", "max_budget": 1});
    api.master().post("/tag/new", tag).await.ok();
    let user = api.person("internal_user").await.client;
    let list = user.get("/tag/list").await.ok();
    assert_has(&list, &json!([{"name": "t"}]));
    assert_eq!(
        (&list[0]["spend"], &list[0]["litellm_budget_table"]),
        (&Value::Null, &Value::Null)
    );
    let viewer = api.person("proxy_admin_viewer").await.client;
    let list = viewer.get("/tag/list?page=1&page_size=1").await.ok();
    assert_eq!(list[0]["spend"], json!(0.0));
}

on_both!(
    customers_and_tags_that_requests_name_are_listed_with_what_they_spent,
    seen
);
async fn seen(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    master
        .post("/customer/new", json!({"user_id": "known"}))
        .await
        .ok();
    let key = master.new_key(json!({})).await;
    let now_ms = api.redis.now_ms().await;
    for (at, (customer, tags, cost)) in [
        ("known", vec!["a", "b"], 1_500_000_000_u64),
        ("new", vec!["a", "a"], 250_000_000),
        ("new", vec![], 500_000_000),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"k": "some-key", "h": key["token"], "m": "gpt-4o", "g": "gpt-4o", "p": "openai", "r": "acompletion",
            "s": 200, "e": customer, "l": tags});
        let (id, sequence, cost) = (format!("{at:032x}"), (at + 1).to_string(), cost.to_string());
        let (now, body) = (now_ms.to_string(), body.to_string());
        let stream = redis_key::spend(Partition(0));
        let entry: Vec<&[u8]> = [
            "XADD",
            &stream,
            "*",
            "i",
            &id,
            "v",
            "1",
            "w",
            "00000000000000bb",
            "q",
            &sequence,
            "c",
            &cost,
            "a",
            &now,
            "b",
            &body,
        ]
        .into_iter()
        .map(str::as_bytes)
        .collect();
        api.redis.link.command(&entry).await.unwrap();
    }
    // The ledger drains the stream on its own; what it wrote is there when its last row is.
    let store = &api.service.app().store;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let row = sqlx::query("SELECT COUNT(*) AS rows FROM spend_logs")
            .fetch_one(&mut *store.read().await.unwrap())
            .await
            .unwrap();
        if sqlx::Row::try_get::<i64, _>(&row, "rows").unwrap() == 3 {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "nothing was drained"
        );
        tokio::task::yield_now().await;
    }
    let customers = master.get("/customer/list").await.ok();
    assert_has(
        &customers,
        &json!([{"user_id": "known", "spend": 1.5}, {"user_id": "new", "spend": 0.75}]),
    );
    let tags = master.get("/tag/list").await.ok();
    assert_has(
        &tags,
        &json!([{"name": "a", "spend": 1.75}, {"name": "b", "spend": 1.5}]),
    );
    assert_eq!(tags[0]["created_by"], Value::Null);
    // Nobody limits them yet; made, they keep what was spent.
    assert_eq!(settings(&api).await.tags.len(), 0);
    let made = json!({"name": "a", "rpm_limit": 1});
    let made = master.post("/tag/new", made).await.ok();
    assert_has(
        &made["tag"],
        &json!({"spend": 1.75, "created_by": "default_user_id"}),
    );
    assert_eq!(limits(&api, "a").await.unwrap().rpm, Some(1));
}

on_both!(what_everybody_together_may_spend_is_published, proxy_budget);
async fn proxy_budget(database: Database) {
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings:\n  max_budget: 100\n  budget_duration: 1d\n  max_end_user_budget: 3\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let found = settings(&api).await;
    let budget = found.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(100_000_000_000).unwrap());
    let now_ms = api.service.app().store.clock().now_ms();
    let next = budget.window.next(now_ms).unwrap();
    assert_eq!(next % 86_400_000, 0);
    assert!(next > now_ms && next - now_ms <= 86_400_000);
    let default = found.customer_default.budget.unwrap();
    assert_eq!(default.max, NanoUsd::new(3_000_000_000).unwrap());
}

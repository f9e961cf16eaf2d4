//! The audit log: every change with its author, and none without.

use serde_json::{Value, json};
use sqlx::Row;

use super::clients::{Api, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

async fn last(api: &Api) -> [String; 6] {
    let row = sqlx::query(
        "SELECT action, table_name, object_id, changed_by, changed_by_api_key, changed_from \
         FROM audit_log ORDER BY updated_at DESC, id DESC LIMIT 1",
    )
    .fetch_one(&mut *api.database.store.read().await.unwrap())
    .await
    .unwrap();
    std::array::from_fn(|at| row.get(at))
}

async fn values(api: &Api, object_id: &str, action: &str) -> (Value, Value) {
    let row = sqlx::query(
        "SELECT before_value, updated_values FROM audit_log WHERE object_id = $1 AND action = $2",
    )
    .bind(object_id.to_owned())
    .bind(action.to_owned())
    .fetch_one(&mut *api.database.store.read().await.unwrap())
    .await
    .unwrap();
    let read = |at: usize| {
        row.get::<Option<String>, _>(at)
            .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    };
    (read(0), read(1))
}

on_both!(every_change_is_in_the_audit_log_with_its_author, audited);
async fn audited(database: Database) {
    let api = Api::start(database).await;
    let user = api.person("internal_user").await;
    let info = user.client.get("/key/info").await.ok();
    let users_key = text(&info, "key");
    let key = user.client.new_key(json!({"rpm_limit": 1})).await;
    let token = text(&key, "token");
    let by = [&user.id, users_key, "127.0.0.1"].map(str::to_owned);
    let entry = |action: &str| {
        let what = [action, "LiteLLM_VerificationToken", token].map(str::to_owned);
        [what, by.clone()].concat()
    };
    assert_eq!(last(&api).await.to_vec(), entry("created"));
    let (before, after) = values(&api, token, "created").await;
    assert_eq!((before, &after["rpm_limit"]), (Value::Null, &json!(1)));
    assert!(
        !after.to_string().contains(text(&key, "key")),
        "never the key itself"
    );

    let update = json!({"key": token, "rpm_limit": 2});
    user.client.post("/key/update", update).await.ok();
    assert_eq!(last(&api).await.to_vec(), entry("updated"));
    let (before, after) = values(&api, token, "updated").await;
    assert_eq!(
        (&before["rpm_limit"], &after["rpm_limit"]),
        (&json!(1), &json!(2))
    );

    user.client
        .post("/key/delete", json!({"keys": [token]}))
        .await
        .ok();
    assert_eq!(last(&api).await.to_vec(), entry("deleted"));
    assert_eq!(values(&api, token, "deleted").await.1, Value::Null);

    api.master()
        .post("/team/new", json!({"team_id": "t"}))
        .await
        .ok();
    let [.., changed_by, changed_by_key, _] = last(&api).await;
    assert_eq!(changed_by, "default_user_id");
    assert_eq!(changed_by_key, "litellm_proxy_master_key");
}

on_both!(what_is_refused_leaves_nothing_behind, nothing_behind);
async fn nothing_behind(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let rows = async || {
        let store = &api.database.store;
        [
            number(store, "SELECT COUNT(*) FROM audit_log").await,
            number(store, "SELECT COUNT(*) FROM budgets").await,
            number(store, "SELECT COUNT(*) FROM users").await,
            number(store, "SELECT COUNT(*) FROM team_members").await,
            number(store, "SELECT COUNT(*) FROM tombstones").await,
        ]
    };
    master.new_key(json!({"key_alias": "taken"})).await;
    let before = rows().await;
    // Each fails after it has written something.
    for (path, body) in [
        (
            "/key/generate",
            json!({"soft_budget": 1, "key_alias": "taken"}),
        ),
        ("/user/new", json!({"teams": ["nope"]})),
        ("/user/new", json!({"key_alias": "taken"})),
        (
            "/user/delete",
            json!({"user_ids": ["default_user_id", "zz-nope"]}),
        ),
    ] {
        assert!(!master.post(path, body).await.status.is_success(), "{path}");
    }
    assert_eq!(rows().await, before);
}

//! `/budget/*`.

use contract::id::{TeamId, UserId};
use contract::money::NanoUsd;
use contract::records::{IndexEntry, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::virtual_key::KeyHash;
use contract::window::BudgetWindow;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, detail, text};
use crate::on_both;
use crate::support::database::Database;

const P0: Partition = Partition(0);
/// 2026-11-23 07:12:01.641 UTC.
const NOW: u64 = 1_795_417_921_641_000;

async fn published(api: &Api, id: &RecordId) -> Record {
    let name = redis_key::record(P0, id);
    let bytes = api.redis.get(&name).await.expect("a record");
    Versioned::decode(&bytes).expect("a record").value
}

async fn key_limits(api: &Api, key: &Value) -> contract::limits::Limits {
    let hash = KeyHash::parse(text(key, "token")).unwrap();
    let entry = api.redis.get(&redis_key::index(P0, &hash)).await.unwrap();
    let entry: Versioned<IndexEntry> = Versioned::decode(&entry).unwrap();
    match published(api, &entry.value.records[0]).await {
        Record::Key(key) => key.limits,
        other => panic!("{other:?}"),
    }
}

on_both!(a_budget_row_is_made_read_changed_and_deleted, life);
async fn life(database: Database) {
    let api = Api::configured(database, ONE_MODEL, Clock::manual(NOW)).await;
    let master = api.master();
    let sent = json!({"max_budget": 10, "budget_duration": "1d", "rpm_limit": 5, "tpm_limit": 50, "soft_budget": 3,
        "max_parallel_requests": 2, "tpd_limit": 900, "model_max_budget": {"gpt-4o": {"budget_limit": 1, "time_period": "1d"}},
        "allowed_models": ["gpt-4o"]});
    let made = master.post("/budget/new", sent.clone()).await.ok();
    let expected = json!({"budget_id": "*", "max_budget": 10.0, "soft_budget": 3.0, "tpm_limit": 50, "rpm_limit": 5,
        "max_parallel_requests": 2, "tpd_limit": 900, "allowed_models": ["gpt-4o"],
        "model_max_budget": {"gpt-4o": {"budget_limit": 1, "time_period": "1d"}},
        "budget_duration": "1d", "budget_reset_at": "2026-11-24T00:00:00Z",
        "created_at": "2026-11-23T07:12:01.641000Z", "created_by": "default_user_id",
        "updated_at": "2026-11-23T07:12:01.641000Z", "updated_by": "default_user_id"});
    assert_has(&made, &expected);
    let id = text(&made, "budget_id");
    let info = master
        .post("/budget/info", json!({"budgets": [id, "nope"]}))
        .await;
    assert_eq!(info.ok(), json!([made]));

    let change = json!({"budget_id": id, "max_budget": 20, "soft_budget": null});
    let changed = master.post("/budget/update", change).await.ok();
    let mut expected = made.clone();
    expected["max_budget"] = json!(20.0);
    expected["soft_budget"] = Value::Null;
    assert_eq!(changed.to_string(), expected.to_string());

    let settings = master
        .get(&format!("/budget/settings?budget_id={id}"))
        .await
        .ok();
    let field = |name: &str| {
        let fields = settings.as_array().unwrap().iter();
        let mut found = fields.filter(|field| field["field_name"] == name);
        found.next().cloned().unwrap_or_else(|| panic!("{name}"))
    };
    assert_has(
        &field("max_budget"),
        &json!({"field_type": "Float", "field_value": 20.0, "stored_in_db": true, "editable": true}),
    );
    assert_eq!(field("soft_budget")["stored_in_db"], false);

    assert_eq!(master.get("/budget/list").await.ok(), json!([changed]));
    let deleted = master
        .post("/budget/delete", json!({ "id": id }))
        .await
        .ok();
    assert_eq!(deleted, changed);
    let again = master
        .post("/budget/delete", json!({ "id": id }))
        .await
        .ok();
    assert_eq!(again, Value::Null);
    assert_eq!(master.get("/budget/list").await.ok(), json!([]));
}

on_both!(a_page_of_budgets_is_answered_oldest_first, pages);
async fn pages(database: Database) {
    let clock = Clock::manual(NOW);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    for (at, id) in ["c", "a", "b"].into_iter().enumerate() {
        clock.set_us(NOW + u64::try_from(at).unwrap());
        master
            .post("/budget/new", json!({ "budget_id": id }))
            .await
            .ok();
    }
    let ids = async |query: &str| -> Vec<String> {
        let list = master.get(&format!("/budget/list{query}")).await.ok();
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| text(row, "budget_id").to_owned()).collect()
    };
    assert_eq!(ids("").await, ["c", "a", "b"]);
    assert_eq!(ids("?page=2&page_size=2").await, ["b"]);
    assert_eq!(master.get("/budget/list?page=0").await.refused().0, 422);
}

on_both!(a_next_reset_that_was_given_is_kept_to, given_reset);
async fn given_reset(database: Database) {
    let api = Api::configured(database, ONE_MODEL, Clock::manual(NOW)).await;
    let master = api.master();
    let sent = json!({"budget_id": "b", "max_budget": 1, "budget_duration": "7d", "budget_reset_at": "2026-11-25T10:30:00Z"});
    let made = master.post("/budget/new", sent).await.ok();
    assert_has(
        &made,
        &json!({"budget_duration": "7d", "budget_reset_at": "2026-11-25T10:30:00Z"}),
    );
    let key = master.new_key(json!({"budget_id": "b"})).await;
    let window = key_limits(&api, &key).await.budget.unwrap().window;
    let anchor_ms = 1_795_602_600_000;
    let every_ms = 7 * 86_400_000;
    assert_eq!(
        window,
        BudgetWindow::Fixed {
            anchor_ms,
            every_ms
        }
    );
    // The same duration again goes on; another one follows the calendar.
    let same = json!({"budget_id": "b", "budget_duration": "7d"});
    let same = master.post("/budget/update", same).await.ok();
    assert_eq!(same["budget_reset_at"], "2026-11-25T10:30:00Z");
    let other = json!({"budget_id": "b", "budget_duration": "1d"});
    let other = master.post("/budget/update", other).await.ok();
    assert_eq!(other["budget_reset_at"], "2026-11-24T00:00:00Z");
}

on_both!(whoever_a_budget_row_limits_follows_it_at_once, linked);
async fn linked(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let budget = json!({"budget_id": "b", "max_budget": 10, "rpm_limit": 5});
    master.post("/budget/new", budget).await.ok();
    let shared = master.new_key(json!({"budget_id": "b"})).await;
    let own = master
        .new_key(json!({"budget_id": "b", "rpm_limit": 1}))
        .await;
    master
        .post("/user/new", json!({"user_id": "u\"1"}))
        .await
        .ok();
    let team = json!({"team_id": "t", "members_with_roles": [{"role": "user", "user_id": "u\"1"}],
        "team_member_budget": 3});
    let team = master.post("/team/new", team).await.ok();
    let of_team = text(&team["metadata"], "team_member_budget_id");
    let member = RecordId::member(&TeamId::new("t"), &UserId::new("u\"1"));

    let change =
        json!({"budget_id": "b", "max_budget": 20, "rpm_limit": 7, "budget_duration": "1d"});
    let answer = master.post("/budget/update", change).await;
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    let limits = key_limits(&api, &shared).await;
    assert_eq!(limits.rpm, Some(7));
    let budget = limits.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(20_000_000_000).unwrap());
    assert!(matches!(budget.window, BudgetWindow::Calendar(_)));
    assert_eq!(key_limits(&api, &own).await.rpm, Some(1));

    let change = json!({"budget_id": of_team, "max_budget": 4});
    master.post("/budget/update", change).await.ok();
    let Record::Member(found) = published(&api, &member).await else {
        panic!()
    };
    let budget = found.limits.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(4_000_000_000).unwrap());

    // Without the row nobody is limited by it.
    for id in ["b", of_team] {
        master
            .post("/budget/delete", json!({ "id": id }))
            .await
            .ok();
    }
    let limits = key_limits(&api, &shared).await;
    assert_eq!((limits.rpm, limits.budget), (None, None));
    let Record::Member(found) = published(&api, &member).await else {
        panic!()
    };
    assert_eq!(found.limits.budget, None);
    let info = master
        .get(&format!("/key/info?key={}", text(&shared, "token")))
        .await
        .ok();
    assert_eq!(info["info"]["budget_id"], Value::Null);
}

on_both!(thousands_of_keys_follow_their_budget_row, thousands);
async fn thousands(database: Database) {
    const KEYS: usize = 1_500;
    let api = Api::start(database).await;
    let master = api.master();
    let budget = json!({"budget_id": "b", "max_budget": 10});
    master.post("/budget/new", budget).await.ok();
    let key = master.new_key(json!({"budget_id": "b"})).await;
    let store = &api.service.app().store;
    let mut connection = store.read().await.unwrap();
    // Copies of the key, as many keys made one by one would be.
    let copies = "INSERT INTO virtual_keys (key_id, rev, token, key_name, models, aliases, allowed_routes, permissions, metadata, extra, \
        budget_id, created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
        SELECT 'copy-' || CAST(n.i AS TEXT), 1, substr('0000000000000000000000000000000000000000000000000000000000000000' || CAST(n.i AS TEXT), -64), \
        k.key_name, k.models, k.aliases, k.allowed_routes, k.permissions, k.metadata, k.extra, k.budget_id, k.created_at, k.updated_at \
        FROM virtual_keys k, n WHERE k.token = $2";
    let copies = match store.engine() {
        tollkeeper_admin::store::Engine::Sqlite => copies.to_owned(),
        tollkeeper_admin::store::Engine::Postgres => copies.replace(
            "substr('0000000000000000000000000000000000000000000000000000000000000000' || CAST(n.i AS TEXT), -64)",
            "lpad(CAST(n.i AS TEXT), 64, '0')",
        ),
    };
    sqlx::query(sqlx::AssertSqlSafe(copies))
        .bind(i64::try_from(KEYS).unwrap())
        .bind(text(&key, "token").to_owned())
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    let mut published = store.changes();
    published.mark_unchanged();
    let change = json!({"budget_id": "b", "rpm_limit": 7});
    master.post("/budget/update", change).await.ok();
    while tollkeeper_admin::store::outbox::backlog(store)
        .await
        .unwrap()
        .0
        > 0
    {
        let page = tollkeeper_admin::store::outbox::pending(store, "", 1).await;
        let ids: Vec<String> = page.unwrap().entries.into_iter().map(|e| e.id).collect();
        let most = std::time::Duration::from_secs(10);
        assert!(store.wait_published(&ids, most).await);
    }
    for at in [1, 700, KEYS] {
        let copy = json!({"token": format!("{at:064}")});
        assert_eq!(key_limits(&api, &copy).await.rpm, Some(7), "copy {at}");
    }
}

on_both!(a_budget_row_that_cannot_be_is_refused, bad);
async fn bad(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let post = async |path: &str, body: Value| master.post(path, body).await.refused();
    let said = |status, message: &str| detail(status, json!({ "error": message }));
    assert_eq!(
        post("/budget/new", json!({"max_budget": -1})).await,
        said(
            400,
            "max_budget must be a non-negative finite number. Received: -1.0"
        )
    );
    assert_eq!(
        post("/budget/new", json!({"budget_duration": "2mo"})).await,
        said(
            400,
            "Invalid budget_duration '2mo'. Use a format like '1h', '24h', '7d', or '30d'."
        )
    );
    let budget = json!({"budget_id": "b", "max_budget": 1});
    master.post("/budget/new", budget.clone()).await.ok();
    assert_eq!(
        post("/budget/new", budget).await,
        said(400, "Budget with id 'b' already exists.")
    );
    assert_eq!(
        post("/budget/update", json!({"max_budget": 20})).await,
        said(400, "budget_id is required")
    );
    assert_eq!(
        post("/budget/update", json!({"budget_id": "none"})).await.0,
        404
    );
    assert_eq!(post("/budget/info", json!({"budgets": []})).await.0, 400);
    assert_eq!(post("/budget/info", json!({})).await.0, 422);
    assert_eq!(post("/budget/new", json!({"rpm_limit": "x"})).await.0, 422);
    assert_eq!(
        master.get("/budget/settings").await.refused().0,
        422,
        "it must name a row"
    );
    let unknown = master.post("/budget/new", json!({"nobody_knows": 1})).await;
    assert_eq!(
        unknown.header("x-tollkeeper-ignored-fields"),
        Some("nobody_knows")
    );
}

on_both!(a_change_of_a_budget_row_is_in_the_audit_log, audited);
async fn audited(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let budget = json!({"budget_id": "b", "max_budget": 1});
    master.post("/budget/new", budget).await.ok();
    let change = json!({"budget_id": "b", "max_budget": 2});
    master.post("/budget/update", change).await.ok();
    master.post("/budget/delete", json!({"id": "b"})).await.ok();
    let store = &api.service.app().store;
    let rows = sqlx::query(
        "SELECT action, before_value, updated_values FROM audit_log \
         WHERE table_name = 'LiteLLM_BudgetTable' AND object_id = 'b' ORDER BY id",
    )
    .fetch_all(&mut *store.read().await.unwrap())
    .await
    .unwrap();
    let amount = |row: &sqlx::any::AnyRow, column: &str| -> Option<u64> {
        let text: Option<String> = sqlx::Row::try_get(row, column).unwrap();
        let value: Value = serde_json::from_str(&text?).unwrap();
        value["max_budget"].as_u64()
    };
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            let action: String = sqlx::Row::try_get(row, "action").unwrap();
            let (before, after) = (amount(row, "before_value"), amount(row, "updated_values"));
            (action, before, after)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("created".into(), None, Some(1_000_000_000)),
            ("updated".into(), Some(1_000_000_000), Some(2_000_000_000)),
            ("deleted".into(), Some(2_000_000_000), None),
        ]
    );
}

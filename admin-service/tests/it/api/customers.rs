//! `/customer/*` and `/end_user/*`.

use contract::id::CustomerId;
use contract::money::NanoUsd;
use contract::records::{CustomerRecord, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::window::BudgetWindow;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, error, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::service::Service;

const P0: Partition = Partition(0);
/// 2026-11-23 07:12:02.173 UTC.
const NOW: u64 = 1_795_417_922_173_000;

async fn published(api: &Api, customer: &str) -> Option<Record> {
    let id = RecordId::customer(&CustomerId::new(customer));
    let bytes = api.redis.get(&redis_key::record(P0, &id)).await?;
    Some(Versioned::decode(&bytes).expect("a record").value)
}

async fn record(api: &Api, customer: &str) -> CustomerRecord {
    match published(api, customer).await {
        Some(Record::Customer(record)) => record,
        other => panic!("{customer}: {other:?}"),
    }
}

on_both!(
    a_customer_is_made_read_changed_blocked_and_deleted_as_recorded,
    life
);
async fn life(database: Database) {
    let api = Api::configured(database, ONE_MODEL, Clock::manual(NOW)).await;
    let master = api.master();
    let sent =
        json!({"user_id": "c4a5af7", "max_budget": 1, "budget_duration": "1d", "alias": "ali"});
    let made = master.post("/customer/new", sent).await.ok();
    let mut expected = json!({"user_id": "c4a5af7", "blocked": false, "alias": "ali", "spend": 0.0, "budget_id": "*",
        "litellm_budget_table": {"budget_id": "*", "max_budget": 1.0, "budget_duration": "1d",
            "budget_reset_at": "2026-11-24T07:12:02.173000Z", "created_at": "2026-11-23T07:12:02.173000Z"}});
    assert_has(&made, &expected);
    let again = master
        .post("/customer/new", json!({"user_id": "c4a5af7"}))
        .await;
    assert_eq!(
        again.refused(),
        error(
            400,
            "bad_request",
            Some("user_id"),
            "Customer already exists, passed user_id=c4a5af7. Please pass a new user_id."
        )
    );
    for path in [
        "/customer/info?end_user_id=c4a5af7",
        "/end_user/info?end_user_id=c4a5af7",
    ] {
        assert_eq!(master.get(path).await.ok(), made);
    }
    for path in ["/customer/list", "/end_user/list"] {
        assert_eq!(master.get(path).await.ok(), json!([made]));
    }

    let change = json!({"user_id": "c4a5af7", "max_budget": 2});
    let changed = master.post("/customer/update", change).await.ok();
    expected["litellm_budget_table"]["max_budget"] = json!(2.0);
    assert_has(&changed, &expected);
    assert_eq!(changed["budget_id"], made["budget_id"]);

    let named = json!({"user_ids": ["c4a5af7"]});
    let blocked = master.post("/customer/block", named.clone()).await.ok();
    assert_has(
        &blocked,
        &json!({"blocked_users": [{"user_id": "c4a5af7", "blocked": true, "alias": "ali"}]}),
    );
    assert!(record(&api, "c4a5af7").await.blocked);
    let unblocked = master.post("/customer/unblock", named.clone()).await.ok();
    assert_eq!(unblocked, json!({"blocked_users": []}));
    let found = record(&api, "c4a5af7").await;
    assert!(!found.blocked);
    let budget = found.limits.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(2_000_000_000).unwrap());
    let (anchor_ms, every_ms) = (NOW / 1_000, 86_400_000);
    assert_eq!(
        budget.window,
        BudgetWindow::Fixed {
            anchor_ms,
            every_ms
        }
    );

    let deleted = master.post("/customer/delete", named.clone()).await.ok();
    assert_eq!(
        deleted,
        json!({"deleted_customers": 1, "message": "Successfully deleted customers with ids: ['c4a5af7']"})
    );
    assert_eq!(published(&api, "c4a5af7").await, Some(Record::Deleted));
    assert_eq!(
        master.post("/customer/delete", named).await.refused(),
        error(
            404,
            "not_found",
            Some("user_ids"),
            "End User Id(s)=c4a5af7 do not exist in db"
        )
    );
    assert_eq!(master.get("/end_user/list").await.ok(), json!([]));
    // Made again, the customer is known again.
    let anew = json!({"user_id": "c4a5af7", "rpm_limit": 3});
    master.post("/end_user/new", anew).await.ok();
    assert_eq!(record(&api, "c4a5af7").await.limits.rpm, Some(3));
}

on_both!(every_field_of_a_customer_is_kept_echoed_and_cleared, fields);
async fn fields(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let sent = json!({"user_id": "a b/ä", "alias": "A", "blocked": true, "allowed_model_region": "eu", "default_model": "gpt-4o",
        "models": ["gpt-4o"], "object_permission": {"vector_stores": ["v"]}, "spend": 0,
        "max_budget": 5, "soft_budget": 4, "max_parallel_requests": 3, "tpm_limit": 20, "rpm_limit": 10, "tpd_limit": 7,
        "model_max_budget": {"gpt-4o": {"budget_limit": 1}}});
    let answer = master.post("/customer/new", sent).await;
    assert_eq!(
        answer.header("x-tollkeeper-unenforced-fields"),
        Some("allowed_model_region,default_model,object_permission")
    );
    let made = answer.ok();
    let expected = json!({"user_id": "a b/ä", "alias": "A", "blocked": true, "allowed_model_region": "eu",
        "default_model": "gpt-4o", "models": ["gpt-4o"], "object_permission": {"vector_stores": ["v"]},
        "litellm_budget_table": {"max_budget": 5.0, "soft_budget": 4.0, "max_parallel_requests": 3, "tpm_limit": 20,
            "rpm_limit": 10, "tpd_limit": 7, "model_max_budget": {"gpt-4o": {"budget_limit": 1}}}});
    assert_has(&made, &expected);
    let found = record(&api, "a b/ä").await;
    assert_eq!(found.id.as_str(), "a b/ä");
    assert_eq!(found.models, ["gpt-4o"]);
    let limits = &found.limits;
    assert_eq!(
        (limits.rpm, limits.tpm, limits.parallel),
        (Some(10), Some(20), Some(3))
    );

    // An update changes what it names and nothing else.
    let change = json!({"user_id": "a b/ä", "alias": null, "blocked": false, "models": null, "default_model": null});
    let changed = master.post("/customer/update", change).await.ok();
    let mut expected = made.clone();
    expected["alias"] = Value::Null;
    expected["blocked"] = json!(false);
    expected["models"] = json!([]);
    expected["default_model"] = Value::Null;
    assert_eq!(changed.to_string(), expected.to_string());
    let cleared = json!({"user_id": "a b/ä", "max_budget": null, "object_permission": null, "allowed_model_region": null});
    let cleared = master.post("/customer/update", cleared).await.ok();
    assert_eq!(
        cleared["litellm_budget_table"]["max_budget"],
        Value::Null,
        "{cleared}"
    );
    assert_eq!(cleared["object_permission"], Value::Null);
    assert_eq!(record(&api, "a b/ä").await.limits.budget, None);
    let freed = json!({"user_id": "a b/ä", "budget_id": null});
    let freed = master.post("/customer/update", freed).await.ok();
    assert_eq!(freed["litellm_budget_table"], Value::Null);
    // Nothing is said of the customer any more: Redis holds no limits.
    assert_eq!(published(&api, "a b/ä").await, Some(Record::Deleted));
}

on_both!(customers_who_share_a_budget_row_follow_it, shared);
async fn shared(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let budget = json!({"budget_id": "b", "tpm_limit": 2, "allowed_models": ["gpt-4o"]});
    master.post("/budget/new", budget).await.ok();
    for id in ["one", "two"] {
        let made = json!({"user_id": id, "budget_id": "b"});
        master.post("/customer/new", made).await.ok();
        let found = record(&api, id).await;
        assert_eq!(found.limits.tpm, Some(2));
        assert_eq!(found.models, ["gpt-4o"]);
    }
    let change = json!({"budget_id": "b", "tpm_limit": 5});
    master.post("/budget/update", change).await.ok();
    assert_eq!(record(&api, "one").await.limits.tpm, Some(5));
    // A budget of one of them does not become the other's.
    let change = json!({"user_id": "one", "max_budget": 9});
    let one = master.post("/customer/update", change).await.ok();
    assert_ne!(one["budget_id"], "b");
    assert_has(
        &one["litellm_budget_table"],
        &json!({"max_budget": 9.0, "tpm_limit": 5}),
    );
    assert_eq!(record(&api, "two").await.limits.budget, None);
    master.post("/budget/delete", json!({"id": "b"})).await.ok();
    assert_eq!(published(&api, "two").await, Some(Record::Deleted));
    let two = master.get("/customer/info?end_user_id=two").await.ok();
    assert_eq!(two["budget_id"], Value::Null);
}

on_both!(customers_are_listed_by_page_and_searched, list);
async fn list(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for (id, alias) in [("c", "100%"), ("a", "Anna"), ("b", "x_y"), ("d", "ann")] {
        let made = json!({"user_id": id, "alias": alias});
        master.post("/customer/new", made).await.ok();
    }
    let ids = async |query: &str| -> Vec<String> {
        let list = master.get(&format!("/customer/list?{query}")).await.ok();
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| text(row, "user_id").to_owned()).collect()
    };
    assert_eq!(ids("").await, ["a", "b", "c", "d"]);
    assert_eq!(ids("page=2&page_size=3").await, ["d"]);
    assert_eq!(ids("search=ANN").await, ["a", "d"]);
    assert_eq!(ids("search=%25").await, ["c"]);
    assert_eq!(ids("search=_").await, ["b"]);
    let too_many = master.get("/customer/list?page_size=101").await;
    assert_eq!(too_many.refused().0, 422);
}

on_both!(what_a_customer_cannot_be_is_refused, bad);
async fn bad(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let both = json!({"user_id": "zz", "max_budget": 1, "budget_id": "q"});
    let both = master.post("/customer/new", both).await.refused();
    let problem = json!([{"type": "value_error", "loc": ["body"], "msg": "Value error, Set either 'max_budget' or 'budget_id', not both."}]);
    assert_eq!(both, (422, json!({ "detail": problem })));
    let missing = |param: &'static str| {
        let message = "End User Id=nope does not exist in db";
        error(404, "not_found", Some(param), message)
    };
    let info = master.get("/customer/info?end_user_id=nope").await;
    assert_eq!(info.refused(), missing("end_user_id"));
    let update = json!({"user_id": "nope", "max_budget": 2});
    let update = master.post("/customer/update", update).await;
    assert_eq!(update.refused(), missing("user_id"));
    for (body, status) in [
        (json!({}), 422),
        (json!({"user_id": "a", "blocked": null}), 422),
        (json!({"user_id": "a", "allowed_model_region": "asia"}), 422),
        (json!({"user_id": "a", "rpm_limit": -1}), 422),
        (json!({"user_id": "a", "max_budget": -1}), 400),
        (json!({"user_id": "a", "budget_duration": "2mo"}), 400),
        (json!({"user_id": "a", "budget_id": "none"}), 400),
        (
            json!({"user_id": "a", "budget_id": "none", "rpm_limit": 1}),
            400,
        ),
        (json!({"user_id": "a", "spend": 3}), 400),
    ] {
        let refused = master.post("/customer/new", body.clone()).await.refused();
        assert_eq!(refused.0, status, "{body} {}", refused.1);
    }
    // Nothing of these was written.
    assert_eq!(master.get("/customer/list").await.ok(), json!([]));
    assert_eq!(master.get("/budget/list").await.ok(), json!([]));
    // A customer nobody has seen can be blocked beforehand, and unblocking nobody changes nothing.
    let named = json!({"user_ids": ["early"]});
    master.post("/customer/unblock", named.clone()).await.ok();
    assert_eq!(published(&api, "early").await, None);
    master.post("/customer/block", named).await.ok();
    assert!(record(&api, "early").await.blocked);
}

on_both!(
    customers_without_a_budget_row_have_the_default_of_the_settings,
    default
);
async fn default(database: Database) {
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings:\n  max_end_user_budget_id: all\n  max_end_user_budget: 3\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let named = json!({"user_ids": ["bad"]});
    master.post("/customer/block", named).await.ok();
    let budget = record(&api, "bad").await.limits.budget.unwrap();
    // The row that the settings name is not there yet: the amount counts.
    assert_eq!(budget.max, NanoUsd::new(3_000_000_000).unwrap());
    let row = json!({"budget_id": "all", "rpm_limit": 4});
    master.post("/budget/new", row).await.ok();
    let limits = record(&api, "bad").await.limits;
    assert_eq!((limits.rpm, limits.budget), (Some(4), None));
    let row = json!({"budget_id": "all", "rpm_limit": 6});
    master.post("/budget/update", row).await.ok();
    assert_eq!(record(&api, "bad").await.limits.rpm, Some(6));
    let own = json!({"user_id": "own", "tpm_limit": 1});
    master.post("/customer/new", own).await.ok();
    let limits = record(&api, "own").await.limits;
    assert_eq!((limits.rpm, limits.tpm), (None, Some(1)));
}

on_both!(
    a_customer_that_the_database_lost_is_forgotten_by_redis,
    lost
);
async fn lost(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let named = json!({"user_ids": ["gone"]});
    master.post("/customer/block", named).await.ok();
    let app = api.service.app();
    let mut connection = app.store.read().await.unwrap();
    sqlx::query("DELETE FROM customers")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    let other = Service::new("other", &api.database, &api.redis);
    other.publisher.reconcile().await.unwrap();
    assert_eq!(published(&api, "gone").await, Some(Record::Deleted));
}

//! `/key/list`.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, error, text};
use crate::on_both;
use crate::support::database::Database;

on_both!(
    keys_are_listed_a_page_at_a_time_in_the_order_asked_for,
    pages
);
async fn pages(database: Database) {
    let clock = Clock::manual(Clock::System.now_us());
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let mut tokens = Vec::new();
    for number in 0..5 {
        clock.set_us(clock.now_us() + 1_000_000);
        let body = json!({"key_alias": format!("alias_{}", 5 - number), "max_budget": number});
        tokens.push(master.new_key(body).await["token"].clone());
    }
    let list = async |query: &str| master.get(&format!("/key/list{query}")).await.ok();
    assert_eq!(
        list("?size=2").await,
        json!({"keys": [tokens[4], tokens[3]], "total_count": 5, "current_page": 1, "total_pages": 3})
    );
    assert_eq!(list("?size=2&page=3").await["keys"], json!([tokens[0]]));
    assert_eq!(list("?size=2&page=4").await["keys"], json!([]));
    let by_alias = list("?sort_by=key_alias&sort_order=asc&size=2").await;
    assert_eq!(by_alias["keys"], json!([tokens[4], tokens[3]]));
    assert_eq!(
        list("?sort_by=spend&sort_order=asc").await["total_count"],
        5
    );
    assert_eq!(list("?key_alias=alias_3").await["keys"], json!([tokens[2]]));
    assert_eq!(
        list("?key_alias=ALIAS_&substring_matching=true").await["total_count"],
        5
    );
    assert_eq!(
        list("?key_alias=alias%25&substring_matching=true").await["total_count"],
        0
    );
    assert_eq!(list("?search=as_3").await["keys"], json!([tokens[2]]));
    let hash = tokens[1].as_str().unwrap();
    assert_eq!(
        list(&format!("?key_hash={hash}")).await["keys"],
        json!([tokens[1]])
    );
    let full = list("?return_full_object=true&size=1").await;
    assert_has(
        &full["keys"][0],
        &json!({"token": tokens[4], "key_alias": "alias_1", "max_budget": 4.0,
        "created_by": "default_user_id", "rotation_count": 0}),
    );
}

on_both!(a_wrong_query_is_refused_as_litellm_refuses_it, wrong);
async fn wrong(database: Database) {
    let api = Api::start(database).await;
    let refused = async |query: &str| {
        api.master()
            .get(&format!("/key/list{query}"))
            .await
            .refused()
    };
    assert_eq!(
        refused("?size=1000").await,
        (
            422,
            json!({"detail": [{"type": "less_than_equal", "loc": ["query", "size"], "msg": "Input should be less than or equal to 100"}]})
        )
    );
    assert_eq!(
        refused("?page=0").await,
        (
            422,
            json!({"detail": [{"type": "greater_than_equal", "loc": ["query", "page"], "msg": "Input should be greater than or equal to 1"}]})
        )
    );
    assert_eq!(refused("?page=x").await.0, 422);
    assert_eq!(
        refused("?status=zzz").await,
        error(
            400,
            "invalid_request_error",
            None,
            "{'error': \"Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.\"}"
        )
    );
    assert_eq!(refused("?sort_by=zzz").await.0, 400);
}

on_both!(keys_are_found_by_status, status);
async fn status(database: Database) {
    let clock = Clock::manual(Clock::System.now_us());
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let mut keys = Vec::new();
    for body in [json!({}), json!({"duration": "1h"}), json!({}), json!({})] {
        clock.set_us(clock.now_us() + 1_000_000);
        keys.push(master.new_key(body).await["token"].clone());
    }
    master
        .post("/key/block", json!({"key": keys[2]}))
        .await
        .ok();
    master
        .post("/key/delete", json!({"keys": [keys[3]]}))
        .await
        .ok();
    clock.set_us(clock.now_us() + 3_600_000_000);
    for (status, expected) in [
        ("active", json!([keys[0]])),
        ("expired", json!([keys[1]])),
        ("revoked", json!([keys[2]])),
        ("deleted", json!([keys[3]])),
    ] {
        let listed = master.get(&format!("/key/list?status={status}")).await.ok();
        assert_eq!(listed["keys"], expected, "{status}");
        assert_eq!(listed["total_count"], 1);
    }
    for (expires, expected) in [
        ("active", json!([keys[2], keys[0]])),
        ("expired", json!([keys[1]])),
    ] {
        let listed = master.get(&format!("/key/list?expires={expires}")).await;
        assert_eq!(listed.ok()["keys"], expected, "{expires}");
    }
    assert_eq!(master.get("/key/list?expires=soon").await.status, 400);
}

on_both!(somebody_who_is_no_admin_sees_their_own_keys, own);
async fn own(database: Database) {
    let api = Api::start(database).await;
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user_viewer").await,
    );
    let made = user.client.new_key(json!({})).await["token"].clone();
    let tokens = async |query: &str| {
        let listed = user.client.get(&format!("/key/list{query}")).await.ok();
        let mut keys = listed["keys"].as_array().unwrap().clone();
        keys.sort_by_key(Value::to_string);
        keys
    };
    let auto = json!(user.client.get("/key/info").await.ok()["key"]);
    let mut expected = vec![made, auto];
    expected.sort_by_key(Value::to_string);
    assert_eq!(tokens("").await, expected);
    assert_eq!(tokens(&format!("?user_id={}", user.id)).await, expected);
    assert_eq!(
        user.client
            .get(&format!("/key/list?user_id={}", other.id))
            .await
            .refused(),
        error(
            403,
            "bad_request_error",
            Some("user_id"),
            "You are not authorized to check another user's keys"
        )
    );
    assert_eq!(other.client.get("/key/list").await.ok()["total_count"], 1);

    let members =
        json!([{"role": "admin", "user_id": user.id}, {"role": "user", "user_id": other.id}]);
    let team = api
        .master()
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let of_team = api
        .master()
        .new_key(json!({"team_id": team["team_id"]}))
        .await;
    assert!(!tokens("").await.contains(&of_team["token"]));
    assert!(
        tokens("?include_team_keys=true")
            .await
            .contains(&of_team["token"])
    );
    let seen_by_member = other
        .client
        .get("/key/list?include_team_keys=true")
        .await
        .ok();
    assert_eq!(seen_by_member["total_count"], 1);
    assert!(!text(&of_team, "token").is_empty());
}

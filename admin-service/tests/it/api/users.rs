//! Users.

use serde_json::{Value, json};

use super::clients::{Api, assert_has, detail, error, text};
use crate::on_both;
use crate::support::database::Database;

on_both!(a_user_is_answered_as_litellm_recorded_it, recorded);
async fn recorded(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let sent = json!({"user_email": "U@x.com", "user_role": "internal_user", "models": ["gpt-4o"], "rpm_limit": 1});
    let answer = master.post("/user/new", sent).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let user = answer.ok();
    assert_has(
        &user,
        &json!({"spend": 0.0, "user_id": "*", "key": "*", "router_settings": {}, "key_name": "*",
        "created_at": "*", "updated_at": "*", "user_email": "U@x.com", "user_role": "internal_user",
        "models": ["gpt-4o"], "rpm_limit": 1}),
    );
    assert_eq!(user["token"], Value::Null);
    assert_eq!(user["created_by"], Value::Null);
    let id = text(&user, "user_id");

    let own = api.client(Some(text(&user, "key")));
    for info in [
        master.get(&format!("/user/info?user_id={id}")).await.ok(),
        own.get("/user/info").await.ok(),
    ] {
        assert_has(
            &info,
            &json!({"user_id": id, "user_info": {"user_id": id, "user_role": "internal_user", "spend": 0.0,
            "user_email": "U@x.com", "created_at": "*", "updated_at": "*", "models": ["gpt-4o"]},
            "keys": [{"token": "*", "key_name": user["key_name"], "soft_budget_cooldown": false, "spend": 0.0,
                "total_spend": 0.0, "user_id": id, "rpm_limit": 1, "models": []}], "teams": []}),
        );
    }

    let without_key = json!({"user_email": "nk@x.com", "auto_create_key": false});
    let without_key = master.post("/user/new", without_key).await.ok();
    assert_has(
        &without_key,
        &json!({"spend": 0.0, "user_id": "*", "user_email": "nk@x.com", "key": ""}),
    );
    let info = master
        .get(&format!(
            "/user/info?user_id={}",
            text(&without_key, "user_id")
        ))
        .await
        .ok();
    assert_eq!(info["keys"], json!([]));

    let changed = json!({"user_id": id, "max_budget": 5, "user_role": "internal_user"});
    let changed = master.post("/user/update", changed).await.ok();
    assert_has(
        &changed,
        &json!({"user_id": id, "data": {"user_id": id, "user_role": "internal_user",
        "max_budget": 5.0, "spend": 0.0, "user_email": "U@x.com", "rpm_limit": 1}}),
    );
    let by_email = json!({"user_email": "u@X.com", "user_alias": "Ada", "max_budget": null});
    let by_email = master.post("/user/update", by_email).await.ok();
    assert_has(
        &by_email,
        &json!({"user_id": id, "data": {"user_alias": "Ada", "user_email": "U@x.com", "rpm_limit": 1}}),
    );
    assert_eq!(by_email["data"]["max_budget"], Value::Null);
}

on_both!(
    what_a_user_cannot_be_is_refused_as_litellm_refuses_it,
    refused
);
async fn refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let new = async |body: Value| master.post("/user/new", body).await.refused();
    let user = master
        .post("/user/new", json!({"user_email": "a@x.com"}))
        .await
        .ok();
    let conflict = |message: &str| error(409, "invalid_request_error", None, message);
    assert_eq!(
        new(json!({"user_email": "A@X.com"})).await,
        conflict("{'error': 'User with email a@x.com already exists'}")
    );
    let id = text(&user, "user_id");
    assert_eq!(
        new(json!({ "user_id": id })).await,
        conflict(&format!("{{'error': 'User with id {id} already exists'}}"))
    );
    assert_eq!(
        new(json!({"user_role": "wizard"})).await,
        (
            422,
            json!({"detail": [{"type": "literal_error", "loc": ["body", "user_role"], "msg": "Input should be <LitellmUserRoles.PROXY_ADMIN: 'proxy_admin'>, <LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY: 'proxy_admin_viewer'>, <LitellmUserRoles.INTERNAL_USER: 'internal_user'> or <LitellmUserRoles.INTERNAL_USER_VIEW_ONLY: 'internal_user_viewer'>"}]})
        )
    );
    assert_eq!(
        new(json!({"password": "x"})).await,
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body", "password"], "msg": "Value error, password cannot be set via /user/new. Users set their own password through an invitation link (POST /invitation/new)."}]})
        )
    );
    assert_eq!(
        new(json!({"budget_duration": "10x"})).await,
        error(
            400,
            "invalid_request_error",
            None,
            "{'error': \"Invalid budget_duration '10x'. Use a format like '1h', '24h', '7d', or '30d'.\"}"
        )
    );
    assert_eq!(new(json!({"teams": ["nope"]})).await.0, 404);
    assert_eq!(
        master
            .post("/user/update", json!({"max_budget": 5}))
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body"], "msg": "Value error, Either user id or user email must be provided"}]})
        )
    );
    let not_found = |message: &str| error(404, "invalid_request_error", None, message);
    for nobody in [
        json!({"user_id": "nope"}),
        json!({"user_email": "nope@x.com"}),
    ] {
        assert_eq!(
            master.post("/user/update", nobody).await.status,
            404,
            "nobody is made by an update"
        );
    }
    assert_eq!(
        master.get("/user/info?user_id=nope").await.refused(),
        not_found("User nope not found")
    );
    assert_eq!(
        api.keyholder().await.get("/user/info").await.refused(),
        not_found("User None not found")
    );
    let other = api.person("internal_user").await;
    assert_eq!(
        other
            .client
            .get(&format!("/user/info?user_id={id}"))
            .await
            .refused(),
        error(
            403,
            "auth_error",
            None,
            &format!(
                "key not allowed to access this user's info. user_id={id}, key's user_id={}",
                other.id
            )
        )
    );
    let taken = json!({"user_id": other.id, "user_email": "A@x.com"});
    assert_eq!(master.post("/user/update", taken).await.status, 409);
}

on_both!(
    a_user_is_deleted_with_keys_and_memberships_or_not_at_all,
    deleted
);
async fn deleted(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members = json!([{"role": "user", "user_id": user.id}]);
    let team = master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    assert_eq!(
        master
            .post("/user/delete", json!({"user_ids": [user.id, "nope"]}))
            .await
            .refused(),
        detail(404, json!({"error": "User not found, passed user_id=nope"}))
    );
    user.client.get("/user/info").await.ok();
    assert_eq!(
        master
            .post("/user/delete", json!({"user_ids": [user.id]}))
            .await
            .ok(),
        json!(1)
    );
    assert_eq!(user.client.get("/key/info").await.status, 401);
    let team = master
        .get(&format!("/team/info?team_id={}", text(&team, "team_id")))
        .await
        .ok();
    let left = team["team_info"]["members_with_roles"].as_array().unwrap();
    assert!(
        left.iter()
            .all(|member| member["user_id"] != json!(user.id))
    );
    other.client.get("/user/info").await.ok();
}

on_both!(a_new_user_joins_the_teams_that_are_named, joins);
async fn joins(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let mut teams = Vec::new();
    for _ in 0..3 {
        teams.push(master.post("/team/new", json!({})).await.ok()["team_id"].clone());
    }
    let sent = json!({"user_role": "internal_user", "team_id": teams[0],
        "teams": [{"team_id": teams[1], "max_budget_in_team": 2, "user_role": "admin"}]});
    let user = master.post("/user/new", sent).await.ok();
    assert_eq!(user["team_id"], teams[0], "the key is the team's");
    let person = api.client(Some(text(&user, "key")));
    let info = person.get("/user/info").await.ok();
    let mut joined: Vec<&Value> = info["teams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|team| &team["team_id"])
        .collect();
    joined.sort_by_key(ToString::to_string);
    let mut expected = vec![&teams[0], &teams[1]];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(joined, expected);
    let team = person
        .get(&format!(
            "/team/info?team_id={}",
            teams[1].as_str().unwrap()
        ))
        .await
        .ok();
    let memberships = team["team_memberships"].as_array().unwrap();
    let own = memberships
        .iter()
        .find(|member| member["user_id"] == user["user_id"])
        .unwrap();
    assert_has(
        own,
        &json!({"spend": 0.0, "budget_id": "*", "litellm_budget_table": {"max_budget": 2.0}}),
    );
}

//! Service accounts, several keys at once, aliases and health.

use serde_json::{Value, json};

use super::clients::{Api, assert_has, detail, error, text};
use crate::on_both;
use crate::support::database::Database;

on_both!(
    a_service_account_is_a_key_of_a_team_and_of_nobody,
    service_account
);
async fn service_account(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let path = "/key/service-account/generate";
    assert_eq!(
        master.post(path, json!({})).await.refused(),
        detail(
            400,
            "team_id is required for service account keys. Please specify `team_id` in the request body."
        )
    );
    let member = api.person("internal_user").await;
    let members = json!([{"role": "user", "user_id": member.id}]);
    let team = json!({"members_with_roles": members, "models": ["gpt-4o"]});
    let team = master.post("/team/new", team).await.ok();
    let asked = json!({"team_id": team["team_id"], "key_alias": "robot", "user_id": member.id});
    let made = master.post(path, asked).await.ok();
    assert_has(
        &made,
        &json!({"key_alias": "robot", "user_id": null, "team_id": team["team_id"],
        "metadata": {"service_account_id": "robot"}, "created_by": "default_user_id"}),
    );
    let unnamed = json!({"team_id": team["team_id"], "metadata": {"a": 1}});
    let unnamed = master.post(path, unnamed).await.ok();
    assert_has(
        &unnamed["metadata"],
        &json!({"a": 1, "service_account_id": "*"}),
    );

    let ask = json!({ "team_id": team["team_id"] });
    let (status, body) = member.client.post(path, ask).await.refused();
    assert_eq!(
        (status, &body["error"]["type"]),
        (401, &json!("team_member_permission_error"))
    );
    let permissions = json!([
        "/key/service-account/generate",
        "/key/update",
        "/key/delete"
    ]);
    let team = json!({"members_with_roles": members, "models": ["gpt-4o"], "team_member_permissions": permissions});
    let team = master.post("/team/new", team).await.ok();
    let ask = |more: &str| json!({"team_id": team["team_id"], "models": [more]});
    assert_eq!(
        member.client.post(path, ask("gpt-4")).await.status,
        403,
        "more than the team has"
    );
    let made = member.client.post(path, ask("gpt-4o")).await.ok();
    assert_has(&made, &json!({"user_id": null, "created_by": member.id}));
    // Members with permission share it; its budget stays the admins'.
    let change = |field: &str, value: Value| json!({"key": made["key"], field: value});
    let renamed = change("metadata", json!({"b": 2}));
    member.client.post("/key/update", renamed).await.ok();
    let richer = change("max_budget", json!(5));
    assert_eq!(member.client.post("/key/update", richer).await.status, 403);
    let stranger = api.person("internal_user").await;
    let foreign = change("metadata", json!({}));
    assert!(
        !stranger
            .client
            .post("/key/update", foreign)
            .await
            .status
            .is_success()
    );
    let gone = json!({ "keys": [made["key"]] });
    assert_eq!(
        stranger
            .client
            .post("/key/delete", gone.clone())
            .await
            .status,
        403
    );
    member.client.post("/key/delete", gone).await.ok();
}

on_both!(several_keys_are_changed_each_by_itself, bulk);
async fn bulk(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (one, two) = (
        master.new_key(json!({})).await,
        master.new_key(json!({})).await,
    );
    let keys = json!([{"key": one["key"], "max_budget": 30, "surprise": 1}, {"key": "sk-nope", "max_budget": 1},
        {"key": two["key"], "budget_duration": "2mo"}, {"key": two["key"], "rpm_limit": 4}]);
    let answer = master
        .post("/key/bulk_update", json!({ "keys": keys }))
        .await;
    assert_eq!(
        answer.header("x-tollkeeper-ignored-fields"),
        Some("surprise")
    );
    let done = answer.ok();
    assert_eq!(done["total_requested"], 4);
    assert_has(
        &done["successful_updates"],
        &json!([{"key": one["key"], "key_info": {"max_budget": 30.0}}, {"key": two["key"], "key_info": {"rpm_limit": 4}}]),
    );
    assert_has(
        &done["failed_updates"],
        &json!([{"key": "sk-nope", "failed_reason": "Key not found."}, {"key": two["key"]}]),
    );
    let wrong = json!({"keys": [{"rpm_limit": 1}, {"key": one["key"], "rpm_limit": -1}]});
    let (status, body) = master.post("/key/bulk_update", wrong).await.refused();
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"], json!(["body", "keys", 0, "key"]));
    assert_eq!(
        body["detail"][1]["loc"],
        json!(["body", "keys", 1, "rpm_limit"])
    );
    assert_eq!(
        master
            .post("/key/bulk_update", json!({"keys": []}))
            .await
            .status,
        400
    );
    let user = api.person("internal_user").await;
    let own = user.client.new_key(json!({})).await;
    let own = json!({"keys": [{"key": own["key"], "rpm_limit": 1}]});
    assert_eq!(
        user.client.post("/key/bulk_update", own).await.refused(),
        detail(
            403,
            json!({"error": "Only proxy admins can perform bulk key updates"})
        )
    );
}

on_both!(
    several_keys_are_shown_to_those_who_may_see_them_all,
    info_v2
);
async fn info_v2(database: Database) {
    let api = Api::start(database).await;
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let (one, two) = (
        user.client.new_key(json!({"key_alias": "one"})).await,
        other.client.new_key(json!({})).await,
    );
    let ask = |keys: Value| json!({ "keys": keys });
    let both = ask(json!([one["key"], "sk-nope", two["token"]]));
    let shown = api.master().post("/v2/key/info", both.clone()).await.ok();
    assert_eq!(shown["key"], json!([one["key"], two["token"]]));
    assert_has(
        &shown["info"],
        &json!([{"key_alias": "one", "user_id": user.id}, {"user_id": other.id}]),
    );
    assert_eq!(shown["info"][0].get("token"), None);
    user.client
        .post("/v2/key/info", ask(json!([one["key"]])))
        .await
        .ok();
    assert_eq!(
        user.client.post("/v2/key/info", both).await.refused(),
        error(
            403,
            "auth_error",
            None,
            "You are not allowed to access this key's info. Your role=internal_user"
        )
    );
    assert_eq!(
        api.master().post("/v2/key/info", json!({})).await.status,
        422
    );
}

on_both!(aliases_are_listed_to_those_who_see_their_keys, aliases);
async fn aliases(database: Database) {
    let api = Api::start(database).await;
    let user = api.person("internal_user").await;
    let team = json!({"members_with_roles": [{"role": "admin", "user_id": user.id}]});
    let team = api.master().post("/team/new", team).await.ok()["team_id"].clone();
    for (alias, body) in [
        ("b_mine", json!({"user_id": user.id})),
        ("a_team", json!({ "team_id": team })),
        ("c%else", json!({})),
    ] {
        let mut body = body;
        body["key_alias"] = json!(alias);
        api.master().new_key(body).await;
    }
    let list = async |query: &str| api.master().get(&format!("/key/aliases{query}")).await.ok();
    assert_eq!(
        list("?size=2").await,
        json!({"aliases": ["a_team", "b_mine"], "total_count": 3, "current_page": 1, "total_pages": 2, "size": 2})
    );
    assert_eq!(list("?size=2&page=2").await["aliases"], json!(["c%else"]));
    assert_eq!(list("?search=MINE").await["aliases"], json!(["b_mine"]));
    assert_eq!(list("?search=%25").await["aliases"], json!(["c%else"]));
    let of_team = format!("?team_id={}", team.as_str().unwrap());
    assert_eq!(list(&of_team).await["aliases"], json!(["a_team"]));
    let own = user.client.get("/key/aliases").await.ok();
    assert_eq!(own["aliases"], json!(["a_team", "b_mine"]));
    assert_eq!(api.master().get("/key/aliases?size=101").await.status, 422);
    assert_eq!(api.keyholder().await.get("/key/aliases").await.status, 403);
}

on_both!(a_key_that_works_says_so, health);
async fn health(database: Database) {
    let api = Api::start(database).await;
    let key = api.master().new_key(json!({})).await;
    let client = api.client(Some(text(&key, "key")));
    let healthy = json!({"key": "healthy", "logging_callbacks": null});
    assert_eq!(client.post("/key/health", json!({})).await.ok(), healthy);
    api.master()
        .post("/key/block", json!({"key": key["key"]}))
        .await
        .ok();
    assert_eq!(client.post("/key/health", json!({})).await.status, 401);
}

on_both!(
    keys_are_found_by_organization_and_shown_with_their_users,
    filters
);
async fn filters(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = api
        .person_with(json!({"user_role": "internal_user", "user_email": "u@x.com"}))
        .await;
    let one = json!({"organization_id": "org", "user_id": user.id, "agent_id": "agent"});
    let one = master.new_key(one).await;
    let two = master.new_key(json!({"project_id": "p_1"})).await;
    let list =
        async |query: &str| master.get(&format!("/key/list?{query}")).await.ok()["keys"].clone();
    assert_eq!(list("organization_id=org").await, json!([one["token"]]));
    assert_eq!(list("agent_id=agent").await, json!([one["token"]]));
    assert_eq!(list("agent_id=Agent").await, json!([]));
    assert_eq!(list("project_id=p_1").await, json!([two["token"]]));
    assert_eq!(list("project_id=p%251").await, json!([]));
    let full = list("organization_id=org&return_full_object=true&expand=user").await;
    assert_has(
        &full[0]["user"],
        &json!({"user_id": user.id, "user_email": "u@x.com"}),
    );
    let plain = list("organization_id=org&return_full_object=true").await;
    assert_eq!(plain[0].get("user"), None);
}

on_both!(one_change_of_many_keys_of_a_team, team_bulk_update);
async fn team_bulk_update(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, member, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let team = json!({"team_id": "t", "members_with_roles": members, "max_budget": 50});
    master.post("/team/new", team).await.ok();
    let mut keys = Vec::new();
    for user in [&admin.id, &member.id] {
        let key = json!({"team_id": "t", "user_id": user, "rpm_limit": 9});
        keys.push(master.new_key(key).await);
    }
    let outside = master.new_key(json!({"rpm_limit": 9})).await;
    let path = "/team/key/bulk_update";
    let all =
        |fields: Value| json!({"team_id": "t", "all_keys_in_team": true, "update_fields": fields});
    let info = async |key: &Value| {
        let path = format!("/key/info?key={}", text(key, "key"));
        master.get(&path).await.ok()["info"].clone()
    };

    let done = admin
        .client
        .post(path, all(json!({"max_budget": 5, "rpm_limit": null})))
        .await
        .ok();
    assert_has(&done, &json!({"total_requested": 2, "failed_updates": []}));
    assert_eq!(done["successful_updates"].as_array().unwrap().len(), 2);
    for key in &keys {
        assert_has(&info(key).await, &json!({"max_budget": 5.0}));
        assert_eq!(info(key).await["rpm_limit"], Value::Null);
    }
    assert_eq!(info(&outside).await["rpm_limit"], 9);

    // A key of another team is as if it were not there, and each key is held to what its own change would be.
    let named = json!({"team_id": "t", "key_ids": [keys[0]["token"], outside["key"]],
        "update_fields": {"duration": "30d"}});
    let done = master.post(path, named).await.ok();
    assert_eq!(done["successful_updates"][0]["key"], keys[0]["token"]);
    assert_eq!(done["failed_updates"][0]["key"], outside["key"]);
    let beyond = admin
        .client
        .post(path, all(json!({"max_budget": 51})))
        .await
        .ok();
    assert_eq!(beyond["failed_updates"].as_array().unwrap().len(), 2);

    for (stranger, status) in [(&member, 401), (&other, 400)] {
        let asked = all(json!({"rpm_limit": 1}));
        assert_eq!(stranger.client.post(path, asked).await.status, status);
    }
    let permitted = json!({"team_id": "t", "team_member_permissions": ["/team/key/bulk_update", "/key/update"]});
    master
        .post("/team/permissions_update", permitted)
        .await
        .ok();
    let done = member
        .client
        .post(path, all(json!({"tags": ["x"]})))
        .await
        .ok();
    assert_eq!(
        done["failed_updates"].as_array().unwrap().len(),
        2,
        "a member changes no key that is not theirs, nor one that an admin made for them"
    );

    let refused = async |body: Value| {
        let (status, body) = master.post(path, body).await.refused();
        (status, body["detail"][0]["loc"].clone())
    };
    let within = |name: &str| (422, json!(["body", "update_fields", name]));
    assert_eq!(
        refused(all(json!({"user_id": "me"}))).await,
        within("user_id")
    );
    assert_eq!(
        refused(all(json!({"rpm_limit": -1}))).await,
        within("rpm_limit")
    );
    assert_eq!(
        refused(all(json!({}))).await,
        (422, json!(["body", "update_fields"]))
    );
    let neither = json!({"team_id": "t", "update_fields": {"rpm_limit": 1}});
    assert_eq!(refused(neither).await, (422, json!(["body"])));
    let missing =
        json!({"team_id": "nope", "all_keys_in_team": true, "update_fields": {"rpm_limit": 1}});
    assert_eq!(master.post(path, missing).await.status, 404);
}

on_both!(
    a_members_key_lives_as_long_as_the_team_says_at_most,
    member_key_duration
);
async fn member_key_duration(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, member) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let team = json!({"team_id": "t", "members_with_roles": members, "team_member_key_duration": "7d",
        "team_member_permissions": ["/key/generate", "/key/update", "/key/service-account/generate"]});
    let made = master.post("/team/new", team).await;
    assert_eq!(made.header("x-tollkeeper-unenforced-fields"), None);
    made.ok();
    let wrong = json!({"team_id": "t", "team_member_key_duration": "soon"});
    assert_eq!(master.post("/team/update", wrong).await.status, 400);

    let ask = json!({"team_id": "t"});
    let key = member.client.new_key(ask.clone()).await;
    assert_eq!(key["duration"], "7d");
    assert_ne!(key["expires"], Value::Null);
    let shorter = json!({"team_id": "t", "duration": "1d"});
    assert_eq!(member.client.new_key(shorter).await["duration"], "1d");
    for longer in ["8d", "-1"] {
        let ask = json!({"team_id": "t", "duration": longer});
        let (status, refused) = member.client.post("/key/generate", ask).await.refused();
        let message = text(&refused["error"], "message");
        assert_eq!(status, 400);
        assert!(message.contains("duration is over max limit"), "{message}");
        let update = json!({"key": key["key"], "duration": longer});
        assert_eq!(member.client.post("/key/update", update).await.status, 400);
    }
    // Who administers the team decides otherwise; a key of nobody is no member's.
    let longer = json!({"team_id": "t", "user_id": admin.id, "duration": "30d"});
    admin.client.new_key(longer.clone()).await;
    master.new_key(longer).await;
    let account = member
        .client
        .post("/key/service-account/generate", ask.clone())
        .await;
    assert_eq!(account.ok()["expires"], Value::Null);
    let none = json!({"team_id": "t", "team_member_key_duration": null});
    master.post("/team/update", none).await.ok();
    assert_eq!(member.client.new_key(ask).await["expires"], Value::Null);
}

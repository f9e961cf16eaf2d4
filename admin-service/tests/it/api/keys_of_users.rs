//! Keys in the hands of people who are no admins.

use serde_json::{Value, json};

use super::clients::{Api, Person, error, text};
use crate::on_both;
use crate::support::database::Database;

on_both!(
    an_internal_user_makes_keys_for_themselves_only,
    for_themselves
);
async fn for_themselves(database: Database) {
    let api = Api::start(database).await;
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let key = user.client.new_key(json!({"key_alias": "mine"})).await;
    assert_eq!(key["user_id"], json!(user.id));
    assert_eq!(key["created_by"], json!(user.id));
    let forbidden = |message: &str| error(403, "auth_error", None, message);
    assert_eq!(
        user.client
            .post("/key/generate", json!({"user_id": other.id}))
            .await
            .refused(),
        forbidden(&format!(
            "User can only create keys for themselves. Got user_id={}, Your ID={}",
            other.id, user.id
        ))
    );
    assert_eq!(
        user.client
            .post(
                "/key/generate",
                json!({"allowed_routes": ["/chat/completions"]})
            )
            .await
            .refused(),
        forbidden(
            "{'error': 'Only proxy admins can set `allowed_routes` on a key. Use `key_type` to pick a preset route bucket instead.'}"
        )
    );
    assert_eq!(
        user.client
            .post("/key/generate", json!({"permissions": {"x": true}}))
            .await
            .refused(),
        forbidden("{'error': 'Only proxy admins can set `permissions`.'}")
    );
    assert_eq!(
        user.client
            .post("/key/generate", json!({"team_id": "nope"}))
            .await
            .refused(),
        error(
            400,
            "invalid_request_error",
            None,
            "Team not found for team_id=nope. Non-admin users cannot create keys for non-existent teams."
        )
    );
    user.client.new_key(json!({"key_type": "llm_api"})).await;
    // An admin may name what does not exist yet.
    api.master()
        .new_key(json!({"team_id": "nope", "user_id": "nobody-yet"}))
        .await;
}

on_both!(nobody_gives_a_key_more_than_they_have, no_more_than_own);
async fn no_more_than_own(database: Database) {
    let api = Api::start(database).await;
    let limited = json!({"user_role": "internal_user", "models": ["gpt-4o", "claude-*"], "max_budget": 5,
        "rpm_limit": 10, "tpm_limit": 1000, "max_parallel_requests": 2});
    let user = api.person_with(limited).await;
    for (field, value) in [
        ("models", json!(["gpt-4"])),
        ("models", json!(["*"])),
        ("max_budget", json!(5.01)),
        ("rpm_limit", json!(11)),
        ("tpm_limit", json!(1001)),
        ("max_parallel_requests", json!(3)),
    ] {
        let (status, body) = user
            .client
            .post("/key/generate", json!({ field: value }))
            .await
            .refused();
        assert_eq!(
            (status, &body["error"]["param"]),
            (403, &json!(field)),
            "{body}"
        );
    }
    let within = json!({"models": ["claude-opus"], "max_budget": 5, "rpm_limit": 10});
    let key = user.client.new_key(within).await;
    user.client.new_key(json!({})).await;
    let more = json!({"key": key["key"], "rpm_limit": 11});
    assert_eq!(user.client.post("/key/update", more).await.status, 403);
    let models = json!({"key": key["key"], "models": ["gpt-4"]});
    assert_eq!(user.client.post("/key/update", models).await.status, 403);
}

on_both!(an_owner_changes_what_they_made_except_money, owner_updates);
async fn owner_updates(database: Database) {
    let api = Api::start(database).await;
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let own = user.client.new_key(json!({})).await;
    let given = api.master().new_key(json!({"user_id": user.id})).await;
    let update = async |person: &Person, key: &Value, mut body: Value| {
        body["key"] = key["key"].clone();
        person.client.post("/key/update", body).await
    };
    update(&user, &own, json!({"key_alias": "renamed", "rpm_limit": 3}))
        .await
        .ok();
    let only_admins = |what: &str| {
        let message = format!(
            "{{'error': 'Only proxy admins, team admins, or org admins can call {what}. user_role=internal_user, user_id={}'}}",
            user.id
        );
        error(403, "auth_error", None, &message)
    };
    assert_eq!(
        update(&user, &given, json!({"key_alias": "x"}))
            .await
            .refused(),
        only_admins("/key/update")
    );
    assert_eq!(
        update(&user, &own, json!({"max_budget": 100}))
            .await
            .refused(),
        only_admins("/key/update (max_budget/spend)")
    );
    assert_eq!(
        update(&other, &own, json!({"key_alias": "zz"}))
            .await
            .refused(),
        error(
            403,
            "auth_error",
            None,
            &format!(
                "User can only create keys for themselves. Got user_id={}, Your ID={}",
                user.id, other.id
            )
        )
    );
    let give_away = json!({"user_id": other.id});
    assert_eq!(update(&user, &own, give_away).await.status, 403);
    let routes = json!({"allowed_routes": ["/key/generate"]});
    assert_eq!(update(&user, &own, routes).await.status, 403);
    let unowned = api.master().new_key(json!({})).await;
    assert_eq!(
        update(&user, &unowned, json!({"key_alias": "yy"}))
            .await
            .status,
        403
    );
}

on_both!(
    an_owner_deletes_their_own_and_sees_their_own,
    owner_deletes_and_sees
);
async fn owner_deletes_and_sees(database: Database) {
    let api = Api::start(database).await;
    let (user, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let theirs = other.client.new_key(json!({})).await;
    let own = user.client.new_key(json!({"key_alias": "own"})).await;
    let keys = json!({"keys": [own["key"], theirs["key"]]});
    assert_eq!(
        user.client.post("/key/delete", keys).await.refused(),
        error(
            403,
            "auth_error",
            None,
            "{'error': 'You are not authorized to delete this key'}"
        )
    );
    user.client
        .get(&format!("/key/info?key={}", text(&own, "token")))
        .await
        .ok();
    assert_eq!(
        user.client
            .get(&format!("/key/info?key={}", text(&theirs, "token")))
            .await
            .refused(),
        error(
            403,
            "auth_error",
            None,
            "You are not allowed to access this key's info. Your role=internal_user"
        )
    );
    let block = json!({"key": own["key"]});
    assert_eq!(
        user.client.post("/key/block", block).await.refused(),
        (
            403,
            json!({"detail": {"error": format!("Only proxy admins, team admins, or org admins can call /key/block. user_role=internal_user, user_id={}", user.id)}})
        )
    );
    let deleted = user
        .client
        .post("/key/delete", json!({"key_aliases": ["own"]}))
        .await
        .ok();
    assert_eq!(deleted, json!({"deleted_keys": ["own"]}));
    let auto = user.client.get("/key/info").await.ok();
    user.client
        .post("/key/delete", json!({"keys": [auto["key"]]}))
        .await
        .ok();
    assert_eq!(user.client.get("/key/info").await.status, 401);
}

on_both!(
    a_member_needs_the_teams_permission_and_its_admin_needs_none,
    team_keys
);
async fn team_keys(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, member, outsider) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let team = json!({"members_with_roles": members, "models": ["gpt-4o"], "rpm_limit": 50});
    let team = text(&master.post("/team/new", team).await.ok(), "team_id").to_owned();
    let of_team = json!({ "team_id": team });

    let key = admin
        .client
        .new_key(json!({"team_id": team, "models": ["gpt-4o"]}))
        .await;
    assert_eq!(key["user_id"], json!(admin.id));
    assert_eq!(
        member
            .client
            .post("/key/generate", of_team.clone())
            .await
            .refused(),
        error(
            401,
            "team_member_permission_error",
            Some("/key/generate"),
            &format!(
                "Team member does not have permissions for endpoint: KeyManagementRoutes.KEY_GENERATE. You only have access to the following endpoints: ['/key/health', '/key/info'] for team {team}. To create keys for this team, please ask your proxy admin to check the team member permission settings and update the settings to allow team member users to create keys."
            )
        )
    );
    let (status, body) = outsider
        .client
        .post("/key/generate", of_team.clone())
        .await
        .refused();
    assert_eq!(status, 400);
    assert_eq!(
        body["error"]["message"],
        format!("User={} not assigned to team={team}", outsider.id)
    );

    let more = json!({"team_id": team, "rpm_limit": 51});
    assert_eq!(admin.client.post("/key/generate", more).await.status, 403);
    let models = json!({"team_id": team, "models": ["gpt-4"]});
    assert_eq!(admin.client.post("/key/generate", models).await.status, 403);

    let of_master = master.new_key(of_team).await;
    admin
        .client
        .post("/key/block", json!({"key": of_master["key"]}))
        .await
        .ok();
    admin
        .client
        .post(
            "/key/update",
            json!({"key": of_master["key"], "rpm_limit": 7}),
        )
        .await
        .ok();
    admin
        .client
        .get(&format!("/key/info?key={}", text(&of_master, "token")))
        .await
        .ok();
    admin
        .client
        .post("/key/delete", json!({"keys": [of_master["key"]]}))
        .await
        .ok();
    assert_eq!(
        member
            .client
            .post("/key/delete", json!({"keys": [key["key"]]}))
            .await
            .status,
        403
    );
}

//! Teams and their members.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, assert_has, detail, error, text};
use crate::on_both;
use crate::support::database::Database;

/// 2026-11-23 07:11:49 UTC, a Monday.
const RECORDED_US: u64 = 1_795_417_909_000_000;

on_both!(a_team_is_answered_as_litellm_recorded_it, recorded);
async fn recorded(database: Database) {
    let api = Api::configured(database, ONE_MODEL, Clock::manual(RECORDED_US)).await;
    let master = api.master();
    let admin = api
        .person_with(json!({"user_role": "internal_user", "user_email": "t@x.com"}))
        .await;
    let sent = json!({"team_alias": "team", "models": ["gpt-4o", "gpt-4"], "max_budget": 100, "budget_duration": "7d",
        "tpm_limit": 1000, "rpm_limit": 100, "members_with_roles": [{"role": "admin", "user_id": admin.id}],
        "metadata": {"x": 1}});
    let team = master.post("/team/new", sent).await.ok();
    let expected = json!({"team_alias": "team", "team_id": "*",
        "members_with_roles": [{"user_id": admin.id, "user_email": "t@x.com", "role": "admin"}, {"user_id": "default_user_id", "role": "admin"}],
        "metadata": {"x": 1}, "tpm_limit": 1000, "rpm_limit": 100, "max_budget": 100.0, "budget_duration": "7d",
        "models": ["gpt-4o", "gpt-4"], "blocked": false, "spend": 0.0, "budget_reset_at": "2026-11-30T00:00:00Z",
        "allow_team_guardrail_config": false, "updated_at": "*", "created_at": "*"});
    assert_has(&team, &expected);
    let id = text(&team, "team_id");
    for client in [&master, &admin.client] {
        let info = client.get(&format!("/team/info?team_id={id}")).await.ok();
        assert_has(
            &info,
            &json!({"team_id": id, "team_info": expected, "keys": [], "team_memberships": [{}, {}]}),
        );
    }
    let empty = master.post("/team/new", json!({})).await.ok();
    assert_has(
        &empty,
        &json!({"team_id": "*", "members_with_roles": [{"user_id": "default_user_id", "role": "admin"}],
        "blocked": false, "spend": 0.0}),
    );
    let by_email = json!({"members_with_roles": [{"role": "user", "user_email": "newm@x.com"}]});
    let by_email = master.post("/team/new", by_email).await.ok();
    assert_has(
        &by_email["members_with_roles"],
        &json!([{"user_id": "*", "user_email": "newm@x.com", "role": "user"},
        {"user_id": "default_user_id", "role": "admin"}]),
    );

    let update = json!({"team_id": id, "max_budget": 200, "tpm_limit": 5});
    let updated = master.post("/team/update", update).await.ok();
    assert_has(
        &updated,
        &json!({"team_id": id, "data": {"team_id": id, "team_alias": "team", "metadata": {"x": 1},
        "max_budget": 200.0, "tpm_limit": 5, "rpm_limit": 100, "models": ["gpt-4o", "gpt-4"],
        "budget_reset_at": "2026-11-30T00:00:00Z"}}),
    );
    let cleared = master
        .post("/team/update", json!({"team_id": id, "max_budget": null}))
        .await
        .ok();
    assert_eq!(cleared["data"]["max_budget"], Value::Null);

    let key = master.new_key(json!({"team_id": id})).await;
    let deleted = master
        .post("/team/delete", json!({"team_ids": [id]}))
        .await
        .ok();
    assert_eq!(deleted, json!({"deleted_teams": [id]}));
    assert_eq!(
        api.client(Some(text(&key, "key")))
            .get("/key/info")
            .await
            .status,
        401
    );
    assert_eq!(
        master
            .post("/team/delete", json!({"team_ids": [id]}))
            .await
            .refused(),
        detail(
            404,
            json!({"error": format!("Team not found, passed team_id={id}")})
        )
    );
}

on_both!(
    what_a_team_cannot_be_is_refused_as_litellm_refuses_it,
    refused
);
async fn refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    master
        .post("/team/new", json!({"team_id": "t1"}))
        .await
        .ok();
    let bad = |message: &str| error(400, "invalid_request_error", None, message);
    assert_eq!(
        master
            .post("/team/new", json!({"team_id": "t1"}))
            .await
            .refused(),
        bad("{'error': 'Team id = t1 already exists. Please use a different team id.'}")
    );
    assert_eq!(
        master
            .post("/team/new", json!({"max_budget": -1}))
            .await
            .refused(),
        bad("{'error': 'max_budget must be a non-negative finite number. Received: -1.0'}")
    );
    let missing = |message: &str| error(404, "invalid_request_error", None, message);
    assert_eq!(
        master.get("/team/info?team_id=nope").await.refused(),
        missing("{'message': 'Team not found, passed team id: nope.'}")
    );
    assert_eq!(master.get("/team/info").await.status, 422);
    assert_eq!(
        master
            .post(
                "/team/update",
                json!({"team_id": "nope", "max_budget": 200})
            )
            .await
            .refused(),
        missing("{'error': 'Team not found, passed team_id=nope'}")
    );
    assert_eq!(
        master
            .post("/team/update", json!({"max_budget": 200}))
            .await
            .refused(),
        (
            422,
            json!({"detail": [{"type": "missing", "loc": ["body", "team_id"], "msg": "Field required"}]})
        )
    );
    let user = api.person("internal_user").await;
    assert_eq!(
        user.client.get("/team/info?team_id=t1").await.refused(),
        error(
            403,
            "auth_error",
            None,
            &format!(
                "{{'error': 'User={} not authorized to access this team=t1'}}",
                user.id
            )
        )
    );
    let admin = json!({"team_id": "t1", "member": {"role": "admin", "user_id": user.id}});
    master.post("/team/member_add", admin).await.ok();
    assert_eq!(
        user.client
            .post("/team/update", json!({"team_id": "t1", "max_budget": 999}))
            .await
            .refused(),
        error(
            403,
            "auth_error",
            None,
            "Team admins on this proxy cannot edit team settings. Ask a proxy admin to enable fields under Settings > UI > Team admin editable fields."
        )
    );
}

on_both!(members_are_added_as_litellm_adds_them, member_add);
async fn member_add(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user) = (
        api.person("internal_user").await,
        api.person_with(json!({"user_role": "internal_user", "user_email": "t2@x.com"}))
            .await,
    );
    let members = json!([{"role": "admin", "user_id": admin.id}]);
    let team = master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let id = text(&team, "team_id");
    let add = |who: Value| json!({"team_id": id, "member": who});
    let mut with_budget = add(json!({"role": "user", "user_id": user.id}));
    with_budget["max_budget_in_team"] = json!(5);
    with_budget["budget_duration"] = json!("1d");
    let added = master.post("/team/member_add", with_budget).await.ok();
    assert_has(
        &added,
        &json!({"team_id": id,
        "members_with_roles": [{"user_id": admin.id, "role": "admin"}, {"user_id": "default_user_id", "role": "admin"},
            {"user_id": user.id, "user_email": "t2@x.com", "role": "user"}],
        "updated_users": [{"user_id": user.id, "teams": [id]}],
        "updated_team_memberships": [{"user_id": user.id, "team_id": id, "budget_id": "*", "spend": 0.0,
            "total_spend": 0.0, "litellm_budget_table": {"max_budget": 5.0, "budget_duration": "1d"}}]}),
    );

    let by_email = add(json!([{"role": "user", "user_email": "em@x.com"}]));
    let added = master.post("/team/member_add", by_email).await.ok();
    assert_has(
        &added["updated_users"],
        &json!([{"user_id": "*", "user_email": "em@x.com"}]),
    );

    let again = add(json!({"role": "user", "user_id": user.id}));
    let (status, body) = master.post("/team/member_add", again).await.refused();
    assert_eq!(
        (status, &body["error"]["type"]),
        (400, &json!("team_member_already_in_team"))
    );
    assert_eq!(body["error"]["param"], "member");
    let message = text(&body["error"], "message");
    let start = format!(
        "User already in team. Member: user_id={}, user_email=None. Existing members=[Member(user_id='{}', user_email=None, role='admin'), ",
        user.id, admin.id
    );
    assert!(message.starts_with(&start), "{message}");
}

on_both!(
    whoever_may_not_add_or_be_added_is_refused_in_litellms_words,
    member_add_refused
);
async fn member_add_refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user, third) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": user.id}]);
    let team = master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let id = text(&team, "team_id");
    let add = |who: Value| json!({"team_id": id, "member": who});
    assert_eq!(
        master
            .post(
                "/team/member_add",
                json!({"team_id": "nope", "member": {"role": "user", "user_id": user.id}})
            )
            .await
            .refused(),
        detail(
            404,
            json!({"error": "Team doesn't exist in db. Team=nope. Create team via `/team/new` call."})
        )
    );
    assert_eq!(
        user.client
            .post(
                "/team/member_add",
                add(json!({"role": "user", "user_id": third.id}))
            )
            .await
            .refused(),
        detail(
            403,
            json!({"error": format!("Call not allowed. User not proxy admin OR team admin. route=/team/member_add, team_id={id}")})
        )
    );
    admin
        .client
        .post(
            "/team/member_add",
            add(json!({"role": "user", "user_id": third.id})),
        )
        .await
        .ok();
    assert_eq!(
        master
            .post(
                "/team/member_add",
                add(json!({"role": "zzz", "user_id": "q"}))
            )
            .await
            .refused(),
        detail(
            422,
            json!([{"type": "literal_error", "loc": ["body", "role"], "msg": "Input should be 'admin' or 'user'"}])
        )
    );
    assert_eq!(
        master
            .post("/team/member_add", add(json!({"role": "user"})))
            .await
            .status,
        422
    );
}

on_both!(
    members_share_the_teams_limits_until_they_have_their_own,
    shared_limits
);
async fn shared_limits(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let sent = json!({"team_member_budget": 10, "team_member_rpm_limit": 100, "team_member_tpm_limit": 1000,
        "team_member_budget_duration": "10d"});
    let team = master.post("/team/new", sent).await.ok();
    let (id, shared) = (
        text(&team, "team_id"),
        &team["metadata"]["team_member_budget_id"],
    );
    assert!(shared.as_str().unwrap().starts_with("team-budget-"));
    let (third, own) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let add = json!({"team_id": id, "member": {"role": "user", "user_id": third.id}});
    master.post("/team/member_add", add).await.ok();
    let add = json!({"team_id": id, "member": {"role": "user", "user_id": own.id}, "max_budget_in_team": 3});
    master.post("/team/member_add", add).await.ok();
    let limits = async |user: &str| {
        let info = master.get(&format!("/team/info?team_id={id}")).await.ok();
        let all = info["team_memberships"].as_array().unwrap().clone();
        all.into_iter()
            .find(|member| member["user_id"] == user)
            .unwrap()
    };
    for user in ["default_user_id", &third.id] {
        assert_has(
            &limits(user).await,
            &json!({"budget_id": shared,
            "litellm_budget_table": {"max_budget": 10.0, "rpm_limit": 100, "tpm_limit": 1000, "budget_duration": "10d"}}),
        );
    }
    assert_has(
        &limits(&own.id).await,
        &json!({"litellm_budget_table": {"max_budget": 3.0, "rpm_limit": 100}}),
    );

    // Replacing the metadata does not cut the link.
    let lower = json!({"team_id": id, "team_member_budget": 4, "metadata": {"y": 1}});
    let updated = master.post("/team/update", lower).await.ok();
    assert_eq!(
        updated["data"]["metadata"]["team_member_budget_id"],
        *shared
    );
    assert_has(
        &limits(&third.id).await,
        &json!({"litellm_budget_table": {"max_budget": 4.0, "rpm_limit": 100}}),
    );
    assert_has(
        &limits(&own.id).await,
        &json!({"litellm_budget_table": {"max_budget": 3.0}}),
    );
}

on_both!(
    a_member_sees_the_team_and_of_its_keys_their_own,
    keys_in_team_info
);
async fn keys_in_team_info(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": user.id}]);
    let team = json!({"members_with_roles": members});
    let team = master.post("/team/new", team).await.ok();
    let id = text(&team, "team_id");
    let own = master
        .new_key(json!({"team_id": id, "user_id": user.id}))
        .await;
    let of_team = master.new_key(json!({ "team_id": id })).await;
    let seen = async |client: &super::clients::Client| {
        let info = client.get(&format!("/team/info?team_id={id}")).await.ok();
        info["keys"].as_array().unwrap().len()
    };
    assert_eq!(seen(&master).await, 2);
    assert_eq!(seen(&admin.client).await, 2);
    assert_eq!(seen(&user.client).await, 1);
    assert_eq!(seen(&api.client(Some(text(&own, "key")))).await, 1);
    assert_eq!(seen(&api.client(Some(text(&of_team, "key")))).await, 1);
}

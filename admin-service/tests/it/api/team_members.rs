//! What teams do with their members, models and permissions.

use futures::future::join_all;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, Person, assert_has, detail, text};
use crate::on_both;
use crate::support::database::Database;

/// A team with an admin and a member, both ordinary users otherwise.
async fn team(api: &Api, id: &str) -> (Person, Person) {
    let (admin, user) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": user.id}]);
    let body = json!({"team_id": id, "members_with_roles": members});
    api.master().post("/team/new", body).await.ok();
    (admin, user)
}

async fn member(api: &Api, team: &str, user: &str) -> Value {
    let info = api
        .master()
        .get(&format!("/team/info?team_id={team}"))
        .await
        .ok();
    let all = info["team_memberships"].as_array().unwrap().clone();
    let found = all.into_iter().find(|member| member["user_id"] == user);
    found.unwrap_or_default()
}

on_both!(
    a_member_gets_limits_and_a_role_of_its_own_and_the_shared_ones_again,
    member_update
);
async fn member_update(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user) = team(&api, "t").await;
    let shared = json!({"team_id": "t", "max_budget": 50, "team_member_budget": 10, "team_member_rpm_limit": 9});
    master.post("/team/update", shared).await.ok();
    let change = json!({"team_id": "t", "user_id": user.id, "max_budget_in_team": 7});
    let changed = master.post("/team/member_update", change).await.ok();
    assert_has(
        &changed,
        &json!({"user_id": user.id, "team_id": "t", "max_budget_in_team": 7.0}),
    );
    assert_has(
        &member(&api, "t", &user.id).await,
        &json!({"litellm_budget_table": {"max_budget": 7.0, "rpm_limit": 9}}),
    );
    assert_has(
        &member(&api, "t", &admin.id).await,
        &json!({"litellm_budget_table": {"max_budget": 10.0}}),
    );
    let more = json!({"team_id": "t", "user_id": user.id, "rpm_limit": 3, "max_budget_in_team": null, "role": "admin",
        "allowed_models": ["gpt-4o"]});
    admin.client.post("/team/member_update", more).await.ok();
    let changed = member(&api, "t", &user.id).await;
    assert_has(
        &changed,
        &json!({"litellm_budget_table": {"rpm_limit": 3, "allowed_models": ["gpt-4o"]}}),
    );
    assert_eq!(changed["litellm_budget_table"]["max_budget"], Value::Null);
    let rename = json!({"team_id": "t", "team_alias": "by the new admin"});
    let (_, refused) = user.client.post("/team/update", rename).await.refused();
    assert!(text(&refused["error"], "message").starts_with("Team admins on this proxy"));

    let path = format!("/team/t/member/{}/reset_budget", user.id);
    let reset = admin.client.post(&path, json!({})).await.ok();
    assert_has(
        &reset,
        &json!({"team_id": "t", "user_id": user.id, "budget_id": "*", "previous_budget_id": "*", "budget_source": "team_default"}),
    );
    assert_has(
        &member(&api, "t", &user.id).await,
        &json!({"litellm_budget_table": {"max_budget": 10.0, "rpm_limit": 9}}),
    );
    let stranger = json!({"team_id": "t", "user_id": "nope", "max_budget_in_team": 1});
    assert_eq!(
        master.post("/team/member_update", stranger).await.refused(),
        detail(400, json!({"error": "User not found in team"}))
    );
}

on_both!(
    an_admin_of_a_team_gives_members_no_more_than_the_team_has,
    member_within
);
async fn member_within(database: Database) {
    let api = Api::start(database).await;
    let (admin, user) = team(&api, "t").await;
    let limits = json!({"team_id": "t", "max_budget": 50, "rpm_limit": 10});
    api.master().post("/team/update", limits).await.ok();
    for (field, more, own) in [
        ("max_budget_in_team", json!(51), "max_budget"),
        ("rpm_limit", json!(11), "rpm_limit"),
    ] {
        let body = json!({"team_id": "t", "user_id": user.id, field: more});
        let (status, refused) = admin
            .client
            .post("/team/member_update", body.clone())
            .await
            .refused();
        assert_eq!((status, &refused["error"]["param"]), (403, &json!(own)));
        api.master().post("/team/member_update", body).await.ok();
    }
    let third = api.person("internal_user").await;
    let add = json!({"team_id": "t", "member": {"role": "user", "user_id": third.id}, "max_budget_in_team": 51});
    assert_eq!(admin.client.post("/team/member_add", add).await.status, 403);
}

on_both!(
    who_is_no_admin_of_the_team_changes_nothing_in_it,
    member_rights
);
async fn member_rights(database: Database) {
    let api = Api::start(database).await;
    let (_, user) = team(&api, "t").await;
    let third = api.person("internal_user").await;
    for (path, body) in [
        (
            "/team/member_update",
            json!({"team_id": "t", "user_id": user.id, "max_budget_in_team": 9}),
        ),
        (
            "/team/member_delete",
            json!({"team_id": "t", "user_id": user.id}),
        ),
        (
            "/team/bulk_member_add",
            json!({"team_id": "t", "members": [{"role": "user", "user_id": third.id}]}),
        ),
        ("/team/model/add", json!({"team_id": "t", "models": ["m"]})),
        (
            "/team/model/delete",
            json!({"team_id": "t", "models": ["m"]}),
        ),
        (
            "/team/permissions_update",
            json!({"team_id": "t", "team_member_permissions": ["/key/generate"]}),
        ),
    ] {
        for person in [&user, &third] {
            assert_eq!(
                person.client.post(path, body.clone()).await.refused(),
                detail(
                    403,
                    json!({"error": format!("Call not allowed. User not proxy admin OR team admin. route={path}, team_id=t")})
                )
            );
        }
    }
    assert_eq!(
        user.client
            .get("/team/permissions_list?team_id=t")
            .await
            .status,
        403
    );
    let own = user.client.get("/team/t/members/me").await.ok();
    assert_has(
        &own,
        &json!({"user_id": user.id, "team_id": "t", "role": "user", "spend": 0.0}),
    );
    assert_eq!(third.client.get("/team/t/members/me").await.status, 404);
}

on_both!(
    a_removed_member_loses_its_keys_of_the_team_and_no_other,
    member_delete
);
async fn member_delete(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user) = team(&api, "t").await;
    let in_team = master
        .new_key(json!({"team_id": "t", "user_id": user.id}))
        .await;
    let of_admin = master
        .new_key(json!({"team_id": "t", "user_id": admin.id}))
        .await;
    let personal = user.client.new_key(json!({})).await;
    let gone = json!({"team_id": "t", "user_id": user.id});
    let left = admin
        .client
        .post("/team/member_delete", gone.clone())
        .await
        .ok();
    assert_has(
        &left["members_with_roles"],
        &json!([{"user_id": admin.id}, {"user_id": "default_user_id"}]),
    );
    let status = async |key: &Value| {
        let client = api.client(Some(text(key, "key")));
        client.get("/key/info").await.status.as_u16()
    };
    assert_eq!(
        (
            status(&in_team).await,
            status(&of_admin).await,
            status(&personal).await
        ),
        (401, 200, 200)
    );
    assert_eq!(
        master.post("/team/member_delete", gone).await.refused(),
        detail(400, json!({"error": "User not found in team"}))
    );
    let nobody = json!({"team_id": "t"});
    assert_eq!(master.post("/team/member_delete", nobody).await.status, 422);
}

on_both!(many_members_are_added_each_with_its_outcome, bulk);
async fn bulk(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, user) = team(&api, "t").await;
    let third = api.person("internal_user").await;
    let members = json!([{"role": "user", "user_id": user.id}, {"role": "user", "user_id": third.id},
        {"role": "user", "user_id": "nobody"}]);
    let body = json!({"team_id": "t", "members": members});
    let added = admin.client.post("/team/bulk_member_add", body).await.ok();
    assert_has(
        &added,
        &json!({"team_id": "t", "total_requested": 3, "successful_additions": 1, "failed_additions": 2, "results": [
            {"user_id": user.id, "success": false, "error": "*"},
            {"user_id": third.id, "success": true, "updated_team_membership": {"team_id": "t"}},
            {"user_id": "nobody", "success": false, "error": "User nobody not found"}]}),
    );
    let everybody = json!({"team_id": "t", "all_users": true});
    assert_eq!(
        admin
            .client
            .post("/team/bulk_member_add", everybody.clone())
            .await
            .status,
        401
    );
    let fourth = api.person("internal_user").await;
    master.post("/team/bulk_member_add", everybody).await.ok();
    assert_eq!(member(&api, "t", &fourth.id).await["team_id"], "t");
    let many: Vec<Value> = (0..501)
        .map(|at| json!({"role": "user", "user_id": format!("m{at}")}))
        .collect();
    let many = json!({"team_id": "t", "members": many});
    assert_eq!(master.post("/team/bulk_member_add", many).await.status, 400);
}

on_both!(models_permissions_and_blocking_of_a_team, edits);
async fn edits(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, _) = team(&api, "t").await;
    let models = |models: Value| json!({"team_id": "t", "models": models});
    let added = master
        .post("/team/model/add", models(json!(["a", "b", "a"])))
        .await
        .ok();
    assert_eq!(added["models"], json!(["a", "b"]));
    let left = master
        .post("/team/model/delete", models(json!(["a", "b"])))
        .await
        .ok();
    assert_eq!(
        left["models"],
        json!(["no-default-models"]),
        "none, not all"
    );
    assert_eq!(
        admin
            .client
            .post("/team/model/add", models(json!(["gpt-4o"])))
            .await
            .status,
        403,
        "models are a field that team admins need leave to edit"
    );

    let listed = admin
        .client
        .get("/team/permissions_list?team_id=t")
        .await
        .ok();
    assert_eq!(listed["team_member_permissions"], json!([]));
    assert_eq!(listed["all_available_permissions"][0], "/key/generate");
    let permit = |list: Value| json!({"team_id": "t", "team_member_permissions": list});
    let updated = admin
        .client
        .post(
            "/team/permissions_update",
            permit(json!(["/key/generate", "/key/info"])),
        )
        .await
        .ok();
    assert_eq!(
        updated["team_member_permissions"],
        json!(["/key/generate", "/key/info"])
    );
    let (status, refused) = admin
        .client
        .post(
            "/team/permissions_update",
            permit(json!(["/key/info", "/nope"])),
        )
        .await
        .refused();
    assert_eq!(
        (status, &refused["detail"][0]["loc"]),
        (422, &json!(["body", "team_member_permissions", 1]))
    );

    let blocked = master.post("/team/block", json!({"team_id": "t"})).await;
    assert_eq!(blocked.ok()["blocked"], true);
    let free = master.post("/team/unblock", json!({"team_id": "t"})).await;
    assert_eq!(free.ok()["blocked"], false);
    let missing = master.post("/team/block", json!({"team_id": "nope"})).await;
    assert_eq!(missing.status, 404);
    let patched = master
        .patch("/team/t", json!({"team_alias": "T", "team_id": "t"}))
        .await
        .ok();
    assert_has(&patched, &json!({"team_id": "t", "team_alias": "T"}));
    let other = master.patch("/team/t", json!({"team_id": "u"})).await;
    assert_eq!(other.status, 400);
}

on_both!(teams_are_listed_paged_sorted_and_filtered, list);
async fn list(database: Database) {
    let clock = Clock::manual(1_795_417_909_000_000);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let (admin, user) = team(&api, "t1").await;
    for (at, id) in ["t2", "t3"].iter().enumerate() {
        clock.set_us(1_795_417_909_000_000 + 1_000_000 * (at as u64 + 1));
        let body =
            json!({"team_id": id, "team_alias": format!("Alias {id}"), "max_budget": 10 - at});
        master.post("/team/new", body).await.ok();
    }
    master
        .new_key(json!({"team_id": "t1", "user_id": user.id}))
        .await;
    let ids = |page: &Value| -> Vec<String> {
        let teams = page["teams"].as_array().unwrap().iter();
        teams.map(|team| text(team, "team_id").to_owned()).collect()
    };
    let first = master.get("/v2/team/list?page_size=2").await.ok();
    assert_eq!(ids(&first), ["t3", "t2"]);
    assert_has(
        &first,
        &json!({"total": 3, "page": 1, "page_size": 2, "total_pages": 2}),
    );
    let second = master.get("/v2/team/list?page_size=2&page=2").await.ok();
    assert_has(
        &second["teams"],
        &json!([{"team_id": "t1", "members_count": 3, "keys_count": 1, "caller_membership": {"spend": 0.0}}]),
    );
    let sorted = master.get("/v2/team/list?sort_by=max_budget").await.ok();
    assert_eq!(ids(&sorted), ["t3", "t2", "t1"]);
    let found = master.get("/v2/team/list?team_alias=alias%20T").await.ok();
    assert_eq!(ids(&found), ["t3", "t2"]);
    let found = master.get("/v2/team/list?search=t2").await.ok();
    assert_eq!(ids(&found), ["t2"]);
    let own = user.client.get("/v2/team/list").await.ok();
    assert_eq!(ids(&own), ["t1"]);
    for (query, status) in [
        ("sort_by=nope", 400),
        ("page=0", 422),
        ("sort_order=up", 400),
        ("search_team_id_match=x", 422),
    ] {
        let answer = master.get(&format!("/v2/team/list?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
    assert_eq!(
        user.client.get("/team/list").await.refused(),
        detail(
            401,
            json!({"error": "Only admin users can query all teams/other teams. Your user role=internal_user"})
        )
    );
    let other = format!("/team/list?user_id={}", admin.id);
    assert_eq!(user.client.get(&other).await.status, 401);
    let own = format!("/team/list?user_id={}", user.id);
    let own = user.client.get(&own).await.ok();
    assert_has(
        &own,
        &json!([{"team_id": "t1", "team_memberships": [{}, {}, {}], "keys": [{}]}]),
    );
    let all = master.get("/team/list").await.ok();
    assert_eq!(all.as_array().unwrap().len(), 3);

    master
        .post("/team/delete", json!({"team_ids": ["t2"]}))
        .await
        .ok();
    let deleted = master.get("/v2/team/list?status=deleted").await.ok();
    assert_has(
        &deleted,
        &json!({"total": 1, "teams": [{"team_id": "t2", "team_alias": "Alias t2", "deleted_at": "*", "deleted_by": "default_user_id"}]}),
    );
    let none = user.client.get("/v2/team/list?status=deleted").await.ok();
    assert_eq!(none["total"], 0);
}

on_both!(
    a_team_that_is_open_to_all_is_joined_by_anybody_alone,
    available
);
async fn available(database: Database) {
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings:\n  default_internal_user_params:\n    available_teams: [open]\n  \
         default_team_params: {{ max_budget: 12, budget_duration: 7d, tpm_limit: 5, team_member_permissions: [/key/generate] }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let made = master
        .post("/team/new", json!({"team_id": "open", "tpm_limit": 6}))
        .await
        .ok();
    assert_has(
        &made,
        &json!({"max_budget": 12.0, "budget_duration": "7d", "tpm_limit": 6, "team_member_permissions": ["/key/generate"]}),
    );
    master
        .post("/team/new", json!({"team_id": "shut"}))
        .await
        .ok();
    let user = api.person("internal_user").await;
    let offered = user.client.get("/team/available").await.ok();
    assert_has(
        &offered,
        &json!([{"team_id": "open", "members_with_roles": []}]),
    );
    assert_eq!(offered.as_array().unwrap().len(), 1);
    let join = |team: &str, role: &str| json!({"team_id": team, "member": {"role": role, "user_id": user.id}});
    for refused in [
        join("shut", "user"),
        join("open", "admin"),
        json!({"team_id": "open", "member": {"role": "user", "user_id": "somebody"}}),
        json!({"team_id": "open", "member": {"role": "user", "user_id": user.id}, "max_budget_in_team": 1}),
    ] {
        let answer = user.client.post("/team/member_add", refused.clone()).await;
        assert_eq!(answer.status, 403, "{refused}");
    }
    user.client
        .post("/team/member_add", join("open", "user"))
        .await
        .ok();
    assert_eq!(user.client.get("/team/available").await.ok(), json!([]));
}

on_both!(parallel_changes_of_a_team_lose_nothing, parallel);
async fn parallel(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (_, user) = team(&api, "t").await;
    let permissions = ["/key/generate", "/key/update", "/key/delete", "/key/info"];
    let calls = (0..20).map(|at| {
        let (master, user) = (master.clone(), user.id.clone());
        async move {
            let (path, body) = match at % 4 {
                0 => (
                    "/team/permissions_update",
                    json!({"team_id": "t", "team_member_permissions": permissions}),
                ),
                1 => (
                    "/team/model/add",
                    json!({"team_id": "t", "models": [format!("m{at}")]}),
                ),
                2 => (
                    "/team/update",
                    json!({"team_id": "t", "metadata": {"kept": true}}),
                ),
                _ => (
                    "/team/member_update",
                    json!({"team_id": "t", "user_id": user, "rpm_limit": at}),
                ),
            };
            master.post(path, body).await.status.as_u16()
        }
    });
    let statuses = join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let info = master.get("/team/info?team_id=t").await.ok();
    let team = &info["team_info"];
    assert_eq!(team["team_member_permissions"], json!(permissions));
    assert_eq!(team["models"].as_array().unwrap().len(), 5);
    assert_eq!(team["metadata"]["kept"], true);
    let rpm = member(&api, "t", &user.id).await["litellm_budget_table"]["rpm_limit"].clone();
    assert!(rpm.as_u64().is_some_and(|rpm| rpm % 4 == 3), "{rpm}");

    // Of two who add the same user one wins, and of two who remove it.
    let third = api.person("internal_user").await;
    for path in ["/team/member_add", "/team/member_delete"] {
        let body = json!({"team_id": "t", "user_id": third.id, "member": {"role": "user", "user_id": third.id}});
        let calls = (0..8).map(|_| master.post(path, body.clone()));
        let won = join_all(calls).await;
        let won = won.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "{path}");
    }
}

on_both!(
    admins_of_a_team_edit_the_fields_that_the_settings_let_them_edit,
    editable
);
async fn editable(database: Database) {
    let api = Api::start(database).await;
    let (admin, user) = team(&api, "t").await;
    let settings = json!({"team_admin_editable_team_fields": ["team_alias", "models"],
        "disable_team_admin_delete_team_user": true});
    api.master()
        .patch("/update/ui_settings", settings)
        .await
        .ok();
    let rename = json!({"team_id": "t", "team_alias": "T"});
    let renamed = admin.client.post("/team/update", rename.clone()).await.ok();
    assert_eq!(renamed["data"]["team_alias"], "T");
    let add = json!({"team_id": "t", "models": ["gpt-4o"]});
    admin.client.post("/team/model/add", add).await.ok();
    let more = json!({"team_id": "t", "team_alias": "T", "max_budget": 5});
    let (status, refused) = admin.client.post("/team/update", more).await.refused();
    assert_eq!(status, 403);
    assert_eq!(
        refused["error"]["message"],
        "Team admins on this proxy cannot edit ['max_budget']. They can edit: ['team_alias', 'models']."
    );
    assert_eq!(user.client.post("/team/update", rename).await.status, 403);
    let gone = json!({"team_id": "t", "user_id": user.id});
    assert_eq!(
        admin.client.post("/team/member_delete", gone).await.status,
        403
    );
}

on_both!(
    permissions_are_added_to_named_teams_or_to_all,
    permissions_bulk
);
async fn permissions_bulk(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, _) = team(&api, "a").await;
    for (id, permissions) in [("b", json!(["/key/update"])), ("c", json!([]))] {
        let body = json!({"team_id": id, "team_member_permissions": permissions});
        master.post("/team/new", body).await.ok();
    }
    let path = "/team/permissions_bulk_update";
    let of = async |id: &str| {
        let path = format!("/team/permissions_list?team_id={id}");
        master.get(&path).await.ok()["team_member_permissions"].clone()
    };
    let some =
        json!({"permissions": ["/key/update", "/key/delete"], "team_ids": ["a", "b"], "why": 1});
    let done = master.post(path, some).await;
    assert_eq!(done.header("x-tollkeeper-ignored-fields"), Some("why"));
    assert_eq!(
        done.ok(),
        json!({"message": "Team permissions updated successfully", "teams_updated": 2,
            "permissions_appended": ["/key/update", "/key/delete"]})
    );
    let both = json!(["/key/delete", "/key/update"]);
    assert_eq!((of("a").await, of("b").await), (both.clone(), both.clone()));
    assert_eq!(of("c").await, json!([]));
    let all = json!({"permissions": ["/key/delete"], "apply_to_all_teams": true});
    let done = master.post(path, all).await.ok();
    assert_eq!(done["teams_updated"], 1, "the others have it already");
    assert_eq!(of("c").await, json!(["/key/delete"]));
    assert_eq!(of("a").await, both);

    let refused = async |body: Value| master.post(path, body).await.refused();
    let neither = json!({"error": "Must provide team_ids or set apply_to_all_teams=true"});
    assert_eq!(
        refused(json!({"permissions": ["/key/info"]})).await,
        detail(400, neither)
    );
    let both = json!({"error": "Cannot set both apply_to_all_teams=true and team_ids"});
    let asked =
        json!({"permissions": ["/key/info"], "team_ids": ["a"], "apply_to_all_teams": true});
    assert_eq!(refused(asked).await, detail(400, both));
    let missing = json!({"error": "Team(s) not found: ['x', 'y']"});
    let asked = json!({"permissions": ["/key/info"], "team_ids": ["y", "c", "x"]});
    assert_eq!(refused(asked).await, detail(404, missing));
    assert_eq!(of("c").await, json!(["/key/delete"]), "all or none");
    let (status, wrong) = refused(json!({"permissions": ["/nope"], "team_ids": ["a"]})).await;
    assert_eq!(
        (status, &wrong["detail"][0]["loc"]),
        (422, &json!(["body", "permissions", 0]))
    );
    let nothing = master.post(path, json!({"permissions": []})).await.ok();
    assert_eq!(nothing["message"], "No permissions provided");
    let asked = json!({"permissions": ["/key/info"], "team_ids": ["a"]});
    assert_eq!(admin.client.post(path, asked).await.status, 401);
}

//! The users group beyond one user: lists, bulk changes, scopes of team and organization admins, who joins what when made.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, Person, assert_has, detail, error, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::{number, texts};

/// Writes an organization with an admin.
async fn organization(api: &Api, id: &str, admin: &str) {
    let mut connection = api.database.store.read().await.unwrap();
    sqlx::query(
        "INSERT INTO budgets (budget_id, created_at, created_by, updated_at, updated_by) VALUES ($1, 1, '', 1, '')",
    )
    .bind(id.to_owned())
    .execute(&mut *connection)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO organizations (organization_id, rev, organization_alias, budget_id, models, metadata, extra, \
         created_at, created_by, updated_at, updated_by) VALUES ($1, 1, $1, $1, '[]', '{}', '{}', 1, '', 1, '')",
    )
    .bind(id.to_owned())
    .execute(&mut *connection)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO organization_members (organization_id, user_id, user_role, created_at, updated_at) \
         VALUES ($1, $2, 'org_admin', 1, 1)",
    )
    .bind(id.to_owned())
    .bind(admin.to_owned())
    .execute(&mut *connection)
    .await
    .unwrap();
}

async fn person(api: &Api, id: &str, rest: Value) -> Person {
    let mut body =
        json!({"user_id": id, "user_email": format!("{id}@x.com"), "user_role": "internal_user"});
    for (name, value) in rest.as_object().unwrap() {
        body[name] = value.clone();
    }
    api.person_with(body).await
}

fn ids(list: &Value) -> Vec<&str> {
    let users = list["users"].as_array().unwrap();
    let all = users.iter().map(|user| text(user, "user_id"));
    // The master key's own is always there.
    all.filter(|id| *id != "default_user_id").collect()
}

/// Ada with two keys and a budget, Bob who administers `org`, Cy without key; Ada and Cy in a team, whose id this answers.
async fn three(api: &Api) -> (Person, String) {
    let master = api.master();
    let ada = person(
        api,
        "ada",
        json!({"max_budget": 5, "user_alias": "Countess"}),
    )
    .await;
    person(
        api,
        "bob",
        json!({"user_role": "internal_user_viewer", "max_budget": 7}),
    )
    .await;
    let cy = json!({"user_id": "cy", "user_email": "cy@x.com", "user_role": "internal_user", "sso_user_id": "idp|cy",
        "auto_create_key": false});
    master.post("/user/new", cy).await.ok();
    master.new_key(json!({"user_id": "ada"})).await;
    let team = json!({"members_with_roles": [{"role": "user", "user_id": "ada"}, {"role": "user", "user_id": "cy"}]});
    let team = master.post("/team/new", team).await.ok();
    let team = text(&team, "team_id").to_owned();
    organization(api, "org", "bob").await;
    (ada, team)
}

on_both!(users_are_listed_by_page_filter_and_order, listed);
async fn listed(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (_, team) = three(&api).await;
    let list = async |query: &str| master.get(&format!("/user/list?{query}")).await.ok();

    let first = list("page=1&page_size=2").await;
    assert_has(
        &first,
        &json!({"total": 4, "page": 1, "page_size": 2, "total_pages": 2}),
    );
    assert_eq!(ids(&first), ["cy", "bob"], "the newest first");
    assert_eq!(ids(&list("page=2&page_size=2").await), ["ada"]);
    let ada_row = &list("user_ids=ada").await["users"][0];
    assert_has(
        ada_row,
        &json!({"user_id": "ada", "user_role": "internal_user", "spend": 0.0, "user_email": "ada@x.com",
            "max_budget": 5.0, "teams": [team], "key_count": 2, "created_at": "*", "updated_at": "*"}),
    );
    for (query, expected) in [
        ("role=internal_user_viewer", vec!["bob"]),
        ("user_ids=ada,cy,nobody", vec!["cy", "ada"]),
        ("sso_user_ids=idp%7Ccy", vec!["cy"]),
        ("user_email=BOB%40", vec!["bob"]),
        ("user_email=%25", vec![]),
        ("search=count", vec!["ada"]),
        ("search=y", vec!["cy"]),
        ("organization_ids=org", vec!["bob"]),
        ("organization_ids=nope", vec![]),
        ("sort_by=user_id", vec!["ada", "bob", "cy"]),
        ("sort_by=user_id&sort_order=desc", vec!["cy", "bob", "ada"]),
        ("sort_by=max_budget", vec!["ada", "bob", "cy"]),
        ("sort_by=key_count", vec!["cy", "bob", "ada"]),
        (
            "sort_by=key_count&sort_order=desc",
            vec!["ada", "bob", "cy"],
        ),
        (
            "sort_by=user_role&sort_order=desc",
            vec!["bob", "cy", "ada"],
        ),
        ("page=9", vec![]),
    ] {
        let found = list(query).await;
        assert_eq!(ids(&found), expected, "{query}");
    }
    assert_eq!(ids(&list(&format!("team={team}")).await), ["cy", "ada"]);
    for column in [
        "user_email",
        "created_at",
        "spend",
        "user_alias",
        "updated_at",
        "sso_user_id",
        "status",
    ] {
        assert_eq!(
            ids(&list(&format!("sort_by={column}")).await).len(),
            3,
            "{column}"
        );
    }
}

on_both!(users_are_found_and_counted_for_pages, found);
async fn found(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (ada, _) = three(&api).await;
    assert_eq!(
        master.get("/user/list?sort_by=zzz").await.refused(),
        detail(
            400,
            json!({"error": "Invalid sort column. Must be one of: user_id, user_email, created_at, spend, user_alias, user_role, max_budget, updated_at, sso_user_id, status, key_count"})
        )
    );
    assert_eq!(
        master.get("/user/list?page=0").await.refused(),
        (
            422,
            json!({"detail": [{"type": "greater_than_equal", "loc": ["query", "page"], "msg": "Input should be greater than or equal to 1"}]})
        )
    );
    assert_eq!(master.get("/user/list?page_size=101").await.status, 422);
    assert_eq!(
        ada.client.get("/user/list").await.refused(),
        detail(
            403,
            json!({"error": "Only proxy admins and organization admins can list users."})
        )
    );
    let found = master.get("/user/filter/ui?user_email=bo").await.ok();
    assert_eq!(
        found,
        json!([{"user_id": "bob", "user_email": "bob@x.com", "user_alias": null}])
    );
    assert_eq!(
        master
            .get("/user/filter/ui?user_id=AD")
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        master.get("/user/available_users").await.ok(),
        json!({"total_users": null, "total_teams": null, "total_users_used": 4, "total_teams_used": 1,
            "total_users_remaining": null, "total_teams_remaining": null})
    );
    let roles = ada.client.get("/user/available_roles").await.ok();
    assert_eq!(
        roles["internal_user"],
        json!({"description": "view/create/delete their own keys, view their own spend", "ui_label": "Internal User (Create/Delete/View)"})
    );
    assert_eq!(roles.as_object().unwrap().len(), 4);
}

on_both!(
    a_user_is_shown_flat_or_with_keys_and_teams_or_all_at_once,
    shown
);
async fn shown(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let ada = person(
        &api,
        "ada",
        json!({"max_budget": 5, "budget_duration": "30d", "tpm_limit": 3}),
    )
    .await;
    assert_has(
        &master.get("/v2/user/info?user_id=ada").await.ok(),
        &json!({"user_id": "ada", "user_email": "ada@x.com", "user_alias": null, "user_role": "internal_user",
            "spend": 0.0, "max_budget": 5.0, "tpm_limit": 3, "rpm_limit": null, "models": [], "budget_duration": "30d",
            "budget_reset_at": "*", "metadata": {}, "created_at": "*", "updated_at": "*", "sso_user_id": null,
            "teams": [], "object_permission": null, "model_max_budget": {}, "model_max_budget_usage": null}),
    );
    assert_eq!(ada.client.get("/v2/user/info").await.ok()["user_id"], "ada");
    assert_eq!(
        master.get("/v2/user/info?user_id=nope").await.refused(),
        error(404, "invalid_request_error", None, "User not found: nope")
    );
    let everything = master.get("/user/info").await;
    assert!(
        everything
            .header("x-tollkeeper-warning")
            .unwrap()
            .contains("/key/list")
    );
    assert_has(
        &everything.ok(),
        &json!({"user_id": null, "user_info": null, "keys": [{"user_id": "ada"}], "teams": []}),
    );
    let viewer = person(&api, "viewer", json!({"user_role": "proxy_admin_viewer"})).await;
    assert_eq!(
        viewer.client.get("/user/info").await.ok()["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

on_both!(a_team_admin_sees_of_members_what_is_of_the_team, team_scope);
async fn team_scope(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let lead = person(&api, "lead", json!({})).await;
    person(&api, "mate", json!({})).await;
    person(&api, "other", json!({})).await;
    let members =
        json!([{"role": "admin", "user_id": "lead"}, {"role": "user", "user_id": "mate"}]);
    let team = master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let team = text(&team, "team_id");
    let members = json!([{"role": "user", "user_id": "mate"}]);
    master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let key = master
        .new_key(json!({"user_id": "mate", "team_id": team}))
        .await;
    let info = lead.client.get("/user/info?user_id=mate").await.ok();
    assert_has(
        &info,
        &json!({"user_id": "mate", "user_info": {"user_id": "mate", "teams": [team]},
            "keys": [{"token": key["token"]}], "teams": [{"team_id": team}]}),
    );
    assert_eq!(
        lead.client.get("/v2/user/info?user_id=mate").await.status,
        200
    );
    assert_eq!(
        lead.client.get("/user/info?user_id=other").await.status,
        403
    );
    assert_eq!(lead.client.get("/user/info?user_id=nope").await.status, 403);
    assert_eq!(
        lead.client.get("/user/filter/ui?search=oth").await.ok(),
        json!([{"user_id": "other", "user_email": "other@x.com", "user_alias": null}])
    );
    let mate = api.signed_in("mate").await;
    assert_eq!(mate.get("/user/filter/ui?search=oth").await.status, 403);
    assert_eq!(mate.get("/user/info?user_id=lead").await.status, 403);
}

on_both!(an_admin_of_organizations_has_their_users, org_scope);
async fn org_scope(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let chief = person(
        &api,
        "chief",
        json!({"max_budget": 10, "models": ["gpt-4o"]}),
    )
    .await;
    person(&api, "other", json!({})).await;
    organization(&api, "org", "chief").await;
    organization(&api, "else", "other").await;
    let new = async |body: Value| chief.client.post("/user/new", body).await;
    let made =
        new(json!({"user_id": "new", "user_role": "internal_user", "organizations": ["org"]}))
            .await;
    assert_has(
        &made.ok(),
        &json!({"user_id": "new", "max_budget": 10.0, "models": ["gpt-4o"]}),
    );
    for (body, status, why) in [
        (json!({}), 401, "no organization"),
        (json!({"organizations": ["else"]}), 401, "somebody else's"),
        (
            json!({"organizations": ["org", "else"]}),
            401,
            "one that is somebody else's",
        ),
        (
            json!({"organizations": ["org"], "user_role": "proxy_admin"}),
            403,
            "an admin",
        ),
        (
            json!({"organizations": ["org"], "user_role": "proxy_admin_viewer"}),
            403,
            "a viewer of all",
        ),
        (
            json!({"organizations": ["org"], "max_budget": 11}),
            403,
            "more than they have",
        ),
        (
            json!({"organizations": ["org"], "models": ["gpt-4"]}),
            403,
            "models they do not have",
        ),
        (
            json!({"organizations": ["org"], "sso_user_id": "x"}),
            403,
            "somebody's sign-in",
        ),
        (
            json!({"organizations": ["org"], "permissions": {"get_spend_routes": true}}),
            403,
            "rights",
        ),
        (
            json!({"organizations": ["org"], "teams": ["nope"]}),
            403,
            "a team of nobody",
        ),
    ] {
        assert_eq!(new(body).await.status, status, "{why}");
    }
    assert_eq!(
        master
            .post("/user/new", json!({"organizations": ["nope"]}))
            .await
            .status,
        404
    );
}

on_both!(
    an_admin_of_organizations_lists_invites_and_deletes_theirs,
    org_users
);
async fn org_users(database: Database) {
    let api = Api::start(database).await;
    let chief = person(&api, "chief", json!({})).await;
    person(&api, "other", json!({})).await;
    organization(&api, "org", "chief").await;
    organization(&api, "else", "other").await;
    let body = json!({"user_id": "new", "organizations": ["org"]});
    chief.client.post("/user/new", body).await.ok();
    let listed = chief.client.get("/user/list?sort_by=user_id").await.ok();
    assert_eq!(ids(&listed), ["chief", "new"]);
    let elsewhere = chief
        .client
        .get("/user/list?organization_ids=else")
        .await
        .ok();
    assert_eq!(elsewhere["total"], 0);
    assert_eq!(chief.client.get("/user/info?user_id=new").await.status, 200);
    assert_eq!(
        chief.client.get("/user/info?user_id=other").await.status,
        403
    );
    let invited = chief
        .client
        .post("/invitation/new", json!({"user_id": "new"}))
        .await;
    assert_eq!(invited.status, 200);
    let delete = async |id: &str| {
        chief
            .client
            .post("/user/delete", json!({"user_ids": [id]}))
            .await
    };
    for id in ["other", "chief", "nope"] {
        assert_eq!(delete(id).await.status, 401, "{id}");
    }
    assert_eq!(delete("new").await.ok(), json!(1));
    assert_eq!(
        number(
            &api.database.store,
            "SELECT COUNT(*) FROM organization_members"
        )
        .await,
        2
    );
}

on_both!(many_users_are_changed_each_by_itself_or_all, bulk);
async fn bulk(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    person(&api, "ada", json!({})).await;
    person(&api, "bob", json!({})).await;
    let path = "/user/bulk_update";
    let users = json!([
        {"user_id": "ada", "max_budget": 6},
        {"user_id": "nope", "max_budget": 6},
        {"user_email": "BOB@x.com", "user_alias": "Bob"},
        {"max_budget": 1},
        {"user_id": "bob", "rpm_limit": -1},
        {"user_id": "bob", "password": "x"},
        {"user_id": "bob", "user_email": "ada@x.com"},
        7,
    ]);
    let done = master.post(path, json!({ "users": users })).await.ok();
    assert_has(
        &done,
        &json!({"total_requested": 8, "successful_updates": 2, "failed_updates": 6}),
    );
    let results = done["results"].as_array().unwrap();
    assert_has(
        &results[0],
        &json!({"user_id": "ada", "success": true, "error": null,
            "updated_user": {"user_id": "ada", "data": {"user_id": "ada", "max_budget": 6.0, "user_email": "ada@x.com"}}}),
    );
    assert_eq!(
        results[1],
        json!({"user_id": "nope", "user_email": null, "success": false, "error": "User not found: nope", "updated_user": null})
    );
    assert_eq!(results[2]["updated_user"]["data"]["user_alias"], "Bob");
    for failed in &results[3..] {
        assert_eq!(failed["success"], false, "{failed}");
        assert!(!text(failed, "error").is_empty());
    }
    assert_eq!(
        master.get("/user/list").await.ok()["total"],
        3,
        "nobody was made"
    );

    // All of them, more than one transaction holds.
    let mut connection = api.database.store.read().await.unwrap();
    for at in 0..205 {
        let insert = "INSERT INTO users (user_id, rev, models, metadata, extra, created_at, updated_at) \
                      VALUES ($1, 1, '[]', '{}', '{}', 1, 1)";
        sqlx::query(insert)
            .bind(format!("u{at:03}"))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    drop(connection);
    let all =
        json!({"all_users": true, "user_updates": {"max_budget": 9, "user_email": "x@x.com"}});
    let done = master.post(path, all).await.ok();
    assert_has(
        &done,
        &json!({"total_requested": 208, "successful_updates": 208, "failed_updates": 0}),
    );
    let store = &api.database.store;
    let changed = "SELECT COUNT(*) FROM users WHERE max_budget = 9000000000";
    assert_eq!(number(store, changed).await, 208);
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM users WHERE user_email = 'x@x.com'"
        )
        .await,
        0
    );
    let told = "SELECT COUNT(*) FROM audit_log WHERE action = 'updated' AND table_name = 'LiteLLM_UserTable'";
    assert_eq!(number(store, told).await, 210);

    let many: Vec<Value> = (0..501)
        .map(|at| json!({"user_id": format!("n{at}")}))
        .collect();
    for wrong in [
        json!({ "users": many }),
        json!({}),
        json!({"users": []}),
        json!({"all_users": true}),
        json!({"all_users": true, "users": [{"user_id": "ada"}], "user_updates": {"max_budget": 1}}),
    ] {
        assert_eq!(master.post(path, wrong).await.status, 400);
    }
    let wrong = json!({"all_users": true, "user_updates": {"max_budget": "x"}});
    assert_eq!(master.post(path, wrong).await.status, 422);
}

on_both!(
    who_is_invited_when_made_is_noted_for_mail_without_the_link,
    mailed
);
async fn mailed(database: Database) {
    let api = Api::start(database).await;
    person(&api, "ada", json!({"send_invite_email": true})).await;
    person(&api, "bob", json!({"send_invite_email": false})).await;
    let store = &api.database.store;
    let row: (String, String, String) =
        sqlx::query_as("SELECT kind, subject_id, payload FROM mail_events WHERE taken_at IS NULL")
            .fetch_one(&mut *store.read().await.unwrap())
            .await
            .unwrap();
    assert_eq!((row.0.as_str(), row.1.as_str()), ("invitation", "ada"));
    let payload: Value = serde_json::from_str(&row.2).unwrap();
    assert_has(
        &payload,
        &json!({"user_id": "ada", "user_email": "ada@x.com", "invited_by": "default_user_id", "expires_at": "*"}),
    );
    let link: (String,) = sqlx::query_as("SELECT id FROM invitations")
        .fetch_one(&mut *store.read().await.unwrap())
        .await
        .unwrap();
    assert!(!row.2.contains(&link.0));
    // A user who is not made invites nobody.
    let again = json!({"user_id": "ada", "send_invite_email": true});
    assert_eq!(api.master().post("/user/new", again).await.status, 409);
    assert_eq!(number(store, "SELECT COUNT(*) FROM mail_events").await, 1);
    let taken = json!({"sso_user_id": "idp|1"});
    api.master().post("/user/new", taken.clone()).await.ok();
    assert_eq!(
        api.master().post("/user/new", taken).await.refused(),
        error(
            409,
            "invalid_request_error",
            None,
            "{'error': 'User with sso_user_id idp|1 already exists'}"
        )
    );
}

on_both!(default_teams_are_joined_by_who_names_none, default_teams);
async fn default_teams(database: Database) {
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings:\n  default_internal_user_params:\n    teams: [gone, {{ team_id: all, max_budget_in_team: 3 }}]\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    master
        .post("/team/new", json!({"team_id": "all"}))
        .await
        .ok();
    master
        .post("/team/new", json!({"team_id": "own"}))
        .await
        .ok();
    let teams = async |body: Value| master.post("/user/new", body).await.ok()["teams"].clone();
    assert_eq!(
        teams(json!({"user_role": "internal_user"})).await,
        json!(["all"])
    );
    assert_eq!(teams(json!({"teams": ["own"]})).await, json!(["own"]));
    assert_eq!(teams(json!({"teams": []})).await, Value::Null);
    assert_eq!(
        teams(json!({"user_role": "proxy_admin"})).await,
        Value::Null
    );
    let team = master.get("/team/info?team_id=all").await.ok();
    let budgets = team["team_memberships"].as_array().unwrap().iter();
    let budgets = budgets.map(|member| member["litellm_budget_table"]["max_budget"].as_f64());
    // The admin who made the team has none of their own.
    assert_eq!(budgets.collect::<Vec<_>>(), [None, Some(3.0)]);
}

on_both!(
    an_invitation_is_noted_for_mail_unless_the_event_is_off,
    invited
);
async fn invited(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    person(&api, "ada", json!({})).await;
    let invite = async || {
        let body = json!({"user_id": "ada"});
        master.post("/invitation/new", body).await.ok()
    };
    let invitation = invite().await;
    let store = &api.database.store;
    let payloads = texts(
        store,
        "SELECT payload FROM mail_events WHERE kind = 'invitation'",
    )
    .await;
    assert_eq!(payloads.len(), 1);
    let payload: Value = serde_json::from_str(&payloads[0]).unwrap();
    assert_has(
        &payload,
        &json!({"user_id": "ada", "user_email": "ada@x.com", "invited_by": "default_user_id"}),
    );
    assert!(!payloads[0].contains(text(&invitation, "id")));

    let switch = async |event: &str, enabled: bool| {
        let body = json!({"settings": [{"event": event, "enabled": enabled}]});
        master.patch("/email/event_settings", body).await.ok();
    };
    switch("New User Invitation", false).await;
    switch("Virtual Key Created", false).await;
    invite().await;
    let key = json!({"user_id": "ada", "send_invite_email": true});
    master.new_key(key.clone()).await;
    assert_eq!(number(store, "SELECT COUNT(*) FROM mail_events").await, 1);
    switch("Virtual Key Created", true).await;
    master.new_key(key).await;
    let made = "SELECT COUNT(*) FROM mail_events WHERE kind = 'key_created'";
    assert_eq!(number(store, made).await, 1);
}

on_both!(
    a_user_is_shown_with_the_organizations_they_are_in,
    memberships
);
async fn memberships(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    person(&api, "ada", json!({})).await;
    let shown = async || {
        let info = master.get("/user/info?user_id=ada").await.ok();
        info["user_info"]["organization_memberships"].clone()
    };
    assert_eq!(shown().await, json!([]));
    let organization = json!({"organization_id": "o", "organization_alias": "o"});
    master.post("/organization/new", organization).await.ok();
    let add = json!({"organization_id": "o", "member": {"role": "org_admin", "user_id": "ada"},
        "max_budget_in_organization": 5});
    master.post("/organization/member_add", add).await.ok();
    let all = shown().await;
    assert_has(
        &all[0],
        &json!({"organization_id": "o", "user_id": "ada", "user_role": "org_admin", "spend": 0.0,
            "litellm_budget_table": {"max_budget": 5.0}}),
    );
    let update = json!({"user_id": "ada", "user_alias": "Ada"});
    let updated = master.post("/user/update", update).await.ok();
    assert_eq!(updated["data"]["organization_memberships"], shown().await);
}

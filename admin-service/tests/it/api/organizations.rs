//! Organizations, their members, and what their admins may.

use contract::id::OrganizationId;
use contract::records::{IndexEntry, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::virtual_key::KeyHash;
use serde_json::{Value, json};

use super::clients::{Api, Person, assert_has, detail, text};
use crate::on_both;
use crate::support::database::Database;

/// An organization with limits, and an admin of it who is an ordinary user otherwise.
async fn with_admin(api: &Api, id: &str) -> Person {
    let master = api.master();
    let body = json!({"organization_id": id, "organization_alias": id, "models": ["gpt-4o"], "max_budget": 100,
        "rpm_limit": 50});
    master.post("/organization/new", body).await.ok();
    let admin = api.person("internal_user").await;
    let member =
        json!({"organization_id": id, "member": {"role": "org_admin", "user_id": admin.id}});
    master.post("/organization/member_add", member).await.ok();
    admin
}

on_both!(an_organization_keeps_and_echoes_what_was_sent, kept);
async fn kept(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"organization_alias": "Acme", "models": ["gpt-4o"], "max_budget": 100, "budget_duration": "30d",
        "tpm_limit": 7, "soft_budget": 50, "metadata": {"x": 1}, "model_rpm_limit": {"gpt-4o": 3}});
    let made = master.post("/organization/new", body).await.ok();
    let expected = json!({"organization_id": "*", "organization_alias": "Acme", "models": ["gpt-4o"], "spend": 0.0,
        "metadata": {"x": 1, "model_rpm_limit": {"gpt-4o": 3}}, "created_by": "default_user_id",
        "litellm_budget_table": {"max_budget": 100.0, "budget_duration": "30d", "tpm_limit": 7, "soft_budget": 50.0}});
    assert_has(&made, &expected);
    let id = text(&made, "organization_id");
    let info = master
        .get(&format!("/organization/info?organization_id={id}"))
        .await
        .ok();
    assert_has(&info, &expected);

    let change =
        json!({"organization_id": id, "max_budget": null, "rpm_limit": 9, "models": ["a", "b"]});
    let changed = master.patch("/organization/update", change).await.ok();
    assert_has(
        &changed,
        &json!({"organization_alias": "Acme", "models": ["a", "b"], "metadata": {"x": 1},
            "litellm_budget_table": {"rpm_limit": 9, "tpm_limit": 7, "budget_duration": "30d"}}),
    );
    assert_eq!(changed["litellm_budget_table"]["max_budget"], Value::Null);

    let found = master.get("/organization/list?org_alias=ACM").await.ok();
    assert_eq!(found.as_array().unwrap().len(), 1);
    let found = master.get("/organization/list?org_id=nope").await.ok();
    assert_eq!(found, json!([]));
}

on_both!(
    what_an_organization_cannot_be_is_refused_with_field_and_reason,
    refused
);
async fn refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    assert_eq!(
        master.post("/organization/new", json!({})).await.refused(),
        detail(
            422,
            json!([{"type": "missing", "loc": ["body", "organization_alias"], "msg": "Field required"}])
        )
    );
    let body = json!({"organization_id": "o", "organization_alias": "o"});
    master.post("/organization/new", body.clone()).await.ok();
    assert_eq!(master.post("/organization/new", body).await.status, 400);
    let missing = json!({"organization_ids": ["nope"]});
    assert_eq!(
        master
            .delete("/organization/delete", missing)
            .await
            .refused(),
        detail(404, json!({"error": "Organization=nope not found"}))
    );
    let missing = json!({"organization_id": "nope", "max_budget": 1});
    assert_eq!(
        master.patch("/organization/update", missing).await.status,
        404
    );
    let negative = json!({"organization_alias": "n", "max_budget": -1});
    assert_eq!(master.post("/organization/new", negative).await.status, 400);
    let role = json!({"organization_id": "o", "member": {"role": "proxy_admin", "user_id": "u"}});
    assert_eq!(
        master.post("/organization/member_add", role).await.status,
        422
    );
}

on_both!(members_come_change_and_go, members);
async fn members(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"organization_id": "o", "organization_alias": "o"});
    master.post("/organization/new", body).await.ok();
    let add = json!({"organization_id": "o", "member": [{"role": "internal_user", "user_email": "new@x.com"}],
        "max_budget_in_organization": 5});
    let added = master.post("/organization/member_add", add.clone()).await;
    assert_eq!(added.header("x-tollkeeper-unenforced-fields"), None);
    let added = added.ok();
    assert_has(
        &added,
        &json!({"organization_id": "o", "updated_users": [{"user_id": "*", "user_email": "new@x.com", "user_role": "internal_user"}],
            "updated_organization_memberships": [{"user_role": "internal_user", "user_email": "new@x.com",
                "litellm_budget_table": {"max_budget": 5.0}}]}),
    );
    assert_eq!(
        master.post("/organization/member_add", add).await.status,
        400,
        "twice is once too often"
    );
    let change = json!({"organization_id": "o", "user_email": "NEW@x.com", "role": "org_admin"});
    let changed = master
        .patch("/organization/member_update", change)
        .await
        .ok();
    assert_has(
        &changed,
        &json!({"user_role": "org_admin", "litellm_budget_table": {"max_budget": 5.0}}),
    );
    let who = json!({"organization_id": "o", "user_id": changed["user_id"]});
    master
        .delete("/organization/member_delete", who.clone())
        .await
        .ok();
    assert_eq!(
        master
            .delete("/organization/member_delete", who)
            .await
            .status,
        404
    );
    let info = master
        .get("/organization/info?organization_id=o")
        .await
        .ok();
    assert_eq!(info["members"], json!([]));
}

on_both!(
    an_admin_of_an_organization_makes_teams_in_it_and_nowhere_else,
    own_teams
);
async fn own_teams(database: Database) {
    let api = Api::start(database).await;
    let admin = with_admin(&api, "o").await;
    with_admin(&api, "other").await;
    for body in [json!({}), json!({"organization_id": "other"})] {
        let (status, refused) = admin.client.post("/team/new", body).await.refused();
        assert_eq!(
            (status, &refused["error"]["type"]),
            (401, &json!("auth_error"))
        );
    }
    assert_eq!(
        admin
            .client
            .post("/team/new", json!({"organization_id": "nope"}))
            .await
            .status,
        401,
        "whoever administers nothing of it is not told whether it exists"
    );
    let team =
        json!({"organization_id": "o", "team_id": "t", "models": ["gpt-4o"], "max_budget": 100});
    let made = admin.client.post("/team/new", team).await.ok();
    assert_has(
        &made,
        &json!({"organization_id": "o", "members_with_roles": [{"user_id": admin.id, "role": "admin"}]}),
    );
    let update = json!({"team_id": "t", "team_alias": "T", "max_budget": 40});
    let updated = admin.client.post("/team/update", update).await.ok();
    assert_has(
        &updated["data"],
        &json!({"team_alias": "T", "max_budget": 40.0}),
    );
    let theirs = admin.client.get("/team/list?organization_id=o").await.ok();
    assert_eq!(theirs.as_array().unwrap().len(), 1);

    // A new member of the team is a new user of the organization.
    let member = json!({"team_id": "t", "member": {"role": "user", "user_email": "n@x.com"}});
    admin.client.post("/team/member_add", member).await.ok();
    let info = admin
        .client
        .get("/organization/info?organization_id=o")
        .await
        .ok();
    assert_has(
        &info["members"],
        &json!([{"user_id": admin.id}, {"user_email": "n@x.com", "user_role": "internal_user"}]),
    );
    for (path, body) in [
        ("/team/block", json!({"team_id": "t"})),
        ("/team/unblock", json!({"team_id": "t"})),
        (
            "/team/permissions_update",
            json!({"team_id": "t", "team_member_permissions": ["/key/generate"]}),
        ),
        (
            "/team/model/add",
            json!({"team_id": "t", "models": ["gpt-4o"]}),
        ),
        ("/team/delete", json!({"team_ids": ["t"]})),
    ] {
        admin.client.post(path, body).await.ok();
    }
    let moved = json!({"team_id": "free"});
    api.master().post("/team/new", moved).await.ok();
    for (path, body) in [
        ("/team/block", json!({"team_id": "free"})),
        ("/team/delete", json!({"team_ids": ["free"]})),
    ] {
        assert_eq!(admin.client.post(path, body).await.status, 401, "{path}");
    }
    let take = json!({"team_id": "free", "organization_id": "o"});
    assert_eq!(admin.client.post("/team/update", take).await.status, 403);
}

on_both!(no_team_is_given_more_than_its_organization_has, within);
async fn within(database: Database) {
    let api = Api::start(database).await;
    let admin = with_admin(&api, "o").await;
    let master = api.master();
    let team = json!({"organization_id": "o", "team_id": "t"});
    master.post("/team/new", team).await.ok();
    for client in [&master, &admin.client] {
        for (field, more) in [
            ("models", json!(["gpt-4"])),
            ("models", json!(["*"])),
            ("max_budget", json!(100.5)),
            ("rpm_limit", json!(51)),
        ] {
            let (status, refused) = client
                .post("/team/new", json!({"organization_id": "o", field: more}))
                .await
                .refused();
            assert_eq!((status, &refused["error"]["param"]), (403, &json!(field)));
            let update = json!({"team_id": "t", field: more});
            assert_eq!(
                client.post("/team/update", update).await.status,
                403,
                "{field}"
            );
        }
        let models = json!({"team_id": "t", "models": ["gpt-4"]});
        assert_eq!(client.post("/team/model/add", models).await.status, 403);
    }
    // What was given before the organization had less stays, until it is touched.
    let rich = json!({"team_id": "t", "max_budget": 90});
    admin.client.post("/team/update", rich).await.ok();
    let less = json!({"organization_id": "o", "max_budget": 10});
    master.patch("/organization/update", less).await.ok();
    let alias = json!({"team_id": "t", "team_alias": "T"});
    admin.client.post("/team/update", alias).await.ok();
    let again = json!({"team_id": "t", "max_budget": 80});
    assert_eq!(admin.client.post("/team/update", again).await.status, 403);
    // Nor does an organization's admin give the organization more.
    let more = json!({"organization_id": "o", "max_budget": 1000});
    assert_eq!(
        admin
            .client
            .patch("/organization/update", more)
            .await
            .status,
        401
    );
    let all = json!({"organization_ids": ["o"]});
    assert_eq!(
        admin
            .client
            .delete("/organization/delete", all)
            .await
            .status,
        401
    );
}

on_both!(
    an_admin_of_an_organization_takes_in_new_users_and_no_strangers,
    taking_in
);
async fn taking_in(database: Database) {
    let api = Api::start(database).await;
    let admin = with_admin(&api, "o").await;
    let stranger = api.person("internal_user").await;
    let add = |member: Value| json!({"organization_id": "o", "member": member});
    let new = add(json!({"role": "internal_user", "user_email": "n@x.com"}));
    let added = admin
        .client
        .post("/organization/member_add", new)
        .await
        .ok();
    assert_eq!(
        added["updated_users"][0].as_object().unwrap().len(),
        2,
        "no more of a user than who it is"
    );
    let taken = add(json!({"role": "internal_user", "user_id": stranger.id}));
    assert_eq!(
        admin
            .client
            .post("/organization/member_add", taken.clone())
            .await
            .status,
        403
    );
    assert_eq!(
        stranger
            .client
            .post("/organization/member_add", taken)
            .await
            .status,
        401
    );
    let peer = json!({"organization_id": "o", "user_email": "n@x.com", "role": "org_admin"});
    admin
        .client
        .patch("/organization/member_update", peer)
        .await
        .ok();
}

on_both!(
    a_member_sees_the_organization_and_not_who_else_is_in_it,
    sight
);
async fn sight(database: Database) {
    let api = Api::start(database).await;
    let admin = with_admin(&api, "o").await;
    let (member, stranger) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let master = api.master();
    let add =
        json!({"organization_id": "o", "member": {"role": "internal_user", "user_id": member.id}});
    master.post("/organization/member_add", add).await.ok();
    master
        .post("/team/new", json!({"organization_id": "o"}))
        .await
        .ok();
    let path = "/organization/info?organization_id=o";
    let whole = admin.client.get(path).await.ok();
    let part = member.client.get(path).await.ok();
    let count = |info: &Value, of: &str| info[of].as_array().unwrap().len();
    assert_eq!((count(&whole, "members"), count(&whole, "teams")), (2, 1));
    assert_eq!((count(&part, "members"), count(&part, "teams")), (1, 0));
    assert_eq!(part["members"][0]["user_id"], json!(member.id));
    assert_eq!(
        stranger.client.get(path).await.refused(),
        detail(
            403,
            json!({"error": format!("User={} not authorized to access this organization=o", stranger.id)})
        )
    );
    let list = async |person: &Person| {
        let list = person.client.get("/organization/list").await.ok();
        list.as_array().unwrap().len()
    };
    assert_eq!((list(&member).await, list(&stranger).await), (1, 0));
}

on_both!(
    a_deleted_organization_takes_its_teams_and_keys_along,
    cascade
);
async fn cascade(database: Database) {
    let api = Api::start(database).await;
    let admin = with_admin(&api, "o").await;
    let master = api.master();
    let team = json!({"organization_id": "o", "team_id": "t", "models": ["gpt-4o"]});
    master.post("/team/new", team).await.ok();
    let of_team = master.new_key(json!({"team_id": "t"})).await;
    let own = master.new_key(json!({"organization_id": "o"})).await;
    let free = master.new_key(json!({})).await;
    let gone = json!({"organization_ids": ["o"]});
    let deleted = master.delete("/organization/delete", gone).await.ok();
    assert_has(
        &deleted,
        &json!([{"organization_id": "o", "teams": [{"team_id": "t"}], "members": [{"user_id": admin.id}]}]),
    );
    let status = async |key: &Value| {
        let client = api.client(Some(text(key, "key")));
        client.get("/key/info").await.status.as_u16()
    };
    assert_eq!(
        (
            status(&of_team).await,
            status(&own).await,
            status(&free).await
        ),
        (401, 401, 200)
    );
    assert_eq!(
        master
            .get("/organization/info?organization_id=o")
            .await
            .status,
        404
    );
    assert_eq!(master.get("/team/info?team_id=t").await.status, 404);
    assert_eq!(
        admin
            .client
            .post("/team/new", json!({"organization_id": "o"}))
            .await
            .status,
        401
    );
}

const P0: Partition = Partition(0);

async fn organization_record(api: &Api, id: &str) -> Record {
    let name = RecordId::organization(&OrganizationId::new(id));
    let bytes = api.redis.get(&redis_key::record(P0, &name)).await;
    let bytes = bytes.expect("a record");
    Versioned::<Record>::decode(&bytes).expect("a record").value
}

async fn entry(api: &Api, key: &Value) -> IndexEntry {
    let hash = KeyHash::parse(text(key, "token")).unwrap();
    let bytes = api.redis.get(&redis_key::index(P0, &hash)).await;
    let bytes = bytes.expect("an index entry");
    Versioned::<IndexEntry>::decode(&bytes)
        .expect("an index entry")
        .value
}

on_both!(
    an_organization_is_in_redis_with_its_limits_and_named_by_its_keys,
    published
);
async fn published(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    with_admin(&api, "o").await;
    let Record::Organization(found) = organization_record(&api, "o").await else {
        panic!("no organization")
    };
    assert_eq!(found.models, ["gpt-4o"]);
    assert_eq!(found.limits.rpm, Some(50));
    assert_eq!(found.limits.budget.unwrap().max.get(), 100_000_000_000);

    master.post("/team/new", json!({"team_id": "t"})).await.ok();
    let key = master.new_key(json!({"team_id": "t"})).await;
    let name = RecordId::organization(&OrganizationId::new("o"));
    assert!(!entry(&api, &key).await.records.contains(&name));
    let join = json!({"team_id": "t", "organization_id": "o"});
    master.post("/team/update", join).await.ok();
    assert!(
        entry(&api, &key).await.records.contains(&name),
        "a team that moves takes its keys along"
    );
    let less = json!({"organization_id": "o", "rpm_limit": 3, "models": ["gpt-4o", "gpt-4"]});
    master.patch("/organization/update", less).await.ok();
    let Record::Organization(found) = organization_record(&api, "o").await else {
        panic!("no organization")
    };
    assert_eq!((found.limits.rpm, found.models.len()), (Some(3), 2));
    let leave = json!({"team_id": "t", "organization_id": null});
    master.post("/team/update", leave).await.ok();
    assert!(!entry(&api, &key).await.records.contains(&name));

    let gone = json!({"organization_ids": ["o"]});
    master.delete("/organization/delete", gone).await.ok();
    assert_eq!(organization_record(&api, "o").await, Record::Deleted);
    let again = json!({"organization_id": "o", "organization_alias": "again"});
    master.post("/organization/new", again).await.ok();
    assert!(matches!(
        organization_record(&api, "o").await,
        Record::Organization(_)
    ));
}

on_both!(
    an_admin_of_an_organization_manages_the_keys_of_its_teams,
    keys
);
async fn keys(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let admin = with_admin(&api, "o").await;
    let team =
        json!({"organization_id": "o", "team_id": "t", "models": ["gpt-4o"], "max_budget": 10});
    master.post("/team/new", team).await.ok();
    master
        .post("/team/new", json!({"team_id": "free"}))
        .await
        .ok();
    let made = admin.client.new_key(json!({"team_id": "t"})).await;
    let others = master.new_key(json!({"team_id": "t"})).await;
    for (path, body) in [
        (
            "/key/update",
            json!({"key": others["key"], "max_budget": 5}),
        ),
        ("/key/block", json!({"key": others["key"]})),
        ("/key/unblock", json!({"key": others["key"]})),
        ("/key/delete", json!({"keys": [others["key"], made["key"]]})),
    ] {
        admin.client.post(path, body).await.ok();
    }
    let beyond = json!({"team_id": "t", "max_budget": 11});
    assert_eq!(admin.client.post("/key/generate", beyond).await.status, 403);
    let elsewhere = json!({"team_id": "free"});
    assert_eq!(
        admin.client.post("/key/generate", elsewhere).await.status,
        400
    );
    let outside = master.new_key(json!({"team_id": "free"})).await;
    for (path, body) in [
        (
            "/key/update",
            json!({"key": outside["key"], "metadata": {"a": 1}}),
        ),
        ("/key/block", json!({"key": outside["key"]})),
        ("/key/delete", json!({"keys": [outside["key"]]})),
    ] {
        assert_eq!(admin.client.post(path, body).await.status, 403, "{path}");
    }
    // Whose money an organization's key spends, its admins say.
    let own = json!({"organization_id": "o"});
    admin.client.post("/key/generate", own.clone()).await.ok();
    let stranger = api.person("internal_user").await;
    assert_eq!(stranger.client.post("/key/generate", own).await.status, 403);
}

on_both!(an_organization_is_changed_by_its_path_too, by_path);
async fn by_path(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"organization_id": "o", "organization_alias": "o", "max_budget": 5, "rpm_limit": 9,
        "metadata": {"a": 1}});
    master.post("/organization/new", body).await.ok();
    let change =
        json!({"organization_alias": "new", "rpm_limit": null, "tpm_limit": 7, "budget_id": "b"});
    let changed = master.patch("/v2/organization/o", change).await;
    assert_eq!(
        changed.header("x-tollkeeper-ignored-fields"),
        Some("budget_id")
    );
    let changed = changed.ok();
    assert_has(
        &changed,
        &json!({"organization_id": "o", "organization_alias": "new", "metadata": {"a": 1},
            "litellm_budget_table": {"max_budget": 5.0, "tpm_limit": 7}, "members": [], "teams": []}),
    );
    assert_eq!(changed["litellm_budget_table"]["rpm_limit"], Value::Null);
    assert_eq!(
        master
            .patch("/v2/organization/nope", json!({}))
            .await
            .status,
        404
    );
    let admin = api.person("internal_user").await;
    let member = json!({"role": "org_admin", "user_id": admin.id});
    let add = json!({"organization_id": "o", "member": member});
    master.post("/organization/member_add", add).await.ok();
    let more = json!({"max_budget": 500});
    assert_eq!(
        admin.client.patch("/v2/organization/o", more).await.status,
        401,
        "its own limits are a proxy admin's to change"
    );
}

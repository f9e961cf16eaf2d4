//! What of the interface's settings binds callers of the API.

use serde_json::{Value, json};

use crate::api::clients::{Answer, Api, Client, detail, text};
use crate::on_both;
use crate::support::database::Database;

async fn set(api: &Api, settings: Value) -> Answer {
    api.master().patch("/update/ui_settings", settings).await
}

on_both!(
    nobody_chooses_a_keys_value_where_the_interface_says_so,
    chosen
);
async fn chosen(database: Database) {
    let api = Api::start(database).await;
    let user = api.person("internal_user").await;
    let master = api.master();
    let before = master
        .new_key(json!({"key": "sk-chosen-before-0123456789"}))
        .await;
    set(&api, json!({"disable_custom_api_keys": true}))
        .await
        .ok();
    let value = "sk-chosen-value-0123456789";
    let team = master.post("/team/new", json!({})).await.ok();
    for client in [&master, &user.client] {
        let generate = client.post("/key/generate", json!({ "key": value })).await;
        assert_eq!(generate.refused().0, 403);
    }
    let account = json!({"key": value, "team_id": team["team_id"]});
    let account = master.post("/key/service-account/generate", account).await;
    assert_eq!(account.refused().0, 403);
    let again = json!({"key": before["key"], "new_key": value});
    let again = master.post("/key/regenerate", again).await.refused();
    assert_eq!(again.0, 403);
    assert_eq!(again.1["error"]["code"], "403");
    // Values that are made here go on, and those chosen before.
    master.new_key(json!({"key": null})).await;
    let renewed = json!({"key": before["key"]});
    let renewed = master.post("/key/regenerate", renewed).await.ok();
    assert_ne!(renewed["key"], before["key"]);
    set(&api, json!({"disable_custom_api_keys": null}))
        .await
        .ok();
    let made = user.client.new_key(json!({ "key": value })).await;
    assert_eq!(made["key"], value);
}

async fn found(client: &Client) -> Vec<String> {
    let all = client.get("/user/filter/ui?search=u-").await.ok();
    let mut ids: Vec<String> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|user| text(user, "user_id").to_owned())
        .collect();
    ids.sort();
    ids
}

on_both!(
    users_are_found_within_the_organization_where_the_interface_says_so,
    scoped
);
async fn scoped(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let new = async |id: &str, role: &str| {
        let body = json!({"user_id": id, "user_role": role});
        api.person_with(body).await.client
    };
    let chief = new("u-chief", "internal_user").await;
    let lead = new("u-lead", "internal_user").await;
    let alone = new("u-alone", "internal_user").await;
    let stranger = new("u-stranger", "internal_user").await;
    let viewer = new("u-viewer", "proxy_admin_viewer").await;
    for (organization, members) in [
        (
            "one",
            json!([{"role": "org_admin", "user_id": "u-chief"}, {"role": "internal_user", "user_id": "u-mate"}]),
        ),
        (
            "two",
            json!([{"role": "internal_user", "user_id": "u-far"}]),
        ),
    ] {
        let body = json!({"organization_id": organization, "organization_alias": organization});
        master.post("/organization/new", body).await.ok();
        let body = json!({"organization_id": organization, "member": members});
        master.post("/organization/member_add", body).await.ok();
    }
    for (team, organization, admin) in
        [("a", json!("two"), "u-lead"), ("b", Value::Null, "u-alone")]
    {
        let members = json!([{"role": "admin", "user_id": admin}]);
        let body = json!({"team_id": team, "organization_id": organization, "members_with_roles": members});
        master.post("/team/new", body).await.ok();
    }
    let all = [
        "u-alone",
        "u-chief",
        "u-far",
        "u-lead",
        "u-mate",
        "u-stranger",
        "u-viewer",
    ];
    for client in [&master, &viewer, &chief, &lead, &alone] {
        assert_eq!(found(client).await, all);
    }
    set(&api, json!({"scope_user_search_to_org": true}))
        .await
        .ok();
    for client in [&master, &viewer] {
        assert_eq!(found(client).await, all);
    }
    assert_eq!(found(&chief).await, ["u-chief", "u-mate"]);
    let of_two = found(&lead).await;
    assert!(of_two.contains(&"u-far".to_owned()), "{of_two:?}");
    assert!(!of_two.contains(&"u-mate".to_owned()), "{of_two:?}");
    assert_eq!(
        found(&alone).await,
        [""; 0],
        "a team of no organization has no users to offer"
    );
    let path = "/user/filter/ui?search=u-";
    assert_eq!(stranger.get(path).await.status, 403);
}

on_both!(
    what_the_interface_keeps_without_effect_is_named,
    without_effect
);
async fn without_effect(database: Database) {
    let api = Api::start(database).await;
    let header = "x-tollkeeper-unenforced-fields";
    let some = json!({"forward_client_headers_to_llm_api": true, "disable_custom_api_keys": true,
        "usage_default_time_range": "last_30_days", "allow_agents_for_team_admins": false});
    let answer = set(&api, some).await;
    assert_eq!(
        answer.header(header),
        Some("usage_default_time_range,forward_client_headers_to_llm_api")
    );
    assert_eq!(
        answer.ok()["settings"]["usage_default_time_range"],
        "last_30_days"
    );
    let none =
        json!({"disable_custom_api_keys": false, "team_admin_editable_team_fields": ["models"]});
    assert_eq!(set(&api, none).await.header(header), None);
}

on_both!(who_may_sign_in_is_one_setting_wherever_it_is_set, access);
async fn access(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = json!({"user_email": "a@x.com", "user_role": "internal_user"});
    let user = master.post("/user/new", user).await.ok();
    let id = text(&user, "user_id");
    let password = "Toll-roads of the world 7";
    let refused = detail(
        401,
        json!({"error": "User not allowed to access proxy. User role=internal_user, proxy mode=admin_only"}),
    );
    let sso = "/update/sso_settings";
    let closed = json!({"ui_access_mode": "admin_only"});
    assert_eq!(
        master.patch(sso, closed.clone()).await.ok()["settings"]["ui_access_mode"],
        "admin_only"
    );
    let shown = master.get("/get/sso_settings").await.ok();
    assert_eq!(shown["provenance"]["ui_access_mode"], "db");
    let shown = master.get("/get/self_serve_settings").await.ok();
    assert_eq!(shown["values"], closed);
    let link = api.invite(id).await;
    assert_eq!(api.claim(&link, id, password).await.refused(), refused);
    let open = json!({"ui_access_mode": "all"});
    master.patch("/update/self_serve_settings", open).await.ok();
    let shown = master.get("/get/sso_settings").await.ok();
    assert_eq!(shown["values"]["ui_access_mode"], "all");
    let link = api.invite(id).await;
    assert_eq!(api.claim(&link, id, password).await.status, 200);
    let wrong = master
        .patch(sso, json!({"ui_access_mode": "nobody"}))
        .await
        .refused();
    assert_eq!(
        (wrong.0, &wrong.1["detail"][0]["loc"][1]),
        (422, &json!("ui_access_mode"))
    );
    let back = master
        .patch(sso, json!({"ui_access_mode": null}))
        .await
        .ok();
    assert_eq!(back["settings"].get("ui_access_mode"), None);
}

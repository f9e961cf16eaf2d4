//! The settings endpoints: who may, what they keep, what they show.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::clients::{Answer, Api, Client, assert_has};
use crate::on_both;
use crate::support::database::Database;

pub async fn patch(client: &Client, path: &str, body: Value) -> Answer {
    client
        .call(Method::PATCH, path, Some(&body.to_string()))
        .await
}

on_both!(a_group_keeps_what_a_change_does_not_name, groups);
async fn groups(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for (get, update, message) in [
        (
            "/get/internal_user_settings",
            "/update/internal_user_settings",
            "Internal user settings updated successfully",
        ),
        (
            "/get/default_team_settings",
            "/update/default_team_settings",
            "Default team settings updated successfully",
        ),
    ] {
        let shown = master.get(get).await.ok();
        assert_eq!(shown["values"], json!({}));
        assert_has(
            &shown["field_schema"],
            &json!({"description": "*", "properties": {"max_budget": {"description": "*"}}}),
        );
        let body = json!({"max_budget": 5, "budget_duration": "7d", "models": ["gpt-4o"]});
        let changed = patch(&master, update, body).await.ok();
        let values = json!({"max_budget": 5.0, "budget_duration": "7d", "models": ["gpt-4o"]});
        assert_eq!(
            changed,
            json!({"message": message, "status": "success", "settings": values})
        );
        patch(&master, update, json!({"max_budget": null, "models": []}))
            .await
            .ok();
        let values = json!({"budget_duration": "7d", "models": []});
        assert_eq!(
            master.get(get).await.ok()["values"],
            values,
            "null clears, the rest stays"
        );
    }
}

on_both!(a_wrong_value_is_refused_with_field_and_expectation, wrong);
async fn wrong(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let refused = async |path: &str, body: Value| {
        let (status, body) = patch(&master, path, body).await.refused();
        assert_eq!(status, 422, "{body}");
        let problem = &body["detail"][0];
        let place = problem["loc"][1].as_str().unwrap();
        format!("{place}: {}", problem["msg"].as_str().unwrap())
    };
    let users = "/update/internal_user_settings";
    assert!(
        refused(users, json!({"user_role": "king"}))
            .await
            .starts_with("user_role: Input should be")
    );
    assert!(
        refused(users, json!({"max_budget": -1}))
            .await
            .starts_with("max_budget: Value error, expected an amount")
    );
    assert!(
        refused(users, json!({"budget_duration": "2mo"}))
            .await
            .starts_with("budget_duration: Value error")
    );
    assert!(
        refused(users, json!({"teams": [5]}))
            .await
            .starts_with("teams: Value error, expected a list of team ids")
    );
    let own = "/update/self_serve_settings";
    assert!(
        refused(own, json!({"timezone": "Mars/Olympus"}))
            .await
            .starts_with("timezone: Value error, expected a time zone")
    );
    assert!(
        refused(own, json!({"budget_reset_time": "25:00"}))
            .await
            .starts_with("budget_reset_time")
    );
    assert!(
        refused(own, json!({"budget_exceeded_status_code": 200}))
            .await
            .starts_with("budget_exceeded_status_code")
    );
    assert!(
        refused(
            own,
            json!({"upperbound_key_generate_params": {"tpm_limit": -4}})
        )
        .await
        .starts_with("tpm_limit")
    );
    assert!(
        refused(
            own,
            json!({"default_key_generate_params": {"max_budget": "many"}})
        )
        .await
        .starts_with("default_key_generate_params")
    );
    assert!(
        refused(own, json!({"ui_access_mode": "nobody"}))
            .await
            .starts_with("ui_access_mode")
    );
    assert_eq!(
        master.get("/get/self_serve_settings").await.ok()["values"],
        json!({}),
        "nothing was kept"
    );
    let ignored = patch(&master, users, json!({"colour": "red"})).await;
    assert_eq!(
        ignored.header("x-tollkeeper-ignored-fields"),
        Some("colour")
    );
}

on_both!(
    a_reference_to_the_environment_is_only_a_text_over_the_api,
    environment
);
async fn environment(database: Database) {
    let api = Api::start(database).await;
    let body = json!({"max_end_user_budget_id": "os.environ/LITELLM_MASTER_KEY"});
    let changed = patch(&api.master(), "/update/self_serve_settings", body.clone())
        .await
        .ok();
    assert_eq!(changed["settings"], body);
}

on_both!(only_admins_change_settings_and_viewers_read_them, roles);
async fn roles(database: Database) {
    let api = Api::start(database).await;
    let viewer = api.person("proxy_admin_viewer").await.client;
    let user = api.person("internal_user").await.client;
    let nobody = api.keyholder().await;
    let admin = api.person("proxy_admin").await.client;
    for name in ["internal_user", "default_team", "self_serve", "sso", "ui"] {
        let (get, update) = (
            format!("/get/{name}_settings"),
            format!("/update/{name}_settings"),
        );
        for reader in [&admin, &viewer] {
            reader.get(&get).await.ok();
        }
        patch(&admin, &update, json!({})).await.ok();
        assert_eq!(patch(&viewer, &update, json!({})).await.refused().0, 403);
        for other in [&user, &nobody] {
            assert_eq!(patch(other, &update, json!({})).await.refused().0, 401);
            let read = other.get(&get).await.status.as_u16();
            assert_eq!(read, if name == "ui" { 200 } else { 401 }, "{get}");
        }
        assert_eq!(api.anonymous().get(&get).await.refused().0, 401);
    }
    for path in ["/audit", "/email/event_settings"] {
        viewer.get(path).await.ok();
        assert_eq!(user.get(path).await.refused().0, 401);
    }
}

on_both!(secrets_of_single_sign_on_are_sealed_and_shown_as_stars, sso);
async fn sso(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    assert_eq!(
        master.get("/get/sso_settings").await.ok()["values"],
        json!({"generic_scope": "openid email profile"})
    );
    let sent = json!({"google_client_id": "id", "google_client_secret": "very-secret", "proxy_base_url": "https://t.example"});
    let path = "/update/sso_settings";
    let shown = json!({"google_client_id": "id", "google_client_secret": "*****", "proxy_base_url": "https://t.example",
        "generic_scope": "openid email profile"});
    let changed = patch(&master, path, sent).await.ok();
    assert_eq!(changed["settings"], shown);
    let read = master.get("/get/sso_settings").await.ok();
    assert_eq!(read["values"], shown);
    assert_eq!(read["provenance"]["google_client_secret"], "db");
    assert_eq!(read["provenance"]["generic_scope"], "default");
    let opened = || {
        let settings = api.service.app().settings();
        let sealed = settings.stored["sso_settings"]["google_client_secret"]["sealed"].clone();
        let secrets = &api.service.app().config.secrets;
        secrets.open("google_client_secret", sealed.as_str().unwrap())
    };
    assert_eq!(opened().as_deref(), Some("very-secret"));
    // A form sends back what it was shown.
    let back = json!({"google_client_id": "other", "google_client_secret": "*****"});
    patch(&master, path, back).await.ok();
    assert_eq!(opened().as_deref(), Some("very-secret"));
    let stored =
        crate::support::rows::texts(&api.database.store, "SELECT value FROM settings").await;
    let log = crate::support::rows::texts(
        &api.database.store,
        "SELECT COALESCE(updated_values, '') FROM audit_log",
    )
    .await;
    for text in stored.iter().chain(&log) {
        assert!(!text.contains("very-secret"), "{text}");
    }
    assert!(log.iter().any(|text| text.contains("*****")));
}

on_both!(
    the_interface_has_defaults_and_says_where_values_come_from,
    ui
);
async fn ui(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let shown = master.get("/get/ui_settings").await.ok();
    assert_has(
        &shown["values"],
        &json!({"usage_default_time_range": "last_7_days",
        "disable_model_add_for_internal_users": false, "team_admin_editable_team_fields": []}),
    );
    assert_eq!(
        shown["source"]["team_admin_editable_team_fields"],
        "default"
    );
    let body = json!({"team_admin_editable_team_fields": ["max_budget"]});
    patch(&master, "/update/ui_settings", body).await.ok();
    let shown = master.get("/get/ui_settings").await.ok();
    assert_eq!(shown["source"]["team_admin_editable_team_fields"], "db");
    assert_eq!(
        api.service.app().settings().team_admin_editable_fields(),
        ["max_budget"]
    );
}

on_both!(mail_events_are_switched_one_by_one_and_reset_together, mail);
async fn mail(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let path = "/email/event_settings";
    let before = master.get(path).await.ok();
    assert_eq!(
        before["settings"][0],
        json!({"event": "New User Invitation", "enabled": true})
    );
    let off = json!({"settings": [{"event": "Virtual Key Created", "enabled": false}]});
    let done = patch(&master, path, off).await.ok();
    assert_eq!(
        done,
        json!({"message": "Email event settings updated successfully"})
    );
    let settings = api.service.app().settings();
    assert!(!settings.mails("Virtual Key Created") && settings.mails("New User Invitation"));
    let unknown = json!({"settings": [{"event": "Lunch", "enabled": true}]});
    assert_eq!(patch(&master, path, unknown).await.refused().0, 422);
    master
        .post("/email/event_settings/reset", json!({}))
        .await
        .ok();
    assert_eq!(master.get(path).await.ok(), before);
}

on_both!(the_audit_log_is_paged_filtered_and_sorted, audit);
async fn audit(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for at in 0..5 {
        let team = json!({"team_id": format!("t{at}"), "team_alias": "a"});
        master.post("/team/new", team).await.ok();
    }
    let change = json!({"team_id": "t3", "team_alias": "b"});
    master.post("/team/update", change).await.ok();
    let of_teams = "/audit?table_name=LiteLLM_TeamTable&object_id=t3";
    let found = master.get(of_teams).await.ok();
    assert_has(
        &found,
        &json!({"total": 2, "page": 1, "page_size": 10, "total_pages": 1}),
    );
    let [newest, oldest] = [0, 1].map(|at| found["audit_logs"][at].clone());
    assert_has(
        &newest,
        &json!({"action": "updated", "changed_by": "default_user_id", "changed_from": "127.0.0.1",
        "changed_by_api_key": "litellm_proxy_master_key", "before_value": {"team_alias": "a"}, "updated_values": {"team_alias": "b"}}),
    );
    assert_eq!(oldest["before_value"], Value::Null);
    let path = format!("/audit/{}", newest["id"].as_str().unwrap());
    assert_eq!(master.get(&path).await.ok(), newest);
    assert_eq!(master.get("/audit/nope").await.refused().0, 404);
    let page = "/audit?action=created&table_name=LiteLLM_TeamTable&sort_by=object_id&sort_order=asc&page=2&page_size=2";
    let page = master.get(page).await.ok();
    assert_has(&page, &json!({"total": 5, "total_pages": 3}));
    let ids = [0, 1].map(|at| page["audit_logs"][at]["object_id"].clone());
    assert_eq!(ids, ["t2", "t3"]);
    let none = master.get("/audit?end_date=2001-01-01").await.ok();
    assert_eq!(none["total"], 0);
    assert_ne!(
        master.get("/audit?start_date=2001-01-01").await.ok()["total"],
        0
    );
    assert_eq!(master.get("/audit?start_date=noon").await.refused().0, 422);
    assert_eq!(master.get("/audit?sort_by=colour").await.refused().0, 400);
    assert_eq!(master.get("/audit?page_size=101").await.refused().0, 422);
}

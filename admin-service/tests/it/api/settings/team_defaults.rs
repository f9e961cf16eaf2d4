//! `default_team_params`, field by field, and what is kept without effect.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::self_serve::both_ways;
use crate::api::clients::{Api, ONE_MODEL, assert_has};
use crate::on_both;
use crate::support::database::Database;

async fn team(api: &Api, body: Value) -> Value {
    api.master().post("/team/new", body).await.ok()
}

on_both!(
    each_default_of_teams_fills_its_own_field_where_nothing_is_sent,
    each
);
async fn each(database: Database) {
    let given = json!({"max_budget": 20, "budget_duration": "7d", "tpm_limit": 5, "rpm_limit": 6,
        "team_member_permissions": ["/key/info"]});
    both_ways(
        json!({ "default_team_params": given }),
        database,
        async |api| {
            let whole = json!({"max_budget": 20.0, "budget_duration": "7d", "tpm_limit": 5, "rpm_limit": 6,
            "team_member_permissions": ["/key/info"]});
            let made = team(api, json!({})).await;
            assert_has(&made, &whole);
            assert!(made["budget_reset_at"].is_string(), "the window has begun");
            for (field, sent, kept) in [
                ("max_budget", json!(30), json!(30.0)),
                ("max_budget", Value::Null, Value::Null),
                ("budget_duration", json!("1d"), json!("1d")),
                ("budget_duration", Value::Null, Value::Null),
                ("tpm_limit", json!(50), json!(50)),
                ("tpm_limit", Value::Null, Value::Null),
                ("rpm_limit", json!(60), json!(60)),
                ("rpm_limit", Value::Null, Value::Null),
                ("team_member_permissions", json!([]), json!([])),
            ] {
                let made = team(api, json!({ field: sent })).await;
                let mut expected = whole.clone();
                expected[field] = kept;
                assert_has(&made, &expected);
            }
            let before = team(api, json!({"team_id": "t", "max_budget": null})).await;
            assert_eq!(before["max_budget"], Value::Null);
            let renamed = json!({"team_id": "t", "team_alias": "T"});
            let renamed = api.master().post("/team/update", renamed).await.ok();
            assert_eq!(
                renamed["data"]["max_budget"],
                Value::Null,
                "defaults are for new teams"
            );
        },
    )
    .await;
}

on_both!(a_new_team_goes_into_the_default_organization, organization);
async fn organization(database: Database) {
    let settings = json!({"default_team_params": {"organization_id": "acme"}});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let missing = master.post("/team/new", json!({})).await;
        assert_eq!(missing.status, 404, "no organization, no team in it");
        for (id, limit) in [("acme", 10), ("other", 99)] {
            let body =
                json!({"organization_id": id, "organization_alias": id, "max_budget": limit});
            master.post("/organization/new", body).await.ok();
        }
        let inside = team(api, json!({"max_budget": 10})).await;
        assert_eq!(inside["organization_id"], "acme");
        let more = master.post("/team/new", json!({"max_budget": 11})).await;
        assert_eq!(more.status, 403, "it has no more than that organization");
        let other = team(api, json!({"organization_id": "other", "max_budget": 11})).await;
        assert_eq!(other["organization_id"], "other");
        let free = team(api, json!({"organization_id": null, "max_budget": 11})).await;
        assert_eq!(free["organization_id"], Value::Null);
    })
    .await;
}

on_both!(
    settings_of_single_teams_are_kept_and_shown_and_said_to_bind_nobody,
    single
);
async fn single(database: Database) {
    let api = Api::start(database).await;
    let teams =
        json!([{"team_id": "default-settings", "max_budget": 5, "success_callback": ["x"]}]);
    let sent = json!({ "default_team_settings": teams });
    let path = "/update/self_serve_settings";
    let changed = api.master().patch(path, sent).await;
    assert_eq!(
        changed.header("x-tollkeeper-unenforced-fields"),
        Some("default_team_settings")
    );
    assert_eq!(changed.ok()["settings"]["default_team_settings"], teams);
    let shown = api.master().get("/get/self_serve_settings").await.ok();
    assert_eq!(shown["values"]["default_team_settings"], teams);
    let made = team(&api, json!({"team_id": "default-settings"})).await;
    assert_eq!(made["max_budget"], Value::Null);
    let back = json!({"default_team_settings": null});
    let back = api.master().patch(path, back).await;
    assert_eq!(back.header("x-tollkeeper-unenforced-fields"), None);
    assert_eq!(back.ok()["settings"], json!({}));
}

on_both!(
    a_proxy_admin_stays_out_of_the_teams_they_make_where_the_setting_says_so,
    left_out
);
async fn left_out(database: Database) {
    let other = database.sibling().await;
    let settings = json!({"disable_auto_add_proxy_admin_to_teams": true});
    let file = format!("{ONE_MODEL}\ngeneral_settings: {settings}\n");
    let from_file = Api::configured(database, &file, Clock::System).await;
    let over_api = Api::start(other).await;
    let before = team(&over_api, json!({})).await;
    assert_has(
        &before["members_with_roles"],
        &json!([{"role": "admin", "user_id": "default_user_id"}]),
    );
    let path = "/update/self_serve_settings";
    over_api.master().patch(path, settings).await.ok();
    for api in [from_file, over_api] {
        assert_eq!(team(&api, json!({})).await["members_with_roles"], json!([]));
        let admin = api.person("proxy_admin").await;
        let listed = json!([{"role": "user", "user_id": admin.id}]);
        let body = json!({ "members_with_roles": listed });
        let made = admin.client.post("/team/new", body).await.ok();
        assert_has(&made["members_with_roles"], &listed);
        // Whoever else makes a team is in it.
        let chief = api.person("internal_user").await;
        let organization = json!({"organization_id": "o", "organization_alias": "o"});
        let master = api.master();
        master.post("/organization/new", organization).await.ok();
        let member = json!({"role": "org_admin", "user_id": chief.id});
        let member = json!({"organization_id": "o", "member": member});
        master.post("/organization/member_add", member).await.ok();
        let body = json!({"organization_id": "o"});
        let made = chief.client.post("/team/new", body).await.ok();
        assert_has(
            &made["members_with_roles"],
            &json!([{"role": "admin", "user_id": chief.id}]),
        );
    }
}

//! What the settings give users, however a user comes to be.

use serde_json::{Value, json};

use super::self_serve::both_ways;
use crate::api::clients::{Api, assert_has, text};
use crate::on_both;
use crate::support::database::Database;

async fn user(api: &Api, id: &str) -> Value {
    let path = format!("/user/info?user_id={id}");
    api.master().get(&path).await.ok()["user_info"].clone()
}

on_both!(
    a_change_to_internal_user_fills_an_empty_budget_and_resets_none,
    promoted
);
async fn promoted(database: Database) {
    let settings = json!({"max_internal_user_budget": 10, "internal_user_budget_duration": "1mo"});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let (role, viewer) = ("internal_user", "internal_user_viewer");
        for (id, before, change, after) in [
            (
                "empty",
                json!({}),
                json!({"user_role": role}),
                json!({"max_budget": 10.0, "budget_duration": "1mo"}),
            ),
            (
                "own",
                json!({"max_budget": 50}),
                json!({"user_role": role}),
                json!({"max_budget": 50.0, "budget_duration": null}),
            ),
            (
                "sent",
                json!({}),
                json!({"user_role": role, "max_budget": 7}),
                json!({"max_budget": 7.0, "budget_duration": "1mo"}),
            ),
            (
                "cleared",
                json!({"max_budget": 50}),
                json!({"user_role": role, "max_budget": null}),
                json!({"max_budget": null, "budget_duration": null}),
            ),
            (
                "window",
                json!({"budget_duration": "7d"}),
                json!({"user_role": role}),
                json!({"max_budget": 10.0, "budget_duration": "7d"}),
            ),
            (
                "other",
                json!({}),
                json!({"user_alias": "a"}),
                json!({"max_budget": null, "budget_duration": null}),
            ),
            (
                "viewing",
                json!({}),
                json!({"user_role": viewer}),
                json!({"max_budget": null, "budget_duration": null}),
            ),
        ] {
            let mut new = before;
            new["user_id"] = json!(id);
            new["user_role"] = json!(viewer);
            master.post("/user/new", new).await.ok();
            let mut change = change;
            change["user_id"] = json!(id);
            let changed = master.post("/user/update", change).await.ok();
            assert_has(&changed["data"], &after);
            assert_has(&user(api, id).await, &after);
        }
        let body = json!({"users": [{"user_id": "other", "user_role": role}]});
        master.post("/user/bulk_update", body).await.ok();
        assert_has(
            &user(api, "other").await,
            &json!({"max_budget": 10.0, "budget_duration": "1mo"}),
        );
    })
    .await;
}

on_both!(
    users_without_a_role_get_the_default_parameters_too,
    without_role
);
async fn without_role(database: Database) {
    let settings = json!({"max_internal_user_budget": 10,
        "default_internal_user_params": {"budget_duration": "30d", "models": ["gpt-4o"]}});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let made = master.post("/user/new", json!({})).await.ok();
        assert_has(
            &made,
            &json!({"max_budget": null, "budget_duration": "30d", "models": ["gpt-4o"]}),
        );
        let internal = json!({"user_role": "internal_user"});
        let internal = master.post("/user/new", internal).await.ok();
        assert_has(
            &internal,
            &json!({"max_budget": 10.0, "budget_duration": "30d"}),
        );
    })
    .await;
}

on_both!(
    users_made_by_adding_them_to_a_team_or_organization_get_the_defaults,
    added
);
async fn added(database: Database) {
    let settings = json!({"max_internal_user_budget": 10, "internal_user_budget_duration": "1mo",
        "default_internal_user_params": {"user_role": "internal_user", "max_budget": 100, "models": ["gpt-4o"]}});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let full = json!({"user_role": "internal_user", "max_budget": 100.0, "budget_duration": "1mo",
            "models": ["gpt-4o"]});
        let first = json!([{"role": "user", "user_id": "first"}]);
        let team = json!({"team_id": "t", "members_with_roles": first});
        master.post("/team/new", team).await.ok();
        let second = json!({"team_id": "t", "member": {"role": "user", "user_id": "second", "user_email": "2@x.com"}});
        master.post("/team/member_add", second).await.ok();
        let third = json!({"team_id": "t", "members": [{"role": "user", "user_id": "third"}]});
        master.post("/team/bulk_member_add", third).await.ok();
        let organization = json!({"organization_alias": "o", "organization_id": "o"});
        master.post("/organization/new", organization).await.ok();
        let fourth = json!({"organization_id": "o", "member": {"role": "internal_user", "user_id": "fourth"}});
        master.post("/organization/member_add", fourth).await.ok();
        for id in ["first", "second", "third", "fourth"] {
            assert_has(&user(api, id).await, &full);
        }
        let viewer = json!({"organization_id": "o", "member": {"role": "internal_user_viewer", "user_id": "fifth"}});
        master.post("/organization/member_add", viewer).await.ok();
        assert_has(
            &user(api, "fifth").await,
            &json!({"user_role": "internal_user_viewer", "max_budget": 100.0, "budget_duration": null}),
        );
        // Who is there already keeps what they have.
        let known = master.post("/user/new", json!({"user_id": "known", "max_budget": 3})).await.ok();
        let known = json!({"team_id": "t", "member": {"role": "user", "user_id": text(&known, "user_id")}});
        master.post("/team/member_add", known).await.ok();
        assert_eq!(user(api, "known").await["max_budget"], json!(3.0));
    })
    .await;
}

on_both!(
    an_admin_of_an_organization_makes_no_user_beyond_themselves_by_adding_one,
    beyond
);
async fn beyond(database: Database) {
    let settings =
        json!({"default_internal_user_params": {"user_role": "proxy_admin", "max_budget": 100}});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let chief = json!({"user_role": "internal_user", "max_budget": 20, "budget_duration": "7d",
            "models": ["gpt-4o"], "rpm_limit": 5});
        let chief = api.person_with(chief).await;
        let organization = json!({"organization_alias": "o", "organization_id": "o"});
        master.post("/organization/new", organization).await.ok();
        let admin =
            json!({"organization_id": "o", "member": {"role": "org_admin", "user_id": chief.id}});
        master.post("/organization/member_add", admin).await.ok();
        let team = json!({"team_id": "t", "organization_id": "o"});
        master.post("/team/new", team).await.ok();
        let one =
            json!({"organization_id": "o", "member": {"role": "internal_user", "user_id": "one"}});
        chief
            .client
            .post("/organization/member_add", one)
            .await
            .ok();
        let two = json!({"team_id": "t", "member": {"role": "user", "user_id": "two"}});
        chief.client.post("/team/member_add", two).await.ok();
        for id in ["one", "two"] {
            assert_has(
                &user(api, id).await,
                &json!({"user_role": "internal_user", "max_budget": 20.0, "budget_duration": "7d",
                    "models": ["gpt-4o"], "rpm_limit": 5}),
            );
        }
    })
    .await;
}

//! What the settings make of requests for keys: defaults, bounds, and who may ask.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::self_serve::both_ways;
use crate::api::clients::{Api, ONE_MODEL, assert_has, error};
use crate::on_both;
use crate::support::database::Database;

/// The bounds of LiteLLM's page, and what a key shows of them.
fn six() -> (Value, Value) {
    let bounds = json!({"max_budget": 100, "budget_duration": "10d", "duration": "30d",
        "max_parallel_requests": 1000, "tpm_limit": 1000, "rpm_limit": 1000});
    let shown = json!({"max_budget": 100.0, "budget_duration": "10d", "duration": "30d", "expires": "*",
        "max_parallel_requests": 1000, "tpm_limit": 1000, "rpm_limit": 1000});
    (bounds, shown)
}

on_both!(
    whichever_of_the_six_is_left_out_or_null_is_filled_for_everybody,
    filled
);
async fn filled(database: Database) {
    let (bounds, shown) = six();
    let settings = json!({ "upperbound_key_generate_params": bounds });
    both_ways(settings, database, async |api| {
        let master = api.master();
        let user = api.person("internal_user").await.client;
        let admin = api.person("proxy_admin").await.client;
        for client in [&master, &admin, &user] {
            assert_has(&client.new_key(json!({})).await, &shown);
        }
        for field in bounds.as_object().unwrap().keys() {
            let key = master.new_key(json!({ field: null })).await;
            assert_has(&key, &shown);
        }
        let equal = master.new_key(bounds.clone()).await;
        assert_has(&equal, &shown);
        let lower = json!({"max_budget": 0.0, "budget_duration": "9d", "duration": "29d",
            "max_parallel_requests": 0, "tpm_limit": 0, "rpm_limit": 0});
        assert_has(&master.new_key(lower.clone()).await, &lower);
        let team = master.post("/team/new", json!({})).await.ok();
        let account = json!({"team_id": team["team_id"]});
        let account = master
            .post("/key/service-account/generate", account)
            .await
            .ok();
        assert_has(&account, &shown);
    })
    .await;
}

on_both!(
    a_bound_that_comes_later_binds_what_a_change_sends_and_nothing_else,
    later
);
async fn later(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let high = json!({"max_budget": 500, "budget_duration": "30d", "tpm_limit": 5000});
    let key = master.new_key(high.clone()).await;
    let (bounds, _) = six();
    let bounded = json!({ "upperbound_key_generate_params": bounds });
    let path = "/update/self_serve_settings";
    master.patch(path, bounded).await.ok();
    let mut kept = high.clone();
    kept["max_budget"] = json!(500.0);
    let renamed = json!({"key": key["key"], "key_alias": "renamed"});
    assert_has(&master.post("/key/update", renamed).await.ok(), &kept);
    let again = json!({"key": key["key"]});
    let again = master.post("/key/regenerate", again).await.ok();
    assert_has(&again, &kept);
    let sent = json!({"key": again["key"], "tpm_limit": 5000});
    assert_eq!(master.post("/key/update", sent).await.status, 400);
    let equal = json!({"key": again["key"], "tpm_limit": 1000});
    kept["tpm_limit"] = json!(1000);
    assert_has(&master.post("/key/update", equal).await.ok(), &kept);
    let back = json!({"upperbound_key_generate_params": null});
    master.patch(path, back).await.ok();
    assert_has(
        &master.new_key(high.clone()).await,
        &json!({"max_budget": 500.0, "expires": null, "rpm_limit": null}),
    );
}

on_both!(
    personal_keys_are_made_by_listed_roles_only_whatever_the_role,
    personal
);
async fn personal(database: Database) {
    let settings = json!({"key_generation_settings": {
        "team_key_generation": {"allowed_team_member_roles": ["admin"], "required_params": ["tags"]},
        "personal_key_generation": {"allowed_user_roles": ["internal_user"]}}});
    both_ways(settings, database, async |api| {
        let user = api.person("internal_user").await.client;
        let admin = api.person("proxy_admin").await.client;
        user.new_key(json!({})).await;
        for client in [&admin, &api.master()] {
            let words = "Personal key creation has been restricted by admin. Allowed roles=['internal_user']. Your role=proxy_admin";
            assert_eq!(
                client.post("/key/generate", json!({})).await.refused(),
                error(400, "invalid_request_error", None, words)
            );
        }
        let team = json!({"disabled": false});
        let team = admin.post("/team/new", team).await.ok()["team_id"].clone();
        for client in [&admin, &api.master()] {
            client.new_key(json!({ "team_id": team })).await;
        }
    })
    .await;
}

on_both!(
    a_required_field_must_be_sent_a_default_or_a_bound_is_not_enough,
    required
);
async fn required(database: Database) {
    let settings = json!({
        "default_key_generate_params": {"max_budget": 5, "tags": ["default"]},
        "upperbound_key_generate_params": {"rpm_limit": 7},
        "key_generation_settings": {
            "team_key_generation": {"required_params": ["tags"]},
            "personal_key_generation": {"required_params": ["max_budget", "rpm_limit"]}}});
    both_ways(settings, database, async |api| {
        let user = api.person("internal_user").await;
        let missing = |name: &str| {
            let words = format!("Required param {name} not in data");
            error(400, "invalid_request_error", None, &words)
        };
        let ask = async |body: Value| user.client.post("/key/generate", body).await;
        assert_eq!(ask(json!({})).await.refused(), missing("max_budget"));
        let one = json!({"max_budget": 1, "rpm_limit": null});
        assert_eq!(ask(one).await.refused(), missing("rpm_limit"));
        let both = ask(json!({"max_budget": 1, "rpm_limit": 2})).await.ok();
        assert_has(
            &both,
            &json!({"max_budget": 1.0, "rpm_limit": 2, "tags": ["default"]}),
        );
        let members = json!([{"role": "admin", "user_id": user.id}]);
        let team = json!({ "members_with_roles": members });
        let team = api.master().post("/team/new", team).await.ok();
        let team = json!({"team_id": team["team_id"]});
        assert_eq!(ask(team.clone()).await.refused(), missing("tags"));
        let mut tagged = team;
        tagged["tags"] = json!(["own"]);
        assert_eq!(ask(tagged).await.ok()["tags"], json!(["own"]));
    })
    .await;
}

on_both!(
    who_makes_keys_may_also_stand_where_old_files_have_it,
    old_place
);
async fn old_place(database: Database) {
    let file = format!(
        "{ONE_MODEL}\ngeneral_settings:\n  key_generation_settings:\n    personal_key_generation: {{ allowed_user_roles: [proxy_admin] }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let user = api.person("internal_user").await.client;
    assert_eq!(user.post("/key/generate", json!({})).await.status, 400);
    api.master().new_key(json!({})).await;
}

on_both!(
    owners_change_budgets_as_the_policy_says_from_one_request_to_the_next,
    policy
);
async fn policy(database: Database) {
    let api = Api::start(database).await;
    let own = json!({"user_role": "internal_user", "max_budget": 10});
    let user = api.person_with(own).await.client;
    let key = user.new_key(json!({"max_budget": 5})).await;
    let budget = async |max: u32| {
        let body = json!({"key": key["key"], "max_budget": max});
        user.post("/key/update", body).await.status.as_u16()
    };
    let mut seen = Vec::new();
    for policy in [json!("lower_only"), json!("ceiling"), Value::Null] {
        let body = json!({ "self_serve_budget_policy": policy });
        let path = "/update/self_serve_settings";
        api.master().patch(path, body).await.ok();
        seen.push([budget(4).await, budget(6).await, budget(11).await]);
    }
    assert_eq!(seen, [[200, 403, 403], [200, 200, 403], [403, 403, 403]]);
    let wrong = json!({"self_serve_budget_policy": "any"});
    let master = api.master();
    let wrong = master.patch("/update/self_serve_settings", wrong).await;
    assert_eq!(wrong.refused().0, 422);
}

on_both!(
    an_alias_is_held_to_its_form_from_one_request_to_the_next,
    alias
);
async fn alias(database: Database) {
    let settings = json!({"enable_key_alias_format_validation": true});
    both_ways(settings, database, async |api| {
        let master = api.master();
        let odd = json!({"key_alias": "a b"});
        assert_eq!(master.post("/key/generate", odd.clone()).await.status, 422);
        let off = json!({"enable_key_alias_format_validation": false});
        master.patch("/update/self_serve_settings", off).await.ok();
        master.new_key(odd).await;
    })
    .await;
}

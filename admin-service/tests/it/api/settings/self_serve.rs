//! Each self-serve setting by its sentence, from the file and over the API alike.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::endpoints::patch;
use crate::api::clients::{Api, ONE_MODEL, assert_has};
use crate::on_both;
use crate::support::database::Database;

/// A service with these `litellm_settings`: once from the file, once set over the API of a service that has none.
pub async fn both_ways(settings: Value, database: Database, test: impl AsyncFn(&Api)) {
    let other = database.sibling().await;
    let file = format!("{ONE_MODEL}\nlitellm_settings: {settings}\n");
    let api = Api::configured(database, &file, Clock::System).await;
    test(&api).await;
    let api = Api::configured(other, ONE_MODEL, Clock::System).await;
    let mut own = settings;
    for (name, path) in [
        (
            "default_internal_user_params",
            "/update/internal_user_settings",
        ),
        ("default_team_params", "/update/default_team_settings"),
    ] {
        if let Some(group) = own.as_object_mut().unwrap().remove(name) {
            patch(&api.master(), path, group).await.ok();
        }
    }
    patch(&api.master(), "/update/self_serve_settings", own)
        .await
        .ok();
    test(&api).await;
}

on_both!(upper_bounds_fill_what_is_left_open_and_reject_more, bounds);
async fn bounds(database: Database) {
    let six = json!({"max_budget": 100, "budget_duration": "10d", "duration": "30d",
        "max_parallel_requests": 1000, "tpm_limit": 1000, "rpm_limit": 1000});
    both_ways(
        json!({"upperbound_key_generate_params": six}),
        database,
        async |api| {
            let master = api.master();
            let key = master.new_key(json!({"max_budget": null})).await;
            assert_has(
                &key,
                &json!({"max_budget": 100.0, "budget_duration": "10d", "expires": "*",
            "max_parallel_requests": 1000, "tpm_limit": 1000, "rpm_limit": 1000}),
            );
            for above in [
                json!({"max_budget": 101}),
                json!({"budget_duration": "11d"}),
                json!({"duration": "31d"}),
                json!({"duration": "-1"}),
                json!({"max_parallel_requests": 1001}),
                json!({"tpm_limit": 1001}),
                json!({"rpm_limit": 1001}),
            ] {
                for path in ["/key/generate", "/key/update", "/key/regenerate"] {
                    let mut body = above.clone();
                    if path != "/key/generate" {
                        body["key"] = key["key"].clone();
                    }
                    let (status, body) = master.post(path, body).await.refused();
                    assert_eq!(status, 400, "{path} {above}: {body}");
                    let words = "is over max limit set in config - user_value=";
                    assert!(body.to_string().contains(words), "{path}: {body}");
                }
            }
            let again = json!({"key": key["key"]});
            let again = master.post("/key/regenerate", again).await.ok();
            assert_eq!(again["max_budget"], 100.0, "what is not sent stays");
            master
                .new_key(json!({"max_budget": 100, "tpm_limit": 1000}))
                .await;
        },
    )
    .await;
}

on_both!(defaults_of_keys_come_before_the_bounds, defaults);
async fn defaults(database: Database) {
    let settings = json!({"default_key_generate_params": {"max_budget": 7, "rpm_limit": 3},
        "upperbound_key_generate_params": {"max_budget": 5}});
    both_ways(settings, database, async |api| {
        let (status, _) = api
            .master()
            .post("/key/generate", json!({}))
            .await
            .refused();
        assert_eq!(status, 400, "a default above the bound is above the bound");
        let key = api.master().new_key(json!({"max_budget": 4})).await;
        assert_has(&key, &json!({"max_budget": 4.0, "rpm_limit": 3}));
    })
    .await;
}

on_both!(default_user_params_beat_the_budget_of_internal_users, users);
async fn users(database: Database) {
    let settings = json!({"max_internal_user_budget": 10, "internal_user_budget_duration": "1mo",
        "default_internal_user_params": {"user_role": "internal_user", "max_budget": 100, "budget_duration": "30d",
            "models": ["gpt-4o"], "teams": [{"team_id": "start", "max_budget_in_team": 2, "user_role": "user"}]}});
    both_ways(settings, database, async |api| {
        let master = api.master();
        master
            .post("/team/new", json!({"team_id": "start"}))
            .await
            .ok();
        let new = async |body: Value| master.post("/user/new", body).await.ok();
        let user = new(json!({})).await;
        assert_has(
            &user,
            &json!({"user_role": "internal_user", "max_budget": 100.0, "budget_duration": "30d",
            "models": ["gpt-4o"], "teams": ["start"]}),
        );
        let team = master.get("/team/info?team_id=start").await.ok();
        let id = &user["user_id"];
        let memberships = team["team_memberships"].as_array().unwrap();
        let member = memberships
            .iter()
            .find(|member| &member["user_id"] == id)
            .unwrap();
        assert_eq!(member["litellm_budget_table"]["max_budget"], json!(2.0));
        let viewer =
            new(json!({"user_role": "internal_user_viewer", "max_budget": 3, "teams": []})).await;
        assert_has(
            &viewer,
            &json!({"user_role": "internal_user_viewer", "max_budget": 3.0, "models": ["gpt-4o"]}),
        );
        let admin = new(json!({"user_role": "proxy_admin"})).await;
        assert_eq!(
            (&admin["max_budget"], &admin["models"]),
            (&Value::Null, &json!([]))
        );
    })
    .await;
}

on_both!(the_budget_of_internal_users_is_for_them_alone, internal);
async fn internal(database: Database) {
    let settings = json!({"max_internal_user_budget": 10, "internal_user_budget_duration": "1mo"});
    both_ways(settings, database, async |api| {
        let new = async |role: &str| {
            api.master()
                .post("/user/new", json!({"user_role": role}))
                .await
                .ok()
        };
        assert_has(
            &new("internal_user").await,
            &json!({"max_budget": 10.0, "budget_duration": "1mo"}),
        );
        assert_eq!(new("internal_user_viewer").await["max_budget"], Value::Null);
    })
    .await;
}

on_both!(a_new_team_gets_the_defaults_of_teams_but_for_models, teams);
async fn teams(database: Database) {
    let params = json!({"models": ["gpt-4o"], "max_budget": 20, "budget_duration": "7d", "tpm_limit": 5, "rpm_limit": 6,
        "team_member_permissions": ["/key/info"]});
    both_ways(json!({"default_team_params": params}), database, async |api| {
        let team = api.master().post("/team/new", json!({"rpm_limit": 9})).await.ok();
        assert_has(&team, &json!({"models": [], "max_budget": 20.0, "budget_duration": "7d", "tpm_limit": 5, "rpm_limit": 9,
            "team_member_permissions": ["/key/info"]}));
    })
    .await;
}

on_both!(budgets_start_anew_at_the_time_of_the_time_zone, zone);
async fn zone(database: Database) {
    let other = database.sibling().await;
    let now = 1_795_417_796_000_000; // 2026-11-23 07:09:56 UTC
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings: {{ timezone: America/New_York, budget_reset_time: '09:30' }}\n"
    );
    let from_file = Api::configured(database, &file, Clock::manual(now)).await;
    let over_api = Api::configured(other, ONE_MODEL, Clock::manual(now)).await;
    let settings = json!({"timezone": "America/New_York", "budget_reset_time": "09:30"});
    patch(&over_api.master(), "/update/self_serve_settings", settings)
        .await
        .ok();
    for api in [&from_file, &over_api] {
        for (duration, reset) in [
            ("1d", "2026-11-23T14:30:00+00:00"),
            ("2h", "2026-11-23T09:00:00+00:00"),
            ("7d", "2026-11-23T14:30:00+00:00"),
            ("1mo", "2026-12-01T14:30:00+00:00"),
            ("10d", "2026-12-03T14:30:00+00:00"),
        ] {
            let body = json!({"max_budget": 1, "budget_duration": duration});
            let key = api.master().new_key(body).await;
            let path = format!("/key/info?key={}", key["token"].as_str().unwrap());
            let info = api.master().get(&path).await.ok();
            assert_eq!(info["info"]["budget_reset_at"], reset, "{duration}");
        }
    }
}

on_both!(
    the_status_of_exhausted_budgets_reaches_the_gateways_with_the_answer,
    status
);
async fn status(database: Database) {
    let api = Api::start(database).await;
    let body = json!({"budget_exceeded_status_code": 429});
    patch(&api.master(), "/update/self_serve_settings", body)
        .await
        .ok();
    let name = contract::redis_key::settings(contract::redis_key::Partition(0));
    let told = String::from_utf8(api.redis.get(&name).await.unwrap()).unwrap();
    assert!(told.contains("429"), "{told}");
    let shown = api.master().get("/get/self_serve_settings").await.ok();
    assert_eq!(shown["source"]["budget_exceeded_status_code"], "db");
    let back = json!({"budget_exceeded_status_code": null});
    patch(&api.master(), "/update/self_serve_settings", back)
        .await
        .ok();
    let told = String::from_utf8(api.redis.get(&name).await.unwrap()).unwrap();
    assert!(told.contains("422") && !told.contains("429"), "{told}");
}

on_both!(
    flags_of_the_proxy_reach_the_gateways_from_the_file_and_over_the_api,
    flags
);
async fn flags(database: Database) {
    let other = database.sibling().await;
    let settings =
        json!({"apply_user_budget_to_team_keys": true, "master_key_can_call_models": false});
    let file = format!("{ONE_MODEL}\ngeneral_settings: {settings}\n");
    let from_file = Api::configured(database, &file, Clock::System).await;
    let over_api = Api::start(other).await;
    let of = async |api: &Api| {
        let told = crate::api::tags::settings(api).await;
        [
            told.apply_user_budget_to_team_keys,
            told.master_key_can_call_models,
        ]
    };
    assert_eq!(of(&over_api).await, [false, true], "as in LiteLLM");
    patch(&over_api.master(), "/update/self_serve_settings", settings)
        .await
        .ok();
    for api in [&from_file, &over_api] {
        assert_eq!(of(api).await, [true, false]);
    }
}

on_both!(what_one_service_sets_is_in_force_in_another, replicas);
async fn replicas(database: Database) {
    let api = Api::start(database).await;
    let other = crate::api::clients::serve(
        &api.database,
        &api.redis.server.url(),
        ONE_MODEL,
        Clock::System,
    )
    .await;
    let body = json!({"max_internal_user_budget": 3});
    patch(&api.master(), "/update/self_serve_settings", body)
        .await
        .ok();
    let mut changes = other.app().live.changes();
    let seen = changes.wait_for(|settings| settings.user_defaults.internal_max_budget.is_some());
    tokio::time::timeout(std::time::Duration::from_secs(10), seen)
        .await
        .expect("within a poll")
        .unwrap();
    other.stop().await;
}

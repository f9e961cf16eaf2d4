//! Who may make keys and change their budgets, as the settings say.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, Person, error, text};
use crate::on_both;
use crate::support::database::Database;

async fn started(database: Database, settings: &str) -> Api {
    let file = format!("{ONE_MODEL}\n{settings}");
    Api::configured(database, &file, Clock::System).await
}

/// A team with an admin and a member, whose members may make keys.
async fn team(api: &Api, admin: &Person, member: &Person) -> Value {
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let permissions = json!(["/key/generate", "/key/service-account/generate"]);
    let team = json!({"members_with_roles": members, "team_member_permissions": permissions});
    api.master().post("/team/new", team).await.ok()["team_id"].clone()
}

fn refused(message: &str) -> (u16, Value) {
    error(400, "invalid_request_error", None, message)
}

on_both!(keys_are_made_by_the_roles_that_the_settings_allow, roles);
async fn roles(database: Database) {
    let settings = "
litellm_settings:
  key_generation_settings:
    team_key_generation: { allowed_team_member_roles: [admin], required_params: [tags] }
    personal_key_generation: { allowed_user_roles: [proxy_admin], required_params: [max_budget] }
";
    let api = started(database, settings).await;
    let (admin, member) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let id = team(&api, &admin, &member).await;
    let ask = async |who: &Person, body: Value| who.client.post("/key/generate", body).await;
    assert_eq!(
        ask(&member, json!({"max_budget": 1})).await.refused(),
        refused(
            "Personal key creation has been restricted by admin. Allowed roles=['proxy_admin']. Your role=internal_user"
        )
    );
    let master = api.master();
    assert_eq!(
        master.post("/key/generate", json!({})).await.refused(),
        refused("Required param max_budget not in data")
    );
    master.new_key(json!({"max_budget": 1})).await;
    assert_eq!(
        ask(&admin, json!({"team_id": id})).await.refused(),
        refused("Required param tags not in data")
    );
    let tagged = json!({"team_id": id, "tags": ["a"]});
    assert_eq!(ask(&admin, tagged.clone()).await.ok()["tags"], json!(["a"]));
    for path in ["/key/generate", "/key/service-account/generate"] {
        assert_eq!(
            member.client.post(path, tagged.clone()).await.refused(),
            refused("Team member role user not in allowed_team_member_roles=['admin']")
        );
    }
    // Proxy admins are free of the rules of team keys.
    master.new_key(json!({ "team_id": id })).await;
}

on_both!(
    an_alias_has_the_form_that_the_setting_asks_for,
    alias_format
);
async fn alias_format(database: Database) {
    let other = database.sibling().await;
    let free = started(other, "").await;
    let odd = json!({"key_alias": "a b"});
    free.master().new_key(odd).await;
    let settings = "litellm_settings: { enable_key_alias_format_validation: true }\n";
    let api = started(database, settings).await;
    let master = api.master();
    let longest = format!("{}z", "a".repeat(254));
    for good in ["a1", "Team/app_1.prod-x@y", &longest] {
        master.new_key(json!({ "key_alias": good })).await;
    }
    let key = master.new_key(json!({})).await;
    let too_long = format!("{longest}z");
    for bad in ["a", "-ab", "ab.", "a b", "añb", &too_long] {
        let new = master.post("/key/generate", json!({ "key_alias": bad }));
        let change = json!({"key": key["key"], "key_alias": bad});
        let change = master.post("/key/update", change);
        for answer in [new.await, change.await] {
            let (status, body) = answer.refused();
            assert_eq!(status, 422, "{bad}: {body}");
            assert_eq!(body["detail"][0]["loc"], json!(["body", "key_alias"]));
        }
    }
}

on_both!(
    an_owner_lowers_a_budget_where_the_policy_says_so,
    lower_only
);
async fn lower_only(database: Database) {
    let settings = "general_settings: { self_serve_budget_policy: lower_only }\n";
    let api = started(database, settings).await;
    let user = api.person("internal_user").await;
    let key = user.client.new_key(json!({})).await;
    let ask = async |mut body: Value| {
        body["key"] = key["key"].clone();
        user.client.post("/key/update", body).await
    };
    let windows =
        |max: u32| json!({"budget_limits": [{"budget_duration": "1d", "max_budget": max}]});
    for allowed in [
        json!({"max_budget": 5}),
        json!({"max_budget": 4}),
        windows(3),
        windows(2),
    ] {
        let answer = ask(allowed.clone()).await;
        assert_eq!(answer.status, 200, "{allowed}: {}", answer.body);
    }
    for (more, param) in [
        (json!({"max_budget": 4.5}), "max_budget"),
        (json!({"max_budget": null}), "max_budget"),
        (windows(3), "budget_limits"),
        (json!({"budget_limits": null}), "budget_limits"),
    ] {
        let (status, body) = ask(more.clone()).await.refused();
        assert_eq!(
            (status, &body["error"]["param"]),
            (403, &json!(param)),
            "{more}"
        );
    }
    // Only these two, and only of a key that they made themselves.
    assert_eq!(ask(json!({"budget_duration": "1d"})).await.status, 403);
    let given = api.master().new_key(json!({"user_id": user.id})).await;
    let lower = json!({"key": given["key"], "max_budget": 1});
    assert_eq!(user.client.post("/key/update", lower).await.status, 403);
}

on_both!(
    an_owner_raises_a_budget_up_to_their_own_where_the_policy_says_so,
    ceiling
);
async fn ceiling(database: Database) {
    let settings = "general_settings: { self_serve_budget_policy: ceiling }\n";
    let api = started(database, settings).await;
    let user = api
        .person_with(json!({"user_role": "internal_user", "max_budget": 10}))
        .await;
    let key = user.client.new_key(json!({"max_budget": 2})).await;
    let ask = async |max: Value| {
        let body = json!({"key": key["key"], "max_budget": max});
        user.client.post("/key/update", body).await
    };
    assert_eq!(ask(json!(10)).await.ok()["max_budget"], json!(10.0));
    assert_eq!(ask(json!(11)).await.status, 403);
    assert_eq!(ask(Value::Null).await.ok()["max_budget"], Value::Null);
}

on_both!(a_keys_windows_and_limits_of_models_are_not_shed, not_shed);
async fn not_shed(database: Database) {
    let api = started(database, "").await;
    let user = api.person("internal_user").await;
    let limits = json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 2}],
        "model_rpm_limit": {"gpt-4o": 3}, "model_max_budget": {"gpt-4o": {"budget_limit": 1, "time_period": "1d"}}});
    let narrow = user.client.new_key(limits.clone()).await;
    let narrow = api.client(Some(text(&narrow, "key")));
    let made = narrow.new_key(json!({})).await;
    for field in ["budget_limits", "model_max_budget", "model_rpm_limit"] {
        assert_eq!(made[field], limits[field], "{field}");
    }
    for (more, param) in [
        (
            json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 3}]}),
            "budget_limits",
        ),
        (json!({"model_rpm_limit": {"gpt-4o": 4}}), "model_rpm_limit"),
        (
            json!({"model_max_budget": {"other": 1}}),
            "model_max_budget",
        ),
    ] {
        let (status, body) = narrow.post("/key/generate", more.clone()).await.refused();
        assert_eq!(
            (status, &body["error"]["param"]),
            (403, &json!(param)),
            "{more}"
        );
    }
}

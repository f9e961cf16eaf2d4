//! `/key/{key}/reset_spend`.

use serde_json::{Value, json};
use sqlx::Row as _;

use super::clients::{Api, Client, assert_has, detail, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::Worker;
use crate::support::rows::{Key, number};

/// The key as the gateway knows it.
async fn at_the_gateway(api: &Api, key: &Value) -> Key {
    let mut connection = api.database.store.read().await.unwrap();
    let row = sqlx::query("SELECT key_id, user_id, team_id FROM virtual_keys WHERE token = $1")
        .bind(text(key, "token").to_owned())
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    Key {
        id: row.try_get("key_id").unwrap(),
        user: row.try_get("user_id").unwrap(),
        team: row.try_get("team_id").unwrap(),
        ..Key::default()
    }
}

async fn reset(client: &Client, key: &Value, body: Value) -> super::clients::Answer {
    let path = format!("/key/{}/reset_spend", text(key, "token"));
    client.post(&path, body).await
}

on_both!(what_a_key_has_spent_is_set_back, set_back);
async fn set_back(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let key = master
        .new_key(json!({"max_budget": 10, "budget_duration": "30d"}))
        .await;
    let known = at_the_gateway(&api, &key).await;
    let mut worker = Worker::new(&api.redis);
    worker.request(&known, 6_000_000_000).await;
    let health = &api.service.app().health;
    health.wait_for(|report| report.drained == 1).await;
    let running = worker.admitted(&known, 3_000_000_000).await;

    let answer = reset(&master, &key, json!({"reset_to": 1.5, "why": "?"})).await;
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    assert_eq!(answer.header("x-tollkeeper-ignored-fields"), Some("why"));
    assert_has(
        &answer.ok(),
        &json!({"key_hash": key["token"], "spend": 1.5, "previous_spend": 6.0, "max_budget": 10.0, "budget_reset_at": "*"}),
    );
    worker.settle(&running, 2_000_000_000).await;
    health.wait_for(|report| report.drained == 2).await;
    let info = master
        .get(&format!("/key/info?key={}", text(&key, "token")))
        .await
        .ok();
    assert_has(&info["info"], &json!({"spend": 3.5, "total_spend": 8.0}));
    let audited = "SELECT COUNT(*) FROM audit_log WHERE before_value = '{\"spend\":6000000000}' \
                   AND updated_values = '{\"spend\":1500000000}'";
    assert_eq!(number(&api.database.store, audited).await, 1);

    // What does not fit the budget any more is refused, what fits is not.
    let scopes = worker.admit(&known, 6_500_000_001).await.0;
    assert!(format!("{scopes:?}").contains("Denied"), "{scopes:?}");
    worker.admitted(&known, 6_500_000_000).await;
}

on_both!(a_wrong_amount_is_refused_as_litellm_refuses_it, wrong);
async fn wrong(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let key = master.new_key(json!({})).await;
    let refused = async |body: Value| reset(&master, &key, body).await.refused();
    let below = detail(400, json!({"error": "reset_to must be >= 0"}));
    assert_eq!(refused(json!({"reset_to": -1})).await, below);
    assert_eq!(
        refused(json!({"reset_to": true})).await,
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body", "reset_to"],
                "msg": "Value error, reset_to must be a number, not a boolean"}]})
        )
    );
    let above = json!({"error": "reset_to (1.0) must be <= current spend (0.0)"});
    assert_eq!(refused(json!({"reset_to": 1})).await, detail(400, above));
    assert_eq!(refused(json!({})).await.0, 422);
    assert_eq!(refused(json!({"reset_to": "much"})).await.0, 422);
    let unknown = master
        .post("/key/sk-nope/reset_spend", json!({"reset_to": 0}))
        .await;
    assert_eq!(unknown.status, 404);
    assert_eq!(
        reset(&master, &key, json!({"reset_to": 0})).await.ok()["previous_spend"],
        0.0
    );
}

on_both!(admins_of_the_proxy_and_of_the_team_set_back, who_may);
async fn who_may(database: Database) {
    let api = Api::start(database).await;
    let (admin, owner) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": owner.id}]);
    let permissions = json!(["/key/update", "/key/delete", "/key/regenerate"]);
    let team = json!({"members_with_roles": members, "team_member_permissions": permissions});
    let team = api.master().post("/team/new", team).await.ok();
    let key = json!({"team_id": team["team_id"], "user_id": owner.id});
    let key = api.master().new_key(key).await;
    let ask = json!({"reset_to": 0});
    let message = format!(
        "Only proxy admins, team admins, or org admins can call /key/{{key}}/reset_spend. user_role=internal_user, user_id={}",
        owner.id
    );
    assert_eq!(
        reset(&owner.client, &key, ask.clone()).await.refused(),
        detail(403, json!({ "error": message }))
    );
    reset(&admin.client, &key, ask).await.ok();
}

on_both!(
    further_windows_of_a_key_that_is_set_back_begin_at_nothing,
    windows
);
async fn windows(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let limits = json!([{"budget_duration": "1d", "max_budget": 5}, {"budget_duration": "30d", "max_budget": 50}]);
    let key = json!({"max_budget": 100, "budget_limits": limits});
    let key = master.new_key(key).await;
    let known = at_the_gateway(&api, &key).await;
    let mut worker = Worker::new(&api.redis);
    worker.request(&known, 5_000_000_000).await;
    let health = &api.service.app().health;
    health.wait_for(|report| report.drained == 1).await;
    let (denied, _) = worker.admit(&known, 1).await;
    assert!(format!("{denied:?}").contains("Denied"), "{denied:?}");

    let answer = reset(&master, &key, json!({"reset_to": 2})).await;
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    assert_has(&answer.ok(), &json!({"spend": 2.0, "previous_spend": 5.0}));
    let store = &api.database.store;
    let left = "SELECT CAST(SUM(spent) AS BIGINT) FROM spend_scopes WHERE kind = 'scope'";
    assert_eq!(number(store, left).await, 0);
    let ever = "SELECT CAST(SUM(total) AS BIGINT) FROM spend_scopes WHERE kind = 'scope'";
    assert_eq!(number(store, ever).await, 10_000_000_000);
    // The whole day's budget is there again, and no more than it.
    let (denied, _) = worker.admit(&known, 5_000_000_001).await;
    assert!(format!("{denied:?}").contains("Denied"), "{denied:?}");
    worker.admitted(&known, 5_000_000_000).await;
}

async fn reset_member(client: &Client, user: &str, body: Value) -> super::clients::Answer {
    let path = format!("/team/t/member/{user}/reset_spend");
    client.post(&path, body).await
}

on_both!(what_a_member_has_spent_in_a_team_is_set_back, of_member);
async fn of_member(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (admin, member, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let team = json!({"team_id": "t", "members_with_roles": members, "team_member_budget": 10});
    master.post("/team/new", team).await.ok();
    let key = json!({"team_id": "t", "user_id": member.id});
    let key = master.new_key(key).await;
    let known = at_the_gateway(&api, &key).await;
    let mut worker = Worker::new(&api.redis);
    worker.request(&known, 6_000_000_000).await;
    let health = &api.service.app().health;
    health.wait_for(|report| report.drained == 1).await;

    let ask = json!({"reset_to": 1.5});
    for stranger in [&member, &other] {
        let refused = reset_member(&stranger.client, &member.id, ask.clone()).await;
        assert_eq!(refused.status, 403);
    }
    let above = json!({"error": "reset_to (7.0) must be <= current spend (6.0)"});
    assert_eq!(
        reset_member(&admin.client, &member.id, json!({"reset_to": 7}))
            .await
            .refused(),
        detail(400, above)
    );
    let answer = reset_member(&admin.client, &member.id, ask.clone()).await;
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    assert_eq!(
        answer.ok(),
        json!({"team_id": "t", "user_id": member.id, "spend": 1.5, "previous_spend": 6.0, "max_budget": 10.0})
    );
    let info = master.get("/team/info?team_id=t").await.ok();
    let memberships = info["team_memberships"].as_array().unwrap();
    let shown = memberships
        .iter()
        .find(|found| found["user_id"] == member.id.as_str());
    assert_has(shown.unwrap(), &json!({"spend": 1.5, "total_spend": 6.0}));
    // The team's and the key's own spend stays.
    assert_eq!(info["team_info"]["spend"], 6.0);
    let audited = "SELECT COUNT(*) FROM audit_log WHERE table_name = 'LiteLLM_TeamMembership' \
                   AND updated_values = '{\"spend\":1500000000}'";
    assert_eq!(number(&api.database.store, audited).await, 1);
    let (denied, _) = worker.admit(&known, 8_500_000_001).await;
    assert!(format!("{denied:?}").contains("Denied"), "{denied:?}");
    worker.admitted(&known, 8_500_000_000).await;

    let missing = json!({"error": "User not found in team"});
    assert_eq!(
        reset_member(&master, &other.id, ask.clone())
            .await
            .refused(),
        detail(400, missing)
    );
    let nowhere = format!("/team/nope/member/{}/reset_spend", member.id);
    assert_eq!(master.post(&nowhere, ask).await.status, 404);
}

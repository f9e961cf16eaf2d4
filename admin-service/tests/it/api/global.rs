//! What everybody spent together, on a clock that stands at 2026-11-24.

use serde_json::{Value, json};

use super::clients::{Api, detail, error, text};
use super::spend::{DAYS, World, number};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::{self, run};

on_both!(sums_of_all_are_exact_and_agree, sums);
async fn sums(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let get = |path: &'static str| {
        let master = master.clone();
        async move { master.get(path).await.ok() }
    };
    assert_eq!(
        get("/global/spend").await,
        json!({"spend": number("2.001500001"), "max_budget": number("0.0")})
    );
    assert_eq!(
        get("/global/spend/logs").await,
        json!([
            {"date": "2026-11-22", "spend": number("0.0015")},
            {"date": "2026-11-23", "spend": number("2.000000001")},
        ])
    );
    let of_key = format!("/global/spend/logs?api_key={}", text(&world.own, "key"));
    assert_eq!(
        master.get(&of_key).await.ok()[1],
        json!({"date": "2026-11-23", "spend": number("0.000000001")})
    );
    let keys = get("/global/spend/keys?limit=1").await;
    assert_eq!(
        keys,
        json!([{
            "api_key": world.shared["token"], "key_alias": "=shared",
            "key_name": world.shared["key_name"], "total_spend": number("2.0"),
        }])
    );
    assert_eq!(get("/global/spend/keys").await.as_array().unwrap().len(), 2);
    assert_eq!(
        get("/global/spend/models").await,
        json!([
            {"model": "gpt-4o", "total_spend": number("2.0015")},
            {"model": "gpt-4o-mini", "total_spend": number("0.000000001")},
        ])
    );
    let provider = format!("/global/spend/provider?{DAYS}");
    assert_eq!(
        master.get(&provider).await.ok(),
        json!([{"provider": "openai", "spend": number("2.001500001")}])
    );
    assert_eq!(
        get("/global/spend/teams").await,
        json!({
            "daily_spend": [
                {"date": "2026-11-22", "Unassigned": number("0.0015")},
                {"date": "2026-11-23", "Unassigned": number("0.000000001"), "ops": number("2.0")},
            ],
            "teams": ["ops", "Unassigned"],
            "total_spend_per_team": [
                {"team_id": "ops", "total_spend": number("2.0")},
                {"team_id": "Unassigned", "total_spend": number("0.001500001")},
            ],
        })
    );
    assert_eq!(
        master.post("/global/spend/end_users", json!({})).await.ok(),
        json!([
            {"end_user": "c1", "total_count": 1, "total_spend": number("2.0")},
            {"end_user": null, "total_count": 3, "total_spend": number("0.001500001")},
        ])
    );
    let of_key = json!({"api_key": world.own["token"]});
    assert_eq!(
        master.post("/global/spend/end_users", of_key).await.ok(),
        json!([{"end_user": null, "total_count": 2, "total_spend": number("0.001500001")}])
    );
    let tags = format!("/global/spend/tags?{DAYS}&tags=red");
    assert_eq!(
        master.get(&tags).await.ok(),
        json!({"spend_per_tag": [{"name": "red", "spend": number("0.001500001"), "log_count": 2}]})
    );
    assert_eq!(
        master.get("/global/spend/tags").await.refused(),
        error(
            400,
            "bad_request",
            None,
            "Please provide start_date and end_date"
        )
    );
    assert_eq!(
        get("/global/spend/all_tag_names").await,
        json!({"tag_names": ["blue", "red"]})
    );
}

on_both!(the_report_groups_by_day_and_team_or_customer, report);
async fn report(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let by_team = master
        .get(&format!("/global/spend/report?{DAYS}"))
        .await
        .ok();
    assert_eq!(
        by_team,
        json!([{
            "group_by_day": "2026-11-23T00:00:00+00:00",
            "teams": [{
                "team_name": "ops", "total_spend": number("2.0"),
                "metadata": [{"model": "gpt-4o", "spend": number("2.0"), "total_tokens": 30, "api_key": world.shared["token"]}],
            }],
        }])
    );
    let by_customer = format!("/global/spend/report?{DAYS}&group_by=customer");
    let by_customer = master.get(&by_customer).await.ok();
    assert_eq!(by_customer[0]["customers"][0]["customer"], "c1");
    let of_user = format!(
        "/global/spend/report?{DAYS}&internal_user_id={}",
        world.ada_id
    );
    assert_eq!(
        master.get(&of_user).await.ok()[0]["total_cost"],
        number("0.001500001")
    );
    assert_eq!(
        master
            .get("/global/spend/report?group_by=team")
            .await
            .refused(),
        detail(
            400,
            json!({"error": "Please provide start_date and end_date"})
        )
    );
    let wrong = format!("/global/spend/report?{DAYS}&group_by=planet");
    assert_eq!(master.get(&wrong).await.refused().0, 400);
}

on_both!(
    a_key_with_the_permission_reads_what_everybody_spent,
    permitted
);
async fn permitted(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let key = json!({"user_id": world.ada_id, "permissions": {"get_spend_routes": true}});
    let key = master.new_key(key).await;
    let reader = world.api.client(Some(text(&key, "key")));
    assert_eq!(
        reader.get("/global/spend").await.ok()["spend"],
        number("2.001500001")
    );
    assert_eq!(
        reader
            .get("/global/spend/keys")
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(world.ada.get("/global/spend").await.refused().0, 401);
    // It opens these routes alone.
    assert_eq!(
        reader.get("/customer/daily/activity").await.refused().0,
        401
    );
    let no = json!({"user_id": world.ada_id, "permissions": {"get_spend_routes": false}});
    let no = master.new_key(no).await;
    let no = world.api.client(Some(text(&no, "key")));
    assert_eq!(no.get("/global/spend").await.refused().0, 401);
}

on_both!(activity_counts_requests_tokens_and_failures, activity);
async fn activity(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let get = |path: &str| {
        let (master, path) = (master.clone(), format!("{path}?{DAYS}"));
        async move { master.get(&path).await.ok() }
    };
    assert_eq!(
        get("/global/activity").await,
        json!({
            "daily_data": [
                {"date": "Nov 22", "api_requests": 1, "total_tokens": 30},
                {"date": "Nov 23", "api_requests": 3, "total_tokens": 70},
            ],
            "sum_api_requests": 4, "sum_total_tokens": 100,
        })
    );
    let own = world
        .ada
        .get(&format!("/global/activity?{DAYS}"))
        .await
        .ok();
    assert_eq!(
        (&own["sum_api_requests"], &own["sum_total_tokens"]),
        (&json!(2), &json!(70))
    );
    let models = get("/global/activity/model").await;
    assert_eq!(
        models[1],
        json!({
            "model": "mini",
            "daily_data": [{"model_group": "mini", "date": "Nov 23", "api_requests": 1, "total_tokens": 40}],
            "sum_api_requests": 1, "sum_total_tokens": 40,
        })
    );
    assert_eq!(
        get("/global/activity/exceptions").await,
        json!({
            "daily_data": [{"date": "Nov 23", "num_rate_limit_exceptions": 1, "num_exceptions": 1}],
            "sum_num_rate_limit_exceptions": 1, "sum_num_exceptions": 1,
        })
    );
    assert_eq!(
        get("/global/activity/cache_hits").await,
        json!({
            "groups": [{
                "call_type": "acompletion", "api_requests": 3, "cache_hits": 1, "failed_requests": 1,
                "cached_completion_tokens": 0, "generated_completion_tokens": 60, "cached_prompt_tokens": 7,
            }],
            "totals": {
                "api_requests": 3, "cache_hits": 1, "failed_requests": 1, "cached_completion_tokens": 0,
                "cached_prompt_tokens": 7, "cache_hit_ratio": number("0.3333"),
            },
            "filter_options": {"key_aliases": ["=shared", "ada's"], "models": ["gpt-4o", "mini"]},
            "error_breakdown": [
                {"call_type": "acompletion", "error_code": "429", "error_class": "RateLimitError", "count": 1},
            ],
        })
    );
    let filtered = format!(
        "/global/activity/cache_hits?{DAYS}&models=mini&api_keys={}",
        text(&world.own, "token")
    );
    let filtered = master.get(&filtered).await.ok();
    assert_eq!(filtered["totals"]["api_requests"], 1);
    assert_eq!(filtered["error_breakdown"], json!([]));
    let own: Value = world
        .ada
        .get(&format!("/global/activity/cache_hits?{DAYS}"))
        .await
        .ok();
    assert_eq!(own["totals"]["failed_requests"], 0);
    assert_eq!(own["error_breakdown"], json!([]));
}

on_both!(only_the_master_key_sets_everything_back, reset);
async fn reset(database: Database) {
    let world = World::build(database).await;
    let admin = world.api.person("proxy_admin").await;
    let said = "Authentication Error, Tried to access route=/global/spend/reset, which is only for MASTER KEY";
    for client in [&world.ada, &admin.client] {
        assert_eq!(
            client
                .post("/global/spend/reset", json!({}))
                .await
                .refused(),
            error(401, "auth_error", None, said)
        );
    }
    let store = &world.api.database.store;
    let spent = "SELECT CAST(SUM(spent) AS BIGINT) FROM spend_scopes WHERE kind IN ('key', 'team')";
    assert_eq!(rows::number(store, spent).await, 4_001_500_001);
    let done = world
        .api
        .master()
        .post("/global/spend/reset", json!({"team_id": world.team}))
        .await;
    // It is not of one team: whoever thinks so is told.
    assert_eq!(done.header("x-tollkeeper-ignored-fields"), Some("team_id"));
    assert_eq!(
        done.ok(),
        json!({"message": "Spend for all API Keys and Teams reset successfully", "status": "success"})
    );
    assert_eq!(rows::number(store, spent).await, 0);
    // What was ever spent, what users spent and every report stay.
    for (sum, expected) in [
        (
            "SELECT CAST(SUM(total) AS BIGINT) FROM spend_scopes WHERE kind = 'key'",
            2_001_500_001,
        ),
        (
            "SELECT CAST(SUM(spent) AS BIGINT) FROM spend_scopes WHERE kind = 'user'",
            2_001_500_001,
        ),
        ("SELECT COUNT(*) FROM audit_log WHERE object_id = '*'", 2),
    ] {
        assert_eq!(rows::number(store, sum).await, expected, "{sum}");
    }
    assert_eq!(
        world.api.master().get("/global/spend").await.ok()["spend"],
        number("2.001500001")
    );
}

/// `key-1` to `key-1100` of 600 users and a team; the i-th has spent i nano-dollars in one request.
const MANY: &str =
    "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i+1 FROM n WHERE i < 1100) ";
const GROUP: &str = "date, api_key, model, model_group, custom_llm_provider, endpoint, spend, prompt_tokens, completion_tokens, \
     cache_read_input_tokens, cache_creation_input_tokens, cache_hits, api_requests, successful_requests, failed_requests, \
     total_response_time_ms, timed_requests";
const ROW: &str = "'2026-11-20', 'key-' || i, 'm', 'm', 'openai', '/chat/completions', i, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1 FROM n";
const OVER_KEYS: &str = "'2026-11-20', 'm', 'm', 'openai', '/chat/completions', SUM(i), 1100, 1100, 0, 0, 0, 1100, 1100, 0, 1100, 1100 FROM n";

on_both!(
    reports_of_everybody_are_exact_beyond_the_keys_that_they_name,
    beyond
);
async fn beyond(database: Database) {
    const DAY: &str = "start_date=2026-11-20&end_date=2026-11-20";
    let api = Api::start(database).await;
    let group = GROUP.replace("api_key, ", "");
    for statement in [
        format!(
            "{MANY} INSERT INTO daily_user_spend (user_id, {GROUP}) SELECT 'user-' || (i % 600), {ROW}"
        ),
        format!("{MANY} INSERT INTO daily_team_spend (team_id, {GROUP}) SELECT 'team', {ROW}"),
        format!(
            "{MANY} INSERT INTO daily_spend (kind, entity_id, {group}) SELECT 'all', '', {OVER_KEYS}"
        ),
        format!(
            "{MANY} INSERT INTO daily_spend (kind, entity_id, {group}) SELECT 'team', 'team', {OVER_KEYS}"
        ),
        format!(
            "{MANY} INSERT INTO api_key_spend (api_key, spend, last_date) SELECT 'key-' || i, i, '2026-11-20' FROM n"
        ),
        format!(
            "{MANY} INSERT INTO spend_scopes (kind, object_id, partition_no, window_start_ms, spent, total, last_ms) \
             SELECT 'user', 'user-' || (i % 600), 0, 0, SUM(i), SUM(i), 1795132800000 FROM n GROUP BY i % 600"
        ),
    ] {
        run(&api.database.store, &statement).await;
    }
    let master = api.master();
    let all = number("0.00060555");
    let report = master.get(&format!("/global/spend/report?{DAY}")).await;
    let team = report.ok()[0]["teams"][0].clone();
    assert_eq!(team["total_spend"], all);
    let named = team["metadata"].as_array().unwrap();
    assert_eq!(named.len(), 500);
    assert!(
        named.iter().all(|key| key["api_key"] != "key-600"),
        "it spent less than five hundred others"
    );
    let day = master.get(&format!("/spend/logs?{DAY}")).await.ok();
    let day = day[0].as_object().unwrap();
    assert_eq!(day["spend"], all);
    assert_eq!(day["models"], json!({"m": all}));
    let keys = day.keys().filter(|name| name.starts_with("key-"));
    assert_eq!(keys.count(), 500);
    assert_eq!(day["key-601"], number("0.000000601"));
    assert_eq!(day["users"].as_object().unwrap().len(), 250);
    assert_eq!(day["users"]["user-500"], number("0.0000016"));
    let users = master.get(&format!("/user/spend/report?{DAY}")).await.ok();
    assert_eq!(users.as_array().unwrap().len(), 250);
    assert_eq!(users[0]["user_id"], "user-500");
    assert_eq!(users[0]["total_cost"], number("0.0000016"));

    for user in ["user-1", "user-500", "user-2"] {
        let body = json!({"user_id": user, "auto_create_key": false});
        master.post("/user/new", body).await.ok();
    }
    let list = master.get("/user/list?sort_by=spend&sort_order=desc").await;
    let ids: Vec<Value> = list.ok()["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["user_id"].clone())
        .collect();
    assert_eq!(
        ids[..3],
        [json!("user-500"), json!("user-2"), json!("user-1")]
    );
    the_keys_that_spent_most(&api).await;
}

/// A key that spent most on another day is first only where that day counts.
async fn the_keys_that_spent_most(api: &Api) {
    let group = GROUP.replace("api_key, ", "");
    let sums = "'m', 'm', 'openai', '/chat/completions', 1000000, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1";
    for statement in [
        format!(
            "INSERT INTO daily_user_spend (user_id, {GROUP}) VALUES ('user-1', '2026-09-01', 'key-1', {sums})"
        ),
        format!(
            "INSERT INTO daily_spend (kind, entity_id, {group}) VALUES ('all', '', '2026-09-01', {sums})"
        ),
        "UPDATE api_key_spend SET spend = spend + 1000000 WHERE api_key = 'key-1'".to_owned(),
    ] {
        run(&api.database.store, &statement).await;
    }
    for (first, key) in [("2026-11-20", "key-1100"), ("2026-09-01", "key-1")] {
        let path = format!(
            "/user/daily/activity/aggregated?start_date={first}&end_date=2026-11-20&api_key_limit=1"
        );
        let shown = api.master().get(&path).await.ok();
        let keys = &shown["results"][0]["breakdown"]["api_keys"];
        let keys: Vec<&String> = keys.as_object().unwrap().keys().collect();
        assert_eq!(keys, [key], "{path}");
    }
}

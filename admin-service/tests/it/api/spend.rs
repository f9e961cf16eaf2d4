//! The spend log, its pages, and what keys, users and tags spent.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::store::spend::compare_totals;

use super::clients::{Api, Client, ONE_MODEL, detail, error, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows;
use crate::support::stream::Request;

/// 2026-11-23 12:00:00 UTC.
pub const NOON: u64 = 1_795_435_200_000;
const DAY: u64 = 86_400_000;
pub const DAYS: &str = "start_date=2026-11-22&end_date=2026-11-24";

/// Accounts for what customers and tags had spent before it was accounted for.
const MIGRATION: &str = include_str!("../../../migrations/0065_tallies.sql");

/// Two users with a key each, a team that both are in, and what they asked.
pub struct World {
    pub api: Api,
    pub ada: Client,
    pub ada_id: String,
    pub bob: Client,
    pub bob_id: String,
    /// Ada's own key.
    pub own: Value,
    /// Bob's key of the team.
    pub shared: Value,
    pub team: String,
}

impl World {
    /// - 22 November: Ada 0.0015 $ on gpt-4o, tag `red`.
    /// - 23 November: Ada 0.000000001 $ on mini with a prompt cache, tags `red` and `blue`; Bob for customer `c1` in the team 2 $, and a failure.
    pub async fn build(database: Database) -> Self {
        // The day after, whenever this runs.
        let clock = Clock::manual((NOON + DAY) * 1_000);
        let api = Api::configured(database, ONE_MODEL, clock).await;
        let master = api.master();
        let (ada, bob) = (
            api.person("internal_user").await,
            api.person("internal_user").await,
        );
        let members =
            json!([{"role": "user", "user_id": ada.id}, {"role": "user", "user_id": bob.id}]);
        let team = json!({"team_alias": "ops", "members_with_roles": members});
        let team = master.post("/team/new", team).await.ok();
        let team = text(&team, "team_id").to_owned();
        let own = json!({"user_id": ada.id, "key_alias": "ada's"});
        let own = master.new_key(own).await;
        let shared = json!({"user_id": bob.id, "team_id": team, "key_alias": "=shared"});
        let shared = master.new_key(shared).await;
        let world = Self {
            ada: ada.client,
            ada_id: ada.id,
            bob: bob.client,
            bob_id: bob.id,
            own,
            shared,
            team,
            api,
        };
        world.spend().await;
        world
    }

    async fn spend(&self) {
        let requests = [
            Request::of(1, &self.own, NOON - DAY, 1_500_000).with(|body| {
                body.tags = vec!["red".to_owned()];
            }),
            Request::of(2, &self.own, NOON, 1).with(|body| {
                "gpt-4o-mini".clone_into(&mut body.model);
                "mini".clone_into(&mut body.model_group);
                body.usage.cache_read = 7;
                body.usage.cache_write = 3;
                body.tags = vec!["red".to_owned(), "blue".to_owned(), "red".to_owned()];
            }),
            Request::of(3, &self.shared, NOON + 1, 2_000_000_000).with(|body| {
                body.end_user = Some("c1".to_owned());
            }),
            Request::of(4, &self.shared, NOON + 2, 0).with(|body| {
                body.status = 429;
                body.usage.input = 0;
                body.usage.output = 0;
            }),
        ];
        for request in &requests {
            request.put(&self.api.redis).await;
        }
        self.drained(4).await;
    }

    /// Waits until so many events are in the database.
    pub async fn drained(&self, events: u64) {
        let health = &self.api.service.app().health;
        health.wait_for(|report| report.drained >= events).await;
    }
}

/// A number with exactly these digits.
pub fn number(digits: &str) -> Value {
    serde_json::from_str(digits).expect("a number")
}

fn ids(page: &Value) -> Vec<&str> {
    let rows = page["data"].as_array().expect("rows");
    rows.iter().map(|row| text(row, "request_id")).collect()
}

on_both!(the_log_is_filtered_by_what_a_request_is, filters);
async fn filters(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let page = |query: String| {
        let master = master.clone();
        async move {
            let path = format!("/spend/logs/v2?{DAYS}&{query}");
            master.get(&path).await.ok()
        }
    };
    let token = text(&world.own, "token");
    for (filter, expected) in [
        (format!("api_key={token}"), vec!["chatcmpl-2", "chatcmpl-1"]),
        (
            format!("user_id={}", world.bob_id),
            vec!["chatcmpl-4", "chatcmpl-3"],
        ),
        (
            format!("team_id={}", world.team),
            vec!["chatcmpl-4", "chatcmpl-3"],
        ),
        ("end_user=c1".to_owned(), vec!["chatcmpl-3"]),
        ("model=gpt-4o-mini".to_owned(), vec!["chatcmpl-2"]),
        ("model_group=mini".to_owned(), vec!["chatcmpl-2"]),
        (
            "key_alias=ada%27s".to_owned(),
            vec!["chatcmpl-2", "chatcmpl-1"],
        ),
        ("status_filter=failure".to_owned(), vec!["chatcmpl-4"]),
        (
            "status_filter=success&min_spend=0.001".to_owned(),
            vec!["chatcmpl-3", "chatcmpl-1"],
        ),
        (
            "max_spend=0.000000001".to_owned(),
            vec!["chatcmpl-4", "chatcmpl-2"],
        ),
        ("error_code=429".to_owned(), vec!["chatcmpl-4"]),
        ("request_id=chatcmpl-2".to_owned(), vec!["chatcmpl-2"]),
        ("search=c1".to_owned(), vec!["chatcmpl-3"]),
        ("session_id=s".to_owned(), vec![]),
        ("cache_hit_filter=true".to_owned(), vec![]),
    ] {
        let found = page(filter.clone()).await;
        assert_eq!(ids(&found), expected, "{filter}");
        assert_eq!(found["total"], expected.len(), "{filter}");
    }
}

on_both!(pages_of_the_log_are_sorted_and_counted, pages);
async fn pages(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let page = |query: String| {
        let master = master.clone();
        async move {
            master
                .get(&format!("/spend/logs/v2?{DAYS}&{query}"))
                .await
                .ok()
        }
    };
    let all = page(String::new()).await;
    assert_eq!(
        ids(&all),
        ["chatcmpl-4", "chatcmpl-3", "chatcmpl-2", "chatcmpl-1"]
    );
    assert_eq!(
        (
            &all["total"],
            &all["page"],
            &all["page_size"],
            &all["total_pages"],
            &all["total_is_capped"]
        ),
        (&json!(4), &json!(1), &json!(50), &json!(1), &json!(false))
    );
    let second = page("page=2&page_size=3".to_owned()).await;
    assert_eq!(
        (ids(&second), &second["total_pages"]),
        (vec!["chatcmpl-1"], &json!(2))
    );
    let dearest = page("sort_by=spend&sort_order=desc&page_size=1".to_owned()).await;
    assert_eq!(ids(&dearest), ["chatcmpl-3"]);
    let oldest = page("sort_order=asc&page_size=1".to_owned()).await;
    assert_eq!(ids(&oldest), ["chatcmpl-1"]);
    let hour = "start_date=2026-11-23%2012:00:00&end_date=2026-11-23%2012:00:00";
    let hour = master.get(&format!("/spend/logs/v2?{hour}")).await.ok();
    assert_eq!(ids(&hour), ["chatcmpl-2"]);
    assert_eq!(
        hour["data"][0]["startTime"],
        "2026-11-23T12:00:00.000+00:00"
    );
    assert!(hour["data"][0].get("messages").is_none());
    let sessions = master
        .get(&format!("/spend/logs/ui?{DAYS}&page_size=1"))
        .await
        .ok();
    assert_eq!(sessions["data"][0]["session_total_count"], 1);
    assert_eq!(
        master
            .get("/spend/logs/v2?start_date=2026-11-23")
            .await
            .refused(),
        error(
            400,
            "bad_request",
            None,
            "Please provide start_date and end_date"
        )
    );
    for wrong in ["min_spend=x", "sort_by=nonsense", "error_code=x", "page=0"] {
        let status = master
            .get(&format!("/spend/logs/v2?{DAYS}&{wrong}"))
            .await
            .status;
        assert!(matches!(status.as_u16(), 400 | 422), "{wrong}: {status}");
    }
}

on_both!(the_log_without_pages_tells_where_it_ends, truncated);
async fn truncated(database: Database) {
    let world = World::build(database).await;
    // The day of one request is given 9,999 more: exactly as many as are shown.
    let columns = "version, partition_no, settled_ms, admitted_ms, duration_ms, request_id, call_type, api_key, key_id, user_id, team_id, \
                   organization_id, end_user, model, model_group, custom_llm_provider, http_status, exact, spend, prompt_tokens, \
                   completion_tokens, token_kinds, request_tags, requester_ip_address, windows, charged";
    let copies = format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         INSERT INTO spend_logs (event_id, {columns}) \
         SELECT 'f00000000000000' || (10000000000000000 + i), {columns} FROM spend_logs, n WHERE request_id = 'chatcmpl-1'"
    );
    rows::run(&world.api.database.store, &copies).await;
    let told = "x-tollkeeper-truncated";
    let day = "/spend/logs?start_date=2026-11-22&end_date=2026-11-22&summarize=false";
    let whole = world.ada.get(day).await;
    assert_eq!(whole.header(told), None);
    assert_eq!(whole.ok().as_array().unwrap().len(), 10_000);
    let cut = world.ada.get("/spend/logs").await;
    assert_eq!(cut.header(told), Some("10000"));
    let cut = cut.ok();
    assert_eq!(cut.as_array().unwrap().len(), 10_000);
    assert_eq!(
        text(&cut[0], "request_id"),
        "chatcmpl-2",
        "the newest are shown"
    );
    // What it leaves out is on the pages.
    let last = format!("/spend/logs/v2?{DAYS}&page=11&page_size=1000");
    assert_eq!(ids(&world.ada.get(&last).await.ok()), ["chatcmpl-1"]);
    let few = world.bob.get("/spend/logs").await;
    assert_eq!(few.header(told), None);
    assert_eq!(few.ok().as_array().unwrap().len(), 2);
}

on_both!(
    a_customer_and_a_tag_that_are_deleted_begin_anew_and_the_ledger_agrees,
    anew
);
async fn anew(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let store = &world.api.database.store;
    let agrees = async || assert_eq!(compare_totals(store).await.unwrap(), []);
    agrees().await;
    let customer = json!({"user_ids": ["c1"]});
    master.post("/customer/delete", customer).await.ok();
    let tag = json!({"name": "red"});
    master.post("/tag/delete", tag).await.ok();
    agrees().await;
    let again = Request::of(9, &world.own, NOON, 5).with(|body| {
        body.end_user = Some("c1".to_owned());
        body.tags = vec!["red".to_owned()];
    });
    again.put(&world.api.redis).await;
    world.drained(5).await;
    for spent in [
        "SELECT spend FROM customers WHERE user_id = 'c1'",
        "SELECT spend FROM tags WHERE tag_name = 'red'",
    ] {
        assert_eq!(rows::number(store, spent).await, 5, "{spent}");
    }
    agrees().await;
    // A database that was deleted from before this was accounted for comes to agree when it is brought up to date.
    let unaccounted = "DELETE FROM spend_without_rows WHERE kind IN ('customers', 'tags')";
    rows::run(store, unaccounted).await;
    assert_eq!(compare_totals(store).await.unwrap().len(), 2);
    for statement in MIGRATION.trim_end().trim_end_matches(';').split(';') {
        rows::run(store, statement).await;
    }
    agrees().await;
}

on_both!(
    of_the_log_everybody_sees_their_own_and_team_admins_their_teams,
    seen
);
async fn seen(database: Database) {
    let world = World::build(database).await;
    let pages = format!("/spend/logs/v2?{DAYS}");
    let own = world.ada.get(&pages).await.ok();
    assert_eq!(ids(&own), ["chatcmpl-2", "chatcmpl-1"]);
    let of_bob = format!("{pages}&user_id={}", world.bob_id);
    assert_eq!(ids(&world.ada.get(&of_bob).await.ok()), [""; 0]);
    // A member sees their own part of the team, its admin all of it, and so do members whom the team lets.
    let of_team = format!("{pages}&team_id={}", world.team);
    assert_eq!(ids(&world.ada.get(&of_team).await.ok()), [""; 0]);
    let one = "/spend/logs/ui/chatcmpl-3";
    assert_eq!(world.ada.get(one).await.refused().0, 404);
    assert_eq!(
        text(&world.bob.get(one).await.ok(), "request_id"),
        "chatcmpl-3"
    );
    let lead = world.api.person("internal_user").await;
    let member = json!({"team_id": world.team, "member": {"role": "admin", "user_id": lead.id}});
    world
        .api
        .master()
        .post("/team/member_add", member)
        .await
        .ok();
    assert_eq!(
        ids(&lead.client.get(&of_team).await.ok()),
        ["chatcmpl-4", "chatcmpl-3"]
    );
    assert_eq!(
        text(&lead.client.get(one).await.ok(), "team_id"),
        world.team
    );
    // A key without user sees what it spent itself.
    let lone = world.api.master().new_key(json!({})).await;
    Request::of(9, &lone, NOON, 5).put(&world.api.redis).await;
    world.drained(5).await;
    let lone = world.api.client(Some(text(&lone, "key")));
    assert_eq!(ids(&lone.get(&pages).await.ok()), ["chatcmpl-9"]);
}

on_both!(keys_users_and_tags_are_listed_by_what_they_spent, lists);
async fn lists(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let tags = master.get("/spend/tags").await.ok();
    assert_eq!(
        tags,
        json!([
            {"individual_request_tag": "red", "log_count": 2, "total_spend": number("0.001500001")},
            {"individual_request_tag": "blue", "log_count": 1, "total_spend": number("0.000000001")},
        ])
    );
    let days = "/spend/tags?start_date=2026-11-23&end_date=2026-11-23";
    let tags = master.get(days).await.ok();
    assert_eq!(
        (tags.as_array().unwrap().len(), &tags[0]["log_count"]),
        (2, &json!(1))
    );
    assert_eq!(world.bob.get("/spend/tags").await.ok(), json!([]));
    assert_eq!(
        world
            .ada
            .get("/spend/tags")
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let users = master.get("/spend/users").await.ok();
    assert_eq!(text(&users[0], "user_id"), world.bob_id);
    assert_eq!(users[0]["spend"], number("2.0"));
    assert_eq!(users[1]["spend"], number("0.001500001"));
    let one = format!("/spend/users?user_id={}", world.ada_id);
    let one = master.get(&one).await.ok();
    assert_eq!(
        (one.as_array().unwrap().len(), text(&one[0], "user_id")),
        (1, world.ada_id.as_str())
    );
    let own = world.ada.get("/spend/users").await.ok();
    assert_eq!(text(&own[0], "user_id"), world.ada_id);
    let other = format!("/spend/users?user_id={}", world.bob_id);
    assert_eq!(world.ada.get(&other).await.ok(), json!([]));

    let keys = master.get("/spend/keys?limit=2").await.ok();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    let own = world.ada.get("/spend/keys").await.ok();
    let own = own.as_array().unwrap();
    assert!(
        !own.is_empty()
            && own
                .iter()
                .all(|key| key["user_id"] == world.ada_id.as_str())
    );
}

on_both!(a_report_tells_what_one_spent_by_model, reports);
async fn reports(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let report = format!(
        "/user/spend/report?{DAYS}&internal_user_id={}",
        world.ada_id
    );
    let found = master.get(&report).await.ok();
    assert_eq!(
        found,
        json!([{
            "user_id": world.ada_id, "total_cost": number("0.001500001"),
            "total_input_tokens": 30, "total_output_tokens": 40,
            "model_details": [
                {"model": "gpt-4o", "total_cost": number("0.0015"), "total_input_tokens": 10, "total_output_tokens": 20},
                {"model": "gpt-4o-mini", "total_cost": number("0.000000001"), "total_input_tokens": 20, "total_output_tokens": 20},
            ],
        }])
    );
    assert_eq!(world.ada.get(&report).await.ok(), found);
    let all = master.get(&format!("/user/spend/report?{DAYS}")).await.ok();
    let users = all
        .as_array()
        .unwrap()
        .iter()
        .map(|user| text(user, "user_id"));
    assert_eq!(users.collect::<Vec<_>>(), [&world.bob_id, &world.ada_id]);
    assert_eq!(
        world.bob.get(&report).await.refused(),
        detail(
            403,
            json!({"error": "Non-admin users can only view their own spend data."})
        )
    );
    let key = format!(
        "/key/spend/report?{DAYS}&api_key={}",
        text(&world.shared, "token")
    );
    assert_eq!(master.get(&key).await.ok()[0]["total_cost"], number("2.0"));
    assert_eq!(
        world.bob.get(&key).await.ok()[0]["total_cost"],
        number("2.0")
    );
    assert_eq!(world.ada.get(&key).await.ok(), json!([]));
    let team = format!("/team/spend/report?{DAYS}&team_id={}", world.team);
    assert_eq!(master.get(&team).await.ok()[0]["total_cost"], number("2.0"));
    // Of the team a member sees their own part.
    assert_eq!(world.ada.get(&team).await.ok(), json!([]));
    assert_eq!(
        world.bob.get(&team).await.ok()[0]["total_cost"],
        number("2.0")
    );
    let stranger = world.api.person("internal_user").await.client;
    assert_eq!(stranger.get(&team).await.refused().0, 403);
    assert_eq!(
        master.get("/team/spend/report").await.refused(),
        error(
            400,
            "bad_request",
            None,
            "Please provide start_date and end_date"
        )
    );
}

on_both!(a_cost_is_calculated_from_messages_or_from_usage, calculated);
async fn calculated(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let calculate = |body: Value| {
        let master = master.clone();
        async move { master.post("/spend/calculate", body).await }
    };
    let hello = json!([{"role": "user", "content": "hello"}]);
    assert_eq!(
        calculate(json!({"model": "gpt-4o", "messages": hello}))
            .await
            .ok(),
        json!({"cost": number("0.00002")})
    );
    let usage = json!({
        "prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400},
    });
    let response = json!({"model": "gpt-4o", "usage": usage});
    // 600 × 2.5 µ$ + 400 × 1.25 µ$ + 100 × 10 µ$.
    assert_eq!(
        calculate(json!({"completion_response": response}))
            .await
            .ok(),
        json!({"cost": number("0.003")})
    );
    let said = "Bad Request - messages must be provided if 'model' is provided";
    assert_eq!(
        calculate(json!({"model": "zzzz"})).await.refused(),
        error(400, "invalid_request_error", None, said)
    );
    let unknown = json!({"model": "zzzz", "messages": hello});
    assert_eq!(calculate(unknown).await.refused().0, 400);
    assert_eq!(calculate(json!({})).await.refused().0, 400);
    let user = api.person("internal_user").await.client;
    let asked = json!({"model": "gpt-4o", "messages": hello}).to_string();
    let told = user
        .call(Method::POST, "/spend/calculate", Some(&asked))
        .await;
    assert_eq!(told.ok(), json!({"cost": number("0.00002")}));
}

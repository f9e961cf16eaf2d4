//! Activity by day of users, teams, organizations, customers and tags.

use contract::id::OrganizationId;
use serde_json::{Value, json};

use super::clients::{assert_has, detail, text};
use super::spend::{DAYS, NOON, World, number};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::run;
use crate::support::stream::Request;

on_both!(a_day_has_its_sums_and_their_parts, parts);
async fn parts(database: Database) {
    let world = World::build(database).await;
    let path = format!("/user/daily/activity?{DAYS}");
    let all = world.api.master().get(&path).await.ok();
    let token = text(&world.own, "token").to_owned();
    assert_eq!(
        all["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|day| text(day, "date"))
            .collect::<Vec<_>>(),
        ["2026-11-23", "2026-11-22"]
    );
    let day = &all["results"][0];
    assert_eq!(
        day["metrics"],
        json!({
            "spend": number("2.000000001"), "flat_cost": 0.0, "ptu_hours": 0.0, "prompt_tokens": 30,
            "completion_tokens": 40, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3,
            "compression_saved_tokens": 0, "compression_savings_spend": 0.0,
            "prompt_caching_savings_spend": 0.0, "gateway_injected_caching_savings_spend": 0.0,
            "autorouter_savings_spend": 0.0, "total_tokens": 70, "successful_requests": 2,
            "failed_requests": 1, "api_requests": 3, "total_response_time_ms": 36, "timed_requests": 3,
        })
    );
    let breakdown = &day["breakdown"];
    assert_has(
        breakdown,
        &json!({
            "models": {"gpt-4o-mini": {"metrics": {"api_requests": 1}, "api_key_breakdown": {&token: {"metrics": {"spend": number("0.000000001")}}}}},
            "model_groups": {"mini": {"metrics": {"cache_read_input_tokens": 7}}, "gpt-4o": {"metrics": {"api_requests": 2}}},
            "providers": {"openai": {"metrics": {"spend": number("2.000000001")}}},
            "endpoints": {"/chat/completions": {"metrics": {"api_requests": 3}}},
            "api_keys": {&token: {"metrics": {"spend": number("0.000000001")}, "metadata": {"key_alias": "ada's"}}},
        }),
    );
    assert_eq!(breakdown["entities"], json!({}));
    assert_has(
        &all["metadata"],
        &json!({
            "total_spend": number("2.001500001"), "total_prompt_tokens": 40, "total_tokens": 100,
            "total_api_requests": 4, "total_successful_requests": 3, "total_failed_requests": 1,
            "total_response_time_ms": 48, "page": 1, "total_pages": 1, "has_more": false,
        }),
    );
    let whole = format!("/user/daily/activity/aggregated?{DAYS}");
    let whole = world.api.master().get(&whole).await.ok();
    assert_eq!(whole["results"], all["results"]);
    assert_eq!(whole["metadata"]["total_spend"], number("2.001500001"));
    assert_eq!(whole["metadata"]["total_api_keys"], 2);
    let dearest = format!("/user/daily/activity/aggregated?{DAYS}&api_key_limit=1");
    let dearest = world.api.master().get(&dearest).await.ok();
    let day = &dearest["results"][0];
    assert_eq!(day["metrics"]["spend"], number("2.000000001"));
    let keys = day["breakdown"]["api_keys"].as_object().unwrap();
    assert_eq!(
        keys.keys().collect::<Vec<_>>(),
        [text(&world.shared, "token")]
    );
    let of_model = format!("/user/daily/activity/aggregated?{DAYS}&model=mini");
    let of_model = world.api.master().get(&of_model).await.ok();
    assert_eq!(of_model["metadata"]["total_api_keys"], 1);
    assert_eq!(of_model["metadata"]["total_api_requests"], 1);
}

on_both!(pages_add_up_to_the_whole, pages);
async fn pages(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let (mut page, mut requests) = (1, 0);
    loop {
        let path = format!("/user/daily/activity?{DAYS}&page_size=1&page={page}");
        let found = master.get(&path).await.ok();
        requests += found["metadata"]["total_api_requests"].as_u64().unwrap();
        assert_eq!(found["metadata"]["total_pages"], 3);
        if found["metadata"]["has_more"] == json!(false) {
            break;
        }
        page += 1;
    }
    assert_eq!((page, requests), (3, 4));
    let filtered = format!(
        "/user/daily/activity?{DAYS}&model=mini&api_key={}",
        text(&world.own, "key")
    );
    let filtered = master.get(&filtered).await.ok();
    assert_eq!(filtered["metadata"]["total_api_requests"], 1);
}

on_both!(everybody_sees_what_they_may_of_it, scopes);
async fn scopes(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let requests = |answer: &Value| answer["metadata"]["total_api_requests"].as_u64().unwrap();
    for kind in ["activity", "activity/aggregated"] {
        let own = world
            .ada
            .get(&format!("/user/daily/{kind}?{DAYS}"))
            .await
            .ok();
        assert_eq!(requests(&own), 2, "{kind}");
        let named = format!("/user/daily/{kind}?{DAYS}&user_id={}", world.ada_id);
        assert_eq!(requests(&world.ada.get(&named).await.ok()), 2);
        assert_eq!(requests(&master.get(&named).await.ok()), 2);
        let other = format!("/user/daily/{kind}?{DAYS}&user_id={}", world.bob_id);
        assert_eq!(
            world.ada.get(&other).await.refused(),
            detail(
                403,
                json!({"error": "Non-admin users can only view their own spend data."})
            )
        );
        // Of a team: its admin and proxy admins all, a member their own part, others nothing.
        let team = format!("/team/daily/{kind}?{DAYS}&team_ids={}", world.team);
        let all = master.get(&team).await.ok();
        assert_eq!(requests(&all), 2);
        let entity = &all["results"][0]["breakdown"]["entities"][&world.team];
        assert_eq!(entity["metadata"], json!({"team_alias": "ops"}));
        assert_eq!(entity["metrics"]["spend"], number("2.0"));
        assert_eq!(requests(&world.bob.get(&team).await.ok()), 2);
        assert_eq!(requests(&world.ada.get(&team).await.ok()), 0);
        let without = format!("/team/daily/{kind}?{DAYS}&exclude_team_ids={}", world.team);
        assert_eq!(requests(&master.get(&without).await.ok()), 0);
        let stranger = world.api.person("internal_user").await.client;
        assert_eq!(stranger.get(&team).await.refused().0, 403);
        let nothing = stranger
            .get(&format!("/team/daily/{kind}?{DAYS}"))
            .await
            .ok();
        assert_eq!(requests(&nothing), 0);
        // Customers and tags.
        let customers = format!("/customer/daily/{kind}?{DAYS}&end_user_ids=c1,c2");
        let customers = master.get(&customers).await.ok();
        assert_eq!(requests(&customers), 1);
        assert_eq!(
            customers["results"][0]["breakdown"]["entities"]["c1"]["metrics"]["spend"],
            number("2.0")
        );
        assert_eq!(
            requests(
                &master
                    .get(&format!("/end_user/daily/{kind}?{DAYS}"))
                    .await
                    .ok()
            ),
            1
        );
        let tags = format!("/tag/daily/{kind}?{DAYS}&tags=red");
        assert_eq!(requests(&master.get(&tags).await.ok()), 2);
        assert_eq!(requests(&world.ada.get(&tags).await.ok()), 2);
        assert_eq!(requests(&world.bob.get(&tags).await.ok()), 0);
    }
    let lead = world.api.person("internal_user").await;
    let member = json!({"team_id": world.team, "member": {"role": "admin", "user_id": lead.id}});
    master.post("/team/member_add", member).await.ok();
    let team = format!("/team/daily/activity?{DAYS}");
    assert_eq!(requests(&lead.client.get(&team).await.ok()), 2);
    let lone = master.new_key(json!({})).await;
    Request::of(9, &lone, NOON, 5).put(&world.api.redis).await;
    world.drained(5).await;
    let lone = world.api.client(Some(text(&lone, "key")));
    let own = lone.get(&format!("/user/daily/activity?{DAYS}")).await.ok();
    assert_eq!(own["metadata"]["total_spend"], number("0.000000005"));
    for path in [
        "/user/daily/activity",
        "/team/daily/activity/aggregated",
        "/tag/daily/activity/export",
    ] {
        assert_eq!(
            master.get(path).await.refused(),
            detail(
                400,
                json!({"error": "Please provide start_date and end_date"})
            )
        );
    }
    let wrong = master
        .get("/user/daily/activity?start_date=x&end_date=2026-11-23")
        .await;
    assert_eq!(wrong.refused().0, 422);
}

on_both!(an_export_is_a_file_without_formulas, export);
async fn export(database: Database) {
    let world = World::build(database).await;
    let master = world.api.master();
    let path = format!("/team/daily/activity/export?{DAYS}");
    let answer = master.get(&path).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"team_daily_activity_2026-11-22_2026-11-24.csv\"")
    );
    let Value::String(file) = answer.body else {
        panic!("no text")
    };
    let lines = file.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("date,team_id,alias,api_key,key_alias,model,"));
    let expected = format!(
        "2026-11-23,{},ops,{},\"'=shared\",gpt-4o,gpt-4o,openai,/chat/completions,2.0,10,20,30,0,0,2,1,1",
        world.team,
        text(&world.shared, "token")
    );
    assert_eq!(lines[1], expected);
    let json_file = master
        .get(&format!("/user/daily/activity/export?{DAYS}&format=json"))
        .await
        .ok();
    assert_eq!(json_file.as_array().unwrap().len(), 3);
    assert_eq!(json_file[0]["metrics"]["spend"], number("0.0015"));
    let own = world
        .ada
        .get(&format!("/user/daily/activity/export?{DAYS}&format=json"))
        .await
        .ok();
    assert_eq!(own.as_array().unwrap().len(), 2);
    assert_eq!(
        master
            .get(&format!("/user/daily/activity/export?{DAYS}&format=xml"))
            .await
            .refused()
            .0,
        400
    );
}

on_both!(
    an_export_longer_than_one_part_has_every_row_once,
    long_export
);
async fn long_export(database: Database) {
    const ROWS: u64 = 2_500;
    let world = World::build(database).await;
    for id in 0..ROWS {
        let request = Request::of(100 + id, &world.own, NOON, 1);
        let request = request.with(|body| body.model = format!("m{id}"));
        request.put(&world.api.redis).await;
    }
    world.drained(4 + ROWS).await;
    let path = format!(
        "/user/daily/activity/export?{DAYS}&user_id={}&format=json",
        world.ada_id
    );
    let rows = world.api.master().get(&path).await.ok();
    let models = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(row, "model"));
    let models = models.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(models.len(), 2_502);
    assert_eq!(rows.as_array().unwrap().len(), 2_502);
}

on_both!(an_organization_is_seen_by_its_admins, organizations);
async fn organizations(database: Database) {
    let world = World::build(database).await;
    let store = &world.api.database.store;
    run(
        store,
        "INSERT INTO organizations (organization_id, rev, organization_alias, budget_id, models, metadata, extra, \
         created_at, created_by, updated_at, updated_by) VALUES ('acme', 1, 'Acme', 'b', '[]', '{}', '{}', 1, 'x', 1, 'x')",
    )
    .await;
    let member = format!(
        "INSERT INTO organization_members (organization_id, user_id, user_role, created_at, updated_at) \
         VALUES ('acme', '{}', 'org_admin', 1, 1)",
        world.ada_id
    );
    run(store, &member).await;
    let team = format!(
        "UPDATE teams SET organization_id = 'acme' WHERE team_id = '{}'",
        world.team
    );
    run(store, &team).await;
    let request = Request::of(9, &world.shared, NOON, 7);
    let request = request.with(|body| body.organization = Some(OrganizationId::new("acme")));
    request.put(&world.api.redis).await;
    world.drained(5).await;
    for kind in ["activity", "activity/aggregated"] {
        let path = format!("/organization/daily/{kind}?{DAYS}");
        for who in [&world.ada, &world.api.master()] {
            let found = who.get(&path).await.ok();
            assert_eq!(found["metadata"]["total_spend"], number("0.000000007"));
            let acme = &found["results"][0]["breakdown"]["entities"]["acme"];
            assert_eq!(acme["metadata"], json!({"organization_alias": "Acme"}));
        }
        let named = format!("{path}&organization_ids=acme");
        assert_eq!(world.ada.get(&named).await.status, 200);
        assert_eq!(world.bob.get(&named).await.refused().0, 403);
        let nothing = world.bob.get(&path).await.ok();
        assert_eq!(nothing["metadata"]["total_api_requests"], 0);
        // The teams of an organization are its admin's to see, whole.
        let team = format!("/team/daily/{kind}?{DAYS}&team_ids={}", world.team);
        let team = world.ada.get(&team).await.ok();
        assert_eq!(team["metadata"]["total_api_requests"], 3);
    }
    let logs = format!("/spend/logs/v2?{DAYS}&team_id={}", world.team);
    assert_eq!(world.ada.get(&logs).await.ok()["total"], 3);
    let report = format!("/organization/spend/report?{DAYS}");
    let report = world.ada.get(&report).await.ok();
    assert_eq!(report[0]["organization_id"], "acme");
}

on_both!(every_tag_of_a_request_is_listed_once, distinct_tags);
async fn distinct_tags(database: Database) {
    let world = World::build(database).await;
    let viewer = world.api.person("proxy_admin_viewer").await;
    for client in [&world.api.master(), &viewer.client] {
        assert_eq!(
            client.get("/tag/distinct").await.ok(),
            json!({"results": [{"tag": "blue"}, {"tag": "red"}]})
        );
    }
    assert_eq!(world.ada.get("/tag/distinct").await.status, 401);
}

//! A database of LiteLLM, brought over: with its tables and types, on a real PostgreSQL.

use contract::id::{CustomerId, KeyId, OrganizationId, TeamId, UserId};
use contract::redis_key::{self, Partition, RecordId};
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::{Config, Environment, Options};
use tollkeeper_admin::import::{self, Report};
use tollkeeper_admin::serve;
use tollkeeper_admin::store::spend::compare_totals;

use crate::api::clients::{Api, MASTER, ONE_MODEL, assert_has};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::{number, texts};

const SCHEMA: &str = include_str!("import/litellm.sql");
const ROWS: &str = include_str!("import/rows.sql");

/// LiteLLM's database; `KEY` stands for the hash of a key whose value is known.
async fn litellm(key: &str) -> Database {
    let database = Database::postgres().await;
    let mut connection = database.store.read().await.unwrap();
    let hash = contract::virtual_key::VirtualKey::parse(key.as_bytes())
        .unwrap()
        .hash();
    for text in [SCHEMA.to_owned(), ROWS.replace("KEY", &hash.to_string())] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    drop(connection);
    database
}

fn config(target: &Database, redis: &str) -> Config {
    let options = Options {
        database: Some(target.url.clone()),
        redis: Some(redis.to_owned()),
        master_key: Some(MASTER.to_owned()),
        ..Options::default()
    };
    Config::parse(ONE_MODEL, &options, Environment::default()).unwrap()
}

fn counts(report: &Report) -> Value {
    let counts = report.tables.iter().map(|(name, counted)| {
        (
            (*name).to_owned(),
            json!([counted.taken, counted.there, counted.left]),
        )
    });
    Value::Object(counts.collect())
}

on_both!(
    everything_is_brought_over_once_and_goes_on_where_it_was,
    brought_over
);
async fn brought_over(target: Database) {
    const KEY: &str = "sk-imported-0123456789";
    let source = litellm(KEY).await;
    let nowhere = config(&target, "redis://127.0.0.1:1");
    let run = async |apply| import::litellm(&nowhere, &source.url, apply).await.unwrap();

    let dry = run(false).await;
    let expected = json!({"budgets": [5, 0, 0], "organizations": [2, 0, 0], "users": [5, 0, 0],
        "organization members": [1, 0, 0], "teams": [1, 0, 0], "team members": [2, 0, 0],
        "customers": [3, 0, 0], "tags": [1, 0, 0], "keys": [2, 0, 1]});
    assert_eq!(counts(&dry), expected, "{dry}");
    assert!(dry.to_string().contains("dry run"), "{dry}");
    assert_eq!(
        number(&target.store, "SELECT COUNT(*) FROM virtual_keys").await,
        0
    );
    assert_eq!(number(&target.store, "SELECT COUNT(*) FROM users").await, 0);

    let done = run(true).await;
    assert_eq!(counts(&done), expected, "{done}");
    for note in [
        "1 rows of LiteLLM_SpendLogs are not taken",
        "is a session of LiteLLM's interface",
        "Redis was not reached",
        "user u4: its password is kept in an unknown form",
        "user u5: its password was to be replaced",
    ] {
        assert!(done.to_string().contains(note), "{note} in {done}");
    }
    let before = everything(&target).await;
    let again = run(true).await;
    let nothing_new = counts(&again);
    for (kind, counted) in expected.as_object().unwrap() {
        let [taken, there, left] = [&counted[0], &counted[1], &counted[2]];
        assert_eq!(nothing_new[kind], json!([there, taken, left]), "{again}");
    }
    assert_eq!(
        everything(&target).await,
        before,
        "a repeat changes nothing"
    );
    assert!(
        !again.to_string().contains("Redis was not reached"),
        "Redis is not closed for nothing: {again}"
    );

    let differences = compare_totals(&target.store).await.unwrap();
    assert!(
        differences.is_empty(),
        "spend without rows is accounted for: {differences:?}"
    );
    let api = Api::configured(target, ONE_MODEL, Clock::System).await;
    let mine = api.client(Some(KEY)).get("/key/info").await.ok();
    assert_has(
        &mine["info"],
        &json!({"key_alias": "prod", "user_id": "u1", "created_at": "2024-01-02T03:04:05+00:00", "spend": 4.06, "max_budget": 10.0,
        "budget_duration": "1mo", "rpm_limit": 60, "models": ["gpt-4o"], "metadata": {"team": "blue"}}),
    );
    let user = api.master().get("/user/info?user_id=u1").await.ok();
    assert_has(
        &user["user_info"],
        &json!({"user_email": "One@example.com", "created_at": "2024-01-02T03:04:05Z", "user_role": "internal_user", "spend": 7.5,
        "max_budget": 50.0, "teams": ["t1"]}),
    );
    let team = api.master().get("/team/info?team_id=t1").await.ok();
    assert_has(
        &team["team_info"],
        &json!({"team_alias": "Blue", "max_budget": 100.0, "spend": 20.0, "organization_id": "o1"}),
    );
    let memberships = team["team_memberships"].as_array().unwrap();
    let own = memberships
        .iter()
        .find(|own| own["user_id"] == "u1")
        .unwrap();
    assert_has(
        own,
        &json!({"spend": 1.25, "litellm_budget_table": {"max_budget": 5.0}}),
    );
    // The other key's window ended in LiteLLM before it was brought over.
    let over = api
        .master()
        .get("/key/list?key_alias=over&return_full_object=true")
        .await
        .ok();
    assert_has(&over["keys"][0], &json!({"spend": 0.0, "max_budget": 3.0}));

    signed_in(&api).await;
    people_who_pay(&api).await;

    redis_knows(&api).await;
    let now = config(&api.database, &api.redis.server.url());
    let differences = serve::reconcile(now, Clock::System).await.unwrap();
    assert!(differences.is_empty(), "{differences:?}");
}

/// Redis was told what was spent, so that the filter admits no more than is left.
async fn redis_knows(api: &Api) {
    let key_id = texts(
        &api.database.store,
        "SELECT key_id FROM virtual_keys WHERE key_alias = 'prod'",
    )
    .await;
    let (user, team) = (UserId::new("u1"), TeamId::new("t1"));
    for (scope, spent) in [
        (
            RecordId::key(&KeyId::new(key_id[0].as_str())),
            4_060_000_000_u64,
        ),
        (RecordId::user(&user), 7_500_000_000),
        (RecordId::team(&team), 20_000_000_000),
        (RecordId::member(&team, &user), 1_250_000_000),
        (
            RecordId::organization(&OrganizationId::new("o1")),
            40_000_000_000,
        ),
        (RecordId::customer(&CustomerId::new("c2")), 1_500_000_000),
        (RecordId::tag("prod"), 500_000_000),
    ] {
        let header = api.redis.get(&redis_key::scope(Partition(0), &scope)).await;
        let header = header.unwrap_or_else(|| panic!("no state of {scope:?}"));
        let found = u64::from_be_bytes(header[10..18].try_into().unwrap());
        assert_eq!(found, spent, "{scope:?}");
    }
}

/// What a repeated import must leave as it is.
async fn everything(target: &Database) -> Vec<i64> {
    let mut counts = Vec::new();
    for statement in [
        "SELECT COUNT(*) FROM audit_log",
        "SELECT COUNT(*) FROM outbox",
        "SELECT COUNT(*) FROM passwords",
        "SELECT CAST(SUM(total) AS BIGINT) FROM spend_scopes",
        "SELECT CAST(SUM(total) AS BIGINT) FROM spend_without_rows",
        "SELECT CAST(SUM(spend) AS BIGINT) FROM customers",
        "SELECT CAST(SUM(spend) AS BIGINT) FROM tags",
    ] {
        counts.push(number(&target.store, statement).await);
    }
    counts
}

/// Passwords go on working, in both forms of LiteLLM's.
async fn signed_in(api: &Api) {
    for (name, status) in [
        ("one@example.com", 200),
        ("three@example.com", 200),
        ("four@example.com", 401),
        ("five@example.com", 401),
    ] {
        let body = json!({"username": name, "password": "Abcdef12345!xyz"});
        let reply = api.client(None).post("/v2/login", body).await;
        assert_eq!(reply.status.as_u16(), status, "{name}");
    }
}

/// Customers, tags and organizations go on from what they have spent, unless the window was over.
async fn people_who_pay(api: &Api) {
    let master = api.master();
    for (customer, spend) in [("c1", 3.0), ("c2", 1.5), ("c3", 0.0)] {
        let path = format!("/customer/info?end_user_id={customer}");
        let shown = master.get(&path).await.ok();
        assert_eq!(shown["spend"], json!(spend), "{customer}: {shown}");
    }
    let tags = master.post("/tag/info", json!({"names": ["prod"]})).await;
    let tags = tags.ok();
    assert_has(
        &tags["prod"],
        &json!({"description": "Production", "spend": 0.5, "created_at": "2024-01-02T03:04:05Z",
            "litellm_budget_table": {"max_budget": 9.0}}),
    );
    for (organization, spend) in [("o1", 40.0), ("o2", 0.0)] {
        let path = format!("/organization/info?organization_id={organization}");
        let shown = master.get(&path).await.ok();
        assert_eq!(shown["spend"], json!(spend), "{organization}: {shown}");
    }
    let budgets = master.post("/budget/info", json!({"budgets": ["month"]}));
    let budgets = budgets.await.ok();
    assert_has(&budgets[0], &json!({"created_by": "u1"}));
}

#[tokio::test]
async fn what_is_no_database_of_litellms_is_said() {
    let target = Database::sqlite().await;
    let nowhere = config(&target, "redis://127.0.0.1:1");
    let empty = Database::postgres().await;
    for (from, said) in [
        ("sqlite:somewhere.db", "expected postgres://"),
        (empty.url.as_str(), "expected LiteLLM's tables"),
        ("postgres://127.0.0.1:1/litellm", "LiteLLM's database: "),
    ] {
        let refused = import::litellm(&nowhere, from, true).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

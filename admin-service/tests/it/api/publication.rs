//! What the API changes is in Redis when it answers.

use contract::id::{KeyId, TeamId, UserId};
use contract::limits::Raise;
use contract::money::NanoUsd;
use contract::records::{IndexEntry, KeyRecord, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::virtual_key::{KeyHash, VirtualKey};
use contract::window::BudgetWindow;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::domain::budget_window::WindowRules;
use tollkeeper_admin::store::refresh::refresh;

use super::clients::{Api, MASTER, ONE_MODEL, serve, text};
use crate::on_both;
use crate::support::database::Database;

const P0: Partition = Partition(0);

async fn entry(api: &Api, hash: &KeyHash) -> Option<Versioned<IndexEntry>> {
    let bytes = api.redis.get(&redis_key::index(P0, hash)).await?;
    Some(Versioned::decode(&bytes).expect("an index entry"))
}

async fn record(api: &Api, id: &RecordId) -> Versioned<Record> {
    let bytes = api
        .redis
        .get(&redis_key::record(P0, id))
        .await
        .expect("a record");
    Versioned::decode(&bytes).expect("a record")
}

pub async fn key_record(api: &Api, key: &Value) -> Versioned<KeyRecord> {
    let hash = KeyHash::parse(text(key, "token")).unwrap();
    let entry = entry(api, &hash).await.expect("published");
    let found = record(api, &entry.value.records[0]).await;
    match found.value {
        Record::Key(value) => Versioned {
            rev: found.rev,
            value,
        },
        other => panic!("{other:?}"),
    }
}

on_both!(a_key_is_in_redis_when_the_answer_comes, at_once);
async fn at_once(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"key_alias": "a", "models": ["gpt-4o"], "aliases": {"small": "gpt-4o"}, "rpm_limit": 5, "tpm_limit": 7,
        "max_parallel_requests": 2, "max_budget": 0.5, "duration": "1h", "key_type": "llm_api", "user_id": "u"});
    let key = master.new_key(body).await;
    let record = key_record(&api, &key).await.value;
    assert_eq!(record.alias.as_deref(), Some("a"));
    assert_eq!(record.models, ["gpt-4o"]);
    assert_eq!(record.aliases["small"], "gpt-4o");
    assert_eq!(record.allowed_routes, ["llm_api_routes"]);
    assert_eq!(record.user, Some(UserId::new("u")));
    assert!(record.expires_ms.is_some() && !record.blocked && !record.master);
    assert_eq!(
        (record.limits.rpm, record.limits.tpm, record.limits.parallel),
        (Some(5), Some(7), Some(2))
    );
    let budget = record.limits.budget.unwrap();
    assert_eq!(
        (budget.max, budget.window),
        (NanoUsd::new(500_000_000).unwrap(), BudgetWindow::Lifetime)
    );

    master
        .post("/key/block", json!({"key": key["key"]}))
        .await
        .ok();
    assert!(key_record(&api, &key).await.value.blocked);
    let cleared = json!({"key": key["key"], "max_budget": null, "rpm_limit": null, "models": null});
    master.post("/key/update", cleared).await.ok();
    let record = key_record(&api, &key).await.value;
    assert_eq!(
        (record.limits.rpm, record.limits.budget, record.models),
        (None, None, Vec::new())
    );
}

on_both!(
    users_teams_and_memberships_are_published_with_their_limits,
    owners
);
async fn owners(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user =
        json!({"user_id": "u", "user_role": "proxy_admin_viewer", "rpm_limit": 1, "models": ["m"]});
    master.post("/user/new", user).await.ok();
    let team =
        json!({"team_id": "t", "team_alias": "T", "tpm_limit": 2, "model_aliases": {"a": "b"}});
    master.post("/team/new", team).await.ok();
    let member = json!({"team_id": "t", "member": {"role": "user", "user_id": "u"}, "max_budget_in_team": 3, "budget_duration": "30d"});
    master.post("/team/member_add", member).await.ok();
    let (user, team) = (UserId::new("u"), TeamId::new("t"));
    let Record::User(found) = record(&api, &RecordId::user(&user)).await.value else {
        panic!()
    };
    assert_eq!(
        (found.limits.rpm, found.may_call_models, found.models),
        (Some(1), false, vec!["m".into()])
    );
    let Record::Team(found) = record(&api, &RecordId::team(&team)).await.value else {
        panic!()
    };
    assert_eq!(
        (found.limits.tpm, found.alias.as_deref()),
        (Some(2), Some("T"))
    );
    assert_eq!(found.aliases["a"], "b");
    let id = RecordId::member(&team, &user);
    let Record::Member(found) = record(&api, &id).await.value else {
        panic!()
    };
    let budget = found.limits.budget.unwrap();
    assert_eq!(budget.max, NanoUsd::new(3_000_000_000).unwrap());
    assert!(matches!(budget.window, BudgetWindow::Calendar(_)));

    let shared = json!({"team_id": "t", "team_member_rpm_limit": 9});
    master.post("/team/update", shared).await.ok();
    let default = RecordId::member(&team, &UserId::new("default_user_id"));
    let Record::Member(found) = record(&api, &default).await.value else {
        panic!()
    };
    assert_eq!(
        found.limits.rpm,
        Some(9),
        "the members who share the team's row follow it"
    );
}

on_both!(a_calendar_is_published_anew_before_it_runs_short, calendar);
async fn calendar(database: Database) {
    let start = 1_795_417_796_000_000; // 2026-11-23 07:09:56 UTC
    let clock = Clock::manual(start);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let key = api
        .master()
        .new_key(json!({"max_budget": 1, "budget_duration": "1d"}))
        .await;
    let boundaries = async || match key_record(&api, &key)
        .await
        .value
        .limits
        .budget
        .unwrap()
        .window
    {
        BudgetWindow::Calendar(at) => at,
        other => panic!("{other:?}"),
    };
    let first = boundaries().await;
    assert!(first[0] <= start / 1_000 && first[1] > start / 1_000);
    let store = &api.service.app().store;
    refresh(store, &WindowRules::default()).await.unwrap();
    assert_eq!(boundaries().await, first, "nothing is due yet");

    // Eight windows later a bit more than eight are left.
    let later = first[8] * 1_000 + 1;
    clock.set_us(later);
    let mut waiting = store.changes();
    refresh(store, &WindowRules::default()).await.unwrap();
    waiting.changed().await.unwrap();
    wait_until_published(&api).await;
    let second = boundaries().await;
    assert_eq!(second[0], first[8]);
    assert!(second.iter().filter(|at| **at > later / 1_000).count() >= 8);
}

pub async fn wait_until_published(api: &Api) {
    let store = &api.service.app().store;
    let page = tollkeeper_admin::store::outbox::pending(store, "", 100)
        .await
        .unwrap();
    let ids: Vec<String> = page.entries.into_iter().map(|entry| entry.id).collect();
    assert!(
        store
            .wait_published(&ids, std::time::Duration::from_secs(5))
            .await
    );
}

on_both!(a_temporary_increase_is_published_and_taken_back, temporary);
async fn temporary(database: Database) {
    let start = 1_795_417_796_000_000;
    let clock = Clock::manual(start);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let key = api.master().new_key(json!({"max_budget": 1})).await;
    let body =
        json!({"key": key["key"], "temp_budget_increase": 2, "temp_budget_expiry": "2026-11-24"});
    api.master().post("/key/update", body).await.ok();
    let told = async || {
        let limits = key_record(&api, &key).await.value.limits;
        (limits.budget.unwrap().max.get(), limits.raise)
    };
    // Gateways are told its end, so that nobody need be there to take it back.
    let raise = Raise {
        by: NanoUsd::new(2_000_000_000).unwrap(),
        until_ms: 1_795_478_400_000,
    };
    assert_eq!(told().await, (1_000_000_000, Some(raise)));
    clock.set_us(start + 86_400_000_000);
    refresh(&api.service.app().store, &WindowRules::default())
        .await
        .unwrap();
    wait_until_published(&api).await;
    assert_eq!(told().await, (1_000_000_000, None));
}

on_both!(
    the_master_key_is_published_and_a_former_one_is_not_valid_any_more,
    master_key
);
async fn master_key(database: Database) {
    let api = Api::start(database).await;
    let hash = VirtualKey::parse(MASTER.as_bytes()).unwrap().hash();
    let found = entry(&api, &hash).await.expect("published");
    let Record::Key(master) = record(&api, &found.value.records[0]).await.value else {
        panic!()
    };
    assert!(master.master);
    assert_eq!(master.limits, contract::limits::Limits::default());
    // No route touches it.
    let body = json!({ "key": MASTER });
    assert_eq!(api.master().post("/key/block", body).await.status, 404);
    assert_eq!(
        api.master()
            .post("/key/delete", json!({"keys": [MASTER]}))
            .await
            .status,
        404
    );

    let next = "sk-another-master-key-0123456789abcdefgh";
    let store = &api.service.app().store;
    let next = VirtualKey::parse(next.as_bytes()).unwrap();
    tollkeeper_admin::store::keys::master::settle(store, &next)
        .await
        .unwrap();
    wait_until_published(&api).await;
    let old = entry(&api, &hash).await.expect("a tombstone's entry");
    assert_eq!(
        record(&api, &old.value.records[0]).await.value,
        Record::Deleted
    );
    let new = entry(&api, &next.hash()).await.expect("published");
    assert!(
        matches!(record(&api, &new.value.records[0]).await.value, Record::Key(key) if key.master)
    );
}

on_both!(a_deleted_key_is_a_tombstone_in_redis, tombstone);
async fn tombstone(database: Database) {
    let api = Api::start(database).await;
    let key = api.master().new_key(json!({})).await;
    let before = key_record(&api, &key).await;
    api.master()
        .post("/key/delete", json!({"keys": [key["key"]]}))
        .await
        .ok();
    let after = record(&api, &RecordId::key(&KeyId::new(before.value.id.as_str()))).await;
    assert_eq!(after.value, Record::Deleted);
    assert!(after.rev > before.rev);
}

on_both!(
    what_a_stopped_service_left_is_published_by_the_next,
    next_service
);
async fn next_service(database: Database) {
    let api = Api::start(database).await;
    let url = api.redis.server.url();
    api.redis.server.process().kill().await.unwrap();
    let key = api.master().new_key(json!({})).await;
    let Api {
        service,
        redis,
        database,
        ..
    } = api;
    service.stop().await;
    let mut redis = redis;
    redis.server.restart().await.expect("Redis starts again");
    assert_eq!(redis.server.url(), url);
    let service = serve(&database, &url, ONE_MODEL, Clock::System).await;
    let health = service.app().health.clone();
    health
        .wait_for(|report| report.redis == tollkeeper_admin::publish::RedisState::Open)
        .await;
    let hash = KeyHash::parse(text(&key, "token")).unwrap();
    assert!(redis.get(&redis_key::index(P0, &hash)).await.is_some());
}

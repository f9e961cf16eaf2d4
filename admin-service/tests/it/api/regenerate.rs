//! `/key/regenerate`: another value for the same key, the former one beside it for as long as was asked.

use contract::records::{IndexEntry, Record, Versioned};
use contract::redis_key::{self, Partition};
use contract::virtual_key::VirtualKey;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::publish::RedisState;

use super::clients::{Api, Client, MASTER, ONE_MODEL, Person, assert_has, error, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

const START: u64 = 1_795_417_796_000_000; // 2026-11-23 07:09:56 UTC
const HOUR: u64 = 3_600_000_000;

async fn entry(api: &Api, key: &Value) -> Option<Versioned<IndexEntry>> {
    let hash = VirtualKey::parse(text(key, "key").as_bytes())?.hash();
    let bytes = api
        .redis
        .get(&redis_key::index(Partition(0), &hash))
        .await?;
    Some(Versioned::decode(&bytes).expect("an entry"))
}

async fn regenerate(client: &Client, key: &Value, body: Value) -> Value {
    let path = format!("/key/{}/regenerate", text(key, "key"));
    client.post(&path, body).await.ok()
}

async fn works(api: &Api, key: &Value) -> bool {
    let own = api.client(Some(text(key, "key"))).get("/key/info").await;
    match own.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

on_both!(a_key_gets_another_value_and_keeps_everything_else, replaced);
async fn replaced(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let user = api.person("internal_user").await;
    let body = json!({"key_alias": "mine", "user_id": user.id, "max_budget": 5, "budget_duration": "30d",
        "duration": "30d", "metadata": {"a": 1}, "tpd_limit": 7});
    let old = master.new_key(body).await;
    let before = entry(&api, &old).await.expect("an entry");
    clock.set_us(START + HOUR);

    let path = format!("/key/{}/regenerate", text(&old, "key"));
    let answer = master.post(&path, json!({})).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-tollkeeper-warning"), None);
    let new = answer.ok();
    let secret = text(&new, "key");
    assert_eq!(secret.len(), "sk-".len() + 43);
    assert_has(
        &new,
        &json!({"key_alias": "mine", "user_id": user.id, "max_budget": 5.0, "budget_duration": "30d", "spend": 0.0,
        "expires": "2026-12-23T07:09:56Z", "metadata": {"a": 1}, "tpd_limit": 7, "created_at": old["created_at"],
        "key_name": format!("sk-...{}", &secret[secret.len() - 4..])}),
    );
    assert_ne!(new["token"], old["token"]);
    assert!(works(&api, &new).await);
    assert!(!works(&api, &old).await);
    let info = format!("/key/info?key={}", text(&new, "token"));
    assert_has(
        &master.get(&info).await.ok()["info"],
        &json!({"rotation_count": 1, "last_rotation_at": "2026-11-23T08:09:56+00:00", "status": "active",
        "budget_reset_at": "2026-12-01T00:00:00+00:00"}),
    );
    assert_eq!(
        master
            .get(&format!("/key/info?key={}", text(&old, "token")))
            .await
            .status,
        404
    );

    // The gateways: both hashes lead to the same record, the former one ended.
    let (ended, after) = (
        entry(&api, &old).await.unwrap(),
        entry(&api, &new).await.unwrap(),
    );
    assert_eq!(after.value.records, before.value.records);
    assert_eq!(
        (after.value.until_ms, ended.value.until_ms),
        (None, Some((START + HOUR) / 1_000))
    );
    assert!(ended.rev > before.rev && ended.rev == after.rev);

    let store = &api.database.store;
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM audit_log WHERE action = 'rotated'"
        )
        .await,
        1
    );
    let mails = "SELECT COUNT(*) FROM mail_events WHERE kind = 'key_rotated'";
    assert_eq!(number(store, mails).await, 1);
    for table in [
        "audit_log",
        "mail_events",
        "virtual_keys",
        "former_tokens",
        "outbox",
    ] {
        assert_not_in(&api, table, &[secret, text(&old, "key")]).await;
    }
}

/// No row of the table holds one of these texts.
async fn assert_not_in(api: &Api, table: &str, secrets: &[&str]) {
    use sqlx::{Column as _, Row as _};
    let mut connection = api.database.store.read().await.unwrap();
    let all = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
    for row in sqlx::query(all).fetch_all(&mut *connection).await.unwrap() {
        for column in row.columns() {
            if let Ok(Some(value)) = row.try_get::<Option<String>, _>(column.ordinal()) {
                let found = secrets.iter().any(|secret| value.contains(secret));
                assert!(!found, "{table}.{}", column.name());
            }
        }
    }
}

on_both!(
    a_former_value_is_valid_until_its_grace_ends_and_not_longer,
    grace
);
async fn grace(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let old = master.new_key(json!({})).await;
    let new = regenerate(&master, &old, json!({"grace_period": "1h"})).await;
    assert!(works(&api, &old).await && works(&api, &new).await);
    // Whoever comes with the former value is the key as it is now.
    let own = api
        .client(Some(text(&old, "key")))
        .get("/key/info")
        .await
        .ok();
    assert_eq!(own["key"], new["token"]);
    let ends = Some((START + HOUR) / 1_000);
    assert_eq!(entry(&api, &old).await.unwrap().value.until_ms, ends);

    // In no list.
    let listed = master.get("/key/list").await.ok();
    assert_eq!(listed["keys"], json!([new["token"]]));
    let deleted = master.get("/key/list?status=deleted").await.ok();
    assert_eq!(deleted["total_count"], 0);

    // A change of the key does not lengthen it; neither does a Redis that was emptied.
    let change = json!({"key": new["key"], "rpm_limit": 3});
    master.post("/key/update", change).await.ok();
    assert_eq!(entry(&api, &old).await.unwrap().value.until_ms, ends);
    let restores = api.service.app().health.report().restores;
    api.redis.words("FLUSHALL").await;
    let health = api.service.app().health.clone();
    health
        .wait_for(|report| report.restores > restores && report.redis == RedisState::Open)
        .await;
    assert_eq!(entry(&api, &old).await.unwrap().value.until_ms, ends);
    let reconciles = health.report().reconciles;
    health
        .wait_for(|report| report.reconciles > reconciles)
        .await;
    assert_eq!(entry(&api, &old).await.unwrap().value.until_ms, ends);

    clock.set_us(START + HOUR - 1);
    assert!(works(&api, &old).await);
    clock.set_us(START + HOUR);
    assert!(!works(&api, &old).await && works(&api, &new).await);

    // A later regeneration without grace ends what came before, however long that had.
    let third = regenerate(&master, &new, json!({"grace_period": "7d"})).await;
    assert!(works(&api, &new).await);
    regenerate(&master, &third, json!({})).await;
    assert!(!works(&api, &new).await && !works(&api, &third).await);
}

on_both!(
    a_value_that_a_key_has_or_had_is_given_to_no_other,
    values_are_used_once
);
async fn values_are_used_once(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let live = master.new_key(json!({"key": "sk-live-0123456789"})).await;
    let old = master.new_key(json!({"key": "sk-former-0123456789"})).await;
    let new = regenerate(
        &master,
        &old,
        json!({"new_key": "sk-chosen-0123456789", "grace_period": "1h"}),
    )
    .await;
    assert_eq!(new["key"], "sk-chosen-0123456789");
    let gone = master
        .new_key(json!({"key": "sk-deleted-0123456789"}))
        .await;
    let named = json!({ "keys": [gone["key"]] });
    master.post("/key/delete", named).await.ok();
    let taken = error(
        409,
        "bad_request_error",
        Some("key"),
        "Key with this value already exists. Nothing was changed.",
    );
    for value in [
        &live["key"],
        &old["key"],
        &new["key"],
        &gone["key"],
        &json!(MASTER),
    ] {
        let made = master.post("/key/generate", json!({ "key": value })).await;
        assert_eq!(made.refused(), taken, "{value}");
        let path = format!("/key/{}/regenerate", text(&live, "token"));
        let changed = master.post(&path, json!({ "new_key": value })).await;
        assert_eq!(changed.refused(), taken, "{value}");
    }
    assert!(works(&api, &live).await && works(&api, &old).await);
    let deleted = json!({ "keys": [new["key"]] });
    master.post("/key/delete", deleted).await.ok();
    assert!(!works(&api, &old).await, "a former value ends with its key");
    let records = entry(&api, &old).await.unwrap().value.records;
    let found = api
        .redis
        .get(&redis_key::record(Partition(0), &records[0]))
        .await;
    let record = Versioned::<Record>::decode(&found.unwrap()).unwrap();
    assert_eq!(record.value, Record::Deleted);
}

on_both!(what_a_regeneration_changes_beside_the_value, changes);
async fn changes(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let old = master
        .new_key(json!({"max_budget": 5, "models": ["gpt-4o"]}))
        .await;
    let ask = json!({"key": old["key"], "max_budget": 7, "models": null, "duration": "1h", "nonsense": 1});
    let answer = master.post("/key/regenerate", ask).await;
    assert_eq!(
        answer.header("x-tollkeeper-ignored-fields"),
        Some("nonsense")
    );
    let new = answer.ok();
    assert_has(
        &new,
        &json!({"max_budget": 7.0, "models": [], "duration": "1h", "expires": "2026-11-23T08:09:56Z"}),
    );
    let named = format!("/key/regenerate?key={}", text(&new, "token"));
    let third = master.call(reqwest::Method::POST, &named, None).await.ok();
    assert_eq!(third["max_budget"], json!(7.0));

    for (path, body, status) in [
        ("/key/regenerate", json!({}), 400),
        ("/key/regenerate", json!({"key": "sk-nope"}), 404),
        ("/key/regenerate", json!({"key": MASTER}), 400),
        (
            "/key/regenerate",
            json!({"new_master_key": "sk-other-master-0123456789abcdef0123"}),
            400,
        ),
        (
            "/key/sk-nope/regenerate",
            json!({"grace_period": "soon"}),
            400,
        ),
        ("/key/sk-nope/regenerate", json!({"new_key": "nope"}), 400),
        ("/key/sk-nope/regenerate", json!({"rpm_limit": -1}), 422),
    ] {
        let answer = master.post(path, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
    }
    let master_key = master.post("/key/regenerate", json!({"key": MASTER})).await;
    let said = master_key.refused().1["error"]["message"].to_string();
    assert!(said.contains("LITELLM_MASTER_KEY"), "{said}");
}

on_both!(who_may_see_another_value_of_a_key, who_may);
async fn who_may(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let admin = api.person("internal_user").await;
    let member = api.person("internal_user").await;
    let stranger = api.person("internal_user").await;
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": member.id}]);
    let team = master
        .post("/team/new", json!({"members_with_roles": members}))
        .await
        .ok();
    let team_id = text(&team, "team_id");
    let of_member = master
        .new_key(json!({"user_id": member.id, "team_id": team_id}))
        .await;
    let program = master
        .post("/key/service-account/generate", json!({"team_id": team_id}))
        .await
        .ok();
    let own = master.new_key(json!({"user_id": member.id})).await;
    let ask = async |who: &Person, key: &Value, body: Value| {
        let path = format!("/key/{}/regenerate", text(key, "token"));
        who.client.post(&path, body).await
    };
    let refused = error(
        403,
        "auth_error",
        None,
        "{'error': 'You are not authorized to regenerate this key'}",
    );
    for key in [&of_member, &program, &own] {
        assert_eq!(ask(&stranger, key, json!({})).await.refused(), refused);
    }
    // Its owner, but not made by them: another value, and nothing else.
    let own = ask(&member, &own, json!({})).await.ok();
    assert_eq!(
        ask(&member, &own, json!({"key_alias": "x"})).await.status,
        403
    );
    for key in [&of_member, &program] {
        let (status, body) = ask(&member, key, json!({})).await.refused();
        assert_eq!(
            (status, &body["error"]["type"]),
            (401, &json!("team_member_permission_error"))
        );
        assert!(
            body["error"]["message"]
                .to_string()
                .contains("KeyManagementRoutes.KEY_REGENERATE")
        );
    }
    let of_member = ask(&admin, &of_member, json!({"rpm_limit": 4})).await.ok();
    assert_eq!(of_member["rpm_limit"], 4);

    let permitted =
        json!({"members_with_roles": members, "team_member_permissions": ["/key/regenerate"]});
    let team = master.post("/team/new", permitted).await.ok();
    let of_member = json!({"user_id": member.id, "team_id": team["team_id"]});
    let of_member = master.new_key(of_member).await;
    let program = json!({ "team_id": team["team_id"] });
    let program = master
        .post("/key/service-account/generate", program)
        .await
        .ok();
    ask(&member, &of_member, json!({})).await.ok();
    ask(&member, &program, json!({})).await.ok();
    let of_admin = json!({"user_id": admin.id, "team_id": team["team_id"]});
    let of_admin = master.new_key(of_admin).await;
    assert_eq!(ask(&member, &of_admin, json!({})).await.refused(), refused);
}

on_both!(a_narrow_key_does_not_get_at_a_wider_one, narrow);
async fn narrow(database: Database) {
    let api = Api::start(database).await;
    let user = api.person("internal_user").await;
    let wide = user.client.new_key(json!({})).await;
    for limit in [
        json!({"models": ["gpt-4o"]}),
        json!({"max_budget": 1}),
        json!({"rpm_limit": 1}),
        json!({"key_type": "management"}),
    ] {
        let narrow = user.client.new_key(limit.clone()).await;
        let client = api.client(Some(text(&narrow, "key")));
        let path = format!("/key/{}/regenerate", text(&wide, "token"));
        let (status, body) = client.post(&path, json!({})).await.refused();
        assert_eq!(status, 403, "{limit}: {body}");
        // Its own value it may change.
        regenerate(&client, &narrow, json!({})).await;
    }
    regenerate(&user.client, &wide, json!({})).await;
}

//! Values that the service replaces by itself.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::RotationSettings;
use tollkeeper_admin::store::keys::Rotator;

use super::clients::{Api, ONE_MODEL, assert_has, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

const START: u64 = 1_795_417_796_000_000; // 2026-11-23 07:09:56 UTC
const HOUR: u64 = 3_600_000_000;

/// Another service's rotation beside the running one: whichever comes first, it happens once.
fn rotation(api: &Api, holder: &str) -> Rotator {
    Rotator {
        store: api.service.app().store.clone(),
        settings: RotationSettings {
            enabled: true,
            grace_us: None,
        },
        holder: holder.to_owned(),
    }
}

async fn works(api: &Api, key: &Value) -> bool {
    let own = api.client(Some(text(key, "key"))).get("/key/info").await;
    own.status == 200
}

on_both!(a_key_is_rotated_when_it_is_due_and_its_owner_is_told, due);
async fn due(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let user = api.person("internal_user").await;
    let body = json!({"auto_rotate": true, "rotation_interval": "1h", "user_id": user.id, "key_alias": "mine"});
    let key = master.new_key(body).await;
    let info = async || {
        let found = master
            .get("/key/list?key_alias=mine&return_full_object=true")
            .await;
        found.ok()["keys"][0].clone()
    };
    assert_has(
        &info().await,
        &json!({"auto_rotate": true, "rotation_interval": "1h", "rotation_count": 0,
        "key_rotation_at": "2026-11-23T08:09:56Z"}),
    );
    clock.set_us(START + HOUR - 1);
    rotation(&api, "a").rotate().await.unwrap();
    assert_eq!(info().await["rotation_count"], 0);

    clock.set_us(START + HOUR);
    let (a, b) = (rotation(&api, "a"), rotation(&api, "b"));
    let (one, other) = tokio::join!(a.rotate(), b.rotate());
    one.unwrap();
    other.unwrap();
    a.rotate().await.unwrap();
    let rotated = info().await;
    assert_has(
        &rotated,
        &json!({"rotation_count": 1, "last_rotation_at": "2026-11-23T08:09:56Z", "key_rotation_at": "2026-11-23T09:09:56Z"}),
    );
    assert_ne!(rotated["token"], key["token"]);
    assert!(works(&api, &key).await, "the former value has its grace");
    let store = &api.database.store;
    let mails = "SELECT COUNT(*) FROM mail_events WHERE kind = 'key_rotated' AND payload LIKE '%\"value_is_known\":false%'";
    assert_eq!(number(store, mails).await, 1);
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM audit_log WHERE action = 'rotated'"
        )
        .await,
        1
    );

    // Nobody has taken the new value up: it is not replaced by another one that nobody knows.
    clock.set_us(START + 2 * HOUR - 1);
    assert!(works(&api, &key).await);
    clock.set_us(START + 2 * HOUR);
    assert!(
        !works(&api, &key).await,
        "the grace is no longer than the interval"
    );
    a.rotate().await.unwrap();
    assert_eq!(info().await["rotation_count"], 1);
    let again = format!("/key/{}/regenerate", text(&rotated, "token"));
    let taken = master.post(&again, json!({})).await.ok();
    assert!(works(&api, &taken).await);
    assert_eq!(
        info().await["rotation_count"],
        1,
        "taking it up is the same rotation"
    );
}

on_both!(
    taking_the_new_value_up_leaves_the_former_one_its_time,
    taken_up
);
async fn taken_up(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let user = api.person("internal_user").await;
    let key = json!({"auto_rotate": true, "rotation_interval": "30d"});
    let key = user.client.new_key(key).await;
    clock.set_us(START + 30 * 24 * HOUR);
    rotation(&api, "a").rotate().await.unwrap();
    // With the former value itself, which is the key until its end.
    let own = api.client(Some(text(&key, "key")));
    let token = text(&own.get("/key/info").await.ok(), "key").to_owned();
    let new = own
        .post(&format!("/key/{token}/regenerate"), json!({}))
        .await
        .ok();
    assert!(works(&api, &key).await && works(&api, &new).await);
    clock.set_us(START + 37 * 24 * HOUR - 1);
    assert!(works(&api, &key).await);
    clock.set_us(START + 37 * 24 * HOUR);
    assert!(!works(&api, &key).await && works(&api, &new).await);
}

on_both!(what_is_not_rotated, not_rotated);
async fn not_rotated(database: Database) {
    let clock = Clock::manual(START);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let never = master
        .post("/key/generate", json!({"auto_rotate": true}))
        .await;
    assert_eq!(
        never.header("x-tollkeeper-unenforced-fields"),
        Some("auto_rotate")
    );
    let never = never.ok();
    let off = json!({"auto_rotate": false, "rotation_interval": "1h"});
    let off = master.new_key(off).await;
    let stopped = master
        .new_key(json!({"auto_rotate": true, "rotation_interval": "1h"}))
        .await;
    let stop = json!({"key": stopped["key"], "auto_rotate": false});
    let stop = master.post("/key/update", stop).await.ok();
    assert_eq!(stop["key_rotation_at"], Value::Null);
    let blocked = master
        .new_key(json!({"auto_rotate": true, "rotation_interval": "1h"}))
        .await;
    master
        .post("/key/block", json!({"key": blocked["key"]}))
        .await
        .ok();
    let ended = json!({"auto_rotate": true, "rotation_interval": "1h", "duration": "1m"});
    master.new_key(ended).await;
    clock.set_us(START + 2 * HOUR);
    rotation(&api, "a").rotate().await.unwrap();
    assert_eq!(
        number(&api.database.store, "SELECT COUNT(*) FROM former_tokens").await,
        0
    );
    for key in [&never, &off, &stopped] {
        assert!(works(&api, key).await);
    }
    let (status, body) = master
        .post(
            "/key/generate",
            json!({"auto_rotate": true, "rotation_interval": "soon"}),
        )
        .await
        .refused();
    assert_eq!(
        (status, &body["error"]["param"]),
        (400, &json!("rotation_interval"))
    );
}

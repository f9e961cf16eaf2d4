//! What is deleted and made again under the same name.

use contract::id::{TeamId, UserId};
use contract::records::{IndexEntry, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::virtual_key::KeyHash;
use serde_json::json;
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, ONE_MODEL, text};
use crate::on_both;
use crate::support::database::Database;

const P0: Partition = Partition(0);

async fn record(api: &Api, id: &RecordId) -> Record {
    let bytes = api
        .redis
        .get(&redis_key::record(P0, id))
        .await
        .expect("a record");
    Versioned::<Record>::decode(&bytes).expect("a record").value
}

async fn entry(api: &Api, token: &str) -> IndexEntry {
    let hash = KeyHash::parse(token).unwrap();
    let bytes = api
        .redis
        .get(&redis_key::index(P0, &hash))
        .await
        .expect("an entry");
    Versioned::<IndexEntry>::decode(&bytes)
        .expect("an entry")
        .value
}

on_both!(what_is_made_again_replaces_its_tombstone, again);
async fn again(database: Database) {
    // The clock goes back an hour between deleting and making again, as on a machine that was corrected.
    let clock = Clock::manual(Clock::System.now_us());
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let (user, team) = (UserId::new("u"), TeamId::new("t"));
    let ids = [
        RecordId::user(&user),
        RecordId::team(&team),
        RecordId::member(&team, &user),
    ];
    let of_both = json!({"user_id": "u", "team_id": "t"});
    for _ in 0..2 {
        master
            .post(
                "/user/new",
                json!({"user_id": "u", "auto_create_key": false}),
            )
            .await
            .ok();
        let members = json!([{"role": "user", "user_id": "u"}]);
        master
            .post(
                "/team/new",
                json!({"team_id": "t", "members_with_roles": members}),
            )
            .await
            .ok();
        let key = master.new_key(of_both.clone()).await;
        let names = entry(&api, text(&key, "token")).await.records;
        assert_eq!(names[1..], ids);
        for id in &names {
            assert_ne!(record(&api, id).await, Record::Deleted, "{id}");
        }
        master
            .post("/team/delete", json!({"team_ids": ["t"]}))
            .await
            .ok();
        master
            .post("/user/delete", json!({"user_ids": ["u"]}))
            .await
            .ok();
        for id in names.iter().chain(&ids) {
            assert_eq!(record(&api, id).await, Record::Deleted, "{id}");
        }
        clock.set_us(clock.now_us() - 3_600_000_000);
    }
}

on_both!(
    a_key_of_owners_without_rows_is_served_and_one_of_deleted_owners_again,
    without_rows
);
async fn without_rows(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let body = json!({"user_id": "ghost", "team_id": "nowhere"});
    let key = master.new_key(body).await;
    for id in entry(&api, text(&key, "token")).await.records {
        assert_ne!(record(&api, &id).await, Record::Deleted, "{id}");
    }
    let limited = json!({"user_id": "ghost", "rpm_limit": 3, "auto_create_key": false});
    master.post("/user/new", limited).await.ok();
    let ghost = RecordId::user(&UserId::new("ghost"));
    let Record::User(user) = record(&api, &ghost).await else {
        panic!("a user")
    };
    assert_eq!(user.limits.rpm, Some(3));

    master
        .post("/user/delete", json!({"user_ids": ["ghost"]}))
        .await
        .ok();
    assert_eq!(record(&api, &ghost).await, Record::Deleted);
    let again = master.new_key(json!({"user_id": "ghost"})).await;
    assert_eq!(entry(&api, text(&again, "token")).await.records[1], ghost);
    assert_ne!(record(&api, &ghost).await, Record::Deleted);
}

//! Golden key names: what is in a Redis must be found again by every later version.

use contract::id::{CustomerId, KeyId, OrganizationId, ReservationId, TeamId, UserId};
use contract::redis_key::{self, Partition, RecordId};
use contract::virtual_key::VirtualKey;
use proptest::prelude::*;

#[test]
fn every_key_name_is_as_it_always_was() {
    let p = Partition(7);
    let key = RecordId::key(&KeyId::new("k1"));
    let hash = VirtualKey::parse(b"sk-1234").unwrap().hash();
    let id = ReservationId::from_bytes([0xab; 16]);
    let names = [
        redis_key::ready(p),
        redis_key::record(p, &key),
        redis_key::scope(p, &key),
        redis_key::segments(p, &key),
        redis_key::reservation(p, &id),
        redis_key::deadlines(p),
        redis_key::beat(p),
        redis_key::watermarks(p),
        redis_key::spend(p),
        redis_key::index_ready(p),
        redis_key::index(p, &hash),
        redis_key::model(p, "openai/gpt-4o"),
        redis_key::settings(p),
    ];
    assert_eq!(
        names,
        [
            "tk:{p7}:ready",
            "tk:{p7}:rec:k:k1",
            "tk:{p7}:sc:k:k1",
            "tk:{p7}:sg:k:k1",
            "tk:{p7}:res:abababababababababababababababab",
            "tk:{p7}:deadlines",
            "tk:{p7}:beat",
            "tk:{p7}:wm",
            "tk:{p7}:spend",
            "tk:{i7}:ready",
            "tk:{i7}:ix:88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "tk:{i7}:model:openai/gpt-4o",
            "tk:{i7}:settings",
        ]
    );
}

#[test]
fn record_names_keep_plain_ids_readable_and_encode_the_rest() {
    let (team, user) = (TeamId::new("a:b"), UserId::new("ü@x y%"));
    let names = [
        RecordId::key(&KeyId::new("Key_1.2-3")),
        RecordId::user(&user),
        RecordId::team(&team),
        RecordId::member(&team, &user),
        RecordId::organization(&OrganizationId::new("a:b")),
        RecordId::organization_member(&OrganizationId::new("a"), &UserId::new("b")),
    ];
    let names = names.each_ref().map(RecordId::as_str);
    assert_eq!(
        names,
        [
            "k:Key_1.2-3",
            "u:%C3%BC@x%20y%25",
            "t:a%3Ab",
            "m:a%3Ab:%C3%BC@x%20y%25",
            "o:a%3Ab",
            "om:a:b",
        ]
    );
}

#[test]
fn a_customers_name_is_as_long_whatever_a_client_calls_it() {
    let name = |id: &str| RecordId::customer(&CustomerId::new(id)).as_str().to_owned();
    assert_eq!(name("alice"), "c:2bd806c97f0e00af1a1fc3328fa763a9");
    assert_eq!(name(&"x".repeat(10_000)).len(), 34);
}

#[test]
fn scopes_without_a_record_have_golden_names() {
    let key = RecordId::key(&KeyId::new("k1"));
    let names = [
        RecordId::tag("prod/eu"),
        RecordId::model("openai/gpt-4o"),
        RecordId::proxy(),
        key.window("1d"),
        key.of_model("gpt-*"),
        RecordId::key(&KeyId::new("k1~w:1d")),
    ];
    assert_eq!(
        names.each_ref().map(RecordId::as_str),
        [
            "tag:prod%2Feu",
            "model:openai%2Fgpt-4o",
            "proxy",
            "k:k1~w:1d",
            "k:k1~m:gpt-%2A",
            "k:k1%7Ew%3A1d",
        ]
    );
}

#[test]
fn what_the_admin_service_keeps_for_itself_has_golden_names() {
    let names = [
        redis_key::restoring(Partition(3)),
        redis_key::index_restoring(Partition(3)),
        redis_key::restore_lock().to_owned(),
    ];
    assert_eq!(
        names,
        ["tk:{p3}:restoring", "tk:{i3}:restoring", "tk:restore"]
    );
    let patterns = [
        redis_key::record_pattern(),
        redis_key::index_pattern(),
        redis_key::model_pattern(),
    ];
    assert_eq!(
        patterns,
        ["tk:{p*}:rec:*", "tk:{i*}:ix:*", "tk:{i*}:model:*"]
    );
}

#[test]
fn a_home_keeps_its_partition() {
    let home = |id: &str| redis_key::partition_of(&RecordId::team(&TeamId::new(id)), 64).0;
    assert_eq!(["a", "b", "c", "team-1"].map(home), [29, 14, 0, 25]);
    let hash = VirtualKey::parse(b"sk-1234").unwrap().hash();
    assert_eq!(redis_key::index_slot(&hash, 64).0, 59);
    assert_eq!(redis_key::model_slot("gpt-4o", 64).0, 39);
    assert_eq!(
        redis_key::partition_of(&RecordId::team(&TeamId::new("a")), 1).0,
        0
    );
}

proptest! {
    #[test]
    fn different_records_never_share_a_name(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
        let member = |team: &str, user: &str| RecordId::member(&TeamId::new(team), &UserId::new(user));
        prop_assert_eq!(member(&a, &b) == member(&c, &d), (&a, &b) == (&c, &d));
        prop_assert_ne!(RecordId::user(&UserId::new(&*a)), RecordId::team(&TeamId::new(&*a)));
        let name = member(&a, &b);
        prop_assert!(name.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn a_partition_is_below_their_number(id in ".*", partitions in 1_u16..) {
        let home = RecordId::user(&UserId::new(id));
        prop_assert!(redis_key::partition_of(&home, partitions).0 < partitions);
    }
}

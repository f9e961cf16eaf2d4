//! Records, markers and events: what is written is what is read.

use std::collections::BTreeMap;

use contract::id::{CustomerId, KeyId, OrganizationId, Rev, TeamId, UserId};
use contract::limits::{Budget, Limits, ModelLimits, Raise};
use contract::money::NanoUsd;
use contract::records::{
    CustomerRecord, IndexEntry, KeyRecord, MemberRecord, ModelRecord, OrganizationRecord,
    ProxySettings, Ready, Record, TeamRecord, UserRecord, Versioned,
};
use contract::redis_key::{Partition, RecordId};
use contract::window::BudgetWindow;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ledger::rev;

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + Clone>(
    value: T,
) -> String {
    let versioned = Versioned {
        rev: rev(1_764_000_000_000_000),
        value,
    };
    let text = versioned.encode().unwrap();
    assert_eq!(Versioned::decode(text.as_bytes()), Some(versioned));
    text
}

fn limits() -> Limits {
    let window = BudgetWindow::Fixed {
        anchor_ms: 5,
        every_ms: 7,
    };
    let budget = Some(Budget {
        max: NanoUsd::new(9).unwrap(),
        window,
    });
    Limits {
        rpm: Some(1),
        tpm: Some(1 << 53),
        parallel: Some(3),
        models: BTreeMap::from([(
            "gpt-*".to_owned(),
            ModelLimits {
                rpm: Some(4),
                tpm: Some(5),
                budget: budget.clone(),
            },
        )]),
        windows: budget
            .iter()
            .map(|budget| ("1d".to_owned(), budget.clone()))
            .collect(),
        budget,
        raise: Some(Raise {
            by: NanoUsd::new(6).unwrap(),
            until_ms: 8,
        }),
    }
}

#[test]
fn a_key_record_is_read_as_it_was_written() {
    let (user, team) = (UserId::new("u"), TeamId::new("t"));
    let full = KeyRecord {
        id: KeyId::new("k"),
        display: "sk-...abcd".to_owned(),
        alias: Some("alias".to_owned()),
        blocked: true,
        expires_ms: Some(1),
        models: vec!["gpt-*".to_owned()],
        aliases: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        allowed_routes: vec!["/v1/models".to_owned()],
        user: Some(user),
        team: Some(team),
        organization: Some(OrganizationId::new("o")),
        tags: vec!["a".to_owned()],
        master: true,
        limits: limits(),
        organization_member: Some(Box::new(limits())),
    };
    survives(Record::Key(full));
}

#[test]
fn what_is_not_set_takes_no_room() {
    let key = KeyRecord {
        id: KeyId::new("k"),
        display: "sk-...abcd".to_owned(),
        alias: None,
        blocked: false,
        expires_ms: None,
        models: vec![],
        aliases: BTreeMap::new(),
        allowed_routes: vec![],
        user: None,
        team: None,
        organization: None,
        tags: vec![],
        master: false,
        limits: Limits::default(),
        organization_member: None,
    };
    let text = survives(Record::Key(key));
    let json = r#"{"key":{"id":"k","display":"sk-...abcd","limits":{}}}"#;
    assert_eq!(text, format!("1764000000000000{json}"));
}

#[test]
fn the_other_records_are_read_as_they_were_written() {
    let (user, team) = (UserId::new("u"), TeamId::new("t"));
    survives(Record::User(UserRecord {
        id: user.clone(),
        blocked: true,
        may_call_models: false,
        models: vec!["m".to_owned()],
        limits: limits(),
    }));
    survives(Record::Team(TeamRecord {
        id: team.clone(),
        alias: Some("alias".to_owned()),
        blocked: true,
        models: vec!["m".to_owned()],
        aliases: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        tags: vec!["a".to_owned()],
        limits: limits(),
    }));
    survives(Record::Member(MemberRecord {
        team,
        user,
        models: vec!["m".to_owned()],
        limits: limits(),
    }));
    survives(Record::Organization(OrganizationRecord {
        id: OrganizationId::new("o"),
        alias: Some("alias".to_owned()),
        models: vec!["m".to_owned()],
        limits: limits(),
    }));
    survives(Record::Customer(CustomerRecord {
        id: CustomerId::new("c"),
        blocked: true,
        models: vec!["m".to_owned()],
        limits: limits(),
    }));
    assert_eq!(survives(Record::Deleted), r#"1764000000000000"deleted""#);
    survives(IndexEntry {
        home: Partition(3),
        records: vec![RecordId::key(&KeyId::new("k"))],
        until_ms: Some(4),
    });
    survives(ModelRecord {
        name: "m".to_owned(),
        upstream: "n".to_owned(),
        provider: "openai".to_owned(),
        mode: Some("chat".to_owned()),
        max_input_tokens: Some(1),
        max_output_tokens: Some(2),
        price: Some(contract::price::ModelPrice::default()),
        limits: limits(),
    });
    survives(ProxySettings {
        budget_exceeded_status: 429,
        team_models: BTreeMap::from([("m".to_owned(), TeamId::new("t"))]),
        tags: BTreeMap::from([("a".to_owned(), limits())]),
        budget: limits().budget,
        customer_default: limits(),
        key_header: Some("x-my-key".to_owned()),
        user_header_name: Some("x-user".to_owned()),
        user_header_mappings: vec!["x-email".to_owned()],
        ..ProxySettings::default()
    });
}

#[test]
fn a_user_written_without_the_flag_may_call_models() {
    let user = br#"0000000000000001{"user":{"id":"u"}}"#;
    let Some(Versioned {
        value: Record::User(user),
        ..
    }) = Versioned::decode(user)
    else {
        panic!()
    };
    assert!(user.may_call_models && user.limits.is_unlimited());
}

#[test]
fn settings_and_limits_of_an_older_service_are_read() {
    let settings = br#"0000000000000001{"models":["m"],"budget_exceeded_status":400}"#;
    let settings = Versioned::<ProxySettings>::decode(settings).unwrap().value;
    let expected = ProxySettings {
        models: vec!["m".to_owned()],
        budget_exceeded_status: 400,
        ..ProxySettings::default()
    };
    assert_eq!(settings, expected);
    let limits = serde_json::from_str::<Limits>(r#"{"rpm":3}"#).unwrap();
    assert_eq!(
        (limits.rpm, limits.windows.len(), limits.models.len()),
        (Some(3), 0, 0)
    );
}

#[test]
fn anything_else_is_no_record() {
    for text in [
        "",
        "0000000000000001",
        "000000000000001\"deleted\"",
        "0000000000000001null",
        "+000000000000001\"deleted\"",
        "000000000000000a\"deleted\"",
        "0000000000000001\"other\"",
        "0000000000000001\"deleted\"x",
    ] {
        assert_eq!(Versioned::<Record>::decode(text.as_bytes()), None, "{text}");
    }
    assert_eq!(
        Versioned::<Record>::decode(b"0000000000000001\"deleted\xff\""),
        None
    );
}

#[test]
fn a_revision_never_goes_back() {
    assert_eq!(rev(5).next(3), rev(6));
    assert_eq!(rev(5).next(9), rev(9));
    assert_eq!(rev(Rev::MAX).next(u64::MAX), rev(Rev::MAX));
    assert_eq!(Rev::new(Rev::MAX + 1), None);
    assert!(serde_json::from_str::<Rev>("10000000000000000").is_err());
}

#[test]
fn a_marker_is_cut_by_position() {
    let ready = Ready {
        partitions: 64,
        catalogue: rev(7),
        full_ms: 9,
        run_id: "a:b".to_owned(),
    };
    assert_eq!(
        ready.encode(),
        "00064:0000000000000007:0000000000000009:a:b"
    );
    assert_eq!(Ready::decode(ready.encode().as_bytes()), Some(ready));
    for text in [
        "",
        "1:2:3:x",
        "00001:0000000000000001:0000000000000001",
        "00001:000000000000000a:0000000000000001:",
    ] {
        assert_eq!(Ready::decode(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_window_from_a_moment_on_begins_and_ends_as_before() {
    let calendar = BudgetWindow::Calendar(vec![10, 20, 30, 40]);
    assert_eq!(calendar.from(5), BudgetWindow::Calendar(vec![10, 20, 30]));
    assert_eq!(calendar.from(20), BudgetWindow::Calendar(vec![20, 30, 40]));
    assert_eq!(calendar.from(99), BudgetWindow::Calendar(vec![40]));
    for now in 0..50 {
        let rest = calendar.from(now);
        for at in now..now + 20 {
            assert_eq!(rest.start(at), calendar.start(at), "{now} {at}");
        }
    }
}

#[test]
fn a_fixed_window_starts_at_its_anchor_and_every_period_after() {
    let window = BudgetWindow::Fixed {
        anchor_ms: 100,
        every_ms: 10,
    };
    assert_eq!(
        [0, 99, 100, 109, 110, 1005].map(|now| window.start(now)),
        [0, 0, 100, 100, 110, 1000]
    );
    assert_eq!(
        [0, 99, 100, 109, 110].map(|now| window.next(now)),
        [100, 100, 110, 110, 120].map(Some)
    );
    assert_eq!(
        (
            BudgetWindow::Lifetime.start(5),
            BudgetWindow::Lifetime.next(5)
        ),
        (0, None)
    );
    let window = BudgetWindow::Calendar(vec![10, 20]);
    assert_eq!(
        [9, 10, 19, 20, 99].map(|now| window.start(now)),
        [0, 10, 10, 20, 20]
    );
    assert_eq!(
        [9, 10, 19, 20].map(|now| window.next(now)),
        [Some(10), Some(20), Some(20), None]
    );
}

proptest! {
    #[test]
    fn a_window_contains_its_moment(anchor in 0_u64..1_000_000, every in 1_u64..100_000, now in 0_u64..2_000_000) {
        let window = BudgetWindow::Fixed { anchor_ms: anchor, every_ms: every };
        let (start, next) = (window.start(now), window.next(now).unwrap());
        prop_assert!(start <= now && now < next);
        prop_assert_eq!(window.start(next), next);
        prop_assert!(start == 0 || window.start(start) == start);
    }

    #[test]
    fn no_bytes_break_the_readers(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(Versioned::<Record>::decode(&bytes).is_none_or(|_| bytes.len() > 16));
        prop_assert!(Ready::decode(&bytes).is_none_or(|ready| ready.encode().into_bytes() == bytes));
    }
}

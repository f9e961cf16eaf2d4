use contract::id::{KeyId, OrganizationId, TeamId, UserId};
use contract::redis_key::{Partition, RecordId};
use contract::virtual_key::VirtualKey;
use contract::window::BudgetWindow;

use super::*;
use crate::ledger::StreamId;
use crate::store::spend::Windows;

const HOUR: u64 = 3_600_000;

fn entry(id: u8, version: u8, cost: u64, at_ms: u64) -> StreamEntry {
    let body = SpendBody {
        key: KeyId::new("k"),
        hash: VirtualKey::parse(b"sk-k").unwrap().hash(),
        user: Some(UserId::new("u")),
        team: Some(TeamId::new("t")),
        organization: None,
        model: "m".to_owned(),
        model_group: "m".to_owned(),
        provider: "openai".to_owned(),
        call_type: "acompletion".to_owned(),
        status: 200,
        usage: Usage {
            input: 3,
            ..Usage::default()
        },
        exact: version > 0,
        first_byte_ms: None,
        duration_ms: 4,
        response_id: None,
        client_ip: None,
        end_user: None,
        tags: Vec::new(),
        charged: Vec::new(),
    };
    let worker = if version > 0 {
        "aa".to_owned()
    } else {
        String::new()
    };
    let event = SpendEvent {
        id: ReservationId::from_bytes([id; 16]),
        version,
        worker,
        sequence: u64::from(version) * u64::from(id),
        cost: NanoUsd::saturating(cost),
        admitted_ms: 1_000,
        body,
    };
    StreamEntry::of(
        Partition(0),
        StreamId {
            ms: at_ms,
            number: 0,
        },
        event,
    )
}

fn hourly() -> Prior {
    let window = BudgetWindow::Fixed {
        anchor_ms: 0,
        every_ms: HOUR,
    };
    let windows = Windows::of([((Kind::Key, "k".to_owned()), window)]);
    Prior {
        windows,
        ..Prior::default()
    }
}

fn state(writes: &Writes, kind: Kind) -> ScopeState {
    let (_, state) = writes
        .scopes
        .iter()
        .find(|(scope, _)| scope.kind == kind)
        .unwrap();
    *state
}

#[test]
fn a_request_counts_in_its_key_user_team_and_membership() {
    let writes = fold(&[entry(1, 1, 50, HOUR + 1)], hourly());
    let scopes = writes
        .scopes
        .keys()
        .map(|scope| (scope.kind, scope.object_id.as_str()));
    assert_eq!(
        scopes.collect::<Vec<_>>(),
        [
            (Kind::Key, "k"),
            (Kind::User, "u"),
            (Kind::Team, "t"),
            (Kind::Member, r#"["t","u"]"#)
        ]
    );
    assert!(
        writes
            .scopes
            .values()
            .all(|state| state.spent.get() == 50 && state.total.get() == 50)
    );
    assert_eq!(state(&writes, Kind::Key).window_start_ms, HOUR);
    assert_eq!(state(&writes, Kind::User).window_start_ms, 0);
    assert_eq!(
        writes.watermarks[&(Partition(0), "aa".to_owned())],
        (1, HOUR + 1)
    );
}

#[test]
fn a_request_counts_in_every_scope_it_names_by_the_window_it_was_admitted_with() {
    let named = |mut entry: StreamEntry| {
        if let Ok(event) = &mut entry.event {
            event.body.organization = Some(OrganizationId::new("o"));
            event.body.end_user = Some("c".to_owned());
            event.body.charged = vec![
                ChargedScope {
                    id: RecordId::tag("a"),
                    window: BudgetWindow::Fixed {
                        anchor_ms: 0,
                        every_ms: HOUR,
                    },
                },
                ChargedScope {
                    id: RecordId::tag(&"x".repeat(LONGEST_SCOPE)),
                    window: BudgetWindow::Lifetime,
                },
            ];
        }
        entry
    };
    let entries = [
        named(entry(1, 0, 90, HOUR - 1)),
        named(entry(2, 1, 5, HOUR)),
        named(entry(1, 1, 40, HOUR + 1)),
    ];
    let writes = fold(&entries, hourly());
    let tag = state(&writes, Kind::Scope);
    assert_eq!((tag.window_start_ms, tag.window_end_ms), (HOUR, 2 * HOUR));
    assert_eq!((tag.spent.get(), tag.total.get()), (5, 45));
    for kind in [Kind::Organization, Kind::Customer] {
        let state = state(&writes, kind);
        assert_eq!(
            (state.spent.get(), state.total.get(), state.window_end_ms),
            (45, 45, 0)
        );
    }
    assert_eq!(
        writes.rows[0].charged,
        ["tag:a"],
        "a name no index takes is nobody's"
    );
}

#[test]
fn sweep_and_settlement_in_one_batch_are_one_row_and_one_charge() {
    let entries = [
        entry(1, 0, 90, HOUR),
        entry(1, 1, 40, HOUR + 1),
        entry(1, 1, 40, HOUR + 2),
    ];
    let writes = fold(&entries, hourly());
    assert_eq!((writes.rows.len(), writes.rows[0].version), (1, 1));
    let key = state(&writes, Kind::Key);
    assert_eq!((key.spent.get(), key.total.get()), (40, 40));
    let teams = writes.daily.iter();
    let mut teams = teams.filter(|((dimension, _), _)| *dimension == Dimension::Team);
    let (_, day) = teams.next().unwrap();
    assert_eq!((day.spend, day.api_requests, day.prompt_tokens), (40, 1, 3));
}

#[test]
fn a_correction_after_the_windows_end_leaves_the_new_window_alone() {
    let entries = [
        entry(1, 0, 90, HOUR - 1),
        entry(2, 1, 5, HOUR),
        entry(1, 1, 40, HOUR + 1),
    ];
    // The same in one batch and in three.
    let whole = fold(&entries, hourly());
    let mut prior = hourly();
    let mut last = Writes::default();
    for entry in &entries {
        last = fold(std::slice::from_ref(entry), prior.clone());
        prior.scopes.extend(last.scopes.clone());
        prior
            .rows
            .extend(last.rows.iter().map(|row| (row.event_id, row.clone())));
    }
    for writes in [&whole, &last] {
        let key = state(writes, Kind::Key);
        assert_eq!(
            (key.window_start_ms, key.spent.get(), key.total.get()),
            (HOUR, 5, 45)
        );
        // A scope without windows has one for ever.
        let user = state(writes, Kind::User);
        assert_eq!((user.spent.get(), user.total.get()), (45, 45));
    }
}

#[test]
fn text_is_cut_between_letters_and_loses_its_nuls() {
    assert_eq!(clean("a\0b"), "a\u{fffd}b");
    let long = format!("a{}", "ä".repeat(200));
    assert_eq!(clean(&long).len(), 255);
}

//! Calls and replies of the scripts as such: hashes, errors, shapes, what they leave to expire.

use contract::id::{KeyId, OrganizationId, TeamId, UserId};
use contract::limits::Limits;
use contract::redis_key::{self, RecordId};
use contract::resp::Reply;
use contract::script::{
    self, Admit, By, Call, Load, Open, Put, Release, Renew, ScriptError, Settle, Sweep,
};
use contract::spend_event::{BadEvent, ChargedScope, SpendBody, SpendEvent};
use contract::usage::Usage;
use contract::virtual_key::VirtualKey;
use contract::window::BudgetWindow;
use proptest::prelude::*;

use crate::ledger::{
    Book, Ledger as _, P0, START, Scoped, WORKER, budget, id, key_scope, marker, parallel, rpm, usd,
};
use crate::lua_ledger::{LuaLedger, array, bulk};
use crate::redis_server::RedisServer;

#[test]
fn every_script_has_the_hash_that_redis_computes() {
    let server = RedisServer::start(&[]);
    let mut connection = server.connect();
    for script in script::all() {
        let sha = connection.text(&[b"SCRIPT", b"LOAD", script.source().as_bytes()]);
        assert_eq!(script.sha(), sha, "{script:?}");
    }
}

#[test]
fn a_script_that_redis_does_not_know_is_sent_whole_and_known_from_then_on() {
    let server = RedisServer::start(&[]);
    let mut connection = server.connect();
    let key = redis_key::ready(P0);
    let call = Open {
        key: &key,
        ready: &marker(),
    };
    let mut ask = |by| {
        let mut command = Vec::new();
        call.encode(by, &mut command);
        call.decode(&connection.send(&command, 1)[0])
    };
    assert_eq!(ask(By::Hash), Err(ScriptError::NoScript));
    assert_eq!(ask(By::Source), Ok(true));
    assert_eq!(ask(By::Hash), Ok(false));
}

#[test]
fn an_error_of_redis_keeps_its_text() {
    let reply = Reply::Error(b"OOM command not allowed".to_vec());
    let expected = ScriptError::Redis("OOM command not allowed".to_owned());
    assert_eq!(
        Sweep {
            partition: P0,
            ids: &[]
        }
        .decode(&reply),
        Err(expected.clone())
    );
    assert_eq!(Put { values: &[] }.decode(&reply), Err(expected));
}

#[test]
fn what_a_script_writes_is_an_event_the_ledger_reads() {
    let mut book = Book::new(LuaLedger::start());
    let body = SpendBody {
        key: KeyId::new("k"),
        hash: VirtualKey::parse(b"sk-1234").unwrap().hash(),
        user: Some(UserId::new("u")),
        team: Some(TeamId::new("t")),
        organization: Some(OrganizationId::new("o")),
        model: "gpt-4o".to_owned(),
        model_group: "gpt".to_owned(),
        provider: "openai".to_owned(),
        call_type: "acompletion".to_owned(),
        status: 200,
        usage: Usage {
            input: 3,
            output: 5,
            ..Usage::default()
        },
        exact: true,
        first_byte_ms: Some(7),
        duration_ms: 9,
        response_id: Some("chatcmpl-1".to_owned()),
        client_ip: Some("127.0.0.1".to_owned()),
        end_user: Some("ü\"\\\n".to_owned()),
        tags: vec!["a".to_owned()],
        charged: vec![
            ChargedScope {
                id: RecordId::tag("a"),
                window: BudgetWindow::Calendar(vec![1, 2]),
            },
            ChargedScope {
                id: RecordId::proxy(),
                window: BudgetWindow::Lifetime,
            },
        ],
    };
    let json = serde_json::to_vec(&body).unwrap();
    let scope = key_scope(Limits::default());
    let windows = [scope.with_window()];
    let item = script::Settlement {
        id: id(7),
        admitted_ms: START,
        tokens: 8,
        cost: usd(123),
        scopes: &windows,
        body: &json,
    };
    book.ledger.settle(&Settle {
        partition: P0,
        partitions: 1,
        worker: WORKER,
        first_sequence: 1,
        items: &[item],
    });
    let reply = book
        .ledger
        .connection
        .words(&format!("XRANGE {} - +", redis_key::spend(P0)));
    let fields: Vec<&[u8]> = array(&array(&array(&reply)[0])[1])
        .iter()
        .map(bulk)
        .collect();
    let pairs = || fields.chunks(2).map(|pair| (pair[0], pair[1]));
    let event = SpendEvent {
        id: id(7),
        version: 1,
        worker: WORKER.to_owned(),
        sequence: 1,
        cost: usd(123),
        admitted_ms: START,
        body,
    };
    assert_eq!(SpendEvent::decode(pairs()), Ok(event.clone()));
    let backwards: Vec<_> = pairs().collect();
    assert_eq!(SpendEvent::decode(backwards.into_iter().rev()), Ok(event));
    for missing in ["i", "v", "w", "q", "c", "a", "b"] {
        let fault = BadEvent { field: missing };
        let without = pairs().filter(|(name, _)| *name != missing.as_bytes());
        assert_eq!(SpendEvent::decode(without), Err(fault.clone()));
        let broken = pairs().map(|(name, value)| {
            (
                name,
                if name == missing.as_bytes() {
                    b"\xff"
                } else {
                    value
                },
            )
        });
        assert_eq!(SpendEvent::decode(broken), Err(fault));
    }
}

/// When a key expires; `None` where it does not or is absent.
fn expires(book: &mut Book<LuaLedger>, key: &str) -> Option<u64> {
    u64::try_from(book.ledger.connection.number(&format!("PEXPIRETIME {key}"))).ok()
}

fn exists(book: &mut Book<LuaLedger>, key: &str) -> bool {
    book.ledger.connection.number(&format!("EXISTS {key}")) == 1
}

#[test]
fn nothing_that_counts_expires_and_nothing_else_stays() {
    let mut book = Book::new(LuaLedger::start());
    let hour = BudgetWindow::Fixed {
        anchor_ms: START,
        every_ms: 3_600_000,
    };
    let windowed = key_scope(Limits {
        rpm: Some(9),
        ..budget(100, hour)
    });
    let lifetime = crate::ledger::user_scope(budget(100, BudgetWindow::Lifetime));
    let unlimited = crate::ledger::team_scope(Limits::default());
    let scopes = [windowed.clone(), lifetime.clone(), unlimited.clone()];
    let header = |scope: &Scoped| redis_key::scope(P0, &scope.id);
    let reservation = |number| redis_key::reservation(P0, &id(number));

    book.must_admit(1, 1, 10, &scopes);
    assert!(exists(&mut book, &reservation(1)));
    for key in scopes
        .each_ref()
        .map(header)
        .into_iter()
        .chain([reservation(1)])
    {
        assert_eq!(
            expires(&mut book, &key),
            None,
            "{key} holds a request in flight"
        );
    }
    book.settle(1, 1, 10, &scopes);
    assert!(!exists(&mut book, &reservation(1)));
    assert_eq!(
        expires(&mut book, &header(&windowed)),
        Some(START + 3_600_000 + 60_000)
    );
    assert_eq!(expires(&mut book, &header(&lifetime)), None);
    assert_eq!(expires(&mut book, &header(&unlimited)), None);

    // Nothing spent: gone a minute after the rate window.
    let idle = Scoped {
        id: RecordId::key(&KeyId::new("idle")),
        limits: rpm(9),
    };
    book.must_admit(2, 1, 10, std::slice::from_ref(&idle));
    book.release(&[2]);
    assert_eq!(expires(&mut book, &header(&idle)), Some(START + 120_000));
    assert_eq!(expires(&mut book, &reservation(2)), Some(START + 60_000));

    book.must_admit(3, 1, 10, &scopes);
    book.pass(300);
    book.must_admit(4, 1, 10, &scopes);
    let segments = redis_key::segments(P0, &windowed.id);
    assert_eq!(expires(&mut book, &segments), Some(START + 120_000));
    book.renew(&[3, 4], START, 1, 10, &scopes);
    assert_eq!(expires(&mut book, &reservation(3)), None);
    book.pass(30_000);
    book.beat();
    book.sweep(&[3]);
    assert_eq!(
        expires(&mut book, &reservation(3)),
        Some(book.now() + 86_400_000)
    );
}

#[test]
fn names_of_any_length_are_kept() {
    let mut book = Book::new(LuaLedger::start());
    let long = Scoped {
        id: RecordId::key(&KeyId::new("k".repeat(3000))),
        limits: parallel(1),
    };
    let scopes = [
        long,
        Scoped {
            id: RecordId::user(&UserId::new("")),
            limits: parallel(1),
        },
    ];
    book.must_admit(1, 0, 5, &scopes);
    book.renew(&[1], START, 0, 5, &scopes);
    book.pass(30_000);
    book.beat();
    assert_eq!(book.sweep(&[]).0, vec![id(1)]);
    for scope in &scopes {
        assert_eq!(book.spent(scope), 5);
    }
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let word = prop_oneof![
        Just("ok"),
        Just("again"),
        Just("denied"),
        Just("stale"),
        Just("not_ready"),
        Just("released"),
        Just("late"),
        Just("open"),
        Just("rpm"),
        Just("budget"),
        Just("00000000000000000000000000000001"),
        Just(""),
    ];
    let leaf = prop_oneof![
        word.prop_map(|word| Reply::Bulk(Some(word.as_bytes().to_vec()))),
        (-2_i64..4).prop_map(Reply::Integer),
        any::<i64>().prop_map(Reply::Integer),
        Just(Reply::Bulk(None)),
        Just(Reply::Array(None)),
        Just(Reply::Simple(b"OK".to_vec())),
        Just(Reply::Error(b"NOSCRIPT".to_vec())),
    ];
    prop_oneof![
        leaf.clone(),
        prop::collection::vec(leaf, 0..12).prop_map(|items| Reply::Array(Some(items)))
    ]
}

proptest! {
    #[test]
    fn no_reply_breaks_a_reader(reply in any_reply()) {
        let scope = key_scope(Limits::default());
        let named = [scope.with_limits()];
        let records = [(scope.id.clone(), crate::ledger::rev(1))];
        let admit = Admit {
            partition: P0, partitions: 1, id: id(1), worker: WORKER, not_after_ms: 0, travel_ms: 0,
            catalogue: crate::ledger::rev(1), records: &records, scopes: &named, tokens: 0, cost: usd(0), body: b"",
        };
        let ready = marker();
        let _ = admit.decode(&reply);
        let _ = Settle { partition: P0, partitions: 1, worker: "", first_sequence: 1, items: &[] }.decode(&reply);
        let _ = Release { partition: P0, ids: &[] }.decode(&reply);
        let _ = Renew { partition: P0, worker: "", last_sequence: 0, items: &[] }.decode(&reply);
        let _ = Sweep { partition: P0, ids: &[] }.decode(&reply);
        let _ = Put { values: &[] }.decode(&reply);
        let _ = Load { partition: P0, scopes: &[], watermarks: &[] }.decode(&reply);
        let _ = Open { key: "", ready: &ready }.decode(&reply);
    }
}

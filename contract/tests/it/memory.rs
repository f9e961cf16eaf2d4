//! Redis out of memory: a refused call did nothing at all, and what frees memory still works.

use std::collections::BTreeMap;

use contract::redis_key;
use contract::resp::Reply;
use contract::script::{
    Release, Renew, Renewal, Script, ScriptError, Settle, SettleAnswer, Settlement, Sweep,
};
use contract::window::BudgetWindow;

use crate::ledger::{
    Book, Ledger, P0, START, Scoped, WORKER, budget, id, key_scope, rpm, usd, user_scope,
};
use crate::lua_ledger::{LuaLedger, array, bulk};

type Snapshot = BTreeMap<Vec<u8>, Reply>;

fn snapshot(ledger: &mut LuaLedger) -> Snapshot {
    let keys = ledger.connection.words("KEYS *");
    let names = array(&keys).iter().map(|key| bulk(key).to_vec());
    names
        .map(|key| (key.clone(), ledger.connection.command(&[b"DUMP", &key])))
        .collect()
}

fn no_memory(ledger: &mut LuaLedger) {
    ledger.connection.words("CONFIG SET maxmemory 1");
}

fn enough_memory(ledger: &mut LuaLedger) {
    ledger.connection.words("CONFIG SET maxmemory 0");
}

fn is_out_of_memory<T>(answer: &Result<T, ScriptError>) -> bool {
    matches!(answer, Err(ScriptError::Redis(text)) if text.contains("OOM"))
}

fn scopes() -> [Scoped; 2] {
    [
        key_scope(budget(1000, BudgetWindow::Lifetime)),
        user_scope(rpm(100)),
    ]
}

fn settle(
    ledger: &mut LuaLedger,
    first_sequence: u64,
    numbers: &[u64],
    body: &[u8],
) -> Result<SettleAnswer, ScriptError> {
    let scopes = scopes();
    let windows = scopes.each_ref().map(Scoped::with_window);
    let items: Vec<_> = numbers
        .iter()
        .map(|number| Settlement {
            id: id(*number),
            admitted_ms: START,
            tokens: 1,
            cost: usd(2),
            scopes: &windows,
            body,
        })
        .collect();
    ledger.try_call(&Settle {
        partition: P0,
        partitions: 1,
        worker: WORKER,
        first_sequence,
        items: &items,
    })
}

/// Four requests in flight and overdue, one of them renewed and so known to be sent.
fn book(change: &dyn Fn(Script, String) -> String) -> Book<LuaLedger> {
    let mut book = Book::new(LuaLedger::with_sources(change));
    let scopes = scopes();
    for number in 1..=4 {
        book.must_admit(number, 10, 100, &scopes);
    }
    book.renew(&[1], START, 10, 100, &scopes);
    book.pass(30_000);
    book.beat();
    book
}

/// Makes the stream refuse an event.
#[derive(Clone, Copy)]
enum Refusal {
    OutOfMemory,
    WrongType,
}

/// What a settlement or sweep whose event is refused changed, if anything.
fn half_done(refusal: Refusal, change: &dyn Fn(Script, String) -> String) -> Option<&'static str> {
    let mut book = book(change);
    let ledger = &mut book.ledger;
    match refusal {
        Refusal::OutOfMemory => no_memory(ledger),
        Refusal::WrongType => drop(
            ledger
                .connection
                .words(&format!("SET {} text", redis_key::spend(P0))),
        ),
    }
    let before = snapshot(ledger);
    assert!(settle(ledger, 1, &[1, 2], b"{}").is_err());
    if snapshot(ledger) != before {
        return Some("settle");
    }
    assert!(
        ledger
            .try_call(&Sweep {
                partition: P0,
                ids: &[]
            })
            .is_err()
    );
    (snapshot(ledger) != before).then_some("sweep")
}

#[test]
fn a_settlement_or_sweep_whose_event_is_refused_leaves_everything_as_it_was() {
    assert_eq!(half_done(Refusal::OutOfMemory, &|_, source| source), None);
    assert_eq!(half_done(Refusal::WrongType, &|_, source| source), None);
}

#[test]
fn a_script_that_frees_before_it_writes_the_event_is_caught() {
    let event = "for _,event in ipairs(events) do redis.call('XADD'";
    let settle = |script, source: String| match script {
        Script::Settle => source.replace(
            event,
            &format!("redis.call('ZREM',DEADLINES,unpack(ended)) {event}"),
        ),
        _ => source,
    };
    assert_eq!(half_done(Refusal::WrongType, &settle), Some("settle"));
    let sweep = |script, source: String| match script {
        Script::Sweep => source.replace(
            event,
            &format!("redis.call('ZREM',KEYS[2],unpack(ids)) {event}"),
        ),
        _ => source,
    };
    assert_eq!(half_done(Refusal::WrongType, &sweep), Some("sweep"));
}

#[test]
fn a_refused_settlement_is_repeated_when_there_is_memory_and_counts_once() {
    let mut book = book(&|_, source| source);
    let ledger = &mut book.ledger;
    no_memory(ledger);
    assert!(is_out_of_memory(&settle(ledger, 1, &[1, 2], b"{}")));
    assert!(is_out_of_memory(&ledger.try_call(&Sweep {
        partition: P0,
        ids: &[]
    })));
    enough_memory(ledger);
    let done = SettleAnswer::Done {
        now_ms: START + 30_000,
        watermark: 2,
    };
    assert_eq!(settle(ledger, 1, &[1, 2], b"{}"), Ok(done));
    assert_eq!(settle(ledger, 1, &[1, 2], b"{}"), Ok(done));
    let figures = ledger.figures(&scopes()[0].id);
    assert_eq!(
        (figures.in_flight, figures.held, figures.spent),
        (2, 200, 4)
    );
    assert_eq!(ledger.events().len(), 2);
}

#[test]
fn refused_admissions_and_renewals_leave_everything_as_it_was() {
    let mut book = book(&|_, source| source);
    let scopes = scopes();
    let named = scopes.each_ref().map(Scoped::with_limits);
    book.pass(300);
    let admission = book.admission(9, 1, 1, &named);
    let before = snapshot(&mut book.ledger);
    no_memory(&mut book.ledger);
    // The open rate segment is due to close, so this admission has the most to write.
    assert!(is_out_of_memory(&book.ledger.try_call(&admission)));
    let item = |number| Renewal {
        id: id(number),
        admitted_ms: START,
        tokens: 1,
        cost: usd(1),
        scopes: &named,
        body: b"{}",
    };
    for items in [vec![item(2)], vec![item(77)], vec![]] {
        let call = Renew {
            partition: P0,
            worker: WORKER,
            last_sequence: 0,
            items: &items,
        };
        assert!(is_out_of_memory(&book.ledger.try_call(&call)));
    }
    assert_eq!(snapshot(&mut book.ledger), before);
}

#[test]
fn a_release_needs_no_memory() {
    let mut book = book(&|_, source| source);
    no_memory(&mut book.ledger);
    let ids = [id(2), id(3), id(99)];
    let answer = book
        .ledger
        .try_call(&Release {
            partition: P0,
            ids: &ids,
        })
        .expect("an answer");
    assert_eq!(answer.released, 2);
    let figures = book.figures(&scopes()[0]);
    assert_eq!((figures.in_flight, figures.held), (2, 200));
}

#[test]
fn a_redis_that_fills_up_refuses_whole_batches_and_loses_none() {
    let mut book = Book::new(LuaLedger::start());
    let scopes = [
        key_scope(budget(1_000_000, BudgetWindow::Lifetime)),
        user_scope(rpm(1_000_000)),
    ];
    let used: usize = {
        let info = book.ledger.connection.text(&[b"INFO", b"memory"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"))
            .expect("its size");
        line.trim().parse().expect("a number")
    };
    book.ledger
        .connection
        .words(&format!("CONFIG SET maxmemory {}", used + 2_000_000));
    let body = vec![b'x'; 2000];
    let (mut sequence, mut refused) = (0, 0);
    while refused == 0 {
        let numbers: Vec<u64> = (sequence + 1..=sequence + 20).collect();
        for number in &numbers {
            if !book.is_admitted_or_full(*number, &scopes) {
                refused += 1;
            }
        }
        match settle(&mut book.ledger, sequence + 1, &numbers, &body) {
            Ok(SettleAnswer::Done { watermark, .. }) => sequence = watermark,
            Err(ScriptError::Redis(text)) if text.contains("OOM") => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    let length = format!("XLEN {}", redis_key::spend(P0));
    assert_eq!(
        u64::try_from(book.ledger.connection.number(&length)).unwrap(),
        sequence
    );
    assert_eq!(book.spent(&scopes[0]), 2 * sequence);
    enough_memory(&mut book.ledger);
    let numbers: Vec<u64> = (sequence + 1..=sequence + 20).collect();
    settle(&mut book.ledger, sequence + 1, &numbers, &body).expect("there is memory");
    let figures = book.figures(&scopes[0]);
    assert_eq!(
        (figures.in_flight, figures.held, figures.spent),
        (0, 0, 2 * (sequence + 20))
    );
}

impl Book<LuaLedger> {
    /// Whether Redis had memory for the admission.
    fn is_admitted_or_full(&mut self, number: u64, scopes: &[Scoped]) -> bool {
        let named: Vec<_> = scopes.iter().map(Scoped::with_limits).collect();
        let call = self.admission(number, 1, 2, &named);
        let answer = self.ledger.try_call(&call);
        assert!(answer.is_ok() || is_out_of_memory(&answer), "{answer:?}");
        answer.is_ok()
    }
}

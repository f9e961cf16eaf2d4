//! What the scripts cost Redis: `cargo test -p tollkeeper-contract --test it cost -- --ignored --nocapture` prints microseconds a call
//! and bytes a key.

use contract::id::KeyId;
use contract::limits::Limits;
use contract::redis_key::{self, RecordId};
use contract::window::BudgetWindow;

use crate::ledger::{Book, Ledger, P0, Scoped, budget, id};
use crate::lua_ledger::LuaLedger;

const CALLS: u64 = 3000;

fn scopes(count: u64) -> Vec<Scoped> {
    let window = BudgetWindow::Fixed {
        anchor_ms: 0,
        every_ms: 86_400_000,
    };
    let limits = Limits {
        rpm: Some(1_000_000),
        tpm: Some(1 << 40),
        parallel: Some(1_000_000),
        ..budget(1 << 50, window)
    };
    (0..count)
        .map(|number| Scoped {
            id: RecordId::key(&KeyId::new(format!("key-{number:08}"))),
            limits: limits.clone(),
        })
        .collect()
}

fn microseconds(book: &mut Book<LuaLedger>) -> f64 {
    let stats = book.ledger.connection.text(&[b"INFO", b"commandstats"]);
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha"))
        .expect("its statistics");
    let after = line.split("usec_per_call=").nth(1).expect("a figure");
    after
        .split(',')
        .next()
        .expect("a figure")
        .parse()
        .expect("a number")
}

fn measure(scopes: &[Scoped], step_ms: u64) -> (f64, f64) {
    let mut book = Book::new(LuaLedger::start());
    // A busy window first: a minute in which a segment closes every quarter second.
    let mut number = 0;
    for _ in 0..300 {
        number += 1;
        book.must_admit(number, 100, 1000, scopes);
        book.settle(number, 90, 900, scopes);
        book.pass(if step_ms > 0 { 250 } else { 1 });
    }
    let mut admitted = Vec::new();
    book.ledger.connection.words("CONFIG RESETSTAT");
    for call in 0..CALLS {
        number += 1;
        book.must_admit(number, 100, 1000, scopes);
        admitted.push(number);
        if step_ms > 0 && call % 4 == 0 {
            book.pass(step_ms);
        }
    }
    let admit = microseconds(&mut book);
    book.ledger.connection.words("CONFIG RESETSTAT");
    for number in admitted {
        book.settle(number, 90, 900, scopes);
    }
    (admit, microseconds(&mut book))
}

#[test]
#[ignore = "a measurement, not a check"]
fn microseconds_of_admit_and_settle() {
    for (name, step_ms) in [("quiet", 0), ("busy", 250)] {
        for count in [1, 2, 4] {
            let (admit, settle) = measure(&scopes(count), step_ms);
            println!("{name}, {count} scopes: admit {admit:.1} µs, settle {settle:.1} µs");
        }
    }
    let mut book = Book::new(LuaLedger::start());
    let two = scopes(2);
    let numbers: Vec<u64> = (1..=32 * 50).collect();
    for number in &numbers {
        book.must_admit(*number, 100, 1000, &two);
    }
    book.ledger.connection.words("CONFIG RESETSTAT");
    let mut sequence = 1;
    for batch in numbers.chunks(32) {
        let items: Vec<_> = batch.iter().map(|number| (*number, 90, 900)).collect();
        book.settle_as(sequence, &items, &two);
        sequence += 32;
    }
    println!(
        "batches of 32, 2 scopes: settle {:.1} µs an item",
        microseconds(&mut book) / 32.0
    );
    assert_eq!(book.ledger.clock(), book.now());
}

#[test]
#[ignore = "a measurement, not a check"]
fn bytes_of_what_redis_holds() {
    let mut book = Book::new(LuaLedger::start());
    let scopes = scopes(1);
    let header = redis_key::scope(P0, &scopes[0].id);
    let segments = redis_key::segments(P0, &scopes[0].id);
    let usage = |book: &mut Book<LuaLedger>, key: &str| {
        println!(
            "{key}: {} bytes",
            book.ledger
                .connection
                .number(&format!("MEMORY USAGE {key}"))
        );
    };
    book.must_admit(1, 1, 1, &scopes);
    usage(&mut book, &header);
    usage(&mut book, &redis_key::reservation(P0, &id(1)));
    for number in 2..1000 {
        book.pass(250);
        book.must_admit(number, 1, 1, &scopes);
        book.settle(number, 1, 1, &scopes);
        if number == 5 || number == 60 || number == 999 {
            usage(&mut book, &segments);
        }
    }
    usage(&mut book, &redis_key::spend(P0));
}

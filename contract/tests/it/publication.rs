//! Versioned values and the markers that open a partition.

use contract::records::Ready;
use contract::script::Put;

use crate::ledger::{Ledger, key_scope, marker, on_both_ledgers, rev, rpm};

fn value(rev: u64, text: &str) -> Vec<u8> {
    format!("{rev:016}{text}").into_bytes()
}

fn put<L: Ledger>(ledger: &mut L, values: &[(&str, Vec<u8>)]) -> u64 {
    let values: Vec<_> = values
        .iter()
        .map(|(key, value)| (format!("tk:{{p0}}:rec:{key}"), value.clone()))
        .collect();
    ledger.put(&Put { values: &values })
}

on_both_ledgers! {
    fn a_value_is_written_only_over_an_absent_or_lower_revision(book) {
        let ledger = &mut book.ledger;
        assert_eq!(put(ledger, &[("a", value(7, "old")), ("b", value(7, "old"))]), 2);
        assert_eq!(put(ledger, &[("a", value(7, "same"))]), 0);
        assert_eq!(put(ledger, &[("a", value(6, "older"))]), 0);
        assert_eq!(put(ledger, &[("a", value(8, "new")), ("b", value(6, "older")), ("c", value(1, "first"))]), 2);
        // Above 2^53, where doubles no longer tell neighbours apart.
        assert_eq!(put(ledger, &[("a", value(9_007_199_254_740_993, ""))]), 1);
        assert_eq!(put(ledger, &[("a", value(9_007_199_254_740_994, ""))]), 1);
        assert_eq!(put(ledger, &[("a", value(9_007_199_254_740_993, ""))]), 0);
        assert_eq!(put(ledger, &[]), 0);
    }

    fn of_one_key_twice_in_a_call_the_higher_revision_stays(book) {
        assert_eq!(put(&mut book.ledger, &[("a", value(7, "")), ("a", value(6, ""))]), 1);
        assert_eq!(put(&mut book.ledger, &[("b", value(6, "")), ("b", value(7, ""))]), 2);
        assert_eq!(put(&mut book.ledger, &[("a", value(7, "")), ("b", value(7, ""))]), 0);
    }

    fn an_open_partition_takes_a_higher_catalogue_and_nothing_else(book) {
        assert!(!book.open(&marker()));
        let newer = Ready { partitions: 9, catalogue: rev(5), full_ms: 99, run_id: "other".to_owned() };
        assert!(book.open(&newer));
        assert!(!book.open(&Ready { catalogue: rev(4), ..newer }));
        let answer = book.admit(1, 0, 0, &[key_scope(rpm(1))]);
        let ready = Ready { catalogue: rev(5), ..marker() };
        let now_ms = book.now();
        assert_eq!(answer, contract::script::AdmitAnswer::Stale { now_ms, ready, records: vec![] });
    }
}

//! What a lookup of a virtual key answers.

use contract::id::{KeyId, UserId};
use contract::records::{IndexEntry, Ready, Versioned};
use contract::redis_key::{self, RecordId};
use contract::script::{Found, LookUp, Open, Put};
use contract::virtual_key::{KeyHash, VirtualKey};

use crate::ledger::{Book, Ledger, P0, marker, on_both_ledgers, rev};

fn hash() -> KeyHash {
    VirtualKey::parse(b"sk-1234").expect("a key").hash()
}

fn look_up<L: Ledger>(book: &mut Book<L>, known: u64) -> Option<Found> {
    book.ledger.look_up(&LookUp {
        partition: P0,
        hash: &hash(),
        known: rev(known),
    })
}

fn put<L: Ledger>(book: &mut Book<L>, key: String, value: &[u8]) {
    let values = &[(key, value.to_vec())];
    assert_eq!(book.ledger.put(&Put { values }), 1);
}

fn open_index<L: Ledger>(book: &mut Book<L>) -> Ready {
    let ready = marker();
    let key = redis_key::index_ready(P0);
    assert!(book.ledger.open(&Open {
        key: &key,
        ready: &ready
    }));
    ready
}

fn put_entry<L: Ledger>(book: &mut Book<L>, records: Vec<RecordId>) -> Vec<u8> {
    let entry = IndexEntry {
        home: P0,
        records,
        until_ms: None,
    };
    let entry = Versioned {
        rev: rev(1),
        value: entry,
    }
    .encode()
    .expect("JSON");
    put(book, redis_key::index(P0, &hash()), entry.as_bytes());
    entry.into_bytes()
}

on_both_ledgers! {
    fn an_unknown_key_in_an_open_index_has_no_entry(book) {
        let ready = open_index(book);
        let found = look_up(book, 0).expect("an answer");
        let text = Some(ready.encode().into_bytes());
        let now_ms = book.now();
        let expected = Found { now_ms, index: text.clone(), partition: text, settings: None, entry: None, records: vec![] };
        assert_eq!(found, expected);
    }

    fn a_closed_index_shows_no_marker(book) {
        let found = look_up(book, 0).expect("an answer");
        assert_eq!((found.index, found.settings), (None, None));
        assert_eq!(found.partition, Some(marker().encode().into_bytes()));
    }

    fn records_come_in_the_entrys_order_and_a_missing_one_leaves_its_place(book) {
        let (key, user) = (RecordId::key(&KeyId::new("k")), RecordId::user(&UserId::new("u")));
        let entry = put_entry(book, vec![key.clone(), RecordId::of_name("t:gone"), user.clone()]);
        put(book, redis_key::record(P0, &user), b"0000000000000002user");
        put(book, redis_key::record(P0, &key), b"0000000000000003key");
        let found = look_up(book, 0).expect("an answer");
        assert_eq!(found.entry, Some(entry));
        let stored = |text: &[u8]| Some(text.to_vec());
        assert_eq!(found.records, [stored(b"0000000000000003key"), None, stored(b"0000000000000002user")]);
    }

    fn settings_come_along_unless_the_caller_has_them(book) {
        let ready = open_index(book);
        put(book, redis_key::settings(P0), b"0000000000000001{}");
        let known = ready.catalogue.get();
        assert_eq!(look_up(book, known).expect("an answer").settings, None);
        for other in [0, known + 1] {
            assert_eq!(look_up(book, other).expect("an answer").settings, Some(b"0000000000000001{}".to_vec()));
        }
    }

    fn an_entry_without_records_brings_none(book) {
        put_entry(book, vec![]);
        assert_eq!(look_up(book, 0).expect("an answer").records, [None::<Vec<u8>>; 0]);
    }

    fn an_entry_that_is_none_is_an_error(book) {
        put(book, redis_key::index(P0, &hash()), b"0000000000000001{");
        assert_eq!(look_up(book, 0), None);
    }
}

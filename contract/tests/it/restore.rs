//! What comes back after a wipe.

use contract::script::{AdmitAnswer, Load, LoadAnswer, LoadScope};
use contract::window::BudgetWindow;

use crate::ledger::{
    Book, Ledger, P0, START, Scoped, WORKER, budget, key_scope, marker, on_both_ledgers, rpm, tpm,
    usd,
};

fn load<L: Ledger>(
    book: &mut Book<L>,
    scope: &Scoped,
    spent: u64,
    window_start_ms: u64,
    recent: &[(u64, u32, u64)],
) -> LoadAnswer {
    let scope = LoadScope {
        id: &scope.id,
        spent: usd(spent),
        window_start_ms,
        recent,
    };
    let watermarks = [(WORKER.to_owned(), 17)];
    book.ledger.load(&Load {
        partition: P0,
        scopes: &[scope],
        watermarks: &watermarks,
    })
}

fn used<L: Ledger>(book: &mut Book<L>, scope: &Scoped) -> u64 {
    match book.admit(999, 1 << 40, 0, std::slice::from_ref(scope)) {
        AdmitAnswer::Denied { denial, .. } => denial.used,
        other => panic!("{other:?}"),
    }
}

on_both_ledgers! {
    fn spent_and_watermark_come_back_from_the_ledger(book) {
        let hour = BudgetWindow::Fixed { anchor_ms: START, every_ms: 3_600_000 };
        let scope = key_scope(budget(100, hour));
        book.ledger.wipe();
        assert_eq!(load(book, &scope, 70, START, &[]), LoadAnswer::Loaded);
        book.open(&marker());
        let answer = book.admit(1, 0, 30, std::slice::from_ref(&scope));
        assert!(matches!(answer, AdmitAnswer::Admitted { watermark: 17, .. }), "{answer:?}");
        assert!(!book.is_admitted(2, 0, 1, std::slice::from_ref(&scope)));
        book.pass(3_600_000);
        book.must_admit(2, 0, 70, std::slice::from_ref(&scope));
    }

    fn a_sum_of_an_earlier_window_does_not_count(book) {
        let hour = BudgetWindow::Fixed { anchor_ms: START, every_ms: 3_600_000 };
        let scope = key_scope(budget(100, hour));
        book.ledger.wipe();
        load(book, &scope, 70, START - 3_600_000, &[]);
        book.open(&marker());
        book.must_admit(1, 0, 100, &[scope]);
    }

    fn an_open_partition_is_not_loaded(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        assert_eq!(load(book, &scope, 70, 0, &[]), LoadAnswer::AlreadyOpen);
        assert_eq!(book.spent(&scope), 0);
    }

    fn the_last_minute_counts_again(book) {
        let scope = key_scope(tpm(1000));
        book.ledger.wipe();
        let recent = [(START - 70_000, 1, 1), (START - 50_000, 2, 20), (START - 49_900, 1, 300), (START - 10, 1, 4)];
        load(book, &scope, 0, 0, &recent);
        book.open(&marker());
        assert_eq!(used(book, &scope), 324);
        // The two close ones left together, five seconds of travel after their minute.
        book.ledger.set_clock(START - 49_900 + 65_000 - 1);
        assert_eq!(used(book, &scope), 324);
        book.pass(1);
        assert_eq!(used(book, &scope), 4);
        book.must_admit(1, 996, 0, std::slice::from_ref(&scope));
        assert_eq!(used(book, &scope), 1000);
    }

    fn a_repeated_load_replaces_the_earlier_one(book) {
        let scope = key_scope(tpm(1000));
        book.ledger.wipe();
        load(book, &scope, 5, 0, &[(START - 20_000, 1, 100), (START - 10_000, 1, 100)]);
        load(book, &scope, 6, 0, &[(START - 10_000, 1, 100), (START - 5_000, 1, 11)]);
        book.open(&marker());
        assert_eq!((used(book, &scope), book.spent(&scope)), (111, 6));
    }

    fn live_requests_keep_their_place_whether_they_renew_before_or_after_the_load(book) {
        let scopes = [key_scope(tpm(1000))];
        book.ledger.wipe();
        book.renew(&[1], START - 3000, 40, 9, &scopes);
        book.pass(1000);
        book.renew(&[2], START - 3000, 50, 9, &scopes);
        load(book, &scopes[0], 5, 0, &[(START - 10_000, 1, 100)]);
        load(book, &scopes[0], 5, 0, &[(START - 10_000, 1, 100)]);
        // A worker's own sequence is never behind what the ledger knows of it.
        book.sequence = 17;
        book.renew(&[3], START - 3000, 60, 9, &scopes);
        book.open(&marker());
        assert_eq!(used(book, &scopes[0]), 250);
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.held, figures.spent), (3, 27, 5));
        book.settle(1, 1, 1, &scopes);
        book.settle(2, 2, 1, &scopes);
        book.settle(3, 3, 1, &scopes);
        assert_eq!(used(book, &scopes[0]), 106);
    }

    fn a_request_older_than_a_minute_takes_no_place_in_the_rate_window(book) {
        let scopes = [key_scope(rpm(1))];
        book.ledger.wipe();
        book.open(&marker());
        book.renew(&[1], START - 65_000, 0, 0, &scopes);
        book.must_admit(2, 0, 0, &scopes);
        book.renew(&[3], START - 64_999, 0, 0, &scopes);
        assert!(!book.is_admitted(4, 0, 0, &scopes));
    }

    fn nothing_is_swept_until_the_partition_is_open(book) {
        let scopes = [key_scope(rpm(1))];
        book.ledger.wipe();
        book.renew(&[1], START, 0, 9, &scopes);
        book.pass(30_000);
        book.beat();
        let call = contract::script::Sweep { partition: P0, ids: &[] };
        assert_eq!(book.ledger.sweep(&call), contract::script::SweepAnswer::NotReady);
    }
}

//! Parallel limits: slots, leases, sweeps.

use contract::limits::LimitKind;
use contract::script::AdmitAnswer;

use crate::ledger::{START, budget, id, key_scope, on_both_ledgers, parallel};

on_both_ledgers! {
    fn a_slot_is_held_until_settled_or_released(book) {
        let scopes = [key_scope(parallel(2))];
        book.must_admit(1, 0, 0, &scopes);
        book.must_admit(2, 0, 0, &scopes);
        let answer = book.admit(3, 0, 0, &scopes);
        let AdmitAnswer::Denied { denial, expired, .. } = answer else { panic!("{answer:?}") };
        assert_eq!((denial.kind, denial.limit, denial.used), (LimitKind::Parallel, 2, 2));
        assert_eq!((denial.retry_after_ms, expired), (None, vec![]));
        book.settle(1, 0, 0, &scopes);
        book.must_admit(3, 0, 0, &scopes);
        book.release(&[2]);
        book.must_admit(4, 0, 0, &scopes);
        assert_eq!(book.figures(&scopes[0]).in_flight, 2);
    }

    fn a_lease_that_ran_out_is_listed_and_swept_once_workers_beat(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(29_999);
        book.beat();
        assert_eq!(book.sweep(&[1]), (vec![], vec![]));
        book.pass(1);
        let answer = book.admit(2, 0, 0, &scopes);
        assert!(matches!(&answer, AdmitAnswer::Denied { expired, .. } if *expired == vec![id(1)]), "{answer:?}");
        assert_eq!(book.sweep(&[1]), (vec![], vec![id(1)]));
        book.must_admit(2, 0, 0, &scopes);
        assert_eq!(book.ledger.events(), vec![]);
    }

    fn without_a_recent_beat_no_lease_runs_out(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.beat();
        book.pass(31_000);
        let answer = book.admit(2, 0, 0, &scopes);
        assert!(matches!(&answer, AdmitAnswer::Denied { expired, .. } if expired.is_empty()), "{answer:?}");
        assert_eq!(book.sweep(&[1]), (vec![], vec![]));
        assert_eq!(book.sweep(&[]), (vec![], vec![]));
        book.beat();
        assert_eq!(book.sweep(&[]), (vec![], vec![id(1)]));
    }

    fn a_beat_counts_for_fifteen_seconds(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(30_000);
        book.beat();
        book.pass(15_001);
        assert_eq!(book.sweep(&[1]), (vec![], vec![]));
        book.ledger.set_clock(START + 45_000);
        assert_eq!(book.sweep(&[1]), (vec![], vec![id(1)]));
    }

    fn a_renewed_lease_lives_thirty_seconds_longer(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(20_000);
        assert_eq!(book.renew(&[1], START, 0, 0, &scopes), vec![]);
        book.pass(29_999);
        book.beat();
        assert_eq!(book.sweep(&[]), (vec![], vec![]));
        book.pass(1);
        assert_eq!(book.sweep(&[]), (vec![id(1)], vec![]));
        assert_eq!(book.renew(&[1], START, 0, 0, &scopes), vec![id(1)]);
    }

    fn at_most_eight_overdue_ids_are_listed_the_longest_overdue_first(book) {
        let scopes = [key_scope(parallel(12))];
        for number in (0..12).rev() {
            book.must_admit(number, 0, 0, &scopes);
            book.pass(10);
        }
        book.pass(30_000);
        book.beat();
        let answer = book.admit(20, 0, 0, &scopes);
        let expected: Vec<_> = (4..12).rev().map(id).collect();
        assert!(matches!(&answer, AdmitAnswer::Denied { expired, .. } if *expired == expected), "{answer:?}");
    }

    fn a_denial_by_budget_lists_overdue_ids_too(book) {
        let scopes = [key_scope(budget(10, contract::window::BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.pass(30_000);
        book.beat();
        let answer = book.admit(2, 0, 1, &scopes);
        assert!(matches!(&answer, AdmitAnswer::Denied { expired, .. } if *expired == vec![id(1)]), "{answer:?}");
        assert_eq!(book.sweep(&[1]).1, vec![id(1)]);
        book.must_admit(2, 0, 10, &scopes);
    }

    fn a_reservation_that_redis_lost_is_held_again_even_over_the_limit(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.ledger.wipe();
        book.open(&crate::ledger::marker());
        book.must_admit(2, 0, 0, &scopes);
        assert_eq!(book.renew(&[1], START, 0, 0, &scopes), vec![]);
        assert_eq!(book.figures(&scopes[0]).in_flight, 2);
        book.renew(&[1], START, 0, 0, &scopes);
        assert_eq!(book.figures(&scopes[0]).in_flight, 2);
        book.settle(2, 0, 0, &scopes);
        assert!(!book.is_admitted(3, 0, 0, &scopes));
        book.settle(1, 0, 0, &scopes);
        book.must_admit(3, 0, 0, &scopes);
    }

    fn a_renewal_overtaken_by_a_settlement_brings_nothing_back(book) {
        let scopes = [key_scope(parallel(1))];
        book.must_admit(1, 0, 5, &scopes);
        book.settle(1, 0, 5, &scopes);
        // Built before the settlement, arrived after it.
        book.sequence = 0;
        assert_eq!(book.renew(&[1], START, 0, 5, &scopes), vec![]);
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.held, figures.spent), (0, 0, 5));
    }

    fn an_unlimited_scope_counts_what_is_in_flight(book) {
        let scopes = [key_scope(contract::limits::Limits::default())];
        book.must_admit(1, 5, 7, &scopes);
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.held), (1, 7));
        assert!(!book.is_admitted(2, 0, 0, &[key_scope(parallel(1))]));
    }
}

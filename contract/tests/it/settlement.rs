//! Settlement: once each, nothing lost.

use contract::model::ModelEvent;
use contract::script::{AdmitAnswer, SettleAnswer};
use contract::window::BudgetWindow;

use crate::ledger::{START, WORKER, budget, id, key_scope, on_both_ledgers, rpm, team_scope, usd};

fn done(now_ms: u64, watermark: u64) -> SettleAnswer {
    SettleAnswer::Done { now_ms, watermark }
}

on_both_ledgers! {
    fn a_settlement_moves_held_to_spent_and_writes_its_event(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime)), team_scope(rpm(9))];
        book.must_admit(1, 5, 40, &scopes);
        book.pass(700);
        assert_eq!(book.settle(1, 3, 25, &scopes), done(START + 700, 1));
        for scope in &scopes {
            let figures = book.figures(scope);
            assert_eq!((figures.in_flight, figures.held, figures.spent), (0, 0, 25));
        }
        let event = ModelEvent {
            id: id(1),
            version: 1,
            worker: WORKER.to_owned(),
            sequence: 1,
            cost: usd(25),
            admitted_ms: START,
            body: b"{\"settled\":1}".to_vec(),
        };
        assert_eq!(book.ledger.events(), vec![event]);
    }

    fn a_repeated_settlement_changes_nothing(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.must_admit(2, 0, 10, &scopes);
        assert_eq!(book.settle_as(1, &[(1, 0, 4), (2, 0, 5)], &scopes), done(START, 2));
        assert_eq!(book.settle_as(1, &[(1, 0, 4), (2, 0, 5)], &scopes), done(START, 2));
        assert_eq!(book.settle_as(2, &[(2, 0, 5)], &scopes), done(START, 2));
        assert_eq!((book.spent(&scopes[0]), book.ledger.events().len()), (9, 2));
    }

    fn a_batch_that_overlaps_settles_only_what_is_new(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        for number in 1..=3 {
            book.must_admit(number, 0, 10, &scopes);
        }
        book.settle_as(1, &[(1, 0, 1), (2, 0, 2)], &scopes);
        assert_eq!(book.settle_as(2, &[(2, 0, 2), (3, 0, 3)], &scopes), done(START, 3));
        assert_eq!((book.spent(&scopes[0]), book.ledger.events().len()), (6, 3));
    }

    fn a_gap_in_the_sequence_settles_nothing(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        assert_eq!(book.settle_as(2, &[(1, 0, 10)], &scopes), done(START, 0));
        assert_eq!((book.spent(&scopes[0]), book.ledger.events().len()), (0, 0));
    }

    fn the_same_id_twice_in_a_batch_counts_once(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        assert_eq!(book.settle_as(1, &[(1, 0, 7), (1, 0, 7)], &scopes), done(START, 2));
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.spent, book.ledger.events().len()), (0, 7, 1));
    }

    fn a_settlement_of_what_redis_lost_still_charges(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.ledger.wipe();
        assert_eq!(book.settle(1, 0, 10, &scopes), SettleAnswer::NotReady);
        book.open(&crate::ledger::marker());
        assert_eq!(book.settle_as(1, &[(1, 0, 10)], &scopes), done(START, 1));
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.held, figures.spent), (0, 0, 10));
        assert_eq!(book.ledger.events().len(), 1);
    }

    fn a_settlement_after_a_release_still_charges(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.release(&[1]);
        book.settle(1, 0, 10, &scopes);
        assert_eq!((book.spent(&scopes[0]), book.ledger.events().len()), (10, 1));
        assert_eq!(book.admit(1, 0, 10, &scopes), AdmitAnswer::Released);
    }

    fn a_swept_reservation_that_was_sent_is_charged_as_reserved(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.renew(&[1], START, 0, 10, &scopes);
        book.pass(30_000);
        book.beat();
        assert_eq!(book.sweep(&[1, 1]), (vec![id(1)], vec![]));
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.in_flight, figures.held, figures.spent), (0, 0, 10));
        let event = ModelEvent {
            id: id(1),
            version: 0,
            worker: String::new(),
            sequence: 0,
            cost: usd(10),
            admitted_ms: START,
            body: b"{\"reserved\":1}".to_vec(),
        };
        assert_eq!(book.ledger.events(), vec![event]);
        assert_eq!(book.sweep(&[1]), (vec![], vec![]));
        assert_eq!(book.admit(1, 0, 10, &scopes), AdmitAnswer::Released);
    }

    fn a_settlement_after_the_sweep_corrects_the_charge(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        for (number, cost) in [(1, 4), (2, 30)] {
            book.must_admit(number, 0, 10, &scopes);
            book.renew(&[number], START, 0, 10, &scopes);
            book.pass(30_000);
            book.beat();
            book.sweep(&[number]);
            book.release(&[number]);
            book.settle(number, 0, cost, &scopes);
        }
        assert_eq!(book.spent(&scopes[0]), 34);
        let versions: Vec<_> = book.ledger.events().iter().map(|event| event.version).collect();
        assert_eq!(versions, [0, 1, 0, 1]);
    }

    fn a_settlement_in_the_window_after_the_sweep_corrects_nothing(book) {
        let minutely = BudgetWindow::Fixed { anchor_ms: START, every_ms: 60_000 };
        let scopes = [key_scope(budget(100, minutely))];
        book.must_admit(1, 0, 10, &scopes);
        book.renew(&[1], START, 0, 10, &scopes);
        book.pass(30_000);
        book.beat();
        book.sweep(&[1]);
        book.pass(30_000);
        book.settle(1, 0, 50, &scopes);
        assert_eq!((book.spent(&scopes[0]), book.ledger.events().len()), (0, 2));
    }

    fn workers_have_sequences_of_their_own(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &scopes);
        book.settle(1, 0, 1, &scopes);
        let named = [scopes[0].with_window()];
        let item = contract::script::Settlement {
            id: id(2),
            admitted_ms: START,
            tokens: 0,
            cost: usd(2),
            scopes: &named,
            body: b"{}",
        };
        let call = contract::script::Settle {
            partition: crate::ledger::P0,
            partitions: 1,
            worker: "other",
            first_sequence: 1,
            items: &[item],
        };
        assert_eq!(book.ledger.settle(&call), done(START, 1));
        assert_eq!(book.spent(&scopes[0]), 3);
    }
}

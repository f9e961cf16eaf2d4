//! Budgets and their windows.

use contract::limits::{Denial, LimitKind};
use contract::script::AdmitAnswer;
use contract::window::BudgetWindow;

use crate::ledger::{START, budget, key_scope, on_both_ledgers};

const HOUR: u64 = 3_600_000;

fn hourly() -> BudgetWindow {
    BudgetWindow::Fixed {
        anchor_ms: START - HOUR / 2,
        every_ms: HOUR,
    }
}

fn denial(answer: AdmitAnswer) -> Denial {
    match answer {
        AdmitAnswer::Denied { denial, .. } => denial,
        other => panic!("{other:?}"),
    }
}

on_both_ledgers! {
    fn what_is_held_counts_like_what_is_spent(book) {
        let scopes = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 60, &scopes);
        let refused = denial(book.admit(2, 0, 41, &scopes));
        let expected = Denial { scope: 0, kind: LimitKind::Budget, limit: 100, used: 60, retry_after_ms: None };
        assert_eq!(refused, expected);
        book.must_admit(2, 0, 40, &scopes);
        book.settle(1, 0, 10, &scopes);
        assert_eq!(denial(book.admit(3, 0, 51, &scopes)).used, 50);
        book.must_admit(3, 0, 50, &scopes);
        book.release(&[3]);
        book.settle(2, 0, 40, &scopes);
        assert_eq!(book.spent(&scopes[0]), 50);
    }

    fn a_budget_of_zero_admits_only_what_is_free(book) {
        let scopes = [key_scope(budget(0, BudgetWindow::Lifetime))];
        assert!(!book.is_admitted(1, 0, 1, &scopes));
        book.must_admit(1, 0, 0, &scopes);
    }

    fn a_fixed_window_starts_anew_on_the_dot(book) {
        let scopes = [key_scope(budget(10, hourly()))];
        book.must_admit(1, 0, 10, &scopes);
        book.settle(1, 0, 10, &scopes);
        book.ledger.set_clock(START + HOUR / 2 - 1);
        assert_eq!(denial(book.admit(2, 0, 1, &scopes)).retry_after_ms, Some(1));
        book.pass(1);
        book.must_admit(2, 0, 10, &scopes);
        assert_eq!(book.figures(&scopes[0]).window_start_ms, START + HOUR / 2);
    }

    fn windows_that_nobody_used_are_skipped(book) {
        let scopes = [key_scope(budget(10, hourly()))];
        book.must_admit(1, 0, 10, &scopes);
        book.settle(1, 0, 10, &scopes);
        book.pass(7 * HOUR);
        book.must_admit(2, 0, 10, &scopes);
        assert_eq!(book.figures(&scopes[0]).window_start_ms, START + 6 * HOUR + HOUR / 2);
        assert_eq!(book.spent(&scopes[0]), 0);
    }

    fn before_its_anchor_a_window_lasts_until_it(book) {
        let window = BudgetWindow::Fixed { anchor_ms: START + 1000, every_ms: HOUR };
        let scopes = [key_scope(budget(10, window))];
        book.must_admit(1, 0, 10, &scopes);
        book.settle(1, 0, 10, &scopes);
        assert_eq!(denial(book.admit(2, 0, 10, &scopes)).retry_after_ms, Some(1000));
        book.pass(1000);
        book.must_admit(2, 0, 10, &scopes);
    }

    fn calendar_windows_start_at_each_boundary_and_the_last_one_stays(book) {
        let window = BudgetWindow::Calendar(vec![START - 5, START + 1000, START + 5000]);
        let scopes = [key_scope(budget(10, window))];
        for (number, at) in [(1, 0), (2, 1000), (3, 5000)] {
            book.ledger.set_clock(START + at);
            book.must_admit(number, 0, 10, &scopes);
            book.settle(number, 0, 10, &scopes);
            book.pass(999);
            assert!(!book.is_admitted(9, 0, 1, &scopes));
        }
        book.pass(1000 * HOUR);
        assert_eq!(denial(book.admit(9, 0, 1, &scopes)).retry_after_ms, None);
    }

    fn a_settlement_counts_in_the_window_it_happens_in(book) {
        let scopes = [key_scope(budget(10, hourly()))];
        book.must_admit(1, 0, 6, &scopes);
        book.must_admit(2, 0, 4, &scopes);
        book.settle(2, 0, 4, &scopes);
        book.pass(HOUR / 2);
        // Nobody asked for admission yet: the settlement itself starts the window.
        book.settle(1, 0, 6, &scopes);
        assert_eq!(book.spent(&scopes[0]), 6);
        book.must_admit(3, 0, 4, &scopes);
        assert!(!book.is_admitted(4, 0, 1, &scopes));
    }

    fn what_is_held_over_a_boundary_stays_held(book) {
        let scopes = [key_scope(budget(10, hourly()))];
        book.must_admit(1, 0, 6, &scopes);
        let waits = denial(book.admit(2, 0, 5, &scopes));
        assert_eq!(waits.retry_after_ms, None);
        book.pass(HOUR / 2);
        assert_eq!(denial(book.admit(2, 0, 5, &scopes)).used, 6);
        book.must_admit(2, 0, 4, &scopes);
    }

    fn a_settlement_with_an_outdated_window_resets_nothing(book) {
        let minutely = BudgetWindow::Fixed { anchor_ms: START, every_ms: 60_000 };
        let old = [key_scope(budget(100, minutely))];
        let new = [key_scope(budget(100, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, 10, &old);
        book.must_admit(2, 0, 10, &new);
        book.settle(2, 0, 10, &new);
        book.pass(120_000);
        book.settle(1, 0, 10, &old);
        assert_eq!(book.spent(&new[0]), 20);
    }

    fn the_reservation_of_a_lost_scope_is_charged_to_the_window_it_names(book) {
        let scopes = [key_scope(budget(10, hourly()))];
        book.settle(1, 0, 7, &scopes);
        let figures = book.figures(&scopes[0]);
        assert_eq!((figures.spent, figures.window_start_ms), (7, START - HOUR / 2));
        assert!(!book.is_admitted(2, 0, 4, &scopes));
        book.pass(HOUR / 2);
        book.must_admit(2, 0, 4, &scopes);
    }

    fn the_largest_amounts_stay_exact(book) {
        let max = contract::money::NanoUsd::MAX.get();
        let scopes = [key_scope(budget(max, BudgetWindow::Lifetime))];
        book.must_admit(1, 0, max - 1, &scopes);
        book.settle(1, 0, max - 1, &scopes);
        assert_eq!(denial(book.admit(2, 0, 2, &scopes)).used, max - 1);
        book.must_admit(2, 0, 1, &scopes);
        book.settle(2, 0, max, &scopes);
        assert_eq!(book.spent(&scopes[0]), max);
    }
}

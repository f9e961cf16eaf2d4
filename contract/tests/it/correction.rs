//! What an administrator takes back of what was spent.

use contract::script::{Correct, CorrectAnswer};
use contract::window::BudgetWindow;

use crate::ledger::{
    Book, Ledger, P0, START, Scoped, budget, key_scope, marker, on_both_ledgers, usd,
};

fn correct<L: Ledger>(
    book: &mut Book<L>,
    scope: &Scoped,
    sequence: u64,
    window_start_ms: u64,
    amount: u64,
) -> CorrectAnswer {
    book.ledger.correct(&Correct {
        partition: P0,
        scope: &scope.id,
        sequence,
        window_start_ms,
        amount: usd(amount),
    })
}

fn hourly() -> BudgetWindow {
    BudgetWindow::Fixed {
        anchor_ms: START,
        every_ms: 3_600_000,
    }
}

on_both_ledgers! {
    fn what_was_taken_back_can_be_spent_again(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        let scopes = std::slice::from_ref(&scope);
        book.must_admit(1, 0, 100, scopes);
        book.settle(1, 0, 100, scopes);
        assert!(!book.is_admitted(2, 0, 1, scopes));
        assert_eq!(correct(book, &scope, 1, 0, 60), CorrectAnswer::Done);
        assert_eq!(book.spent(&scope), 40);
        assert!(!book.is_admitted(2, 0, 61, scopes));
        book.must_admit(3, 0, 60, scopes);
    }

    fn requests_in_flight_keep_what_they_hold_and_are_charged(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        let scopes = std::slice::from_ref(&scope);
        book.must_admit(1, 0, 50, scopes);
        book.settle(1, 0, 50, scopes);
        book.must_admit(2, 0, 30, scopes);
        assert_eq!(correct(book, &scope, 1, 0, 50), CorrectAnswer::Done);
        assert_eq!((book.spent(&scope), book.figures(&scope).held), (0, 30));
        book.settle(2, 0, 20, scopes);
        assert_eq!((book.spent(&scope), book.figures(&scope).held), (20, 0));
    }

    fn a_correction_counts_once_and_in_its_order(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        let scopes = std::slice::from_ref(&scope);
        book.must_admit(1, 0, 90, scopes);
        book.settle(1, 0, 90, scopes);
        assert_eq!(correct(book, &scope, 2, 0, 5), CorrectAnswer::Gap(0));
        for _ in 0..2 {
            assert_eq!(correct(book, &scope, 1, 0, 10), CorrectAnswer::Done);
            assert_eq!(book.spent(&scope), 80);
        }
        assert_eq!(correct(book, &scope, 2, 0, 5), CorrectAnswer::Done);
        assert_eq!(correct(book, &scope, 1, 0, 10), CorrectAnswer::Done);
        assert_eq!(book.spent(&scope), 75);
    }

    fn what_a_window_that_is_over_spent_is_left(book) {
        let scope = key_scope(budget(100, hourly()));
        let scopes = std::slice::from_ref(&scope);
        book.must_admit(1, 0, 90, scopes);
        book.settle(1, 0, 90, scopes);
        book.pass(3_600_000);
        // Nobody has looked at the scope since: it still holds the old sum.
        assert_eq!(correct(book, &scope, 1, START, 90), CorrectAnswer::Done);
        book.must_admit(2, 0, 40, scopes);
        book.settle(2, 0, 40, scopes);
        assert_eq!(correct(book, &scope, 2, START, 90), CorrectAnswer::Done);
        assert_eq!(book.spent(&scope), 40);
        assert_eq!(correct(book, &scope, 3, START + 3_600_000, 15), CorrectAnswer::Done);
        assert_eq!(book.spent(&scope), 25);
    }

    fn more_than_was_spent_leaves_nothing_and_never_less(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        let scopes = std::slice::from_ref(&scope);
        book.must_admit(1, 0, 10, scopes);
        book.settle(1, 0, 10, scopes);
        assert_eq!(correct(book, &scope, 1, 0, 25), CorrectAnswer::Done);
        assert_eq!(book.spent(&scope), 0);
        assert_eq!(correct(book, &key_scope(budget(1, hourly())), 2, 0, 25), CorrectAnswer::Done);
    }

    fn a_closed_partition_takes_none(book) {
        let scope = key_scope(budget(100, BudgetWindow::Lifetime));
        book.ledger.wipe();
        assert_eq!(correct(book, &scope, 1, 0, 1), CorrectAnswer::NotReady);
        book.open(&marker());
        assert_eq!(correct(book, &scope, 1, 0, 1), CorrectAnswer::Done);
    }
}

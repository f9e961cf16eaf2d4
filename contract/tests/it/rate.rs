//! rpm and tpm: the rolling minute.

use contract::limits::{Denial, LimitKind, Limits};
use contract::script::{AdmitAnswer, Remaining};

use crate::ledger::{Ledger as _, START, key_scope, on_both_ledgers, rpm, tpm};

fn denial(answer: AdmitAnswer) -> Denial {
    match answer {
        AdmitAnswer::Denied { denial, .. } => denial,
        other => panic!("{other:?}"),
    }
}

on_both_ledgers! {
    fn a_minute_admits_exactly_rpm_requests_and_names_the_wait(book) {
        let scopes = [key_scope(rpm(3))];
        for (number, left) in [(1, 2), (2, 1), (3, 0)] {
            let answer = book.admit(number, 0, 0, &scopes);
            let remaining = vec![Remaining { rpm: Some(left), ..Remaining::default() }];
            assert_eq!(answer, AdmitAnswer::Admitted { now_ms: book.now(), remaining, watermark: 0 });
            book.pass(1000);
        }
        let refused = denial(book.admit(4, 0, 0, &scopes));
        assert_eq!(refused, Denial { scope: 0, kind: LimitKind::Rpm, limit: 3, used: 3, retry_after_ms: Some(57_000) });
        book.pass(56_999);
        assert_eq!(denial(book.admit(4, 0, 0, &scopes)).retry_after_ms, Some(1));
        book.pass(1);
        book.must_admit(4, 0, 0, &scopes);
        assert_eq!(denial(book.admit(5, 0, 0, &scopes)).retry_after_ms, Some(1000));
    }

    fn a_burst_before_the_minutes_end_is_not_repeated_after_it(book) {
        let scopes = [key_scope(rpm(10))];
        book.pass(59_990);
        for number in 0..10 {
            book.must_admit(number, 0, 0, &scopes);
        }
        book.pass(59_999);
        assert!(!book.is_admitted(10, 0, 0, &scopes));
        book.pass(1);
        for number in 10..20 {
            book.must_admit(number, 0, 0, &scopes);
        }
        assert!(!book.is_admitted(20, 0, 0, &scopes));
    }

    fn a_request_counts_until_sixty_seconds_after_it_can_reach_the_upstream(book) {
        book.travel_ms = 200;
        let scopes = [key_scope(rpm(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(60_199);
        assert!(!book.is_admitted(2, 0, 0, &scopes));
        book.pass(1);
        book.must_admit(2, 0, 0, &scopes);
    }

    fn admissions_within_a_quarter_second_leave_together_later_ones_apart(book) {
        let scopes = [key_scope(rpm(3))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(249);
        book.must_admit(2, 0, 0, &scopes);
        book.pass(1);
        book.must_admit(3, 0, 0, &scopes);
        // 1 and 2 share a segment, which leaves when 2 does.
        book.ledger.set_clock(START + 60_248);
        assert!(!book.is_admitted(4, 0, 0, &scopes));
        book.pass(1);
        book.must_admit(4, 0, 0, &scopes);
        book.must_admit(5, 0, 0, &scopes);
        assert!(!book.is_admitted(6, 0, 0, &scopes));
        book.pass(1);
        book.must_admit(6, 0, 0, &scopes);
    }

    fn no_rate_limit_of_zero_admits_and_no_time_helps(book) {
        let refused = denial(book.admit(1, 0, 0, &[key_scope(rpm(0))]));
        assert_eq!((refused.limit, refused.used, refused.retry_after_ms), (0, 0, None));
        let refused = denial(book.admit(1, 1, 0, &[key_scope(tpm(0))]));
        assert_eq!((refused.kind, refused.retry_after_ms), (LimitKind::Tpm, None));
    }

    fn tokens_are_reserved_and_corrected_by_what_was_used(book) {
        let scopes = [key_scope(tpm(100))];
        book.must_admit(1, 60, 0, &scopes);
        assert_eq!(denial(book.admit(2, 50, 0, &scopes)).used, 60);
        book.settle(1, 20, 0, &scopes);
        book.must_admit(2, 80, 0, &scopes);
        // Used more than reserved: no further token fits, and nothing goes below zero.
        book.settle(2, 200, 0, &scopes);
        let refused = denial(book.admit(3, 1, 0, &scopes));
        assert_eq!((refused.limit, refused.used, refused.retry_after_ms), (100, 220, Some(60_000)));
    }

    fn a_correction_finds_its_segment_long_after_it_closed(book) {
        let scopes = [key_scope(tpm(1000))];
        for number in 0..40 {
            book.must_admit(number, 20, 0, &scopes);
            book.pass(300);
        }
        book.settle(7, 0, 0, &scopes);
        book.settle(39, 21, 0, &scopes);
        assert_eq!(denial(book.admit(40, 1000, 0, &scopes)).used, 781);
        // Segments 0 to 6 have left with their 140 tokens; 7 leaves with none.
        book.ledger.set_clock(START + 60_000 + 6 * 300);
        assert_eq!(denial(book.admit(40, 1000, 0, &scopes)).used, 641);
        book.pass(300);
        assert_eq!(denial(book.admit(40, 1000, 0, &scopes)).used, 641);
        book.pass(300);
        assert_eq!(denial(book.admit(40, 1000, 0, &scopes)).used, 621);
    }

    fn a_need_above_the_limit_is_refused_without_a_time(book) {
        let refused = denial(book.admit(1, 101, 0, &[key_scope(tpm(100))]));
        assert_eq!((refused.used, refused.retry_after_ms), (0, None));
    }

    fn the_wait_for_tokens_is_until_enough_have_left(book) {
        let scopes = [key_scope(tpm(100))];
        for number in 0..10 {
            book.must_admit(number, 10, 0, &scopes);
            book.pass(1000);
        }
        assert_eq!(denial(book.admit(10, 1, 0, &scopes)).retry_after_ms, Some(50_000));
        assert_eq!(denial(book.admit(10, 10, 0, &scopes)).retry_after_ms, Some(50_000));
        assert_eq!(denial(book.admit(10, 11, 0, &scopes)).retry_after_ms, Some(51_000));
        assert_eq!(denial(book.admit(10, 100, 0, &scopes)).retry_after_ms, Some(59_000));
    }

    fn a_released_request_gives_its_place_in_the_minute_back(book) {
        let scopes = [key_scope(Limits { rpm: Some(1), tpm: Some(10), ..Limits::default() })];
        book.must_admit(1, 10, 0, &scopes);
        assert!(!book.is_admitted(2, 10, 0, &scopes));
        assert_eq!(book.release(&[1]), 1);
        book.must_admit(2, 10, 0, &scopes);
    }

    fn a_minute_of_saturation_admits_at_least_99_percent(book) {
        let scopes = [key_scope(rpm(600))];
        let (mut admitted, mut number) = (0, 0);
        while book.now() < START + 300_000 {
            for _ in 0..3 {
                number += 1;
                admitted += u32::from(book.is_admitted(number, 0, 0, &scopes));
            }
            book.pass(97);
        }
        // Five minutes of 600: the sixth, begun at the end, is not counted.
        assert!((2970..=3000).contains(&admitted), "{admitted} of 3000");
    }

    fn a_steady_offer_of_the_limit_admits_at_least_99_percent(book) {
        let scopes = [key_scope(rpm(600))];
        let (mut admitted, mut number) = (0, 0);
        while book.now() < START + 300_000 {
            number += 1;
            admitted += u32::from(book.is_admitted(number, 0, 0, &scopes));
            book.pass(95);
        }
        assert!((2970..=3000).contains(&admitted), "{admitted} of 3000");
    }

    fn a_clock_that_goes_back_opens_no_second_window(book) {
        let scopes = [key_scope(rpm(2))];
        book.must_admit(1, 0, 0, &scopes);
        book.pass(30_000);
        book.must_admit(2, 0, 0, &scopes);
        book.ledger.set_clock(START - 100_000);
        let answer = book.admit(3, 0, 0, &scopes);
        assert!(matches!(answer, AdmitAnswer::Denied { now_ms, .. } if now_ms == START + 30_000));
        book.ledger.set_clock(START + 60_000);
        book.must_admit(3, 0, 0, &scopes);
    }
}

#[test]
fn counts_recover_when_the_segments_key_was_lost() {
    let mut book = crate::ledger::Book::new(crate::lua_ledger::LuaLedger::start());
    let scopes = [key_scope(tpm(1000))];
    for number in 0..6 {
        book.must_admit(number, 100, 0, &scopes);
        book.pass(300);
    }
    let key = contract::redis_key::segments(crate::ledger::P0, &scopes[0].id);
    book.ledger.connection.words(&format!("DEL {key}"));
    book.must_admit(6, 100, 0, &scopes);
    // Segments 0 to 4 are lost, 5 and 6 are there. Until the window moves on, what was counted counts.
    assert_eq!(denial(book.admit(7, 1000, 0, &scopes)).used, 700);
    book.ledger.set_clock(START + 60_000);
    assert_eq!(denial(book.admit(7, 1000, 0, &scopes)).used, 200);
}

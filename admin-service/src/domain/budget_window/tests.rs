//! Boundaries as people expect them.

use chrono::{DateTime, NaiveTime};
use chrono_tz::Tz;

use super::*;

fn us(text: &str) -> u64 {
    let at = DateTime::parse_from_rfc3339(text).unwrap();
    u64::try_from(at.timestamp_micros()).unwrap()
}

fn next(duration: &str, anchor: &str, now: &str, rules: &WindowRules) -> String {
    let window = BudgetDuration::parse(duration)
        .unwrap()
        .window(us(anchor), us(now), rules);
    let at = window.next(us(now) / 1_000).unwrap();
    DateTime::from_timestamp_millis(i64::try_from(at).unwrap())
        .unwrap()
        .to_rfc3339()
}

#[test]
fn resets_fall_where_litellm_puts_them() {
    let now = "2026-11-23T07:11:49Z"; // a Monday
    let utc = WindowRules::default();
    for (duration, expected) in [
        ("30s", "2026-11-23T07:12:00+00:00"),
        ("5m", "2026-11-23T07:15:00+00:00"),
        ("2h", "2026-11-23T08:00:00+00:00"),
        ("24h", "2026-11-24T00:00:00+00:00"),
        ("1d", "2026-11-24T00:00:00+00:00"),
        ("7d", "2026-11-30T00:00:00+00:00"),
        ("1w", "2026-11-30T00:00:00+00:00"),
        ("30d", "2026-12-01T00:00:00+00:00"),
        ("1mo", "2026-12-01T00:00:00+00:00"),
        ("10d", "2026-12-03T00:00:00+00:00"),
    ] {
        assert_eq!(next(duration, now, now, &utc), expected, "{duration}");
    }
}

#[test]
fn a_window_of_ten_days_is_counted_from_the_day_it_was_given() {
    let utc = WindowRules::default();
    let given = "2026-11-23T07:11:49Z";
    assert_eq!(
        next("10d", given, "2026-12-03T00:00:00Z", &utc),
        "2026-12-13T00:00:00+00:00"
    );
    assert_eq!(
        next("10d", given, "2027-01-01T12:00:00Z", &utc),
        "2027-01-02T00:00:00+00:00"
    );
}

#[test]
fn days_begin_at_the_reset_time_of_the_time_zone() {
    let rules = WindowRules::new(
        Tz::America__New_York,
        NaiveTime::from_hms_opt(9, 30, 0).unwrap(),
    );
    let before = "2026-11-23T14:00:00Z"; // 09:00 there
    assert_eq!(
        next("1d", before, before, &rules),
        "2026-11-23T14:30:00+00:00"
    );
    let after = "2026-11-23T15:00:00Z";
    assert_eq!(
        next("1d", after, after, &rules),
        "2026-11-24T14:30:00+00:00"
    );
    let summer = "2026-03-08T05:00:00Z"; // clocks go forward at 02:00 there
    assert_eq!(
        next("1d", summer, summer, &rules),
        "2026-03-08T13:30:00+00:00"
    );
}

#[test]
fn a_skipped_local_time_is_taken_an_hour_later() {
    let rules = WindowRules::new(
        Tz::America__New_York,
        NaiveTime::from_hms_opt(2, 30, 0).unwrap(),
    );
    let now = "2026-03-08T05:30:00Z";
    assert_eq!(next("1d", now, now, &rules), "2026-03-08T07:30:00+00:00");
}

#[test]
fn a_calendar_carries_the_current_window_and_at_least_eight_to_come() {
    let now = us("2026-11-23T07:11:49Z");
    for duration in ["1d", "7d", "1mo", "10d"] {
        let duration = BudgetDuration::parse(duration).unwrap();
        let rules = WindowRules::default();
        let BudgetWindow::Calendar(at) = duration.window(now, now, &rules) else {
            panic!("expected a calendar");
        };
        assert!(at[0] <= now / 1_000 && at[1] > now / 1_000);
        assert!(at.windows(2).all(|pair| pair[0] < pair[1]));
        let refresh = duration.refresh_at(now, now, &rules).unwrap() / 1_000;
        assert!(at.iter().filter(|at| **at > refresh).count() >= 8);
    }
}

#[test]
fn an_exact_window_counts_from_the_moment_it_was_given() {
    let given = "2026-11-23T07:12:02.173Z";
    let next = |stored: &str, now: &str| {
        let duration = BudgetDuration::parse_stored(stored).unwrap();
        let window = duration.window(us(given), us(now), &WindowRules::default());
        window.next(us(now) / 1_000).unwrap() * 1_000
    };
    assert_eq!(next("=1d", given), us("2026-11-24T07:12:02.173Z"));
    assert_eq!(
        next("=daily", "2026-11-24T07:12:02.173Z"),
        us("2026-11-25T07:12:02.173Z")
    );
    assert_eq!(next("=1mo", given), us("2026-12-23T07:12:02.173Z"));
    // Before the moment given it is the next reset.
    assert_eq!(next("=7d", "2026-11-20T00:00:00Z"), us(given));
    assert_eq!(as_sent("=1d"), "1d");
    for text in ["=", "=2mo", "==1d", "=0s"] {
        assert_eq!(BudgetDuration::parse_stored(text), None, "{text}");
    }
    assert_eq!(BudgetDuration::parse("=1d"), None);
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in [
        "",
        "10",
        "10x",
        "2mo",
        "0d",
        "-1d",
        "1.5h",
        "d",
        "99999999999999999999s",
        "1 d",
    ] {
        assert_eq!(BudgetDuration::parse(text), None, "{text}");
    }
}

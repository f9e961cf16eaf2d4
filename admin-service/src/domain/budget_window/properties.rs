//! Boundaries over years and time zones, held against a clock that is walked five minutes at a time and knows only what the wall clock shows.

use chrono::{DateTime, Datelike, Days, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

/// Minutes of one walk of the oracle's clock.
const TICK: i64 = 5;

const ZONES: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::Europe__London,
    Tz::America__New_York,
    Tz::America__St_Johns,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kolkata,
    Tz::Asia__Kathmandu,
    Tz::Asia__Tokyo,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Auckland,
    Tz::Pacific__Apia,
];

const DURATIONS: [&str; 28] = [
    "5m", "10m", "15m", "20m", "30m", "45m", "60m", "1h", "90m", "2h", "3h", "4h", "5h", "6h",
    "7h", "8h", "12h", "36h", "48h", "24h", "1d", "7d", "1w", "30d", "1mo", "2d", "10d", "3w",
];

fn wall(zone: Tz, minute: i64) -> NaiveDateTime {
    let at = DateTime::<Utc>::from_timestamp(minute * 60, 0).unwrap();
    zone.from_utc_datetime(&at.naive_utc()).naive_local()
}

/// What the wall clock must show for a window to begin.
struct Oracle {
    zone: Tz,
    reset: NaiveTime,
    text: &'static str,
    anchor: NaiveDateTime,
}

impl Oracle {
    fn step(&self) -> Option<i64> {
        let minutes = match self.text {
            "24h" => None,
            text if text.ends_with('m') => text.trim_end_matches('m').parse().ok(),
            text => text
                .strip_suffix('h')
                .and_then(|hours| hours.parse::<i64>().ok())
                .map(|hours| hours * 60),
        };
        minutes.filter(|_| !self.text.ends_with("mo"))
    }

    fn is_even(&self) -> bool {
        self.step().is_some_and(|step| 60 % step == 0)
    }

    fn begins(&self, shown: NaiveDateTime) -> bool {
        if let Some(step) = self.step() {
            let origin = self.anchor.date().and_time(NaiveTime::MIN);
            return (shown - origin).num_minutes().rem_euclid(step) == 0 && shown >= origin;
        }
        let days = match self.text {
            "1d" | "24h" => 1,
            "1mo" | "30d" => return shown.time() == self.reset && shown.day() == 1,
            "7d" | "1w" => {
                return shown.time() == self.reset && shown.weekday() == chrono::Weekday::Mon;
            }
            "3w" => 21,
            text => text.trim_end_matches('d').parse().unwrap(),
        };
        let since = (shown.date() - self.anchor.date()).num_days();
        let counts = days == 1 || since > 0 || (since == 0 && self.reset <= self.anchor.time());
        shown.time() == self.reset
            && since.rem_euclid(days) == 0
            && counts
            && (days == 1 || since >= 0)
    }

    /// Every boundary of `minutes`, by walking.
    fn walk(&self, minutes: std::ops::RangeInclusive<i64>) -> Vec<i64> {
        let mut found = Vec::new();
        let first = minutes.start() - 26 * 60;
        let mut latest = wall(self.zone, first);
        let mut before = latest;
        let mut minute = first;
        while minute < *minutes.end() + 26 * 60 {
            minute += TICK;
            let shown = wall(self.zone, minute);
            // What was skipped is taken as much later as was skipped; an even step begins at once.
            let mut skipped = before + chrono::Duration::minutes(TICK);
            let mut later = minute;
            while skipped < shown {
                if self.begins(skipped) {
                    found.push(if self.is_even() { minute } else { later });
                }
                skipped += chrono::Duration::minutes(TICK);
                later += TICK;
            }
            if self.begins(shown) && (shown > latest || self.is_even()) {
                found.push(minute);
            }
            latest = latest.max(shown);
            before = shown;
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|at| minutes.contains(at));
        found
    }
}

/// A minute of 2020 to 2037, every second one within two days of a change of clocks of some zone.
fn minutes() -> impl Strategy<Value = i64> {
    let any = 26_297_280_i64..35_765_000;
    let near = (2020_i32..2037, 0_usize..8, -2_880_i64..2_880).prop_map(|(year, which, off)| {
        // Europe, North America, South Pacific: last or first Sundays of these months.
        let (month, last) = [
            (3, true),
            (10, true),
            (3, false),
            (11, false),
            (4, false),
            (9, true),
            (10, false),
            (9, false),
        ][which];
        let mut day = chrono::NaiveDate::from_ymd_opt(year, month, 1).unwrap();
        if last {
            day = day + chrono::Months::new(1) - Days::new(7);
        }
        while day.weekday() != chrono::Weekday::Sun {
            day = day + Days::new(1);
        }
        day.and_time(NaiveTime::MIN).and_utc().timestamp() / 60 + off
    });
    prop_oneof![any, near]
}

fn rules(zone: usize, quarter: u32) -> WindowRules {
    let reset = NaiveTime::from_hms_opt(quarter / 4, quarter % 4 * 15, 0).unwrap();
    WindowRules::new(ZONES[zone], reset)
}

fn ms(minute: i64) -> u64 {
    u64::try_from(minute * 60_000).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn boundaries_are_where_the_wall_clock_says(
        zone in 0..ZONES.len(), quarter in prop_oneof![Just(0_u32), 0_u32..96], text in 0..DURATIONS.len(),
        given in minutes(), passed in 0_i64..100_000, second in 0_u64..60,
    ) {
        let (rules, text) = (rules(zone, quarter), DURATIONS[text]);
        let duration = BudgetDuration::parse(text).unwrap();
        let at = given + passed;
        let oracle = Oracle { zone: rules.timezone, reset: rules.reset_time, text, anchor: wall(rules.timezone, given) };
        let span = match duration {
            BudgetDuration::Monthly | BudgetDuration::Days(_) => 33 * 1_440,
            BudgetDuration::Weekly => 8 * 1_440,
            _ => 3 * 1_440,
        };
        let low = (at - span) - (at - span).rem_euclid(TICK);
        let boundaries = oracle.walk(low..=at + span);
        let at_ms = ms(at) + second * 1_000;
        let start = boundaries.iter().copied().filter(|found| ms(*found) <= at_ms).max();
        let next = boundaries.iter().copied().find(|found| ms(*found) > at_ms);
        let anchor_us = ms(given) * 1_000;
        prop_assert_eq!(duration.next_ms(anchor_us, at_ms, &rules), next.map(ms), "next {} {:?}", text, rules);
        prop_assert_eq!(duration.start_ms(anchor_us, at_ms, &rules), start.map(ms), "start {} {:?}", text, rules);
    }

    #[test]
    fn what_redis_is_given_holds_until_it_is_made_anew(
        zone in 0..ZONES.len(), quarter in 0_u32..96, text in 0..DURATIONS.len(),
        given in minutes(), passed in 0_i64..100_000, later in 0.0_f64..1.0,
    ) {
        let (rules, duration) = (rules(zone, quarter), BudgetDuration::parse(DURATIONS[text]).unwrap());
        let (anchor_us, now_us) = (ms(given) * 1_000, ms(given + passed) * 1_000);
        let window = duration.window(anchor_us, now_us, &rules);
        let until = duration.refresh_at(anchor_us, now_us, &rules);
        // Without this service the next eight windows are right, and all until the record is made anew.
        let last = until.unwrap_or(now_us + 31_622_400_000_000);
        prop_assert!(last > now_us);
        let mut at = now_us / 1_000;
        for _ in 0..8 {
            prop_assert_eq!(window.start(at), duration.start_ms(anchor_us, at, &rules).unwrap_or(0));
            prop_assert_eq!(window.next(at), duration.next_ms(anchor_us, at, &rules));
            at = window.next(at).unwrap();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a sample")]
        let at = (now_us + ((last - now_us) as f64 * later) as u64) / 1_000;
        prop_assert_eq!(window.start(at), duration.start_ms(anchor_us, at, &rules).unwrap_or(0));
        prop_assert_eq!(window.next(at), duration.next_ms(anchor_us, at, &rules));
    }

    #[test]
    fn other_rules_count_from_the_end_of_the_window_that_had_begun(
        zones in proptest::collection::vec((0..ZONES.len(), 0_u32..96, 0_i64..20_000), 1..4), text in 0..DURATIONS.len(), given in minutes(),
    ) {
        let duration = BudgetDuration::parse(DURATIONS[text]).unwrap();
        let anchor_us = ms(given) * 1_000;
        let mut known = WindowRules::default();
        let mut at = given;
        for (zone, quarter, passed) in zones {
            at += passed + 1;
            let new = rules(zone, quarter).after(&known, ms(at) * 1_000);
            prop_assert_eq!(&WindowRules::from_json(&new.to_json()).unwrap(), &new);
            let (start, end) = (duration.start_ms(anchor_us, ms(at), &known), duration.next_ms(anchor_us, ms(at), &known).unwrap());
            prop_assert_eq!(duration.start_ms(anchor_us, ms(at), &new), start, "nothing starts anew by itself");
            prop_assert_eq!(duration.next_ms(anchor_us, ms(at), &new), Some(end));
            prop_assert_eq!(duration.start_ms(anchor_us, end, &new), Some(end));
            let after = duration.next_ms(anchor_us, end, &new).unwrap();
            let plain = WindowRules::new(new.timezone, new.reset_time);
            prop_assert_eq!(duration.next_ms(anchor_us, end, &plain), Some(after));
            // Who got the budget later has never had the earlier rules.
            let fresh = ms(at) * 1_000;
            prop_assert_eq!(duration.next_ms(fresh, ms(at), &new), duration.next_ms(fresh, ms(at), &plain));
            known = new;
        }
    }
}

#[test]
fn the_oracle_sees_both_changes_of_clocks() {
    let oracle = Oracle {
        zone: Tz::Europe__Berlin,
        reset: NaiveTime::MIN,
        text: "2h",
        anchor: wall(Tz::Europe__Berlin, 29_000_000),
    };
    let hours = |from: &str| {
        let from = from.parse::<DateTime<Utc>>().unwrap().timestamp() / 60;
        let found = oracle.walk(from..=from + 1_439);
        let hours = found.iter().map(|at| wall(Tz::Europe__Berlin, *at).hour());
        hours.collect::<Vec<_>>()
    };
    assert_eq!(
        hours("2026-03-28T23:00:00Z"),
        [0, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 0]
    );
    assert_eq!(
        hours("2026-10-24T22:00:00Z"),
        [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    );
}

//! Budget durations: their grammar, and the moments at which a budget starts anew.
//!
//! Decides: which durations follow the calendar of the configured time zone and which are a fixed step. Leaves the rolling itself to the
//! ledger in Redis, which is given the boundaries ahead of time. Failure stance: a local time that a change of clocks skips is taken an hour later.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use contract::window::BudgetWindow;
use serde_json::{Value, json};

/// How many boundaries to come a record carries when it is made.
const AHEAD: u64 = 16;
/// How many must be left: below that the record is made anew.
const LEAST_AHEAD: usize = 9;

/// The proxy's settings about windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRules {
    /// LiteLLM's `timezone`.
    pub timezone: Tz,
    /// LiteLLM's `budget_reset_time`: the time of day at which days, weeks and months begin.
    pub reset_time: NaiveTime,
    /// What counted before, and until when: a window that had begun goes on to its next boundary.
    pub earlier: Option<Earlier>,
}

/// Rules that no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Their time zone.
    pub timezone: Tz,
    /// Their time of day.
    pub reset_time: NaiveTime,
    /// Microseconds since the epoch.
    pub until_us: u64,
}

impl WindowRules {
    /// Whether both compute the same from now on.
    pub fn same(&self, other: &Self) -> bool {
        (self.timezone, self.reset_time) == (other.timezone, other.reset_time)
    }

    /// These rules from `now_us` on, `known` before.
    #[must_use]
    pub fn after(self, known: &Self, now_us: u64) -> Self {
        Self {
            earlier: Some(Earlier {
                timezone: known.timezone,
                reset_time: known.reset_time,
                until_us: now_us,
            }),
            ..self
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Value {
        let rule = |timezone: Tz, time: NaiveTime| json!({"timezone": timezone.name(), "budget_reset_time": time.format("%H:%M").to_string()});
        let mut value = rule(self.timezone, self.reset_time);
        if let (Some(earlier), Some(object)) = (self.earlier, value.as_object_mut()) {
            object.insert("until_us".into(), json!(earlier.until_us));
            let earlier = rule(earlier.timezone, earlier.reset_time);
            object.insert("earlier".into(), earlier);
        }
        value
    }

    /// What [`WindowRules::to_json`] gave.
    pub fn from_json(value: &Value) -> Option<Self> {
        let rule = |value: &Value| {
            let timezone: Tz = value.get("timezone")?.as_str()?.parse().ok()?;
            let time = value.get("budget_reset_time")?.as_str()?;
            Some((timezone, NaiveTime::parse_from_str(time, "%H:%M").ok()?))
        };
        let (timezone, reset_time) = rule(value)?;
        let earlier = value.get("earlier").and_then(|earlier| {
            let (timezone, reset_time) = rule(earlier)?;
            let until_us = value.get("until_us")?.as_u64()?;
            Some(Earlier {
                timezone,
                reset_time,
                until_us,
            })
        });
        Some(Self {
            timezone,
            reset_time,
            earlier,
        })
    }
}

impl Default for WindowRules {
    fn default() -> Self {
        Self {
            timezone: Tz::UTC,
            reset_time: NaiveTime::MIN,
            earlier: None,
        }
    }
}

/// A parsed `budget_duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetDuration {
    /// `30s`, `5m`, `2h`: a fixed step, counted from midnight.
    Step {
        /// Milliseconds.
        every_ms: u64,
    },
    /// `1d`, `24h`: every day at the reset time.
    Daily,
    /// `7d`, `1w`: every Monday.
    Weekly,
    /// `30d`, `1mo`: the first of every month.
    Monthly,
    /// Any other number of days, counted from the day on which the budget was given.
    Days(u32),
    /// Any step, counted from the very moment that the budget was given: customers' budgets, and those whose next reset was given.
    Exact {
        /// Milliseconds.
        every_ms: u64,
    },
}

/// What stands before a stored duration that is [`BudgetDuration::Exact`]: so no column of every table and statement is needed for it.
const EXACT: char = '=';

/// A duration as it is stored when it counts from the very moment it was given.
pub fn exact(text: &str) -> String {
    format!("{EXACT}{text}")
}

/// A stored duration as it was sent.
pub fn as_sent(stored: &str) -> &str {
    stored.strip_prefix(EXACT).unwrap_or(stored)
}

impl BudgetDuration {
    /// Reads `^\d+(s|m|h|d|w|mo)$` (months: only one) and the words `hourly`, `daily`, `weekly`, `monthly`; `None` for anything else, for
    /// zero, and for more than a hundred years.
    pub fn parse(text: &str) -> Option<Self> {
        let text = word(text);
        let us = duration_us(text)?;
        let (count, unit) = split(text)?;
        match (count, unit) {
            (1, "mo") | (30, "d") => Some(Self::Monthly),
            (24, "h") | (1, "d") => Some(Self::Daily),
            (7, "d") | (1, "w") => Some(Self::Weekly),
            (days, "d") => Some(Self::Days(u32::try_from(days).ok()?)),
            (weeks, "w") => Some(Self::Days(u32::try_from(weeks.checked_mul(7)?).ok()?)),
            (_, "s" | "m" | "h") => Some(Self::Step {
                every_ms: us / 1_000,
            }),
            _ => None,
        }
    }

    /// Reads a stored duration: what [`BudgetDuration::parse`] reads, or [`exact`].
    pub fn parse_stored(text: &str) -> Option<Self> {
        match text.strip_prefix(EXACT) {
            Some(text) => {
                Self::parse(text)?;
                let every_ms = duration_us(word(text))? / 1_000;
                Some(Self::Exact { every_ms })
            }
            None => Self::parse(text),
        }
    }

    /// The window's boundaries as the ledger needs them at `now_us`; `anchor_us` is when the budget was given.
    pub fn window(self, anchor_us: u64, now_us: u64, rules: &WindowRules) -> BudgetWindow {
        let anchor = local_date(anchor_us, rules);
        match self {
            Self::Step { every_ms } => BudgetWindow::Fixed {
                anchor_ms: boundary_ms(anchor, rules),
                every_ms,
            },
            Self::Exact { every_ms } => BudgetWindow::Fixed {
                anchor_ms: anchor_us / 1_000,
                every_ms,
            },
            Self::Daily | Self::Weekly | Self::Monthly | Self::Days(_) => {
                BudgetWindow::Calendar(self.calendar(anchor, now_us, rules))
            }
        }
    }

    /// When the published boundaries run short, microseconds since the epoch; `None` for a fixed step, which never does.
    pub fn refresh_at(self, anchor_us: u64, now_us: u64, rules: &WindowRules) -> Option<u64> {
        match self.window(anchor_us, now_us, rules) {
            BudgetWindow::Calendar(boundaries) => {
                let at = boundaries.len().checked_sub(LEAST_AHEAD)?;
                boundaries.get(at).map(|ms| ms * 1_000)
            }
            BudgetWindow::Fixed { .. } | BudgetWindow::Lifetime => None,
        }
    }

    /// The boundary that began the current window, if there is one, and the next [`AHEAD`].
    fn calendar(self, anchor: NaiveDate, now_us: u64, rules: &WindowRules) -> Vec<u64> {
        let mut from = self.first(anchor, local_date(now_us, rules));
        if boundary_ms(from, rules) > now_us / 1_000
            && let Some(earlier) = self.back(from)
            && earlier >= self.earliest(anchor)
        {
            from = earlier;
        }
        (0..=AHEAD)
            .filter_map(|step| self.forward(from, step))
            .map(|date| boundary_ms(date, rules))
            .collect()
    }

    /// The last boundary's date that is not after `today`.
    fn first(self, anchor: NaiveDate, today: NaiveDate) -> NaiveDate {
        match self {
            Self::Step { .. } | Self::Exact { .. } | Self::Daily => today,
            Self::Weekly => today - Days::new(u64::from(today.weekday().num_days_from_monday())),
            Self::Monthly => today.with_day(1).unwrap_or(today),
            Self::Days(every) => {
                let passed = u64::try_from((today - anchor).num_days()).unwrap_or(0);
                let every = u64::from(every.max(1));
                anchor
                    .checked_add_days(Days::new(passed / every * every))
                    .unwrap_or(anchor)
            }
        }
    }

    /// Windows counted from the anchor have no boundary before it.
    fn earliest(self, anchor: NaiveDate) -> NaiveDate {
        match self {
            Self::Days(_) => anchor,
            Self::Step { .. } | Self::Exact { .. } | Self::Daily | Self::Weekly | Self::Monthly => {
                NaiveDate::MIN
            }
        }
    }

    fn back(self, from: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Step { .. } | Self::Exact { .. } => None,
            Self::Daily => from.checked_sub_days(Days::new(1)),
            Self::Weekly => from.checked_sub_days(Days::new(7)),
            Self::Monthly => from.checked_sub_months(Months::new(1)),
            Self::Days(every) => from.checked_sub_days(Days::new(u64::from(every))),
        }
    }

    fn forward(self, from: NaiveDate, step: u64) -> Option<NaiveDate> {
        match self {
            Self::Step { .. } | Self::Exact { .. } => None,
            Self::Daily => from.checked_add_days(Days::new(step)),
            Self::Weekly => from.checked_add_days(Days::new(step * 7)),
            Self::Monthly => from.checked_add_months(Months::new(u32::try_from(step).ok()?)),
            Self::Days(every) => from.checked_add_days(Days::new(step * u64::from(every))),
        }
    }
}

/// A lifetime such as a key's `duration`: the same units without calendar, in microseconds (a month is 30 days). `None` where the text is no
/// duration.
pub fn duration_us(text: &str) -> Option<u64> {
    let (count, unit) = split(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "mo" => 2_592_000,
        _ => return None,
    };
    count
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 3_155_760_000)
        .map(|s| s * 1_000_000)
}

/// LiteLLM's words, as durations.
fn word(text: &str) -> &str {
    match text {
        "hourly" => "1h",
        "daily" => "1d",
        "weekly" => "1w",
        "monthly" => "1mo",
        _ => text,
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(at)?;
    let count = digits
        .parse()
        .ok()
        .filter(|count| *count > 0 && *count <= 3_155_760_000)?;
    Some((count, unit))
}

/// The date, in the time zone, of the day that `us` is in.
fn local_date(us: u64, rules: &WindowRules) -> NaiveDate {
    let utc: DateTime<Utc> = crate::clock::date(us).unwrap_or_default();
    utc.with_timezone(&rules.timezone).date_naive()
}

/// The reset time of `date`, milliseconds since the epoch.
fn boundary_ms(date: NaiveDate, rules: &WindowRules) -> u64 {
    let local = date.and_time(rules.reset_time);
    let at = rules
        .timezone
        .from_local_datetime(&local)
        .earliest()
        .or_else(|| {
            rules
                .timezone
                .from_local_datetime(&(local + chrono::Duration::hours(1)))
                .earliest()
        });
    at.and_then(|at| u64::try_from(at.timestamp_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
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
        let rules = WindowRules {
            timezone: Tz::America__New_York,
            reset_time: NaiveTime::from_hms_opt(9, 30, 0).unwrap(),
            earlier: None,
        };
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
        let rules = WindowRules {
            timezone: Tz::America__New_York,
            reset_time: NaiveTime::from_hms_opt(2, 30, 0).unwrap(),
            earlier: None,
        };
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
}

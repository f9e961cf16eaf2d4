//! Days, weeks, months and numbers of days: dates at the reset time of the time zone.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::local::{instant, wall};
use super::{BudgetDuration, WindowRules};

/// The date on the wall clock.
fn date(at_ms: u64, rules: &WindowRules) -> NaiveDate {
    DateTime::<Utc>::from_timestamp_millis(wall(rules.timezone, at_ms))
        .unwrap_or_default()
        .date_naive()
}

/// The reset time of a date.
fn reset(date: NaiveDate, rules: &WindowRules) -> Option<u64> {
    let local = date.and_time(rules.reset_time).and_utc();
    instant(rules.timezone, local.timestamp_millis())
}

pub(super) fn start(
    duration: BudgetDuration,
    anchor_us: u64,
    at_ms: u64,
    rules: &WindowRules,
) -> Option<u64> {
    let boundaries = Boundaries::new(duration, anchor_us, rules);
    let last = boundaries.last(date(at_ms, rules))?;
    // The last date's reset time may be still to come.
    let found = boundaries.at(last).filter(|at| *at <= at_ms);
    found.or_else(|| boundaries.at(boundaries.step(last, -1)?))
}

pub(super) fn next(
    duration: BudgetDuration,
    anchor_us: u64,
    at_ms: u64,
    rules: &WindowRules,
) -> Option<u64> {
    let boundaries = Boundaries::new(duration, anchor_us, rules);
    let mut date = boundaries
        .last(date(at_ms, rules))
        .or_else(|| boundaries.first())?;
    loop {
        match boundaries.at(date) {
            Some(at) if at > at_ms => return Some(at),
            _ => date = boundaries.step(date, 1)?,
        }
    }
}

/// The dates at which windows of one budget begin.
struct Boundaries<'a> {
    duration: BudgetDuration,
    anchor: NaiveDate,
    /// Whether the budget was given before the reset time of its day: a number of days is counted to full, so that day begins no window.
    early: bool,
    rules: &'a WindowRules,
}

impl<'a> Boundaries<'a> {
    fn new(duration: BudgetDuration, anchor_us: u64, rules: &'a WindowRules) -> Self {
        let anchor = date(anchor_us / 1_000, rules);
        Self {
            duration,
            anchor,
            early: reset(anchor, rules).is_none_or(|at| at > anchor_us / 1_000),
            rules,
        }
    }

    /// The last date that is not after `today`.
    fn last(&self, today: NaiveDate) -> Option<NaiveDate> {
        match self.duration {
            BudgetDuration::Weekly => {
                let since_monday = u64::from(today.weekday().num_days_from_monday());
                today.checked_sub_days(Days::new(since_monday))
            }
            BudgetDuration::Monthly => today.with_day(1),
            BudgetDuration::Days(every) => {
                let every = u64::from(every.max(1));
                let passed = u64::try_from((today - self.anchor).num_days()).ok()?;
                let on = passed / every * every;
                self.anchor.checked_add_days(Days::new(on))
            }
            BudgetDuration::Daily | BudgetDuration::Step { .. } | BudgetDuration::Exact { .. } => {
                Some(today)
            }
        }
    }

    /// Where a count of days begins.
    fn first(&self) -> Option<NaiveDate> {
        matches!(self.duration, BudgetDuration::Days(_)).then_some(self.anchor)
    }

    fn step(&self, date: NaiveDate, count: i32) -> Option<NaiveDate> {
        let days = |days: u64| {
            if count < 0 {
                date.checked_sub_days(Days::new(days))
            } else {
                date.checked_add_days(Days::new(days))
            }
        };
        match self.duration {
            BudgetDuration::Weekly => days(7),
            BudgetDuration::Monthly if count < 0 => date.checked_sub_months(Months::new(1)),
            BudgetDuration::Monthly => date.checked_add_months(Months::new(1)),
            BudgetDuration::Days(every) => days(u64::from(every.max(1))),
            BudgetDuration::Daily | BudgetDuration::Step { .. } | BudgetDuration::Exact { .. } => {
                days(1)
            }
        }
    }

    /// When the window of a date begins, if one does.
    fn at(&self, date: NaiveDate) -> Option<u64> {
        if matches!(self.duration, BudgetDuration::Days(_)) {
            let counts = date > self.anchor || (date == self.anchor && !self.early);
            return reset(date, self.rules).filter(|_| counts);
        }
        reset(date, self.rules)
    }
}

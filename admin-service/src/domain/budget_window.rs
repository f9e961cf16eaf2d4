//! Budget durations: their grammar, and the moments at which a budget starts anew.
//!
//! 1. `days` knows the boundaries of days, weeks, months and numbers of days: dates at the reset time of the time zone.
//! 2. `steps` knows those of seconds, minutes and hours: multiples on the wall clock, counted from midnight, across changes of clocks too.
//! 3. `rules` says which time zone and reset time count, and which counted before: a window that has begun goes on to its own end.
//! 4. `published` gives Redis the boundaries ahead of time, so that budgets start anew on the dot without this service.
//!
//! Failure stance: a local time that a change of clocks skips is taken as much later as was skipped; one that comes twice counts the first
//! time, but for steps of at most an hour that divide it, which go on evenly.

use contract::window::BudgetWindow;

mod days;
mod local;
mod published;
mod rules;
mod steps;

pub use rules::{Earlier, WindowRules};

const HOUR_MS: u64 = 3_600_000;

/// A parsed `budget_duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetDuration {
    /// `30s`, `5m`, `2h`: a step on the wall clock, counted from the midnight before the budget was given.
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

    /// The boundary that began the window that `at_ms` is in, milliseconds since the epoch; `None` before the first one. `anchor_us` is when
    /// the budget was given.
    pub fn start_ms(self, anchor_us: u64, at_ms: u64, rules: &WindowRules) -> Option<u64> {
        if let Some((earlier, cut)) = self.cut(anchor_us, rules) {
            if at_ms < cut {
                return self.start_ms(anchor_us, at_ms, earlier);
            }
            let start = self.start_of(anchor_us, at_ms, rules);
            return Some(start.map_or(cut, |start| start.max(cut)));
        }
        self.start_of(anchor_us, at_ms, rules)
    }

    /// The first boundary after `at_ms`; `None` beyond the calendar.
    pub fn next_ms(self, anchor_us: u64, at_ms: u64, rules: &WindowRules) -> Option<u64> {
        match self.cut(anchor_us, rules) {
            Some((earlier, cut)) if at_ms < cut => self.next_ms(anchor_us, at_ms, earlier),
            _ => self.next_of(anchor_us, at_ms, rules),
        }
    }

    /// The earlier rules, and the end of the window that had begun under them when they were replaced.
    fn cut(self, anchor_us: u64, rules: &WindowRules) -> Option<(&WindowRules, u64)> {
        let earlier = rules.earlier.as_deref()?;
        if matches!(self, Self::Exact { .. }) || anchor_us >= earlier.until_us {
            return None;
        }
        let end = self.next_ms(anchor_us, earlier.until_us / 1_000, &earlier.rules)?;
        Some((&earlier.rules, end))
    }

    fn start_of(self, anchor_us: u64, at_ms: u64, rules: &WindowRules) -> Option<u64> {
        match self {
            Self::Step { every_ms } => steps::start(every_ms, anchor_us, at_ms, rules.timezone),
            Self::Exact { every_ms } => {
                let since = at_ms.checked_sub(anchor_us / 1_000)?;
                Some(at_ms - since.checked_rem(every_ms)?)
            }
            _ => days::start(self, anchor_us, at_ms, rules),
        }
    }

    fn next_of(self, anchor_us: u64, at_ms: u64, rules: &WindowRules) -> Option<u64> {
        match self {
            Self::Step { every_ms } => steps::next(every_ms, anchor_us, at_ms, rules.timezone),
            Self::Exact { every_ms } => match self.start_of(anchor_us, at_ms, rules) {
                Some(start) => start.checked_add(every_ms),
                None => Some(anchor_us / 1_000),
            },
            _ => days::next(self, anchor_us, at_ms, rules),
        }
    }

    /// The window's boundaries as Redis is given them at `now_us`.
    pub fn window(self, anchor_us: u64, now_us: u64, rules: &WindowRules) -> BudgetWindow {
        published::window(self, anchor_us, now_us, rules).0
    }

    /// When what Redis was given must be made anew, microseconds since the epoch; `None` where it never must.
    pub fn refresh_at(self, anchor_us: u64, now_us: u64, rules: &WindowRules) -> Option<u64> {
        published::window(self, anchor_us, now_us, rules).1
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

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

//! Steps of seconds, minutes and hours: multiples on the wall clock, counted from the midnight before the budget was given.
//!
//! A step that divides an hour meets every multiple that the wall clock shows, also those of an hour that comes twice. A longer one starts
//! anew once per multiple: the first time the wall clock shows it, or as much later as was skipped.

use chrono_tz::Tz;

use super::HOUR_MS;
use super::local::{change_between, instant, midnight, offset, signed, wall};

/// Whether a step divides an hour.
pub(super) fn is_even(every_ms: u64) -> bool {
    every_ms > 0 && HOUR_MS.is_multiple_of(every_ms)
}

pub(super) fn start(every_ms: u64, anchor_us: u64, at_ms: u64, zone: Tz) -> Option<u64> {
    if is_even(every_ms) {
        return Some(even_start(every_ms, at_ms, zone));
    }
    let grid = Grid::new(every_ms, anchor_us, zone);
    let near = grid.near(at_ms);
    near.filter(|instant| *instant <= at_ms).max()
}

pub(super) fn next(every_ms: u64, anchor_us: u64, at_ms: u64, zone: Tz) -> Option<u64> {
    if is_even(every_ms) {
        return Some(even_next(every_ms, at_ms, zone));
    }
    let grid = Grid::new(every_ms, anchor_us, zone);
    let near = grid.near(at_ms);
    near.filter(|instant| *instant > at_ms).min()
}

/// Multiples of a step on the wall clock.
struct Grid {
    zone: Tz,
    origin: i64,
    every: i64,
}

impl Grid {
    fn new(every_ms: u64, anchor_us: u64, zone: Tz) -> Self {
        Self {
            zone,
            origin: midnight(wall(zone, anchor_us / 1_000)),
            every: signed(every_ms).max(1),
        }
    }

    /// The multiples around a moment, with all that a change of clocks near it repeats or skips.
    fn near(&self, at_ms: u64) -> impl Iterator<Item = u64> {
        let index = (wall(self.zone, at_ms) - self.origin).div_euclid(self.every);
        let (before, after) = (at_ms.saturating_sub(8 * HOUR_MS), at_ms + 8 * HOUR_MS);
        let still = offset(self.zone, before) == offset(self.zone, after);
        let slack = if still {
            1
        } else {
            signed(3 * HOUR_MS) / self.every + 1
        };
        (index - slack..=index + slack + 1)
            .filter(|index| *index >= 0)
            .filter_map(|index| self.instant(index))
    }

    fn instant(&self, index: i64) -> Option<u64> {
        let wall = index.checked_mul(self.every)?.checked_add(self.origin)?;
        instant(self.zone, wall)
    }
}

fn into(every_ms: u64, wall_ms: i64) -> u64 {
    u64::try_from(wall_ms.rem_euclid(signed(every_ms))).unwrap_or(0)
}

/// Whether the change of clocks at `change` skips a multiple, or shows one.
fn meets(every_ms: u64, change: u64, zone: Tz) -> bool {
    let (before, after) = (
        signed(change) + offset(zone, change - 1),
        wall(zone, change),
    );
    let every = signed(every_ms);
    let skipped = (after - 1).div_euclid(every) > (before - 1).div_euclid(every);
    (after > before && skipped) || after.rem_euclid(every) == 0
}

fn even_start(every_ms: u64, at_ms: u64, zone: Tz) -> u64 {
    let start = at_ms.saturating_sub(into(every_ms, wall(zone, at_ms)));
    if offset(zone, start) == offset(zone, at_ms) {
        return start;
    }
    let change = change_between(zone, start, at_ms);
    if meets(every_ms, change, zone) {
        change
    } else {
        even_start(every_ms, change - 1, zone)
    }
}

fn even_next(every_ms: u64, at_ms: u64, zone: Tz) -> u64 {
    let next = at_ms + every_ms - into(every_ms, wall(zone, at_ms));
    if offset(zone, next) == offset(zone, at_ms) {
        return next;
    }
    let change = change_between(zone, at_ms, next);
    if meets(every_ms, change, zone) {
        change
    } else {
        even_next(every_ms, change, zone)
    }
}

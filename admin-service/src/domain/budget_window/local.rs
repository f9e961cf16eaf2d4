//! Local time: what the wall clock of a time zone shows, when it shows something, and when its clocks change. Wall-clock times are
//! milliseconds since the epoch as if the wall clock showed UTC.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// Gaps are shorter than this.
const LONGEST_GAP_MS: i64 = 26 * 3_600_000;
/// Distance at which changes of clocks are looked for.
const DAY_MS: u64 = 86_400_000;

fn utc(ms: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .unwrap_or_default()
        .naive_utc()
}

pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// How far the wall clock is ahead of UTC at this moment, in milliseconds.
pub(super) fn offset(zone: Tz, at_ms: u64) -> i64 {
    let offset = zone.offset_from_utc_datetime(&utc(signed(at_ms)));
    i64::from(offset.fix().local_minus_utc()) * 1_000
}

/// What the wall clock shows.
pub(super) fn wall(zone: Tz, at_ms: u64) -> i64 {
    signed(at_ms).saturating_add(offset(zone, at_ms))
}

/// The midnight that began the day, on the wall clock.
pub(super) fn midnight(wall_ms: i64) -> i64 {
    wall_ms - wall_ms.rem_euclid(signed(DAY_MS))
}

/// When the wall clock first shows this. What it skips is taken as much later as was skipped.
pub(super) fn instant(zone: Tz, wall_ms: i64) -> Option<u64> {
    let local = DateTime::<Utc>::from_timestamp_millis(wall_ms)?.naive_utc();
    let ms = match zone.from_local_datetime(&local).earliest() {
        Some(at) => at.timestamp_millis(),
        None => wall_ms.checked_sub(offset_before_gap(zone, wall_ms)?)?,
    };
    u64::try_from(ms).ok()
}

fn offset_before_gap(zone: Tz, wall_ms: i64) -> Option<i64> {
    let quarter = 900_000;
    (1..=LONGEST_GAP_MS / quarter).find_map(|step| {
        let local = utc(wall_ms - step * quarter);
        let at = zone.from_local_datetime(&local).latest()?;
        Some(i64::from(at.offset().fix().local_minus_utc()) * 1_000)
    })
}

/// The moment of the change of clocks in `(from_ms, to_ms]`, at whose ends the offsets differ.
pub(super) fn change_between(zone: Tz, from_ms: u64, to_ms: u64) -> u64 {
    let before = offset(zone, from_ms);
    let (mut low, mut high) = (from_ms, to_ms);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(zone, middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The first change of clocks in `(from_ms, to_ms]` by which `matters` is moved, if there is one.
pub(super) fn next_change(
    zone: Tz,
    from_ms: u64,
    to_ms: u64,
    matters: impl Fn(i64) -> bool,
) -> Option<u64> {
    let mut from = from_ms;
    while from < to_ms {
        let to = from.saturating_add(DAY_MS).min(to_ms);
        let moved = offset(zone, to) - offset(zone, from);
        if moved != 0 && matters(moved) {
            return Some(change_between(zone, from, to));
        }
        from = to;
    }
    None
}

//! LiteLLM's temporary budget increase: two entries of a key's metadata that raise its budget until a date.

use chrono::{NaiveDate, NaiveDateTime};
use contract::limits::Raise;
use contract::money::NanoUsd;
use serde_json::Value;

/// The metadata entry with the amount.
pub const INCREASE: &str = "temp_budget_increase";
/// The metadata entry with the end.
pub const EXPIRY: &str = "temp_budget_expiry";

/// What is added to the budget at `now_us`.
pub fn increase(metadata: &Value, now_us: u64) -> Option<NanoUsd> {
    if expiry_us(metadata)? <= now_us {
        return None;
    }
    let amount = metadata.get(INCREASE)?;
    NanoUsd::parse(amount.as_str().unwrap_or(&amount.to_string())).ok()
}

/// The increase at `now_us` with its end, as gateways are told: they end it by themselves.
pub fn raise(metadata: &Value, now_us: u64) -> Option<Raise> {
    let by = increase(metadata, now_us)?;
    let until_ms = expiry_us(metadata)? / 1_000;
    Some(Raise { by, until_ms })
}

/// When the increase ends, microseconds since the epoch.
pub fn expiry_us(metadata: &Value) -> Option<u64> {
    parse_expiry(metadata.get(EXPIRY)?.as_str()?)
}

/// A date, or a date with a time (in UTC where it names no offset), in microseconds since the epoch.
pub fn parse_expiry(text: &str) -> Option<u64> {
    let at = chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| at.naive_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|_| {
            NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .map(|day| day.and_time(chrono::NaiveTime::MIN))
        })
        .ok()?;
    u64::try_from(at.and_utc().timestamp_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_increase_counts_until_its_end_and_not_after() {
        let metadata = serde_json::json!({INCREASE: 0.5, EXPIRY: "2027-01-15"});
        let end = parse_expiry("2027-01-15T00:00:00Z").unwrap();
        assert_eq!(increase(&metadata, end - 1), NanoUsd::new(500_000_000));
        assert_eq!(increase(&metadata, end), None);
        assert_eq!(increase(&serde_json::json!({}), 0), None);
    }
}

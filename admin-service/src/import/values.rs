//! LiteLLM's values: dollars as floating-point numbers, times without zone, texts that may be empty.

use chrono::{DateTime, NaiveDateTime};
use contract::money::NanoUsd;
use serde_json::Value;

use crate::store::row::Object;

/// A text that says something.
pub(super) fn text(row: &Object, name: &str) -> Option<String> {
    let text = row.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A list of texts.
pub(super) fn texts(row: &Object, name: &str) -> Vec<String> {
    let list = row
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A count.
pub(super) fn whole(row: &Object, name: &str) -> Option<u64> {
    row.get(name).and_then(Value::as_u64)
}

/// An object; an empty one where there is none.
pub(super) fn object(row: &Object, name: &str) -> Object {
    let object = row.get(name).and_then(Value::as_object);
    object.cloned().unwrap_or_default()
}

/// Whether a flag is set.
pub(super) fn flag(row: &Object, name: &str) -> bool {
    row.get(name) == Some(&Value::Bool(true))
}

/// An amount, to the nano-dollar: what floating-point arithmetic left behind it is rounded away.
pub(crate) fn money(value: Option<&Value>) -> Option<NanoUsd> {
    let dollars: f64 = value?.to_string().parse().ok()?;
    NanoUsd::parse(&format!("{dollars:.9}")).ok()
}

/// A time, microseconds since the epoch.
pub(crate) fn micros(value: Option<&Value>) -> Option<u64> {
    let text = value?.as_str()?;
    let plain = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let zoned = || {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|at| at.naive_utc())
    };
    let at = plain().or_else(zoned)?;
    u64::try_from(at.and_utc().timestamp_micros()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_floating_point_left_is_rounded_away() {
        let nano = |value: Value| money(Some(&value)).map(NanoUsd::get);
        assert_eq!(nano(json!(0.060_000_000_000_002_274)), Some(60_000_000));
        assert_eq!(nano(json!(100)), Some(100_000_000_000));
        assert_eq!(nano(json!(1e-7)), Some(100));
        assert_eq!((nano(Value::Null), nano(json!(-1))), (None, None));
    }

    #[test]
    fn times_have_no_zone_or_say_it() {
        let at = |text: &str| micros(Some(&json!(text)));
        assert_eq!(at("2026-11-23T07:12:31.82"), Some(1_795_417_951_820_000));
        assert_eq!(
            at("2026-11-23T08:12:31.82+01:00"),
            at("2026-11-23T07:12:31.82")
        );
        assert_eq!(at("yesterday"), None);
    }
}

//! How LiteLLM prints money, times and limits.

use contract::money::NanoUsd;
use serde_json::{Number, Value, json};

use crate::clock::date;
use crate::domain::budget_window::{WindowRules, as_sent};
use crate::openapi::schema::{
    NULL, NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE_OR_NULL,
};
use crate::store::budgets::BudgetRow;
use crate::store::row::{LimitColumns, Object};

/// The two ways in which LiteLLM prints a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// `…Z`.
    Z,
    /// `…+00:00`.
    Offset,
}

impl Times {
    pub(super) fn print(self, us: u64) -> Value {
        let fraction = if us.is_multiple_of(1_000_000) {
            "%Y-%m-%dT%H:%M:%S"
        } else {
            "%Y-%m-%dT%H:%M:%S%.6f"
        };
        let zone = match self {
            Self::Z => "Z",
            Self::Offset => "+00:00",
        };
        match date(us) {
            Some(at) => Value::String(format!("{}{zone}", at.format(fraction))),
            None => Value::Null,
        }
    }

    pub(super) fn maybe(self, us: Option<u64>) -> Value {
        us.map_or(Value::Null, |us| self.print(us))
    }
}

/// Dollars as a number with all its digits.
pub(super) fn dollars(amount: NanoUsd) -> Value {
    amount
        .to_string()
        .parse::<Number>()
        .map_or(Value::Null, Value::Number)
}

/// A sum in nano-dollars as dollars, with all its digits: sums may be larger than any single amount.
pub(super) fn nano_dollars(nano: i64) -> Value {
    let sign = if nano < 0 { "-" } else { "" };
    let nano = nano.unsigned_abs();
    let fraction = format!("{:09}", nano % 1_000_000_000);
    let digits = match fraction.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    format!("{sign}{}.{digits}", nano / 1_000_000_000)
        .parse::<Number>()
        .map_or(Value::Null, Value::Number)
}

pub(super) fn maybe_dollars(amount: Option<NanoUsd>) -> Value {
    amount.map_or(Value::Null, dollars)
}

/// What [`limits`] prints.
pub(super) static LIMITS: Record = Record::new(
    "",
    &[
        ("max_budget", NUMBER_OR_NULL),
        ("max_parallel_requests tpm_limit rpm_limit", WHOLE_OR_NULL),
        ("budget_duration budget_reset_at", TEXT_OR_NULL),
    ],
);

/// What [`budget`] prints.
pub(super) static BUDGET: Record = Record::with(
    "Budget",
    &[&LIMITS],
    &[
        (
            "budget_id created_at created_by updated_at updated_by",
            TEXT,
        ),
        ("soft_budget", NUMBER_OR_NULL),
        ("tpd_limit", WHOLE_OR_NULL),
        ("model_max_budget", OBJECT.or_null()),
        ("allowed_models", TEXTS),
        ("temp_budget_increase", NUMBER_OR_NULL),
        ("temp_budget_expiry", TEXT_OR_NULL),
    ],
);

/// What [`budget_row`] prints.
pub(crate) static BUDGET_ROW: Record = Record::with(
    "BudgetRow",
    &[&BUDGET],
    &[(
        "organization projects keys end_users tags model_access_groups team_membership organization_membership",
        NULL,
    )],
);

/// The limit fields of a row.
pub(super) fn limits(row: &LimitColumns, now_us: u64, rules: &WindowRules, times: Times) -> Object {
    let mut object = Object::new();
    object.insert("max_budget".into(), maybe_dollars(row.max_budget));
    object.insert(
        "max_parallel_requests".into(),
        json!(row.max_parallel_requests),
    );
    object.insert("tpm_limit".into(), json!(row.tpm_limit));
    object.insert("rpm_limit".into(), json!(row.rpm_limit));
    let duration = row.budget_duration.as_deref().map(as_sent);
    object.insert("budget_duration".into(), json!(duration));
    object.insert(
        "budget_reset_at".into(),
        times.maybe(row.reset_at(now_us, rules)),
    );
    object
}

/// A budget row.
pub(super) fn budget(row: &BudgetRow, now_us: u64, rules: &WindowRules) -> Value {
    let mut object = limits(&row.limits, now_us, rules, Times::Z);
    for (name, value) in [
        ("budget_id", json!(row.budget_id)),
        ("soft_budget", maybe_dollars(row.soft_budget)),
        ("tpd_limit", json!(row.tpd_limit)),
        ("model_max_budget", json!(row.model_max_budget)),
        ("allowed_models", json!(row.allowed_models)),
        ("created_at", Times::Z.print(row.created_at)),
        ("created_by", json!(row.created_by)),
        ("updated_at", Times::Z.print(row.updated_at)),
        ("updated_by", json!(row.updated_by)),
        (
            "temp_budget_increase",
            maybe_dollars(row.temporary.map(|temporary| temporary.increase)),
        ),
        (
            "temp_budget_expiry",
            Times::Z.maybe(row.temporary.map(|temporary| temporary.until_us)),
        ),
    ] {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// A budget row by itself, with the relations that LiteLLM's answer has and fills with nothing.
pub(super) fn budget_row(row: &BudgetRow, now_us: u64, rules: &WindowRules) -> Value {
    let mut shown = budget(row, now_us, rules);
    if let Some(object) = shown.as_object_mut() {
        for relation in [
            "organization",
            "projects",
            "keys",
            "end_users",
            "tags",
            "model_access_groups",
            "team_membership",
            "organization_membership",
        ] {
            object.insert(relation.into(), Value::Null);
        }
    }
    shown
}

/// Puts `defaults` where `object` has nothing: fields that are kept without being acted on.
pub(super) fn fill(object: &mut Object, extra: &Object, defaults: &[(&str, Value)]) {
    for (name, default) in defaults {
        let value = extra
            .get(*name)
            .filter(|value| !value.is_null())
            .unwrap_or(default);
        object
            .entry((*name).to_owned())
            .or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_printed_with_all_its_digits_and_no_more() {
        let printed = |nano| dollars(NanoUsd::new(nano).unwrap()).to_string();
        assert_eq!(printed(0), "0.0");
        assert_eq!(printed(10_000_000_000), "10.0");
        assert_eq!(printed(123_456_789), "0.123456789");
        assert_eq!(printed(100), "0.0000001");
        let summed = |nano| nano_dollars(nano).to_string();
        assert_eq!(summed(123_456_789), "0.123456789");
        assert_eq!(summed(i64::MAX), "9223372036.854775807");
        assert_eq!(summed(-10_000_000), "-0.01");
    }

    #[test]
    fn times_are_printed_as_python_prints_them() {
        let at = 1_795_417_951_820_000;
        assert_eq!(Times::Z.print(at), "2026-11-23T07:12:31.820000Z");
        assert_eq!(
            Times::Offset.print(at - 820_000),
            "2026-11-23T07:12:31+00:00"
        );
    }
}

//! Columns that several tables share, and how they are read and bound.

use contract::limits::{Budget, Limits};
use contract::money::NanoUsd;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::StoreError;
use super::outbox::{signed, unsigned};
use crate::domain::budget_window::{BudgetDuration, WindowRules};

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Any, AnyArguments>;

/// The limits of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitColumns {
    /// Money in a window.
    pub max_budget: Option<NanoUsd>,
    /// Requests at once.
    pub max_parallel_requests: Option<u64>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
    /// The window, as it was sent.
    pub budget_duration: Option<String>,
    /// When the window was given, microseconds since the epoch.
    pub budget_anchor: Option<u64>,
}

impl LimitColumns {
    /// The columns, in the order of [`LimitColumns::bind`].
    pub(super) const NAMES: [&'static str; 6] = [
        "max_budget",
        "max_parallel_requests",
        "tpm_limit",
        "rpm_limit",
        "budget_duration",
        "budget_anchor",
    ];

    pub(super) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            max_budget: number(row, "max_budget")?.map(NanoUsd::saturating),
            max_parallel_requests: number(row, "max_parallel_requests")?,
            tpm_limit: number(row, "tpm_limit")?,
            rpm_limit: number(row, "rpm_limit")?,
            budget_duration: row.try_get("budget_duration")?,
            budget_anchor: number(row, "budget_anchor")?,
        })
    }

    pub(super) fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.max_budget.map(|budget| signed(budget.get())))
            .bind(self.max_parallel_requests.map(signed))
            .bind(self.tpm_limit.map(signed))
            .bind(self.rpm_limit.map(signed))
            .bind(self.budget_duration.clone())
            .bind(self.budget_anchor.map(signed))
    }

    /// These limits, and those of `other` where there are none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_budget: self.max_budget.or(other.max_budget),
            max_parallel_requests: self.max_parallel_requests.or(other.max_parallel_requests),
            tpm_limit: self.tpm_limit.or(other.tpm_limit),
            rpm_limit: self.rpm_limit.or(other.rpm_limit),
            budget_duration: self.budget_duration.or(other.budget_duration),
            budget_anchor: self.budget_anchor.or(other.budget_anchor),
        }
    }

    /// What the filter holds whoever has these to.
    pub fn limits(&self, now_us: u64, rules: &WindowRules) -> Limits {
        let small =
            |limit: Option<u64>| limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        let duration = self.budget_duration.as_deref();
        let duration = duration.and_then(BudgetDuration::parse_stored);
        let window = duration
            .map(|duration| duration.window(self.budget_anchor.unwrap_or(0), now_us, rules))
            .unwrap_or_default();
        Limits {
            rpm: small(self.rpm_limit),
            tpm: self.tpm_limit,
            parallel: small(self.max_parallel_requests),
            budget: self.max_budget.map(|max| Budget { max, window }),
            ..Limits::default()
        }
    }

    /// When the published windows of this row run short.
    pub fn refresh_at(&self, now_us: u64, rules: &WindowRules) -> Option<u64> {
        let duration = BudgetDuration::parse_stored(self.budget_duration.as_deref()?)?;
        duration.refresh_at(self.budget_anchor.unwrap_or(now_us), now_us, rules)
    }

    /// When the budget starts anew next, microseconds since the epoch.
    pub fn reset_at(&self, now_us: u64, rules: &WindowRules) -> Option<u64> {
        let duration = BudgetDuration::parse_stored(self.budget_duration.as_deref()?)?;
        let anchor_us = self.budget_anchor.unwrap_or(now_us);
        let next = duration.next_ms(anchor_us, now_us / 1_000, rules);
        next.map(|ms| ms * 1_000)
    }
}

/// `INSERT INTO table (columns) VALUES ($1, …)`.
pub(super) fn insert_into(table: &str, columns: &[&str]) -> String {
    let places = super::outbox::placeholders(1, columns.len());
    format!(
        "INSERT INTO {table} ({}) VALUES ({places})",
        columns.join(", ")
    )
}

/// `UPDATE table SET column = $1, … WHERE key = $n`, the key's value being bound last.
pub(super) fn update(table: &str, columns: &[&str], key: &str) -> String {
    let set = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{column} = ${}", at + 1));
    let set = set.collect::<Vec<_>>().join(", ");
    format!(
        "UPDATE {table} SET {set} WHERE {key} = ${}",
        columns.len() + 1
    )
}

pub(super) fn number(row: &AnyRow, column: &str) -> Result<Option<u64>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(unsigned))
}

pub(super) fn time(row: &AnyRow, column: &str) -> Result<u64, StoreError> {
    Ok(unsigned(row.try_get(column)?))
}

pub(super) fn flag(row: &AnyRow, column: &str) -> Result<Option<bool>, StoreError> {
    Ok(row.try_get::<Option<i16>, _>(column)?.map(|flag| flag != 0))
}

pub(super) fn bit(flag: Option<bool>) -> Option<i16> {
    flag.map(i16::from)
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// When a new row was made: now, but for one that was made elsewhere before.
pub(super) fn made_at(elsewhere: u64, now_us: u64) -> u64 {
    match elsewhere {
        0 => now_us,
        before => before.min(now_us),
    }
}

/// A text in which `LIKE … ESCAPE '!'` finds no wildcard.
pub(super) fn escaped(text: &str) -> String {
    text.replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_")
}

/// A JSON object.
pub type Object = Map<String, Value>;

//! The spend log as `/spend/logs` reads it.

use contract::money::NanoUsd;
use sqlx::{AssertSqlSafe, Row};

use super::SpendRow;
use super::rows::{COLUMNS, read_row};
use crate::store::outbox::{signed, unsigned};
use crate::store::{Store, StoreError};

/// Which requests; an absent condition holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The provider's response id, or the event's.
    pub request_id: Option<String>,
    /// The key's hash.
    pub api_key: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// Admitted from this Redis time (ms) on.
    pub from_ms: Option<u64>,
    /// Admitted before this Redis time (ms).
    pub before_ms: Option<u64>,
}

/// A request with the names that its key and team have now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The row.
    pub row: SpendRow,
    /// The key's alias.
    pub key_alias: Option<String>,
    /// The team's alias.
    pub team_alias: Option<String>,
}

/// A day's sum for one user, key and model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// `2026-11-23`, UTC.
    pub date: String,
    /// The key's hash.
    pub api_key: String,
    /// The user, or empty.
    pub user_id: String,
    /// The model.
    pub model: String,
    /// What was spent.
    pub spend: NanoUsd,
}

enum Value {
    Text(String),
    Number(i64),
}

/// The newest `limit` requests, newest first.
pub async fn rows(store: &Store, filter: &Filter, limit: u32) -> Result<Vec<LogRow>, StoreError> {
    let mut conditions = Conditions::default();
    if let Some(id) = &filter.request_id {
        let place = conditions.bind(Value::Text(id.clone()));
        conditions.add(format!("(s.request_id = {place} OR s.event_id = {place})"));
    }
    conditions.equals("s.api_key", filter.api_key.as_ref());
    conditions.equals("s.user_id", filter.user_id.as_ref());
    for (comparison, bound) in [(">=", filter.from_ms), ("<", filter.before_ms)] {
        if let Some(ms) = bound {
            let place = conditions.bind(Value::Number(signed(ms)));
            conditions.add(format!("s.admitted_ms {comparison} {place}"));
        }
    }
    let columns = COLUMNS.map(|column| format!("s.{column}")).join(", ");
    let limit = conditions.bind(Value::Number(i64::from(limit)));
    let which = conditions.clause();
    let statement = format!(
        "SELECT {columns}, k.key_alias, t.team_alias FROM spend_logs s \
         LEFT JOIN virtual_keys k ON k.key_id = s.key_id LEFT JOIN teams t ON t.team_id = s.team_id \
         {which} ORDER BY s.admitted_ms DESC, s.event_id LIMIT {limit}"
    );
    let found = conditions.fetch(store, statement).await?;
    found
        .iter()
        .map(|row| {
            Ok(LogRow {
                row: read_row(row)?,
                key_alias: row.try_get("key_alias")?,
                team_alias: row.try_get("team_alias")?,
            })
        })
        .collect()
}

/// Sums of the days from `first` to `last` (`2026-11-23`), in the order of the days.
pub async fn summary(
    store: &Store,
    filter: &Filter,
    (first, last): (&str, &str),
) -> Result<Vec<SummaryRow>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equals("api_key", filter.api_key.as_ref());
    conditions.equals("user_id", filter.user_id.as_ref());
    for (comparison, date) in [(">=", first), ("<=", last)] {
        let place = conditions.bind(Value::Text(date.to_owned()));
        conditions.add(format!("date {comparison} {place}"));
    }
    let which = conditions.clause();
    let statement = format!(
        "SELECT date, api_key, user_id, model, CAST(SUM(spend) AS BIGINT) AS spend \
         FROM daily_user_spend {which} GROUP BY date, api_key, user_id, model \
         ORDER BY date, api_key, user_id, model"
    );
    let found = conditions.fetch(store, statement).await?;
    found
        .iter()
        .map(|row| {
            Ok(SummaryRow {
                date: row.try_get("date")?,
                api_key: row.try_get("api_key")?,
                user_id: row.try_get("user_id")?,
                model: row.try_get("model")?,
                spend: NanoUsd::saturating(unsigned(row.try_get("spend")?)),
            })
        })
        .collect()
}

/// Conditions and the values bound to them.
#[derive(Default)]
struct Conditions {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Takes a value and answers its placeholder.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn add(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    fn equals(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            let place = self.bind(Value::Text(value.clone()));
            self.add(format!("{column} = {place}"));
        }
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        }
    }

    /// Runs a statement made of constants and placeholders only.
    async fn fetch(
        self,
        store: &Store,
        statement: String,
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        Ok(query.fetch_all(&mut *store.read().await?).await?)
    }
}

//! Whether rows, daily sums and totals agree: each comparison is one statement, so that what is written meanwhile is on both sides or on none.
//! Here: rows and daily sums.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::Dimension;
use super::retention::read_complete_from;
use crate::store::outbox::signed;
use crate::store::{Engine, Store, StoreError};

mod totals;

pub use totals::totals;

/// Two sides that should be the same and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which two sides.
    pub between: &'static str,
    /// Whose sum.
    pub scope: String,
    /// Of what: money is in nano-dollars.
    pub field: &'static str,
    /// What the rows of the log (or, for counters, the database) say.
    pub expected: i64,
    /// What the other side holds.
    pub found: i64,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            between,
            scope,
            field,
            expected,
            found,
        } = self;
        write!(
            f,
            "{between}: {scope}: {field}: expected {expected}, found {found}"
        )
    }
}

const DAY_MS: u64 = 86_400_000;
/// Most differences of one comparison: who has more has one cause of them.
const MOST: i64 = 100;

/// What is compared: its name, the log's expression, the sums' column.
const FIELDS: [(&str, &str, &str); 7] = [
    ("spend", "spend", "spend"),
    ("prompt_tokens", "prompt_tokens", "prompt_tokens"),
    (
        "completion_tokens",
        "completion_tokens",
        "completion_tokens",
    ),
    ("api_requests", "1", "api_requests"),
    (
        "successful_requests",
        "CASE WHEN http_status >= 200 AND http_status <= 299 THEN 1 ELSE 0 END",
        "successful_requests",
    ),
    (
        "failed_requests",
        "CASE WHEN http_status >= 200 AND http_status <= 299 THEN 0 ELSE 1 END",
        "failed_requests",
    ),
    (
        "total_response_time_ms",
        "duration_ms",
        "total_response_time_ms",
    ),
];

/// A day: `2026-11-23`, and its bounds in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Its date.
    pub date: String,
    /// Its first moment.
    pub from_ms: u64,
    /// The first moment after it.
    pub before_ms: u64,
}

impl Day {
    fn of(number: i64) -> Option<Self> {
        let from_ms = u64::try_from(number).ok()?.checked_mul(DAY_MS)?;
        let midnight = DateTime::from_timestamp_millis(i64::try_from(from_ms).ok()?)?;
        Some(Self {
            date: midnight.format("%Y-%m-%d").to_string(),
            from_ms,
            before_ms: from_ms + DAY_MS,
        })
    }
}

/// The days that any row or any sum is of, as far as the log still holds all their rows.
pub async fn days(store: &Store) -> Result<Vec<Day>, StoreError> {
    let complete_from_ms = read_complete_from(store).await?;
    let mut connection = store.read().await?;
    let day_ms = i64::try_from(DAY_MS).unwrap_or(i64::MAX);
    let rows = format!("SELECT DISTINCT admitted_ms / {day_ms} AS day FROM spend_logs");
    let rows = sqlx::query(AssertSqlSafe(rows))
        .fetch_all(&mut *connection)
        .await?;
    let mut numbers = BTreeSet::new();
    for row in &rows {
        numbers.insert(row.try_get::<i64, _>("day")?);
    }
    let sums = sqlx::query("SELECT DISTINCT date FROM daily_spend WHERE kind = 'all'")
        .fetch_all(&mut *connection)
        .await?;
    for row in &sums {
        let date: String = row.try_get("date")?;
        let parsed = NaiveDate::parse_from_str(&date, "%Y-%m-%d");
        let date =
            parsed.map_err(|_| StoreError::Corrupt(format!("daily_spend.date = {date:?}")))?;
        let midnight = date.and_time(NaiveTime::MIN).and_utc();
        numbers.insert(midnight.timestamp_millis().div_euclid(day_ms));
    }
    let days = numbers.into_iter().filter_map(Day::of);
    Ok(days.filter(|day| day.from_ms >= complete_from_ms).collect())
}

/// Compares the rows of a day with its sums.
pub async fn day(store: &Store, day: &Day) -> Result<Vec<Difference>, StoreError> {
    let mut all = Vec::new();
    let mut connection = store.read().await?;
    for (dimension, column) in [
        (Dimension::User, "user_id"),
        (Dimension::Team, "team_id"),
        (Dimension::Organization, "organization_id"),
        (Dimension::EndUser, "end_user"),
        (Dimension::Tag, "tags.value"),
    ] {
        // A row counts in each of its tags.
        let from = match (dimension, store.engine()) {
            (Dimension::Tag, Engine::Sqlite) => "spend_logs, json_each(request_tags) AS tags",
            (Dimension::Tag, Engine::Postgres) => {
                "spend_logs, json_array_elements_text(request_tags::json) AS tags(value)"
            }
            _ => "spend_logs",
        };
        let which = match dimension {
            Dimension::User => String::new(),
            _ => format!(" AND {column} <> ''"),
        };
        let by_key = Sides {
            from,
            names: [column, "api_key", "model"],
            which: &which,
            table: dimension.table(),
            sums: [dimension.column(), "api_key", "model"],
            kind: None,
        };
        let found = by_key.compare(&mut connection, day, "rows and daily sums by key");
        all.extend(found.await?);
        let entity = match dimension {
            Dimension::User => "''",
            _ => column,
        };
        let over_keys = Sides {
            from,
            names: [entity, "model_group", "model"],
            which: &which,
            table: "daily_spend",
            sums: ["entity_id", "model_group", "model"],
            kind: Some(dimension.over_keys()),
        };
        let found = over_keys.compare(&mut connection, day, "rows and daily sums");
        all.extend(found.await?);
    }
    Ok(all)
}

/// The two sides of a comparison.
struct Sides<'a> {
    from: &'static str,
    /// What tells rows apart.
    names: [&'a str; 3],
    which: &'a str,
    table: &'a str,
    /// What tells sums apart.
    sums: [&'a str; 3],
    kind: Option<&'static str>,
}

impl Sides<'_> {
    async fn compare(
        &self,
        connection: &mut AnyConnection,
        day: &Day,
        between: &'static str,
    ) -> Result<Vec<Difference>, StoreError> {
        let [first, second, third] = self.names;
        let [sum_first, sum_second, sum_third] = self.sums;
        let each = |part: fn(usize, &(&str, &str, &str)) -> String| {
            let fields = FIELDS.iter().enumerate();
            fields
                .map(|(at, field)| part(at, field))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let rows = each(|at, (_, log, _)| format!("{log} AS e{at}, 0 AS f{at}"));
        let sums = each(|at, (_, _, sum)| format!("0 AS e{at}, {sum} AS f{at}"));
        let both = each(|at, _| {
            format!("CAST(SUM(e{at}) AS BIGINT) AS e{at}, CAST(SUM(f{at}) AS BIGINT) AS f{at}")
        });
        let differ = FIELDS.iter().enumerate();
        let differ = differ.map(|(at, _)| format!("SUM(e{at}) <> SUM(f{at})"));
        let differ = differ.collect::<Vec<_>>().join(" OR ");
        let kind = self
            .kind
            .map_or_else(String::new, |kind| format!(" AND kind = '{kind}'"));
        let statement = format!(
            "SELECT first, second, third, {both} FROM (\
             SELECT {first} AS first, {second} AS second, {third} AS third, {rows} FROM {} \
             WHERE admitted_ms >= $1 AND admitted_ms < $2{} \
             UNION ALL SELECT {sum_first}, {sum_second}, {sum_third}, {sums} FROM {} \
             WHERE date = $3{kind}) AS sides GROUP BY first, second, third HAVING {differ} LIMIT {MOST}",
            self.from, self.which, self.table
        );
        let found = sqlx::query(AssertSqlSafe(statement))
            .bind(signed(day.from_ms))
            .bind(signed(day.before_ms))
            .bind(day.date.clone())
            .fetch_all(connection)
            .await?;
        let mut all = Vec::new();
        for row in &found {
            let name = |column: &str| Ok::<String, StoreError>(row.try_get(column)?);
            let scope = format!(
                "{} {} {}={:?} {sum_second}={:?} {sum_third}={:?}",
                self.table,
                day.date,
                sum_first,
                name("first")?,
                name("second")?,
                name("third")?
            );
            differing(row, between, &scope, &mut all)?;
        }
        Ok(all)
    }
}

fn differing(
    row: &AnyRow,
    between: &'static str,
    scope: &str,
    all: &mut Vec<Difference>,
) -> Result<(), StoreError> {
    for (at, (field, _, _)) in FIELDS.iter().enumerate() {
        let expected: i64 = row.try_get(format!("e{at}").as_str())?;
        let found: i64 = row.try_get(format!("f{at}").as_str())?;
        if expected != found {
            all.push(Difference {
                between,
                scope: scope.to_owned(),
                field,
                expected,
                found,
            });
        }
    }
    Ok(())
}

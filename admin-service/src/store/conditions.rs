//! `WHERE` clauses put together from constants, with every value bound.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::StoreError;
use super::outbox::unsigned;
use super::row::escaped;

type Statement = Query<'static, sqlx::Any, AnyArguments>;

/// A value to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Text(String),
    Number(i64),
}

/// Conditions and the values that they need, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    parts: Vec<String>,
    values: Vec<Bound>,
}

impl Conditions {
    /// Takes a value and answers its placeholder.
    pub(super) fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Takes a text and answers its placeholder.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.bind(Bound::Text(text.to_owned()))
    }

    /// Takes a number and answers its placeholder.
    pub(super) fn number(&mut self, number: i64) -> String {
        self.bind(Bound::Number(number))
    }

    /// A further condition.
    pub(super) fn add(&mut self, condition: impl Into<String>) {
        self.parts.push(condition.into());
    }

    /// `column` is `value`, if there is one.
    pub(super) fn equals(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let place = self.text(value);
            self.add(format!("{column} = {place}"));
        }
    }

    /// `$1, $2, …` for these values.
    pub(super) fn list(&mut self, values: &[String]) -> String {
        let places = values.iter().map(|value| self.text(value));
        places.collect::<Vec<_>>().join(", ")
    }

    /// `column` is one of `values`; of none, if there are none.
    pub(super) fn any_of(&mut self, column: &str, values: &[String]) {
        let condition = self.among(column, values);
        self.add(condition);
    }

    /// The same as a part of a condition.
    pub(super) fn among(&mut self, column: &str, values: &[String]) -> String {
        match values {
            [] => "1 = 0".to_owned(),
            values => format!("{column} IN ({})", self.list(values)),
        }
    }

    /// `column` is none of `values`.
    pub(super) fn none_of(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            let condition = format!("{column} NOT IN ({})", self.list(values));
            self.add(condition);
        }
    }

    /// `WHERE …`, or nothing.
    pub(super) fn clause(&self) -> String {
        if self.parts.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.parts.join(" AND "))
        }
    }

    /// That `column` equals, or contains, `value`.
    pub(super) fn like(&mut self, column: &str, value: &str, contains: bool) -> String {
        if contains {
            let place = self.text(&format!("%{}%", escaped(value)));
            format!("LOWER({column}) LIKE LOWER({place}) ESCAPE '!'")
        } else {
            let place = self.text(value);
            format!("{column} = {place}")
        }
    }

    /// A statement made of constants and placeholders, with the values bound.
    pub(super) fn query(&self, statement: String) -> Statement {
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in &self.values {
            query = match value {
                Bound::Text(text) => query.bind(text.clone()),
                Bound::Number(number) => query.bind(*number),
            };
        }
        query
    }

    /// Reads a page, from 1, and how many rows there are in all: `count` answers that as `total`, and `page` is given its end of the statement.
    pub(super) async fn page(
        &self,
        connection: &mut AnyConnection,
        (number, size): (u32, u32),
        count: String,
        page: impl FnOnce(&str) -> String,
    ) -> Result<(Vec<AnyRow>, u64), StoreError> {
        let next = self.values.len() + 1;
        let limit = format!("LIMIT ${next} OFFSET ${}", next + 1);
        let total = self.query(count).fetch_one(&mut *connection).await?;
        let rows = self
            .query(page(&limit))
            .bind(i64::from(size))
            .bind(i64::from(number.saturating_sub(1)).saturating_mul(i64::from(size)))
            .fetch_all(connection)
            .await?;
        Ok((rows, unsigned(total.try_get("total")?)))
    }

    /// Runs a statement made of constants and placeholders.
    pub(super) async fn fetch(
        &self,
        connection: &mut AnyConnection,
        statement: String,
    ) -> Result<Vec<AnyRow>, StoreError> {
        Ok(self.query(statement).fetch_all(connection).await?)
    }
}

//! Whether what keys, people and things were ever charged is what the rows say, or, of what has daily sums for good, those sums.
//!
//! Beside them stands what was charged without a row, or counts no more (`spend_without_rows`).

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::super::retention::API_KEY;
use super::super::tally::Tally;
use super::{Difference, MOST};
use crate::store::outbox::Kind;
use crate::store::spend::Dimension;
use crate::store::{Engine, Store, StoreError};

const ROWS: &str = "rows and totals";
const SUMS: &str = "daily sums and totals";
/// An object whose name has one part.
const PLAIN: [&str; 2] = ["object_id", "''"];

/// Two sides, each a statement of an object, the second part of its name, and an amount.
struct Sides {
    between: &'static str,
    /// The kind of the objects, in `spend_without_rows` too.
    kind: &'static str,
    /// How the parts of an object's name are read there.
    object: [&'static str; 2],
    expected: String,
    found: String,
}

/// Compares all totals.
pub async fn totals(store: &Store) -> Result<Vec<Difference>, StoreError> {
    let mut connection = store.read().await?;
    let mut all = Vec::new();
    for sides in of_rows(store.engine()).into_iter().chain(of_sums()) {
        all.extend(sides.compare(&mut connection).await?);
    }
    Ok(all)
}

/// The totals whose expected side is the log itself.
fn of_rows(engine: Engine) -> [Sides; 6] {
    let (member, named) = match engine {
        Engine::Sqlite => (
            [
                "json_extract(object_id, '$[0]')",
                "json_extract(object_id, '$[1]')",
            ],
            "spend_logs, json_each(CASE charged WHEN '' THEN '[]' ELSE charged END) AS names",
        ),
        Engine::Postgres => (
            ["(object_id::json ->> 0)", "(object_id::json ->> 1)"],
            "spend_logs, json_array_elements_text(CASE charged WHEN '' THEN '[]' ELSE charged END::json) AS names(value)",
        ),
    };
    let rows = |from: &str, [one, two]: [&str; 2], which: &str| {
        format!("SELECT {one} AS one, {two} AS two, spend AS amount FROM {from} WHERE {which}")
    };
    let of_column = |column: &str| {
        let named = format!("{column} <> ''");
        rows("spend_logs", [column, "''"], &named)
    };
    let both = "team_id <> '' AND user_id <> ''";
    [
        Sides::of_scopes(ROWS, Kind::Key, PLAIN, of_column("key_id")),
        Sides::of_scopes(ROWS, Kind::User, PLAIN, of_column("user_id")),
        Sides::of_scopes(ROWS, Kind::Team, PLAIN, of_column("team_id")),
        Sides::of_scopes(
            ROWS,
            Kind::Member,
            member,
            rows("spend_logs", ["team_id", "user_id"], both),
        ),
        Sides::of_scopes(
            ROWS,
            Kind::Scope,
            PLAIN,
            rows(named, ["names.value", "''"], "charged <> ''"),
        ),
        Sides {
            between: ROWS,
            kind: API_KEY,
            object: PLAIN,
            expected: of_column("api_key"),
            found: "SELECT api_key AS one, '' AS two, spend AS amount FROM api_key_spend"
                .to_owned(),
        },
    ]
}

/// The totals whose expected side is the sums of all days, over all keys.
fn of_sums() -> [Sides; 4] {
    let sums = |dimension: Dimension| {
        format!(
            "SELECT entity_id AS one, '' AS two, spend AS amount FROM daily_spend WHERE kind = '{}'",
            dimension.over_keys()
        )
    };
    let tally = |tally: Tally| Sides {
        between: SUMS,
        kind: tally.table(),
        object: PLAIN,
        expected: sums(tally.dimension()),
        found: format!(
            "SELECT {} AS one, '' AS two, spend AS amount FROM {}",
            tally.column(),
            tally.table()
        ),
    };
    let organizations = sums(Dimension::Organization);
    let customers = sums(Dimension::EndUser);
    [
        Sides::of_scopes(SUMS, Kind::Organization, PLAIN, organizations),
        Sides::of_scopes(SUMS, Kind::Customer, PLAIN, customers),
        tally(Tally::Customers),
        tally(Tally::Tags),
    ]
}

impl Sides {
    /// What the scopes of a kind were ever charged, against `expected`.
    fn of_scopes(
        between: &'static str,
        kind: Kind,
        object: [&'static str; 2],
        expected: String,
    ) -> Self {
        let ([one, two], kind) = (object, kind.as_str());
        Self {
            between,
            kind,
            object,
            expected,
            found: format!(
                "SELECT {one} AS one, {two} AS two, total AS amount FROM spend_scopes WHERE kind = '{kind}'"
            ),
        }
    }

    async fn compare(&self, connection: &mut AnyConnection) -> Result<Vec<Difference>, StoreError> {
        let Self {
            kind,
            object: [one, two],
            expected,
            found,
            ..
        } = self;
        let statement = format!(
            "SELECT one, two, CAST(SUM(e) AS BIGINT) AS e, CAST(SUM(f) AS BIGINT) AS f FROM (\
             SELECT one, two, amount AS e, 0 AS f FROM ({expected}) AS expected \
             UNION ALL SELECT {one}, {two}, total, 0 FROM spend_without_rows WHERE kind = '{kind}' \
             UNION ALL SELECT one, two, 0, amount FROM ({found}) AS found) AS sides \
             GROUP BY one, two HAVING SUM(e) <> SUM(f) LIMIT {MOST}"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(connection)
            .await?;
        rows.iter()
            .map(|row| {
                let (one, two): (String, String) = (row.try_get("one")?, row.try_get("two")?);
                let second = match two.as_str() {
                    "" => String::new(),
                    two => format!(" {two:?}"),
                };
                Ok(Difference {
                    between: self.between,
                    scope: format!("{kind} {one:?}{second}"),
                    field: "spend",
                    expected: row.try_get("e")?,
                    found: row.try_get("f")?,
                })
            })
            .collect()
    }
}

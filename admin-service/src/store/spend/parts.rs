//! Statements over many rows, in few texts: databases prepare each text once.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use crate::store::outbox::placeholders;
use crate::store::{StoreError, Tx};

/// A query being bound.
pub(super) type AnyQuery = Query<'static, Any, AnyArguments>;

/// Numbers of rows that a statement is made for.
const SIZES: [usize; 5] = [512, 128, 32, 8, 1];
/// Most placeholders of one statement. SQLite takes `$1` for a name and walks all names for each: the cost is their square.
const MOST_SQLITE: usize = 256;
const MOST_POSTGRES: usize = 16_384;

/// Splits `rows` into parts of [`SIZES`] with at most `most` values, each row having `columns`.
fn parts<T>(mut rows: &[T], columns: usize, most: usize) -> Vec<&[T]> {
    let mut all = Vec::new();
    for size in SIZES
        .into_iter()
        .filter(|size| *size == 1 || size * columns <= most)
    {
        while let Some((part, rest)) = rows.split_at_checked(size) {
            all.push(part);
            rows = rest;
        }
    }
    all
}

/// `($1, $2), ($3, $4)` for rows of `columns` columns.
pub(super) fn tuples(rows: usize, columns: usize) -> String {
    let tuple = |row: usize| format!("({})", placeholders(row * columns + 1, columns));
    (0..rows).map(tuple).collect::<Vec<_>>().join(", ")
}

/// Has rows looked up by index until the transaction ends. `PostgreSQL` keeps the plan that it makes while a table is still small, and
/// would go on reading the whole of it.
pub(super) async fn by_index(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.connection().backend_name() == "PostgreSQL" {
        sqlx::query("SET LOCAL enable_seqscan = off")
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

/// Inserts `rows` into `table` with what `on_conflict` says.
pub(super) async fn insert<T>(
    tx: &mut Tx,
    (table, columns, on_conflict): (&str, &[&str], &str),
    rows: &[T],
    bind: impl Fn(AnyQuery, &T) -> AnyQuery,
) -> Result<(), StoreError> {
    let most = match tx.connection().backend_name() {
        "SQLite" => MOST_SQLITE,
        _ => MOST_POSTGRES,
    };
    for part in parts(rows, columns.len(), most) {
        let tuples = tuples(part.len(), columns.len());
        let columns = columns.join(", ");
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {table} ({columns}) VALUES {tuples} {on_conflict}"
        )));
        for row in part {
            query = bind(query, row);
        }
        query.execute(tx.connection()).await?;
    }
    Ok(())
}

/// Values for an `IN` list: `values` filled up with its last one to one of a few lengths.
pub(super) fn padded<T: Clone>(values: &[T]) -> Vec<T> {
    let length = SIZES.into_iter().rev().find(|size| *size >= values.len());
    let mut padded = values.to_vec();
    if let (Some(length), Some(last)) = (length, values.last()) {
        padded.resize(length, last.clone());
    }
    padded
}

/// The longest list for [`padded`].
pub(super) const LONGEST: usize = SIZES[1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_row_once() {
        let rows = (0..1500).collect::<Vec<_>>();
        for (columns, most, longest) in [(26, 256, 8), (26, 16_384, 512), (1_000, 256, 1)] {
            let parts = parts(&rows, columns, most);
            assert_eq!(parts.concat(), rows);
            assert!(parts.iter().all(|part| SIZES.contains(&part.len())));
            assert_eq!(parts[0].len(), longest);
        }
    }

    #[test]
    fn placeholders_count_through_rows_and_columns() {
        assert_eq!(tuples(2, 2), "($1, $2), ($3, $4)");
        assert_eq!(padded(&[1, 2]), [1, 2, 2, 2, 2, 2, 2, 2]);
    }
}

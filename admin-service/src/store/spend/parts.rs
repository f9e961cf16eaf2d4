//! Statements over many rows, in few texts: databases prepare each text once.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use crate::store::outbox::placeholders;
use crate::store::{StoreError, Tx};

/// A query being bound.
pub(super) type AnyQuery = Query<'static, Any, AnyArguments>;

/// Numbers of rows that a statement is made for. The largest stays below SQLite's 32,766 parameters.
const SIZES: [usize; 5] = [512, 128, 32, 8, 1];

/// Splits `rows` into parts of [`SIZES`].
pub(super) fn parts<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut all = Vec::new();
    for size in SIZES {
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

/// Inserts `rows` into `table` with what `on_conflict` says.
pub(super) async fn insert<T>(
    tx: &mut Tx,
    (table, columns, on_conflict): (&str, &[&str], &str),
    rows: &[T],
    bind: impl Fn(AnyQuery, &T) -> AnyQuery,
) -> Result<(), StoreError> {
    for part in parts(rows) {
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
pub(super) const LONGEST: usize = SIZES[0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_row_once() {
        let rows = (0..1500).collect::<Vec<_>>();
        let parts = parts(&rows);
        assert_eq!(parts.concat(), rows);
        assert!(parts.iter().all(|part| SIZES.contains(&part.len())));
    }

    #[test]
    fn placeholders_count_through_rows_and_columns() {
        assert_eq!(tuples(2, 2), "($1, $2), ($3, $4)");
        assert_eq!(padded(&[1, 2]), [1, 2, 2, 2, 2, 2, 2, 2]);
    }
}

//! What customers and tags show as spent: a sum in their own row, which goes with the row and begins anew with the next one of the name.
//!
//! Decides: what of the days' sums, which stay for ever, such a row does not hold: what it began with is more, what a deleted row had is
//! less. Both go to `spend_without_rows`, so that rows and sums can be compared.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::{Dimension, retention};
use crate::store::{StoreError, Tx};

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Customers.
    Customers,
    /// Tags.
    Tags,
}

impl Tally {
    /// The table, which is the kind in `spend_without_rows` too.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Tags => "tags",
        }
    }

    /// Its column of the name.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Customers => "user_id",
            Self::Tags => "tag_name",
        }
    }

    /// Whose daily sums say the same.
    pub(super) const fn dimension(self) -> Dimension {
        match self {
            Self::Customers => Dimension::EndUser,
            Self::Tags => Dimension::Tag,
        }
    }
}

/// Accounts for what a row was given beside what requests have spent.
pub async fn begun_with(
    tx: &mut Tx,
    tally: Tally,
    name: &str,
    spend: i64,
) -> Result<(), StoreError> {
    let object = (tally.table().to_owned(), name.to_owned());
    retention::without_rows(tx, &BTreeMap::from([(object, spend)])).await
}

/// Accounts for what a row has counted that is about to be deleted.
pub async fn forgotten(tx: &mut Tx, tally: Tally, name: &str) -> Result<(), StoreError> {
    let (table, column) = (tally.table(), tally.column());
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO spend_without_rows (kind, object_id, total) \
         SELECT '{table}', {column}, -spend FROM {table} WHERE {column} = $1 \
         ON CONFLICT (kind, object_id) DO UPDATE SET total = spend_without_rows.total + excluded.total"
    )))
    .bind(name.to_owned())
    .execute(tx.connection())
    .await?;
    Ok(())
}

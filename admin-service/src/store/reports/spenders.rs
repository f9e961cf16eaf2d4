//! Who spent most in their budget windows.

use sqlx::{AnyConnection, Row};

use crate::store::StoreError;
use crate::store::outbox::Kind;

/// The objects of a kind that spent most, the dearest first.
pub async fn spenders(
    connection: &mut AnyConnection,
    kind: Kind,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT object_id FROM spend_scopes WHERE kind = $1 ORDER BY spent DESC, object_id LIMIT $2",
    )
    .bind(kind.as_str())
    .bind(i64::from(most))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok(row.try_get("object_id")?))
        .collect()
}

/// Objects of a kind that have spent something in their windows and whose names are like `pattern`, in the order of their names, after one
/// of them.
pub async fn spent_after(
    connection: &mut AnyConnection,
    kind: Kind,
    pattern: &str,
    after: &str,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT object_id FROM spend_scopes WHERE kind = $1 AND object_id LIKE $2 AND spent > 0 \
         AND object_id > $3 ORDER BY object_id LIMIT $4",
    )
    .bind(kind.as_str())
    .bind(pattern.to_owned())
    .bind(after.to_owned())
    .bind(i64::from(most))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok(row.try_get("object_id")?))
        .collect()
}

//! What each scope has spent, by partition.

use std::collections::{BTreeMap, BTreeSet};

use contract::money::NanoUsd;
use contract::redis_key::Partition;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::parts::{LONGEST, insert, padded};
use super::rows::partition;
use super::{ScopeKey, ScopeState};
use crate::store::outbox::{Kind, placeholders, signed, unsigned};
use crate::store::{StoreError, Tx};

pub(super) const COLUMNS: [&str; 8] = [
    "kind",
    "object_id",
    "partition_no",
    "window_start_ms",
    "spent",
    "total",
    "last_ms",
    "window_end_ms",
];
const ON_CONFLICT: &str = "ON CONFLICT (kind, object_id, partition_no) DO UPDATE SET \
     window_start_ms = excluded.window_start_ms, spent = excluded.spent, total = excluded.total, \
     last_ms = excluded.last_ms, window_end_ms = excluded.window_end_ms";

/// The scopes that were charged before.
pub(super) async fn read(
    connection: &mut AnyConnection,
    scopes: &BTreeSet<ScopeKey>,
) -> Result<BTreeMap<ScopeKey, ScopeState>, StoreError> {
    let mut found = BTreeMap::new();
    for kind in KINDS {
        let objects = scopes.iter().filter(|scope| scope.kind == kind);
        let objects = objects
            .map(|scope| scope.object_id.clone())
            .collect::<Vec<_>>();
        for objects in objects.chunks(LONGEST) {
            let objects = padded(objects);
            let (columns, places) = (COLUMNS.join(", "), placeholders(2, objects.len()));
            let mut query = sqlx::query(AssertSqlSafe(format!(
                "SELECT {columns} FROM spend_scopes WHERE kind = $1 AND object_id IN ({places})"
            )))
            .bind(kind.as_str());
            for object in objects {
                query = query.bind(object);
            }
            for row in query.fetch_all(&mut *connection).await? {
                let (scope, state) = read_row(&row)?;
                found.insert(scope, state);
            }
        }
    }
    Ok(found)
}

/// Kinds of scopes.
pub(super) const KINDS: [Kind; 7] = [
    Kind::Key,
    Kind::User,
    Kind::Team,
    Kind::Member,
    Kind::Organization,
    Kind::Customer,
    Kind::Scope,
];

/// Puts scopes at the state that they have now.
pub(super) async fn write(
    tx: &mut Tx,
    scopes: &BTreeMap<ScopeKey, ScopeState>,
) -> Result<(), StoreError> {
    let scopes = scopes.iter().collect::<Vec<_>>();
    insert(
        tx,
        ("spend_scopes", &COLUMNS, ON_CONFLICT),
        &scopes,
        |query, (scope, state)| {
            query
                .bind(scope.kind.as_str())
                .bind(scope.object_id.clone())
                .bind(i64::from(scope.partition.0))
                .bind(signed(state.window_start_ms))
                .bind(signed(state.spent.get()))
                .bind(signed(state.total.get()))
                .bind(signed(state.last_ms))
                .bind(signed(state.window_end_ms))
        },
    )
    .await
}

/// Scopes of a partition after one of them, in their order, at most `limit`.
pub async fn after(
    tx: &mut Tx,
    partition: Partition,
    after: Option<&ScopeKey>,
    limit: u32,
) -> Result<Vec<(ScopeKey, ScopeState)>, StoreError> {
    let (kind, object) = after.map_or(("", ""), |scope| (scope.kind.as_str(), &scope.object_id));
    let columns = COLUMNS.join(", ");
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT {columns} FROM spend_scopes WHERE partition_no = $1 AND (kind, object_id) > ($2, $3) \
         ORDER BY kind, object_id LIMIT $4"
    )))
    .bind(i64::from(partition.0))
    .bind(kind)
    .bind(object.to_owned())
    .bind(i64::from(limit))
    .fetch_all(tx.connection())
    .await?;
    rows.iter().map(read_row).collect()
}

/// A row of [`COLUMNS`].
pub(super) fn read_row(row: &AnyRow) -> Result<(ScopeKey, ScopeState), StoreError> {
    let kind: String = row.try_get("kind")?;
    let scope = ScopeKey {
        kind: KINDS
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| StoreError::Corrupt(format!("spend_scopes.kind = {kind:?}")))?,
        object_id: row.try_get("object_id")?,
        partition: partition(row)?,
    };
    let state = ScopeState {
        window_start_ms: unsigned(row.try_get("window_start_ms")?),
        spent: NanoUsd::saturating(unsigned(row.try_get("spent")?)),
        total: NanoUsd::saturating(unsigned(row.try_get("total")?)),
        last_ms: unsigned(row.try_get("last_ms")?),
        window_end_ms: unsigned(row.try_get("window_end_ms")?),
    };
    Ok((scope, state))
}

//! The last settlement of each worker that has its row.

use std::collections::BTreeMap;

use contract::redis_key::Partition;
use sqlx::Row;

use super::parts::insert;
use super::rows::partition;
use crate::store::outbox::{signed, unsigned};
use crate::store::{StoreError, Tx};

const COLUMNS: [&str; 4] = ["partition_no", "worker", "sequence", "seen_ms"];
const ON_CONFLICT: &str = "ON CONFLICT (partition_no, worker) DO UPDATE SET \
     sequence = CASE WHEN excluded.sequence > spend_watermarks.sequence \
     THEN excluded.sequence ELSE spend_watermarks.sequence END, seen_ms = excluded.seen_ms";

/// Raises watermarks: partition and worker → sequence, Redis time.
pub(super) async fn raise(
    tx: &mut Tx,
    watermarks: &BTreeMap<(Partition, String), (u64, u64)>,
) -> Result<(), StoreError> {
    let rows = watermarks.iter().collect::<Vec<_>>();
    let into = ("spend_watermarks", &COLUMNS[..], ON_CONFLICT);
    insert(
        tx,
        into,
        &rows,
        |query, ((partition, worker), (sequence, seen_ms))| {
            query
                .bind(i64::from(partition.0))
                .bind(worker.clone())
                .bind(signed(*sequence))
                .bind(signed(*seen_ms))
        },
    )
    .await
}

/// Every worker's watermark: partition and worker → sequence.
pub(super) async fn read(tx: &mut Tx) -> Result<BTreeMap<(Partition, String), u64>, StoreError> {
    sqlx::query("SELECT partition_no, worker, sequence FROM spend_watermarks")
        .fetch_all(tx.connection())
        .await?
        .iter()
        .map(|row| {
            let worker = (partition(row)?, row.try_get("worker")?);
            Ok((worker, unsigned(row.try_get("sequence")?)))
        })
        .collect()
}

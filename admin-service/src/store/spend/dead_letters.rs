//! Stream entries that are no spend events, kept as they came.

use contract::redis_key::Partition;
use sqlx::Row;

use super::parts::insert;
use crate::store::outbox::{signed, unsigned};
use crate::store::{Store, StoreError, Tx};

/// One entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stream's partition.
    pub partition: Partition,
    /// The entry's id in the stream.
    pub stream_id: String,
    /// SHA-256 of the fields: the same entry read again is the same row.
    pub digest: String,
    /// JSON array of `[name, value]`; bytes that are no text are `{"hex": …}`.
    pub fields: String,
    /// Which field is wrong.
    pub reason: String,
}

const COLUMNS: [&str; 6] = [
    "partition_no",
    "stream_id",
    "digest",
    "fields",
    "reason",
    "found_at",
];

/// Keeps entries.
pub(super) async fn keep(tx: &mut Tx, letters: &[DeadLetter]) -> Result<(), StoreError> {
    let found_at = signed(tx.now_us());
    let once = "ON CONFLICT (partition_no, stream_id, digest) DO NOTHING";
    insert(
        tx,
        ("spend_dead_letters", &COLUMNS, once),
        letters,
        |query, letter| {
            query
                .bind(i64::from(letter.partition.0))
                .bind(letter.stream_id.clone())
                .bind(letter.digest.clone())
                .bind(letter.fields.clone())
                .bind(letter.reason.clone())
                .bind(found_at)
        },
    )
    .await
}

/// How many entries are kept.
pub async fn count(store: &Store) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS letters FROM spend_dead_letters")
        .fetch_one(&mut *store.read().await?)
        .await?;
    Ok(unsigned(row.try_get("letters")?))
}

//! A team's keys, published again together.

use sqlx::Row;

use crate::store::outbox::{Kind, rev, signed};
use crate::store::{StoreError, Tx};

/// Has every key of a team published again: something that their index entries say of the team changed. One statement changes them, however
/// many they are.
pub async fn publish_of_team(tx: &mut Tx, team_id: &str) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "UPDATE virtual_keys SET rev = CASE WHEN rev >= $1 THEN rev + 1 ELSE $1 END WHERE team_id = $2",
    )
    .bind(signed(now_us))
    .bind(team_id.to_owned())
    .execute(tx.connection())
    .await?;
    let rows = sqlx::query("SELECT key_id, rev FROM virtual_keys WHERE team_id = $1")
        .bind(team_id.to_owned())
        .fetch_all(tx.connection())
        .await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        keys.push((row.try_get("key_id")?, rev(row.try_get("rev")?)?));
    }
    tx.publish_all(Kind::Key, &keys).await
}

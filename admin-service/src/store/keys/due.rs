//! Keys whose value is due to be replaced.
//!
//! Decides: when the service replaces a value by itself, and how long the former one stays valid. Nobody sees the new value: it is made to be
//! thrown away, and whoever may regenerate the key takes another one, which ends nothing of the former one's time. Until then the key is not
//! replaced again. Leaves telling the owner to whatever sends mail. Failure stance: what is due stays due until it was done, by the one service
//! that holds the lease; a key and its next date change together, so nothing is done twice.

use std::time::Duration;

use serde_json::json;
use sqlx::Row;
use tokio::sync::watch;

use super::{KeyRow, Which, former, lock, random_key, update};
use crate::config::RotationSettings;
use crate::policy::{Authorized, Upkeep};
use crate::store::mail_events::{self, MailKind};
use crate::store::outbox::{signed, unsigned};
use crate::store::spend::Lease;
use crate::store::{Change, Store, StoreError, Tx};

/// Keys in one transaction.
const BATCH: i64 = 50;
/// How long a former value stays valid where nothing is configured, but no longer than the key's interval.
const GRACE_US: u64 = 7 * 86_400_000_000;
/// How long a leader that vanished is waited for.
const LEASE_US: u64 = 30_000_000;
/// Longest sleep: a key may be given an earlier date, by this service or another one.
const LONGEST: Duration = Duration::from_secs(5);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

const DUE: &str =
    "key_rotation_at IS NOT NULL AND auto_rotate = 1 AND (blocked IS NULL OR blocked = 0)";

/// Replaces values that are due.
#[derive(Clone, Debug)]
pub struct Rotator {
    /// The database.
    pub store: Store,
    /// What was configured.
    pub settings: RotationSettings,
    /// This process, among those that may lead.
    pub holder: String,
}

impl Rotator {
    /// Works until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = match self.rotate().await {
                Ok(()) => self.until_next().await.unwrap_or(PAUSE),
                Err(error) => {
                    tracing::warn!(%error, "keys that are due were not rotated; they stay due");
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Replaces everything that is due, if this service leads.
    pub async fn rotate(&self) -> Result<(), StoreError> {
        if self
            .next()
            .await?
            .is_none_or(|at| at > self.store.clock().now_us())
        {
            return Ok(());
        }
        let work = Rotate {
            by: Authorized::of_service(),
            rotator: self,
        };
        while self.store.write(&work).await?.value {}
        Ok(())
    }

    /// When the next key is due.
    async fn next(&self) -> Result<Option<u64>, StoreError> {
        let next = format!("SELECT MIN(key_rotation_at) AS at FROM virtual_keys WHERE {DUE}");
        let row = sqlx::query(sqlx::AssertSqlSafe(next))
            .fetch_one(&mut *self.store.read().await?)
            .await?;
        Ok(row.try_get::<Option<i64>, _>("at")?.map(unsigned))
    }

    async fn until_next(&self) -> Result<Duration, StoreError> {
        let now_us = self.store.clock().now_us();
        let wait = self
            .next()
            .await?
            .map(|at| match at.saturating_sub(now_us) {
                // Due, and another service leads.
                0 => PAUSE,
                us => Duration::from_micros(us),
            });
        Ok(wait.unwrap_or(LONGEST).min(LONGEST))
    }

    fn grace_us(&self, key: &KeyRow, now_us: u64) -> u64 {
        let mut next = key.rotation.clone();
        next.schedule(now_us);
        let interval_us = next.next_at.map_or(0, |at| at.saturating_sub(now_us));
        self.settings.grace_us.unwrap_or(GRACE_US.min(interval_us))
    }
}

struct Rotate<'a> {
    by: Authorized<Upkeep>,
    rotator: &'a Rotator,
}

impl Change for Rotate<'_> {
    /// Whether there may be more.
    type Answer = bool;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let lease = Lease {
            name: "key_rotation",
            holder: self.rotator.holder.clone(),
            for_us: LEASE_US,
        };
        if !lease.claim(tx).await? {
            return Ok(false);
        }
        let now_us = tx.now_us();
        let due = format!(
            "SELECT token FROM virtual_keys WHERE {DUE} AND key_rotation_at <= $1 ORDER BY key_rotation_at, key_id LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(due))
            .bind(signed(now_us))
            .bind(BATCH)
            .fetch_all(tx.connection())
            .await?;
        for row in &rows {
            let token: String = row.try_get("token")?;
            if let Some(key) = lock(tx, Which::Token(&token)).await? {
                self.one(tx, &key).await?;
            }
        }
        Ok(i64::try_from(rows.len()).unwrap_or(0) >= BATCH)
    }
}

impl Rotate<'_> {
    async fn one(&self, tx: &mut Tx, before: &KeyRow) -> Result<(), StoreError> {
        let now_us = tx.now_us();
        // It was changed while its lock was waited for.
        if before.rotation.next_at.is_none_or(|at| at > now_us) {
            return Ok(());
        }
        let mut key = before.clone();
        if before.rotation.unclaimed || before.expires.is_some_and(|expires| expires <= now_us) {
            key.rotation.schedule(now_us);
            sqlx::query("UPDATE virtual_keys SET key_rotation_at = $1 WHERE key_id = $2")
                .bind(key.rotation.next_at.map(signed))
                .bind(key.key_id)
                .execute(tx.connection())
                .await?;
            return Ok(());
        }
        let until_us = now_us.saturating_add(self.rotator.grace_us(before, now_us));
        former::retire(tx, &self.by, before, until_us).await?;
        key.replace_value(&random_key()?, now_us);
        key.rotation.unclaimed = true;
        update(tx, &self.by, "rotated", before, &mut key).await?;
        let payload = json!({"user_id": key.user_id, "team_id": key.team_id, "key_alias": key.key_alias,
            "key_name": key.key_name, "former_key_name": before.key_name, "former_valid_until": until_us / 1_000,
            "rotated_by": "tollkeeper", "value_is_known": false});
        mail_events::add(tx, MailKind::KeyRotated, &key.key_id, &payload).await
    }
}

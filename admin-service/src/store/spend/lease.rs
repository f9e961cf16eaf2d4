//! Leadership, as a row. Whoever drains takes the row in the transaction that writes: two drains never overlap, whatever the clocks say; the
//! time only decides who goes on.

use sqlx::Row;

use crate::store::outbox::{signed, unsigned};
use crate::store::{Store, StoreError, Tx};

/// A claim to a lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Which lease.
    pub name: &'static str,
    /// Who claims it: one process.
    pub holder: String,
    /// How long it is held after each claim, microseconds.
    pub for_us: u64,
}

impl Lease {
    /// Takes or keeps the lease, and its row's lock until the transaction ends. `false`: another one holds it.
    pub async fn claim(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let now_us = tx.now_us();
        let claimed = sqlx::query(
            "UPDATE leases SET holder = $1, until_us = $2 \
             WHERE name = $3 AND (holder = $1 OR until_us < $4)",
        )
        .bind(self.holder.as_str())
        .bind(signed(now_us.saturating_add(self.for_us)))
        .bind(self.name)
        .bind(signed(now_us))
        .execute(tx.connection())
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Gives the lease up, if it is held.
    pub async fn release(&self, tx: &mut Tx) -> Result<(), StoreError> {
        sqlx::query("UPDATE leases SET until_us = 0 WHERE name = $1 AND holder = $2")
            .bind(self.name)
            .bind(self.holder.as_str())
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

/// Waits out a drain in progress and keeps others from starting until the transaction ends, whoever leads.
pub async fn hold(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE leases SET until_us = until_us WHERE name = $1")
        .bind(name)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Who holds a lease, and until when (microseconds since the epoch).
pub async fn holder(store: &Store, name: &str) -> Result<Option<(String, u64)>, StoreError> {
    sqlx::query("SELECT holder, until_us FROM leases WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut *store.read().await?)
        .await?
        .map(|row| Ok((row.try_get("holder")?, unsigned(row.try_get("until_us")?))))
        .transpose()
}

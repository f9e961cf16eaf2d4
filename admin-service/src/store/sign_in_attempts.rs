//! Counts of failed sign-ins. What they mean is `sign_in::throttle`'s business.

use sqlx::Row;

use super::outbox::{signed, unsigned};
use super::{StoreError, Tx};

/// How many failures of a scope are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whose.
    pub scope: String,
    /// This many block it.
    pub most: u64,
    /// How long failures count, microseconds.
    pub window_us: u64,
    /// For how long they block, microseconds.
    pub block_us: u64,
}

/// While others' ends are not known, one more comes again after this.
const UNDECIDED_US: u64 = 1_000_000;

struct Count {
    started_at: u64,
    attempts: u64,
    failures: u64,
    blocked_until: u64,
}

/// Counts an attempt, or answers for how long there may be none, microseconds.
pub async fn begin(tx: &mut Tx, limit: &Limit) -> Result<Option<u64>, StoreError> {
    let now_us = tx.now_us();
    let mut count = lock(tx, limit).await?;
    if count.blocked_until > now_us {
        return Ok(Some(count.blocked_until - now_us));
    }
    if count.attempts >= limit.most {
        return Ok(Some(UNDECIDED_US));
    }
    count.attempts += 1;
    put(tx, limit, &count).await?;
    Ok(None)
}

/// An attempt that was counted failed.
pub async fn failed(tx: &mut Tx, limit: &Limit) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    let mut count = lock(tx, limit).await?;
    count.failures += 1;
    count.attempts = count.attempts.max(count.failures);
    if count.failures >= limit.most && count.blocked_until == 0 {
        count.blocked_until = now_us + limit.block_us;
    }
    put(tx, limit, &count).await
}

/// An attempt that was counted did not fail.
pub async fn take_back(tx: &mut Tx, limit: &Limit) -> Result<(), StoreError> {
    let mut count = lock(tx, limit).await?;
    count.attempts = count.attempts.saturating_sub(1).max(count.failures);
    put(tx, limit, &count).await
}

/// Forgets counts that are over.
pub async fn forget(tx: &mut Tx) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query("DELETE FROM sign_in_attempts WHERE over_at <= $1")
        .bind(signed(now_us))
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Reads a count, a new one where there is none or where it is over, and keeps others from changing it until the transaction ends.
async fn lock(tx: &mut Tx, limit: &Limit) -> Result<Count, StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO sign_in_attempts (scope, started_at, attempts, failures, blocked_until, over_at) \
         VALUES ($1, $2, 0, 0, 0, $3) \
         ON CONFLICT (scope) DO UPDATE SET attempts = sign_in_attempts.attempts",
    )
    .bind(limit.scope.clone())
    .bind(signed(now_us))
    .bind(signed(now_us + limit.window_us))
    .execute(tx.connection())
    .await?;
    let row = sqlx::query(
        "SELECT started_at, attempts, failures, blocked_until FROM sign_in_attempts WHERE scope = $1",
    )
    .bind(limit.scope.clone())
    .fetch_one(tx.connection())
    .await?;
    let count = Count {
        started_at: unsigned(row.try_get("started_at")?),
        attempts: unsigned(row.try_get("attempts")?),
        failures: unsigned(row.try_get("failures")?),
        blocked_until: unsigned(row.try_get("blocked_until")?),
    };
    let over = match count.blocked_until {
        0 => count.started_at + limit.window_us <= now_us,
        blocked_until => blocked_until <= now_us,
    };
    Ok(if over {
        Count {
            started_at: now_us,
            attempts: 0,
            failures: 0,
            blocked_until: 0,
        }
    } else {
        count
    })
}

async fn put(tx: &mut Tx, limit: &Limit, count: &Count) -> Result<(), StoreError> {
    let over_at = count.blocked_until.max(count.started_at + limit.window_us);
    sqlx::query(
        "UPDATE sign_in_attempts SET started_at = $1, attempts = $2, failures = $3, blocked_until = $4, \
         over_at = $5 WHERE scope = $6",
    )
    .bind(signed(count.started_at))
    .bind(signed(count.attempts))
    .bind(signed(count.failures))
    .bind(signed(count.blocked_until))
    .bind(signed(over_at))
    .bind(limit.scope.clone())
    .execute(tx.connection())
    .await?;
    Ok(())
}

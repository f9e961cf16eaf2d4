//! Taking back what a scope has spent.
//!
//! 1. [`reset`] lowers the ledger's sum, writes the amount as a numbered correction and an outbox row, all in the caller's transaction and
//!    while no batch of the stream is in flight: what it takes back is exactly what the ledger counted.
//! 2. The publisher has Redis take the same amount off its counter, which may be ahead of the ledger by what is still on the stream or in
//!    flight; that stays, and comes to the ledger later.
//!
//! Failure stance: a correction is repeated until Redis has it; its number makes the repeat harmless. A Redis that is filled from the ledger
//! gets the lowered sum and the number of the last correction together.

use std::collections::{BTreeMap, BTreeSet};

use contract::money::NanoUsd;
use contract::redis_key::Partition;
use contract::script::CORRECTIONS;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::rows::partition;
use super::{ScopeKey, lease, scopes, watermarks, windows};
use crate::domain::budget_window::WindowRules;
use crate::policy::{Authorized, Writes};
use crate::store::outbox::{Kind, rev, signed, unsigned};
use crate::store::{StoreError, Tx};

/// What [`reset`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The scope had spent this much in its window, and has spent what was asked now.
    From(NanoUsd),
    /// The scope has spent only this much: nothing was changed.
    Less(NanoUsd),
}

/// One correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The scope.
    pub scope: ScopeKey,
    /// Its number in its partition.
    pub sequence: u64,
    /// When the budget window began that it is about, Redis time in ms.
    pub window_start_ms: u64,
    /// By how much.
    pub amount: NanoUsd,
}

/// Sets what an object has spent in its budget window to `to`. What it has spent ever stays.
pub async fn reset<R: Writes>(
    tx: &mut Tx,
    _: &Authorized<R>,
    kind: Kind,
    object_id: &str,
    to: NanoUsd,
    rules: &WindowRules,
) -> Result<Reset, StoreError> {
    lease::hold(tx, crate::ledger::LEASE).await?;
    let now_ms = tx.now_us() / 1_000;
    let asked = BTreeSet::from([ScopeKey {
        kind,
        object_id: object_id.to_owned(),
        partition: Partition(0),
    }]);
    let windows = windows::read(tx.connection(), &asked, rules).await?;
    let mut known = scopes::read(tx.connection(), &asked).await?;
    // A window that is over has spent nothing that counts.
    known.retain(|scope, state| {
        let ended = state.window_end_ms > 0 && state.window_end_ms <= now_ms;
        !ended && state.window_start_ms >= windows.start(scope, now_ms)
    });
    let spent = known.values().fold(NanoUsd::ZERO, |sum, state| {
        sum.checked_add(state.spent).unwrap_or(NanoUsd::MAX)
    });
    if to > spent {
        return Ok(Reset::Less(spent));
    }
    let mut excess = spent.saturating_sub(to);
    let mut changed = BTreeMap::new();
    for (scope, mut state) in known {
        let amount = excess.min(state.spent);
        if amount == NanoUsd::ZERO {
            continue;
        }
        excess = excess.saturating_sub(amount);
        state.spent = state.spent.saturating_sub(amount);
        let correction = Correction {
            sequence: next(tx, scope.partition).await?,
            window_start_ms: state.window_start_ms,
            amount,
            scope: scope.clone(),
        };
        write(tx, &correction).await?;
        let number = (correction.sequence, now_ms);
        let watermark = (scope.partition, CORRECTIONS.to_owned());
        watermarks::raise(tx, &BTreeMap::from([(watermark, number)])).await?;
        let object = format!("{}:{}", scope.partition.0, correction.sequence);
        let at = rev(signed(correction.sequence))?;
        tx.publish(Kind::Correction, &object, at).await?;
        changed.insert(scope, state);
    }
    scopes::write(tx, &changed).await?;
    Ok(Reset::From(spent))
}

/// The number of a partition's next correction. Whoever asks holds the ledger.
async fn next(tx: &mut Tx, partition: Partition) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(sequence), 0) AS last FROM spend_corrections WHERE partition_no = $1",
    )
    .bind(i64::from(partition.0))
    .fetch_one(tx.connection())
    .await?;
    Ok(unsigned(row.try_get("last")?).saturating_add(1))
}

async fn write(tx: &mut Tx, correction: &Correction) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO spend_corrections (partition_no, sequence, kind, object_id, window_start_ms, amount, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(i64::from(correction.scope.partition.0))
    .bind(signed(correction.sequence))
    .bind(correction.scope.kind.as_str())
    .bind(correction.scope.object_id.clone())
    .bind(signed(correction.window_start_ms))
    .bind(signed(correction.amount.get()))
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A partition's corrections from number `from` to number `to`, in their order.
pub async fn corrections(
    connection: &mut AnyConnection,
    partition: Partition,
    from: u64,
    to: u64,
) -> Result<Vec<Correction>, StoreError> {
    sqlx::query(
        "SELECT partition_no, sequence, kind, object_id, window_start_ms, amount FROM spend_corrections \
         WHERE partition_no = $1 AND sequence >= $2 AND sequence <= $3 ORDER BY sequence",
    )
    .bind(i64::from(partition.0))
    .bind(signed(from))
    .bind(signed(to))
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_row)
    .collect()
}

fn read_row(row: &AnyRow) -> Result<Correction, StoreError> {
    let kind: String = row.try_get("kind")?;
    Ok(Correction {
        scope: ScopeKey {
            kind: Kind::parse(&kind)?,
            object_id: row.try_get("object_id")?,
            partition: partition(row)?,
        },
        sequence: unsigned(row.try_get("sequence")?),
        window_start_ms: unsigned(row.try_get("window_start_ms")?),
        amount: NanoUsd::saturating(unsigned(row.try_get("amount")?)),
    })
}

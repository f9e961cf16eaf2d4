//! What Redis is given after it lost its state: one consistent reading of scopes, watermarks and the last minute's rows.

use std::collections::BTreeMap;

use contract::redis_key::Partition;
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row};

use super::rows::{charged, partition};
use super::{ScopeKey, ScopeState, lease, scopes, watermarks};
use crate::store::outbox::{Kind, member_object, signed, unsigned};
use crate::store::{Change, Store, StoreError, Tx};

/// Admissions of one millisecond in one scope: Redis time in ms, requests, tokens.
pub type Recent = (u64, u32, u64);

/// What the ledger knows.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Scopes of Redis that have spent something, or admitted something lately.
    pub scopes: BTreeMap<ScopeKey, (ScopeState, Vec<Recent>)>,
    /// The last settlement of each worker.
    pub watermarks: BTreeMap<(Partition, String), u64>,
    /// Whether a request was ever answered: then live reservations may exist.
    pub was_used: bool,
}

/// Reads all of it, with admissions from `since_ms` (Redis time) on. Waits out a drain in progress.
pub async fn read(store: &Store, since_ms: u64) -> Result<Restored, StoreError> {
    Ok(store.write(&Reading { since_ms }).await?.value)
}

/// Every worker's watermark.
pub async fn read_watermarks(
    store: &Store,
) -> Result<BTreeMap<(Partition, String), u64>, StoreError> {
    Ok(store
        .write(&Reading { since_ms: u64::MAX })
        .await?
        .value
        .watermarks)
}

struct Reading {
    since_ms: u64,
}

impl Change for Reading {
    type Answer = Restored;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<Restored, StoreError> {
        lease::hold(tx, crate::ledger::LEASE).await?;
        let watermarks = watermarks::read(tx).await?;
        let any_row = sqlx::query("SELECT event_id FROM spend_logs LIMIT 1")
            .fetch_optional(tx.connection())
            .await?;
        let was_used = any_row.is_some() || !watermarks.is_empty();
        let mut restored = Restored {
            watermarks,
            was_used,
            ..Restored::default()
        };
        let columns = scopes::COLUMNS.join(", ");
        let spent = format!(
            "SELECT {columns} FROM spend_scopes \
             WHERE spent > 0 AND kind <> 'organization' AND kind <> 'customer' \
             AND (window_end_ms = 0 OR window_end_ms > $1)"
        );
        // One after the other: all rows at once are several times what is made of them.
        let mut rows = sqlx::query(AssertSqlSafe(spent))
            .bind(signed(self.since_ms))
            .fetch(tx.connection());
        while let Some(row) = rows.try_next().await? {
            let (scope, state) = scopes::read_row(&row)?;
            restored.scopes.insert(scope, (state, Vec::new()));
        }
        drop(rows);
        recent(tx, self.since_ms, &mut restored.scopes).await?;
        Ok(restored)
    }
}

async fn recent(
    tx: &mut Tx,
    since_ms: u64,
    scopes: &mut BTreeMap<ScopeKey, (ScopeState, Vec<Recent>)>,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT partition_no, admitted_ms, key_id, user_id, team_id, prompt_tokens, completion_tokens, charged \
         FROM spend_logs WHERE admitted_ms >= $1 ORDER BY admitted_ms",
    )
    .bind(signed(since_ms))
    .fetch_all(tx.connection())
    .await?;
    for row in rows {
        let partition = partition(&row)?;
        let at_ms = unsigned(row.try_get("admitted_ms")?);
        let prompt = unsigned(row.try_get("prompt_tokens")?);
        let tokens = prompt.saturating_add(unsigned(row.try_get("completion_tokens")?));
        let (user, team): (String, String) = (row.try_get("user_id")?, row.try_get("team_id")?);
        let named = charged(&row)?.into_iter().map(|name| (Kind::Scope, name));
        let all = scopes_of(row.try_get("key_id")?, &user, &team);
        for (kind, object_id) in all.into_iter().chain(named) {
            let scope = ScopeKey {
                kind,
                object_id,
                partition,
            };
            let (_, recent) = scopes.entry(scope).or_default();
            match recent.last_mut() {
                Some((last, requests, sum)) if *last == at_ms => {
                    *requests = requests.saturating_add(1);
                    *sum = sum.saturating_add(tokens);
                }
                _ => recent.push((at_ms, 1, tokens)),
            }
        }
    }
    Ok(())
}

/// The scopes that a request of this key, user and team is counted in; empty ids are none.
pub fn scopes_of(key_id: String, user_id: &str, team_id: &str) -> Vec<(Kind, String)> {
    let mut scopes = vec![(Kind::Key, key_id)];
    if !user_id.is_empty() {
        scopes.push((Kind::User, user_id.to_owned()));
    }
    if !team_id.is_empty() {
        scopes.push((Kind::Team, team_id.to_owned()));
    }
    if !user_id.is_empty() && !team_id.is_empty() {
        scopes.push((Kind::Member, member_object(team_id, user_id)));
    }
    scopes
}

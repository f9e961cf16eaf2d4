//! Deleting old rows of the log. What they were charged stays in the daily sums, in the scopes' totals, and in `spend_without_rows`.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row};

use super::parts::insert;
use super::rows::charged;
use super::{Lease, lease, scopes_of};
use crate::store::outbox::{Kind, placeholders, signed, unsigned};
use crate::store::{Change, Store, StoreError, Tx};

/// The kind in `spend_without_rows` under which a key's hash stands.
pub(super) const API_KEY: &str = "api_key";
/// Rows of one transaction.
const BATCH: i64 = 500;
/// Rows of one statement.
const PART: usize = 100;

/// Deletes some rows that were admitted before a time, if the lease is this service's.
#[derive(Clone, Debug)]
pub struct DeleteOld {
    /// Who deletes.
    pub lease: Lease,
    /// Redis time, ms.
    pub before_ms: u64,
}

impl Change for DeleteOld {
    /// How many rows were deleted, and whether there may be more. None: another service deletes.
    type Answer = Option<(u64, bool)>;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, StoreError> {
        if !self.lease.claim(tx).await? {
            return Ok(None);
        }
        // The drain must not put a higher version in place of a row that is just being deleted.
        lease::hold(tx, crate::ledger::LEASE).await?;
        super::parts::by_index(tx).await?;
        let rows = sqlx::query(
            "SELECT event_id, key_id, user_id, team_id, api_key, spend, charged FROM spend_logs \
             WHERE admitted_ms < $1 ORDER BY admitted_ms LIMIT $2",
        )
        .bind(signed(self.before_ms))
        .bind(BATCH)
        .fetch_all(tx.connection())
        .await?;
        let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut events: Vec<String> = Vec::with_capacity(rows.len());
        for row in &rows {
            let spend: i64 = row.try_get("spend")?;
            let (user, team): (String, String) = (row.try_get("user_id")?, row.try_get("team_id")?);
            let named = charged(row)?.into_iter().map(|name| (Kind::Scope, name));
            let scopes = scopes_of(row.try_get("key_id")?, &user, &team)
                .into_iter()
                .chain(named)
                .map(|(kind, object_id)| (kind.as_str().to_owned(), object_id));
            let key = (API_KEY.to_owned(), row.try_get("api_key")?);
            for scope in scopes.chain([key]) {
                *sums.entry(scope).or_default() += spend;
            }
            events.push(row.try_get("event_id")?);
        }
        for events in events.chunks(PART) {
            let places = placeholders(1, events.len());
            let statement = format!("DELETE FROM spend_logs WHERE event_id IN ({places})");
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for event in events {
                query = query.bind(event.clone());
            }
            query.execute(tx.connection()).await?;
        }
        without_rows(tx, &sums).await?;
        complete_from(tx, self.before_ms).await?;
        Ok(Some((
            u64::try_from(rows.len()).unwrap_or(0),
            i64::try_from(rows.len()).unwrap_or(0) == BATCH,
        )))
    }
}

/// Adds to what scopes (kind and object) were charged without there being rows of it.
pub(super) async fn without_rows(
    tx: &mut Tx,
    sums: &BTreeMap<(String, String), i64>,
) -> Result<(), StoreError> {
    const ON_CONFLICT: &str = "ON CONFLICT (kind, object_id) DO UPDATE SET \
         total = spend_without_rows.total + excluded.total";
    let sums = sums.iter().collect::<Vec<_>>();
    let into = (
        "spend_without_rows",
        &["kind", "object_id", "total"][..],
        ON_CONFLICT,
    );
    insert(tx, into, &sums, |query, ((kind, object_id), total)| {
        query
            .bind(kind.clone())
            .bind(object_id.clone())
            .bind(**total)
    })
    .await
}

async fn complete_from(tx: &mut Tx, ms: u64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO ledger_state (name, value) VALUES ('complete_from_ms', $1) \
         ON CONFLICT (name) DO UPDATE SET value = CASE WHEN excluded.value > ledger_state.value \
         THEN excluded.value ELSE ledger_state.value END",
    )
    .bind(signed(ms))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// From which Redis time (ms) on the log holds every row.
pub(super) async fn read_complete_from(store: &Store) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT value FROM ledger_state WHERE name = 'complete_from_ms'")
        .fetch_optional(&mut *store.read().await?)
        .await?;
    row.map_or(Ok(0), |row| Ok(unsigned(row.try_get("value")?)))
}

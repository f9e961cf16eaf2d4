//! The outbox: what of the database Redis does not know yet. A row is written in the transaction of its change; the publisher deletes it once
//! Redis holds that revision or a later one. Publishing twice is harmless, because Redis keeps the higher revision.

use std::time::Duration;

use contract::id::Rev;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Change, Store, StoreError, Tx};

/// Rows of one INSERT, and ids of one look into the outbox: SQLite's cost grows with the square of the placeholders.
const INSERTED_AT_ONCE: usize = 50;
const ASKED_AT_ONCE: usize = 200;

/// What kind of object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A virtual key; the object is its `key_id`.
    Key,
    /// A user.
    User,
    /// A team.
    Team,
    /// A membership; the object is [`member_object`].
    Member,
    /// An organization.
    Organization,
    /// A customer (end user).
    Customer,
    /// Models, prices or settings; the object is free.
    Catalogue,
    /// A scope as Redis names it, whatever it belongs to: the ledger's alone, never published.
    Scope,
    /// What was taken back of what was spent; the object is partition and number of the correction.
    Correction,
}

impl Kind {
    /// The kind as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Team => "team",
            Self::Member => "member",
            Self::Organization => "organization",
            Self::Customer => "customer",
            Self::Catalogue => "catalogue",
            Self::Scope => "scope",
            Self::Correction => "correction",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        [
            Self::Key,
            Self::User,
            Self::Team,
            Self::Member,
            Self::Organization,
            Self::Customer,
            Self::Catalogue,
            Self::Scope,
            Self::Correction,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| StoreError::Corrupt(format!("outbox.kind = {text:?}")))
    }
}

/// One thing to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The row's id; ids grow with time.
    pub id: String,
    /// What kind of object.
    pub kind: Kind,
    /// Which object.
    pub object_id: String,
    /// The revision that must at least be in Redis.
    pub rev: Rev,
    /// When the change was made, microseconds since the epoch.
    pub created_us: u64,
}

/// The object of a membership: a JSON array of team and user, so that no two memberships share a name.
pub fn member_object(team_id: &str, user_id: &str) -> String {
    serde_json::json!([team_id, user_id]).to_string()
}

/// Team and user of [`member_object`].
pub fn parse_member_object(object_id: &str) -> Result<(String, String), StoreError> {
    serde_json::from_str(object_id)
        .map_err(|_| StoreError::Corrupt(format!("outbox.object_id = {object_id:?}")))
}

impl Tx {
    /// Notes that an object must be published at `rev` or later.
    pub async fn publish(
        &mut self,
        kind: Kind,
        object_id: &str,
        rev: Rev,
    ) -> Result<(), StoreError> {
        let id = time_ordered_id(self.now_us);
        sqlx::query(
            "INSERT INTO outbox (id, kind, object_id, rev, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.as_str())
        .bind(kind.as_str())
        .bind(object_id)
        .bind(signed(rev.get()))
        .bind(signed(self.now_us))
        .execute(self.connection())
        .await?;
        self.outbox.push(id);
        Ok(())
    }

    /// The same for many objects of one kind.
    pub async fn publish_all(
        &mut self,
        kind: Kind,
        objects: &[(String, Rev)],
    ) -> Result<(), StoreError> {
        for objects in objects.chunks(INSERTED_AT_ONCE) {
            let tuples = (0..objects.len())
                .map(|row| format!("({})", placeholders(row * 5 + 1, 5)))
                .collect::<Vec<_>>()
                .join(", ");
            let mut query = sqlx::query(AssertSqlSafe(format!(
                "INSERT INTO outbox (id, kind, object_id, rev, created_at) VALUES {tuples}"
            )));
            for (object_id, rev) in objects {
                let id = time_ordered_id(self.now_us);
                query = query
                    .bind(id.clone())
                    .bind(kind.as_str())
                    .bind(object_id.clone())
                    .bind(signed(rev.get()))
                    .bind(signed(self.now_us));
                self.outbox.push(id);
            }
            query.execute(self.connection()).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Wakes whenever a transaction that wrote outbox rows was committed by this process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes whoever waits for a change, as if one had been made: for a publisher that starts, or that found Redis again.
    pub fn wake_publisher(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until none of `ids` is in the outbox any more. Answers `false` when `at_most` passed first.
    pub async fn wait_published(&self, ids: &[String], at_most: Duration) -> bool {
        let mut published = self.published.subscribe();
        tokio::time::timeout(at_most, async {
            loop {
                if let Ok(false) = self.any_pending(ids).await {
                    return;
                }
                if published.changed().await.is_err() {
                    return;
                }
            }
        })
        .await
        .is_ok()
    }

    async fn any_pending(&self, ids: &[String]) -> Result<bool, StoreError> {
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let places = placeholders(1, ids.len());
            let mut query = sqlx::query(AssertSqlSafe(format!(
                "SELECT id FROM outbox WHERE id IN ({places}) LIMIT 1"
            )));
            for id in ids {
                query = query.bind(id.as_str());
            }
            let row = query.fetch_optional(&mut *self.read().await?).await?;
            if row.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Some of the waiting rows, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows that can be read.
    pub entries: Vec<Entry>,
    /// The last row's id, read or not: the next page begins after it. None when no row is left.
    pub last: Option<String>,
}

/// The oldest rows after the one named `after` (empty: from the beginning), at most `limit`. A row that cannot be read is logged and left out.
pub async fn pending(store: &Store, after: &str, limit: u32) -> Result<Page, StoreError> {
    let rows = sqlx::query(
        "SELECT id, kind, object_id, rev, created_at FROM outbox WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(&mut *store.read().await?)
    .await?;
    let mut page = Page::default();
    for row in rows {
        let id: String = row.try_get("id")?;
        match Entry::read(&row, &id) {
            Ok(entry) => page.entries.push(entry),
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, row = id, "a row of the outbox cannot be read");
            }
            Err(error) => return Err(error),
        }
        page.last = Some(id);
    }
    Ok(page)
}

impl Entry {
    fn read(row: &AnyRow, id: &str) -> Result<Self, StoreError> {
        Ok(Self {
            id: id.to_owned(),
            kind: Kind::parse(row.try_get("kind")?)?,
            object_id: row.try_get("object_id")?,
            rev: rev(row.try_get("rev")?)?,
            created_us: unsigned(row.try_get("created_at")?),
        })
    }
}

/// How many rows wait, and when the oldest was written (microseconds since the epoch).
pub async fn backlog(store: &Store) -> Result<(u64, Option<u64>), StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest FROM outbox")
        .fetch_one(&mut *store.read().await?)
        .await?;
    Ok((
        unsigned(row.try_get("waiting")?),
        row.try_get::<Option<i64>, _>("oldest")?.map(unsigned),
    ))
}

/// Forgets rows that Redis holds, and wakes those who wait for them.
pub async fn done(store: &Store, ids: &[String]) -> Result<(), StoreError> {
    for ids in ids.chunks(500) {
        store.write(&Forget { ids }).await?;
    }
    store.published.send_modify(|count| *count += 1);
    Ok(())
}

struct Forget<'a> {
    ids: &'a [String],
}

impl Change for Forget<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let places = placeholders(1, self.ids.len());
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "DELETE FROM outbox WHERE id IN ({places})"
        )));
        for id in self.ids {
            query = query.bind(id.as_str());
        }
        query.execute(tx.connection()).await?;
        Ok(())
    }
}

/// `$first, $first+1, …`: placeholders that both databases read.
pub fn placeholders(first: usize, count: usize) -> String {
    (first..first + count)
        .map(|at| format!("${at}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// An id that sorts by time: UUID version 7 with the transaction's time.
pub fn time_ordered_id(now_us: u64) -> String {
    let seconds = now_us / 1_000_000;
    let nanos = u32::try_from(now_us % 1_000_000 * 1_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)).to_string()
}

/// A number as the database's BIGINT holds it.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A BIGINT that is never negative.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A stored revision.
pub fn rev(number: i64) -> Result<Rev, StoreError> {
    u64::try_from(number)
        .ok()
        .and_then(Rev::new)
        .ok_or_else(|| StoreError::Corrupt(format!("rev = {number}")))
}

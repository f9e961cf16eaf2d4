//! Rows as the API leaves them, written directly: these tests are about what follows from a row.

use contract::id::{KeyId, Rev};
use contract::redis_key::RecordId;
use contract::virtual_key::{KeyHash, VirtualKey};
use tollkeeper_admin::store::outbox::{Kind, signed};
use tollkeeper_admin::store::publish_view::{Grave, bury};
use tollkeeper_admin::store::{Change, Store, StoreError, Tx};

/// A key to be written.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub id: String,
    pub user: Option<String>,
    pub team: Option<String>,
    pub rpm: Option<i64>,
    pub max_budget: Option<i64>,
    pub budget_duration: Option<&'static str>,
    pub blocked: bool,
}

impl Key {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    pub fn hash(&self) -> KeyHash {
        VirtualKey::parse(format!("sk-{}", self.id).as_bytes())
            .expect("a key")
            .hash()
    }

    pub fn record(&self) -> RecordId {
        RecordId::key(&KeyId::new(self.id.as_str()))
    }

    /// Writes the row, or replaces it, with its outbox row; answers the outbox ids.
    pub async fn write(&self, store: &Store) -> Vec<String> {
        write_keys(store, std::slice::from_ref(self)).await
    }

    /// Deletes the row and leaves a tombstone.
    pub async fn delete(&self, store: &Store) -> Vec<String> {
        store.write(&Delete(self)).await.expect("deleted").outbox
    }
}

/// Writes many keys in one transaction.
pub async fn write_keys(store: &Store, keys: &[Key]) -> Vec<String> {
    store.write(&Write(keys)).await.expect("written").outbox
}

struct Write<'a>(&'a [Key]);

impl Change for Write<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        for key in self.0 {
            let now_us = tx.now_us();
            let old: Option<(i64,)> =
                sqlx::query_as("SELECT rev FROM virtual_keys WHERE key_id = $1")
                    .bind(key.id.as_str())
                    .fetch_optional(tx.connection())
                    .await?;
            let old = old
                .and_then(|(rev,)| Rev::new(u64::try_from(rev).ok()?))
                .unwrap_or_default();
            let rev = old.next(now_us);
            sqlx::query(
                "INSERT INTO virtual_keys (key_id, rev, token, key_name, user_id, team_id, models, aliases, \
                 allowed_routes, blocked, max_budget, rpm_limit, budget_duration, budget_anchor, \
                 permissions, metadata, extra, created_at, updated_at) \
                 VALUES ($1, $2, $3, 'sk-...test', $4, $5, '[]', '{}', '[]', $6, $7, $8, $9, $10, '{}', '{}', '{}', $10, $10) \
                 ON CONFLICT (key_id) DO UPDATE SET rev = excluded.rev, blocked = excluded.blocked, \
                 max_budget = excluded.max_budget, rpm_limit = excluded.rpm_limit, \
                 budget_duration = excluded.budget_duration",
            )
            .bind(key.id.as_str())
            .bind(signed(rev.get()))
            .bind(key.hash().to_string())
            .bind(key.user.as_deref())
            .bind(key.team.as_deref())
            .bind(i16::from(key.blocked))
            .bind(key.max_budget)
            .bind(key.rpm)
            .bind(key.budget_duration)
            .bind(signed(now_us))
            .execute(tx.connection())
            .await?;
            tx.publish(Kind::Key, &key.id, rev).await?;
        }
        Ok(())
    }
}

struct Delete<'a>(&'a Key);

impl Change for Delete<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let key = self.0;
        let (rev,): (i64,) = sqlx::query_as("SELECT rev FROM virtual_keys WHERE key_id = $1")
            .bind(key.id.as_str())
            .fetch_one(tx.connection())
            .await?;
        sqlx::query("DELETE FROM virtual_keys WHERE key_id = $1")
            .bind(key.id.as_str())
            .execute(tx.connection())
            .await?;
        let token = key.hash().to_string();
        let grave = Grave {
            kind: Kind::Key,
            object_id: &key.id,
            old: Rev::new(u64::try_from(rev).unwrap_or(0)).unwrap_or_default(),
            token: Some(&token),
            user_id: key.user.as_deref(),
            team_id: key.team.as_deref(),
        };
        bury(tx, &grave).await?;
        Ok(())
    }
}

/// One number from the database.
pub async fn number(store: &Store, statement: &'static str) -> i64 {
    let mut connection = store.read().await.expect("a connection");
    let (number,): (i64,) = sqlx::query_as(statement)
        .fetch_one(&mut *connection)
        .await
        .expect("a number");
    number
}

/// One column of texts from the database.
pub async fn texts(store: &Store, statement: &'static str) -> Vec<String> {
    let mut connection = store.read().await.expect("a connection");
    let rows: Vec<(String,)> = sqlx::query_as(statement)
        .fetch_all(&mut *connection)
        .await
        .expect("texts");
    rows.into_iter().map(|(text,)| text).collect()
}

/// Runs a statement of the test's own, which must change something.
pub async fn run(store: &Store, statement: &str) {
    let changed = store.write(&Run(statement)).await.expect(statement).value;
    assert!(changed > 0, "{statement}");
}

struct Run<'a>(&'a str);

impl Change for Run<'_> {
    type Answer = u64;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<u64, StoreError> {
        let statement = sqlx::AssertSqlSafe(self.0.to_owned());
        let done = sqlx::query(statement).execute(tx.connection()).await?;
        Ok(done.rows_affected())
    }
}

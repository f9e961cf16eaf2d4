//! What Redis was given as a whole: the catalogue's revision and P.

use contract::id::Rev;
use sqlx::Row;

use super::outbox::{Kind, parse_member_object, rev, signed};
use super::{Change, Store, StoreError, Tx};

/// The catalogue's revision: the stored one where `digest` is the stored content's and `at_least` is not above it, else a new one.
pub async fn catalogue_rev(store: &Store, digest: &str, at_least: Rev) -> Result<Rev, StoreError> {
    Ok(store.write(&Catalogue { digest, at_least }).await?.value)
}

/// P as the ledger was first used with; `partitions` where it is used for the first time.
pub async fn first_partitions(store: &Store, partitions: u16) -> Result<u16, StoreError> {
    Ok(store.write(&Partitions(partitions)).await?.value)
}

struct Catalogue<'a> {
    digest: &'a str,
    at_least: Rev,
}

impl Change for Catalogue<'_> {
    type Answer = Rev;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<Rev, StoreError> {
        let stored = read(tx, "catalogue").await?;
        let (known, old) = stored.unwrap_or_default();
        if known == self.digest && self.at_least <= old {
            return Ok(old);
        }
        let new = old.max(self.at_least).next(tx.now_us());
        write(tx, "catalogue", self.digest, new).await?;
        Ok(new)
    }
}

struct Partitions(u16);

impl Change for Partitions {
    type Answer = u16;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<u16, StoreError> {
        if let Some((value, _)) = read(tx, "partitions").await? {
            return value
                .parse()
                .map_err(|_| StoreError::Corrupt(format!("publish_state.partitions = {value:?}")));
        }
        write(tx, "partitions", &self.0.to_string(), Rev::default()).await?;
        Ok(self.0)
    }
}

async fn read(tx: &mut Tx, name: &str) -> Result<Option<(String, Rev)>, StoreError> {
    sqlx::query("SELECT value, rev FROM publish_state WHERE name = $1")
        .bind(name)
        .fetch_optional(tx.connection())
        .await?
        .map(|row| Ok((row.try_get("value")?, rev(row.try_get("rev")?)?)))
        .transpose()
}

async fn write(tx: &mut Tx, name: &str, value: &str, rev: Rev) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO publish_state (name, value, rev) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, rev = excluded.rev",
    )
    .bind(name)
    .bind(value)
    .bind(signed(rev.get()))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Raises the revision of a row above one that Redis holds, and publishes it: for a database that was restored from a backup.
#[derive(Clone, Copy, Debug)]
pub struct Raise<'a> {
    /// The row's kind.
    pub kind: Kind,
    /// The row.
    pub object_id: &'a str,
    /// The revision in Redis.
    pub above: Rev,
}

impl Change for Raise<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let new = self.above.next(tx.now_us());
        let (statement, ids) = match self.kind {
            Kind::Key => (
                "UPDATE virtual_keys SET rev = $1 WHERE rev < $2 AND key_id = $3",
                vec![self.object_id.to_owned()],
            ),
            Kind::User => (
                "UPDATE users SET rev = $1 WHERE rev < $2 AND user_id = $3",
                vec![self.object_id.to_owned()],
            ),
            Kind::Team => (
                "UPDATE teams SET rev = $1 WHERE rev < $2 AND team_id = $3",
                vec![self.object_id.to_owned()],
            ),
            Kind::Member => {
                let (team, user) = parse_member_object(self.object_id)?;
                (
                    "UPDATE team_members SET rev = $1 WHERE rev < $2 AND team_id = $3 AND user_id = $4",
                    vec![team, user],
                )
            }
            Kind::Organization => (
                "UPDATE organizations SET rev = $1 WHERE rev < $2 AND organization_id = $3",
                vec![self.object_id.to_owned()],
            ),
            Kind::Customer => (
                "UPDATE customers SET rev = $1 WHERE rev < $2 AND user_id = $3",
                vec![self.object_id.to_owned()],
            ),
            Kind::Catalogue | Kind::Correction | Kind::Scope => return Ok(()),
        };
        let mut query = sqlx::query(statement)
            .bind(signed(new.get()))
            .bind(signed(self.above.get()));
        for id in ids {
            query = query.bind(id);
        }
        if query.execute(tx.connection()).await?.rows_affected() > 0 {
            tx.publish(self.kind, self.object_id, new).await?;
        }
        Ok(())
    }
}

/// Forgets a tombstone, unless the object was deleted again since.
pub async fn forget_tombstone(
    store: &Store,
    kind: Kind,
    object_id: &str,
    rev: Rev,
) -> Result<(), StoreError> {
    store
        .write(&Forget {
            kind,
            object_id,
            rev,
        })
        .await?;
    Ok(())
}

struct Forget<'a> {
    kind: Kind,
    object_id: &'a str,
    rev: Rev,
}

impl Change for Forget<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        // A customer is named by the record, whose name the tombstone's token is.
        let statement = match self.kind {
            Kind::Customer => "DELETE FROM tombstones WHERE kind = $1 AND token = $2 AND rev = $3",
            _ => "DELETE FROM tombstones WHERE kind = $1 AND object_id = $2 AND rev = $3",
        };
        sqlx::query(statement)
            .bind(self.kind.as_str())
            .bind(self.object_id)
            .bind(signed(self.rev.get()))
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

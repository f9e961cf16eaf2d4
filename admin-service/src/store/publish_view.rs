//! What Redis must hold about each key, user, team and membership, read from their rows.
//!
//! Decides: how rows become records. Leaves what to read when, partitions and the writing to the publisher. Failure stance: a row that cannot
//! be read is an error that names it, never a record with a limit missing.
//!
//! A key may name a user, team or membership that has no row. Its index entry names their records all the same, so that a row made later needs
//! no change of the entry; the absent ones come [`PublishedKey::beside`] the key as records without limits, at a revision below any row's.

use contract::id::Rev;
use contract::records::{IndexEntry, Record};
use contract::redis_key::{RecordId, partition_of};
use contract::virtual_key::KeyHash;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::keys::former::{self, Former};
use super::outbox::{Kind, parse_member_object};
use super::{Store, StoreError};
use crate::domain::budget_window::WindowRules;
use crate::settings::CustomerDefault;

mod customers;
mod objects;
mod owners;
mod rows;
mod tombstones;

use rows::{KEY_ROWS, MEMBER_ROWS, ORGANIZATION_ROWS, TEAM_ROWS, USER_ROWS};
use tombstones::read_tombstone;

pub(super) use rows::further;
pub use tombstones::{Grave, bury, first_rev};

/// One object as Redis must hold it.
#[derive(Clone, Debug, PartialEq)]
pub enum Published {
    /// A key: an index entry and a record.
    Key(Box<PublishedKey>),
    /// A user, team or membership: a record.
    Record(Box<PublishedRecord>),
}

/// A key, or what is left of a deleted one.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedKey {
    /// The row's id.
    pub key_id: String,
    /// The key's hash: the index entry's name.
    pub hash: KeyHash,
    /// Revision of entry and record.
    pub rev: Rev,
    /// Name of the key's own record.
    pub id: RecordId,
    /// What the key's home partition is computed from: its team, else its user, else itself.
    pub home: RecordId,
    /// The entry's records: the key's own, then user's, team's, membership's.
    pub records: Vec<RecordId>,
    /// [`Record::Key`], or [`Record::Deleted`].
    pub record: Record,
    /// Stand-ins for owners that have no row. They go to the key's home.
    pub beside: Vec<PublishedRecord>,
    /// Values that the key had: entries of their own, each with its end.
    pub former: Vec<Former>,
}

impl PublishedKey {
    /// The index entry among `partitions`.
    pub fn entry(&self, partitions: u16) -> IndexEntry {
        IndexEntry {
            home: partition_of(&self.home, partitions),
            records: self.records.clone(),
            until_ms: None,
        }
    }

    /// The index entry of a former value.
    pub fn former_entry(&self, former: &Former, partitions: u16) -> IndexEntry {
        IndexEntry {
            until_ms: Some(former.until_us / 1_000),
            ..self.entry(partitions)
        }
    }
}

/// A user, team or membership, or what is left of a deleted one.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedRecord {
    /// The record's name.
    pub id: RecordId,
    /// Its revision.
    pub rev: Rev,
    /// What the partitions that hold it are computed from: a team's own name; for a user its own and the teams in which it has keys.
    pub homes: Vec<RecordId>,
    /// The record.
    pub record: Record,
}

/// Where a page begins: after the object that the last page ended with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    first: String,
    second: String,
}

/// A page of objects, and where the next one begins; `None` after the last.
pub type Page = (Vec<Published>, Option<After>);

/// Reads objects for the publisher.
#[derive(Clone, Copy, Debug)]
pub struct PublishView<'a> {
    /// The database.
    pub store: &'a Store,
    /// How budget windows are computed.
    pub rules: &'a WindowRules,
    /// What customers have who have no budget row.
    pub customers: &'a CustomerDefault,
}

impl PublishView<'_> {
    /// The object of an outbox row, or its tombstone. `None` where there is neither: nothing to publish. Catalogue rows have no object here.
    pub async fn object(
        &self,
        kind: Kind,
        object_id: &str,
    ) -> Result<Option<Published>, StoreError> {
        let found = match kind {
            Kind::Key => self.key(object_id).await?,
            Kind::User => self.user(object_id).await?,
            Kind::Team => self.team(object_id).await?,
            Kind::Member => {
                let (team, user) = parse_member_object(object_id)?;
                self.member(&team, &user).await?
            }
            Kind::Customer => {
                let rows = self
                    .customer_rows("WHERE c.user_id = $2", object_id, 1)
                    .await?;
                rows.first()
                    .map(|row| self.read_customer(row))
                    .transpose()?
            }
            Kind::Organization => self.organization(object_id).await?,
            Kind::Catalogue | Kind::Correction | Kind::Scope => return Ok(None),
        };
        match found {
            Some(found) => Ok(Some(found)),
            None => self.tombstone(kind, object_id).await,
        }
    }

    async fn key(&self, key_id: &str) -> Result<Option<Published>, StoreError> {
        let rows = self
            .select(KEY_ROWS, "WHERE k.key_id = $1", &[key_id], 1)
            .await?;
        Ok(self.read_keys(&rows).await?.pop())
    }

    async fn user(&self, user_id: &str) -> Result<Option<Published>, StoreError> {
        let rows = self
            .select(USER_ROWS, "WHERE user_id = $1", &[user_id], 1)
            .await?;
        Ok(self.read_users(&rows).await?.pop())
    }

    async fn team(&self, team_id: &str) -> Result<Option<Published>, StoreError> {
        let rows = self
            .select(TEAM_ROWS, "WHERE team_id = $1", &[team_id], 1)
            .await?;
        rows.first().map(|row| self.read_team(row)).transpose()
    }

    async fn member(&self, team_id: &str, user_id: &str) -> Result<Option<Published>, StoreError> {
        let only = "WHERE m.team_id = $1 AND m.user_id = $2";
        let rows = self
            .select(MEMBER_ROWS, only, &[team_id, user_id], 1)
            .await?;
        rows.first().map(|row| self.read_member(row)).transpose()
    }

    async fn organization(&self, organization_id: &str) -> Result<Option<Published>, StoreError> {
        let only = "WHERE o.organization_id = $1";
        let rows = self
            .select(ORGANIZATION_ROWS, only, &[organization_id], 1)
            .await?;
        rows.first()
            .map(|row| self.read_organization(row))
            .transpose()
    }

    /// At most `limit` objects of a kind, in the order of their ids. Tombstones are apart: [`PublishView::tombstones`].
    pub async fn page(&self, kind: Kind, after: &After, limit: u32) -> Result<Page, StoreError> {
        let first = after.first.as_str();
        let (rows, objects) = match kind {
            Kind::Key => {
                let page = "WHERE k.key_id > $1 ORDER BY k.key_id";
                let rows = self.select(KEY_ROWS, page, &[first], limit).await?;
                let keys = self.read_keys(&rows).await?;
                (rows, keys)
            }
            Kind::User => {
                let page = "WHERE user_id > $1 ORDER BY user_id";
                let rows = self.select(USER_ROWS, page, &[first], limit).await?;
                let users = self.read_users(&rows).await?;
                (rows, users)
            }
            Kind::Team => {
                let page = "WHERE team_id > $1 ORDER BY team_id";
                let rows = self.select(TEAM_ROWS, page, &[first], limit).await?;
                let teams = rows
                    .iter()
                    .map(|row| self.read_team(row))
                    .collect::<Result<_, _>>()?;
                (rows, teams)
            }
            Kind::Member => {
                let page = "WHERE m.team_id > $1 OR (m.team_id = $1 AND m.user_id > $2) \
                            ORDER BY m.team_id, m.user_id";
                let rows = self
                    .select(MEMBER_ROWS, page, &[first, &after.second], limit)
                    .await?;
                let all = rows
                    .iter()
                    .map(|row| self.read_member(row))
                    .collect::<Result<_, _>>()?;
                (rows, all)
            }
            Kind::Customer => {
                let rows = self.customer_rows(customers::PAGE, first, limit).await?;
                let all = rows
                    .iter()
                    .map(|row| self.read_customer(row))
                    .collect::<Result<_, _>>()?;
                (rows, all)
            }
            Kind::Organization => {
                let page = "WHERE o.organization_id > $1 ORDER BY o.organization_id";
                let rows = self
                    .select(ORGANIZATION_ROWS, page, &[first], limit)
                    .await?;
                let all = rows
                    .iter()
                    .map(|row| self.read_organization(row))
                    .collect::<Result<_, _>>()?;
                (rows, all)
            }
            Kind::Catalogue | Kind::Correction | Kind::Scope => (Vec::new(), Vec::new()),
        };
        let next = match rows.last() {
            Some(last) if rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX) => {
                let second = if kind == Kind::Member {
                    last.try_get(1)?
                } else {
                    String::new()
                };
                Some(After {
                    first: last.try_get(0)?,
                    second,
                })
            }
            _ => None,
        };
        Ok((objects, next))
    }

    /// At most `limit` tombstones of a kind. A Redis that was emptied needs none of them.
    pub async fn tombstones(
        &self,
        kind: Kind,
        after: &After,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let rows = sqlx::query(
            "SELECT object_id, rev, token, user_id, team_id FROM tombstones \
             WHERE kind = $1 AND object_id > $2 ORDER BY object_id LIMIT $3",
        )
        .bind(kind.as_str())
        .bind(after.first.as_str())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.store.read().await?)
        .await?;
        let objects = rows
            .iter()
            .map(|row| read_tombstone(kind, row))
            .collect::<Result<Vec<_>, _>>()?;
        let objects = self.with_former(objects).await?;
        let next = match rows.last() {
            Some(last) if rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX) => {
                Some(After {
                    first: last.try_get("object_id")?,
                    second: String::new(),
                })
            }
            _ => None,
        };
        Ok((objects, next))
    }

    async fn tombstone(
        &self,
        kind: Kind,
        object_id: &str,
    ) -> Result<Option<Published>, StoreError> {
        let row = sqlx::query(
            "SELECT object_id, rev, token, user_id, team_id FROM tombstones \
             WHERE kind = $1 AND object_id = $2",
        )
        .bind(kind.as_str())
        .bind(object_id)
        .fetch_optional(&mut *self.store.read().await?)
        .await?;
        let object = row.map(|row| read_tombstone(kind, &row)).transpose()?;
        let mut objects = self.with_former(object.into_iter().collect()).await?;
        Ok(objects.pop())
    }

    /// Fills in the former values of keys.
    async fn with_former(&self, mut objects: Vec<Published>) -> Result<Vec<Published>, StoreError> {
        // Pages come in the database's order of ids, which is the one that it compares by.
        let mut of_keys = objects.iter().filter_map(|object| match object {
            Published::Key(key) => Some(key.key_id.as_str()),
            Published::Record(_) => None,
        });
        let first = of_keys.next();
        let last = of_keys.next_back().or(first);
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(objects);
        };
        let mut all = former::of_keys(&mut *self.store.read().await?, first, last).await?;
        for object in &mut objects {
            if let Published::Key(key) = object {
                key.former = all.remove(&key.key_id).unwrap_or_default();
            }
        }
        Ok(objects)
    }

    async fn select(
        &self,
        columns: &str,
        which: &str,
        values: &[&str],
        limit: u32,
    ) -> Result<Vec<AnyRow>, StoreError> {
        // Both parts are constants of this module; every value is bound.
        let statement = format!("{columns} {which} LIMIT ${}", values.len() + 1);
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in values {
            query = query.bind((*value).to_owned());
        }
        Ok(query
            .bind(i64::from(limit))
            .fetch_all(&mut *self.store.read().await?)
            .await?)
    }
}

/// The `key_type` of the master key's row.
pub const MASTER_KEY_TYPE: &str = "master";

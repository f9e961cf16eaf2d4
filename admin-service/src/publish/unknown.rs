//! What Redis holds and the database does not: keys made after the backup that the database was restored from, and tombstones that have
//! served their time.

use contract::id::Rev;
use contract::records::{IndexEntry, Record, Versioned};
use contract::redis_key;
use contract::resp::Reply;
use contract::virtual_key::KeyHash;

use super::link::{LinkError, refuse_error};
use super::reconcile::Known;
use super::records::{Tag, Values, object_of, revision};
use super::{PublishError, Publisher};
use crate::store::customers;
use crate::store::keys::former;
use crate::store::outbox::Kind;
use crate::store::publish_state::{Raise, forget_tombstone};
use crate::store::publish_view::{After, Published};

const REMOVE_BELOW: &str = "local v=redis.call('GETRANGE',KEYS[1],0,15) \
     if v~='' and v<ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
/// How long a tombstone is kept: far longer than any push can be under way.
const TOMBSTONE_US: u64 = 86_400_000_000;
const PAGE: u32 = 500;
/// Commands sent together.
const AT_ONCE: usize = 1_000;

/// A tombstone that may go.
pub(super) struct Grave {
    kind: Kind,
    object_id: String,
    rev: Rev,
    keys: Vec<String>,
}

impl Publisher {
    /// Every key name that matches.
    pub(super) async fn scan(&self, pattern: &str) -> Result<Vec<String>, LinkError> {
        let mut names = Vec::new();
        let mut cursor = b"0".to_vec();
        loop {
            let scan = [
                &b"SCAN"[..],
                &cursor,
                b"MATCH",
                pattern.as_bytes(),
                b"COUNT",
                b"1000",
            ];
            let reply = refuse_error(self.link.command(&scan).await?)?;
            let Reply::Array(Some(parts)) = reply else {
                return Err(LinkError::Malformed("SCAN"));
            };
            let Ok([Reply::Bulk(Some(next)), Reply::Array(Some(found))]) =
                <[Reply; 2]>::try_from(parts)
            else {
                return Err(LinkError::Malformed("SCAN"));
            };
            names.extend(found.into_iter().filter_map(|name| match name {
                Reply::Bulk(Some(name)) => String::from_utf8(name).ok(),
                _ => None,
            }));
            if next == b"0" {
                return Ok(names);
            }
            cursor = next;
        }
    }

    /// Removes values whose revision is below `rev`; answers how many there were.
    pub(super) async fn remove_all_below(
        &self,
        keys: &[String],
        rev: Rev,
    ) -> Result<usize, LinkError> {
        let rev = rev.to_string();
        let mut removed = 0;
        for keys in keys.chunks(AT_ONCE) {
            let evals = keys.iter().map(|key| {
                vec![
                    &b"EVAL"[..],
                    REMOVE_BELOW.as_bytes(),
                    b"1",
                    key.as_bytes(),
                    rev.as_bytes(),
                ]
            });
            for reply in self.link.commands(&evals.collect::<Vec<_>>()).await? {
                removed += usize::from(refuse_error(reply)? == Reply::Integer(1));
            }
        }
        Ok(removed)
    }

    /// Puts tombstones; answers those that have served their time.
    pub(super) async fn put_tombstones(
        &self,
        known: &mut Known,
    ) -> Result<Vec<Grave>, PublishError> {
        let old = self.store.clock().now_us().saturating_sub(TOMBSTONE_US);
        let mut graves = Vec::new();
        for kind in [
            Kind::Organization,
            Kind::Team,
            Kind::User,
            Kind::Member,
            Kind::Customer,
            Kind::Key,
        ] {
            let mut after = Some(After::default());
            while let Some(from) = after {
                let (objects, next) = self
                    .view(&self.settings.now())
                    .tombstones(kind, &from, PAGE)
                    .await?;
                for object in &objects {
                    graves.extend(self.grave(object, old)?);
                }
                after = self.put_page((objects, next), known).await?;
            }
        }
        Ok(graves)
    }

    fn grave(&self, object: &Published, old: u64) -> Result<Option<Grave>, PublishError> {
        let (id, rev) = match object {
            Published::Key(key) => (&key.id, key.rev),
            Published::Record(record) => (&record.id, record.rev),
        };
        // A customer's name does not lead back to the id: the tombstone is found by it.
        let named = match object_of(id.as_str()) {
            None if id.as_str().starts_with("c:") => Some((Kind::Customer, id.as_str().to_owned())),
            named => named,
        };
        let Some((kind, object_id)) = named.filter(|_| rev.get() < old) else {
            return Ok(None);
        };
        let mut values = Values::default();
        values.object(object, self.partitions)?;
        // Entries go before the record: an entry without record would be refused as not ready.
        let (records, entries): (Vec<_>, Vec<_>) = values
            .0
            .into_iter()
            .partition(|(tag, _)| matches!(tag, Tag::Partition(_)));
        let values = entries.into_iter().chain(records);
        let keys = values
            .flat_map(|(_, values)| values)
            .map(|(name, _)| name)
            .collect();
        Ok(Some(Grave {
            kind,
            object_id,
            rev,
            keys,
        }))
    }

    /// Has Redis forget former values that ended long ago.
    pub(super) async fn drop_former(&self) -> Result<(), PublishError> {
        let old = self.store.clock().now_us().saturating_sub(TOMBSTONE_US);
        loop {
            let over = former::over(&self.store, old, PAGE).await?;
            if over.is_empty() {
                return Ok(());
            }
            let names = over.iter().map(|hash| self.entry_name(hash));
            let names = names.collect::<Vec<_>>();
            let deletions = names
                .iter()
                .map(|name| vec![&b"DEL"[..], name.as_bytes()])
                .collect::<Vec<_>>();
            for reply in self.link.commands(&deletions).await? {
                refuse_error(reply)?;
            }
            former::unlist(&self.store, &over).await?;
        }
    }

    fn entry_name(&self, hash: &KeyHash) -> String {
        redis_key::index(redis_key::index_slot(hash, self.partitions), hash)
    }

    /// Forgets tombstones in Redis, then in the database.
    pub(super) async fn drop_tombstones(&self, graves: Vec<Grave>) -> Result<(), PublishError> {
        for grave in graves {
            let above = grave.rev.next(0);
            self.remove_all_below(&grave.keys, above).await?;
            forget_tombstone(&self.store, grave.kind, &grave.object_id, grave.rev).await?;
        }
        Ok(())
    }

    /// Looks at what Redis holds beyond or ahead of `known`.
    pub(super) async fn resolve_unknown(&self, known: &Known) -> Result<(), PublishError> {
        let records = self.scan(redis_key::record_pattern()).await?;
        for (key, rev) in self.beyond(&records, known).await? {
            let name = key.split_once(":rec:").map_or("", |(_, name)| name);
            let named = match object_of(name) {
                None if name.starts_with("c:") => {
                    let found = customers::of_record(&mut *self.store.read().await?, name).await?;
                    Some((Kind::Customer, found.unwrap_or_default()))
                }
                named => named,
            };
            if let Some((kind, object_id)) = named {
                self.resolve_record(&key, kind, &object_id, rev).await?;
            }
        }
        for key in self.scan(redis_key::index_pattern()).await? {
            if !known.contains_key(&key) {
                self.resolve_entry(&key).await?;
            }
        }
        Ok(())
    }

    /// Values, with their revisions, that the database does not have or has at a lower one.
    async fn beyond(
        &self,
        keys: &[String],
        known: &Known,
    ) -> Result<Vec<(String, Rev)>, LinkError> {
        let mut beyond = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            let gets = keys
                .iter()
                .map(|key| vec![&b"GETRANGE"[..], key.as_bytes(), b"0", b"15"]);
            let replies = self.link.commands(&gets.collect::<Vec<_>>()).await?;
            for (key, reply) in keys.iter().zip(replies) {
                let Reply::Bulk(Some(digits)) = refuse_error(reply)? else {
                    continue;
                };
                let Some(rev) = revision(&digits) else {
                    continue;
                };
                if known.get(key).is_none_or(|known| *known < rev) {
                    beyond.push((key.clone(), rev));
                }
            }
        }
        Ok(beyond)
    }

    /// A record that the database does not have at this revision. It is asked again: the row may be newer than the page was.
    async fn resolve_record(
        &self,
        key: &str,
        kind: Kind,
        object_id: &str,
        rev: Rev,
    ) -> Result<(), PublishError> {
        let object = self
            .view(&self.settings.now())
            .object(kind, object_id)
            .await?;
        let stored = object.as_ref().map(|object| match object {
            Published::Key(key) => key.rev,
            Published::Record(record) => record.rev,
        });
        match stored {
            Some(stored) if stored >= rev => {}
            Some(_) => {
                tracing::warn!(
                    object_id,
                    "Redis has a newer revision than the database; the database's is raised"
                );
                let raise = Raise {
                    kind,
                    object_id,
                    above: rev,
                };
                self.store.write(&raise).await?;
            }
            None if kind == Kind::Customer => self.resolve_customer(key, rev).await?,
            // Owners without a row have stand-ins, and are reached through keys alone.
            None if kind == Kind::Key => {
                tracing::warn!(
                    object_id,
                    "Redis has a key that the database does not have; it is revoked"
                );
                self.revoke(key, rev).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// A customer that the database does not have: the record is made a deletion, and goes when that has served its time.
    async fn resolve_customer(&self, key: &str, rev: Rev) -> Result<(), PublishError> {
        let stored = refuse_error(self.link.command(&[b"GET", key.as_bytes()]).await?)?;
        let record = match stored {
            Reply::Bulk(Some(bytes)) => Versioned::<Record>::decode(&bytes),
            _ => None,
        };
        if record.is_none_or(|record| record.value != Record::Deleted) {
            tracing::warn!("Redis has a customer that the database does not have; it is forgotten");
            return self.revoke(key, rev).await;
        }
        let now_us = self.store.clock().now_us();
        if rev.get() < now_us.saturating_sub(TOMBSTONE_US) {
            self.remove_all_below(&[key.to_owned()], rev.next(0))
                .await?;
        }
        Ok(())
    }

    async fn revoke(&self, key: &str, rev: Rev) -> Result<(), PublishError> {
        let now_us = self.store.clock().now_us();
        let mut values = Values::default();
        // The tag only groups; a name alone decides where a value goes.
        let tag = Tag::Partition(contract::redis_key::Partition(0));
        values.add(tag, key.to_owned(), rev.next(now_us), &Record::Deleted)?;
        self.put(&values).await
    }

    /// An index entry that the database does not have: it goes if its key is gone, or has another value.
    async fn resolve_entry(&self, key: &str) -> Result<(), PublishError> {
        let stored = refuse_error(self.link.command(&[b"GET", key.as_bytes()]).await?)?;
        let Reply::Bulk(Some(bytes)) = stored else {
            return Ok(());
        };
        let Some(entry) = Versioned::<IndexEntry>::decode(&bytes) else {
            return Ok(());
        };
        let Some(id) = entry.value.records.first() else {
            return Ok(());
        };
        let Some((kind, object_id)) = object_of(id.as_str()) else {
            return Ok(());
        };
        let settings = self.settings.now();
        let leads_right = match self.view(&settings).object(kind, &object_id).await? {
            Some(Published::Key(object)) => {
                let former = object.former.iter().map(|former| &former.hash);
                let mut hashes = former.chain([&object.hash]);
                hashes.any(|hash| self.entry_name(hash) == key)
            }
            found => found.is_some(),
        };
        if !leads_right {
            self.remove_all_below(&[key.to_owned()], entry.rev.next(0))
                .await?;
        }
        Ok(())
    }
}

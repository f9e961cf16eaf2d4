//! Objects as the values that Redis holds, grouped by hash tag.

use std::collections::BTreeMap;

use contract::id::{CustomerId, KeyId, OrganizationId, Rev, TeamId, UserId};
use contract::records::{Record, Versioned};
use contract::redis_key::{self, Partition, RecordId, index_slot, partition_of};
use serde::Serialize;

use super::PublishError;
use crate::store::StoreError;
use crate::store::outbox::{Kind, member_object};
use crate::store::publish_view::{Published, PublishedKey, PublishedRecord};

/// A hash tag: what one `Put` may write together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    /// Index entries of former values. Before their key's record: whoever sees the record change reads the entry again, and must find its end.
    Former(Partition),
    /// Records. Before indexes: an entry never leads to a record that is not there yet.
    Partition(Partition),
    /// Index entries, models, settings.
    Index(Partition),
}

/// Key names and values by tag.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(pub(super) BTreeMap<Tag, Vec<(String, Vec<u8>)>>);

impl Values {
    /// Key name and revision of every value.
    pub(super) fn revisions(self) -> impl Iterator<Item = (String, Rev)> {
        self.0.into_values().flatten().filter_map(|(name, value)| {
            let rev = revision(&value)?;
            Some((name, rev))
        })
    }

    pub(super) fn add<T: Serialize>(
        &mut self,
        tag: Tag,
        name: String,
        rev: Rev,
        value: &T,
    ) -> Result<(), PublishError> {
        let value = Versioned { rev, value }.encode().map_err(|error| {
            PublishError::Store(StoreError::Corrupt(format!("{name}: {error}")))
        })?;
        self.0
            .entry(tag)
            .or_default()
            .push((name, value.into_bytes()));
        Ok(())
    }

    /// Adds everything that Redis holds for an object.
    pub(super) fn object(
        &mut self,
        object: &Published,
        partitions: u16,
    ) -> Result<(), PublishError> {
        match object {
            Published::Key(key) => self.key(key, partitions),
            Published::Record(record) => {
                let homes = record
                    .homes
                    .iter()
                    .map(|home| partition_of(home, partitions));
                homes
                    .into_iter()
                    .try_for_each(|home| self.record(record, home))
            }
        }
    }

    fn key(&mut self, key: &PublishedKey, partitions: u16) -> Result<(), PublishError> {
        for former in &key.former {
            let slot = index_slot(&former.hash, partitions);
            let name = redis_key::index(slot, &former.hash);
            let entry = key.former_entry(former, partitions);
            self.add(Tag::Former(slot), name, key.rev, &entry)?;
        }
        let home = partition_of(&key.home, partitions);
        let name = redis_key::record(home, &key.id);
        self.add(Tag::Partition(home), name, key.rev, &key.record)?;
        for owner in &key.beside {
            self.record(owner, home)?;
        }
        let slot = index_slot(&key.hash, partitions);
        let name = redis_key::index(slot, &key.hash);
        self.add(Tag::Index(slot), name, key.rev, &key.entry(partitions))
    }

    fn record(&mut self, record: &PublishedRecord, home: Partition) -> Result<(), PublishError> {
        let name = redis_key::record(home, &record.id);
        self.add(Tag::Partition(home), name, record.rev, &record.record)
    }
}

/// The revision that a value begins with.
pub(super) fn revision(value: &[u8]) -> Option<Rev> {
    let digits = value.get(..16)?;
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .and_then(Rev::new)
}

/// The user of a key: its record must be in the key's home too.
pub(super) fn owner(object: &Published) -> Option<&UserId> {
    match object {
        Published::Key(key) => match &key.record {
            Record::Key(key) => key.user.as_ref(),
            _ => None,
        },
        Published::Record(_) => None,
    }
}

/// The scope that a kind and object of the outbox name.
pub(crate) fn record_id(kind: Kind, object_id: &str) -> Result<RecordId, StoreError> {
    Ok(match kind {
        Kind::Key => RecordId::key(&KeyId::new(object_id)),
        Kind::User => RecordId::user(&UserId::new(object_id)),
        Kind::Team => RecordId::team(&TeamId::new(object_id)),
        Kind::Member => {
            let (team, user) = crate::store::outbox::parse_member_object(object_id)?;
            RecordId::member(&TeamId::new(team), &UserId::new(user))
        }
        Kind::Organization => RecordId::organization(&OrganizationId::new(object_id)),
        Kind::Customer => RecordId::customer(&CustomerId::new(object_id)),
        Kind::Scope => RecordId::of_name(object_id),
        Kind::Catalogue | Kind::Correction => {
            return Err(StoreError::Corrupt(format!("no scope: {object_id:?}")));
        }
    })
}

/// Kind and object of a record's name as Redis has it; `None` for what is no such name.
pub(super) fn object_of(name: &str) -> Option<(Kind, String)> {
    let (kind, rest) = name.split_once(':')?;
    Some(match kind {
        "k" => (Kind::Key, decoded(rest)?),
        "u" => (Kind::User, decoded(rest)?),
        "t" => (Kind::Team, decoded(rest)?),
        "o" => (Kind::Organization, decoded(rest)?),
        "m" => {
            let (team, user) = rest.split_once(':')?;
            (
                Kind::Member,
                member_object(&decoded(team)?, &decoded(user)?),
            )
        }
        _ => return None,
    })
}

/// Undoes the percent-encoding of a record's name.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_name_leads_back_to_its_object() {
        for (kind, object) in [
            (Kind::Key, "k-1".to_owned()),
            (Kind::User, "ä b:c%d@x.y".to_owned()),
            (Kind::Team, String::new()),
            (Kind::Organization, "o:1".to_owned()),
            (Kind::Member, member_object("t:1", "u/2")),
        ] {
            let name = record_id(kind, &object).unwrap();
            assert_eq!(object_of(name.as_str()), Some((kind, object)));
        }
        assert_eq!(object_of("x:1"), None);
        assert_eq!(object_of("k:%zz"), None);
    }
}

//! Every Redis key name, one function each. A partition's names share one hash tag, so that a script's keys live on one node.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::decimal::Digits;
use crate::id::{CustomerId, KeyId, OrganizationId, ReservationId, TeamId, UserId};
use crate::virtual_key::KeyHash;

/// One of P independent parts of the ledger, `0 ≤ n < P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

/// The partition among `partitions` (≥ 1) that `home` (a team's, user's or key's [`RecordId`]) lives in: the first eight bytes of its
/// SHA-256, big-endian, modulo `partitions`.
pub fn partition_of(home: &RecordId, partitions: u16) -> Partition {
    slot(home.as_str().as_bytes(), partitions)
}

fn slot(bytes: &[u8], partitions: u16) -> Partition {
    let digest = Sha256::digest(bytes);
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let slot = number.checked_rem(u64::from(partitions)).unwrap_or(0);
    Partition(u16::try_from(slot).unwrap_or(0))
}

/// The index slot of a virtual key's hash.
pub fn index_slot(hash: &KeyHash, partitions: u16) -> Partition {
    slot(hash.as_bytes(), partitions)
}

/// The index slot of a model's name.
pub fn model_slot(name: &str, partitions: u16) -> Partition {
    slot(name.as_bytes(), partitions)
}

/// Name of a record, and of the scope whose limits it carries: `k:<key>`, `u:<user>`, `t:<team>`, `m:<team>:<user>`, `o:<organization>`,
/// `c:<customer>`; bytes of an id outside `[A-Za-z0-9_.@-]` are percent-encoded, so two different records never share a name. A customer's is
/// hashed, because clients choose it.
///
/// Some scopes have no record of their own: `tag:<tag>`, `model:<model>` and `proxy` carry limits of the catalogue,
/// `om:<organization>:<user>` those of a user's keys in an organization, `<name>~w:<duration>` and `<name>~m:<model>` a further budget window and
/// the limits for one model of the object `<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(String);

impl RecordId {
    /// A key's record.
    pub fn key(id: &KeyId) -> Self {
        Self(named("k:", id.as_str()))
    }

    /// A user's record.
    pub fn user(id: &UserId) -> Self {
        Self(named("u:", id.as_str()))
    }

    /// A team's record.
    pub fn team(id: &TeamId) -> Self {
        Self(named("t:", id.as_str()))
    }

    /// A membership's record.
    pub fn member(team: &TeamId, user: &UserId) -> Self {
        let mut prefix = named("m:", team.as_str());
        prefix.push(':');
        Self(named(&prefix, user.as_str()))
    }

    /// An organization's record.
    pub fn organization(id: &OrganizationId) -> Self {
        Self(named("o:", id.as_str()))
    }

    /// The scope of a user's keys in an organization. Its limits are in the records of these keys.
    pub fn organization_member(organization: &OrganizationId, user: &UserId) -> Self {
        let mut prefix = named("om:", organization.as_str());
        prefix.push(':');
        Self(named(&prefix, user.as_str()))
    }

    /// A customer's record: the first 16 bytes of the id's SHA-256, hexadecimal.
    pub fn customer(id: &CustomerId) -> Self {
        let digest = Sha256::digest(id.as_str().as_bytes());
        let mut name = String::with_capacity(34);
        name.push_str("c:");
        for byte in digest.iter().take(16) {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self(name)
    }

    /// The scope of a request tag.
    pub fn tag(tag: &str) -> Self {
        Self(named("tag:", tag))
    }

    /// The scope of a model, whoever calls it.
    pub fn model(model: &str) -> Self {
        Self(named("model:", model))
    }

    /// The scope of everything.
    pub fn proxy() -> Self {
        Self("proxy".to_owned())
    }

    /// The scope of this object's further budget window of that duration.
    #[must_use]
    pub fn window(&self, duration: &str) -> Self {
        Self(named(&format!("{}~w:", self.0), duration))
    }

    /// The scope of this object's limits for one model.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Self {
        Self(named(&format!("{}~m:", self.0), model))
    }

    /// A name that [`RecordId::as_str`] gave.
    pub fn of_name(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn named(prefix: &str, id: &str) -> String {
    let mut name = String::with_capacity(prefix.len().saturating_add(id.len()));
    name.push_str(prefix);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'@' | b'-') {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

/// `tk:{<letter><number>}:<kind><name>`
fn tagged(letter: char, partition: Partition, kind: &str, name: &str) -> String {
    let room = 14_usize
        .saturating_add(kind.len())
        .saturating_add(name.len());
    let mut key = String::with_capacity(room);
    key.push_str("tk:{");
    key.push(letter);
    key.push_str(Digits::new(u64::from(partition.0), 1).as_str());
    key.push_str("}:");
    key.push_str(kind);
    key.push_str(name);
    key
}

/// Opens a partition; absent means `not_ready`.
pub fn ready(p: Partition) -> String {
    tagged('p', p, "ready", "")
}

/// A record: [`crate::records::Versioned`] [`crate::records::Record`].
pub fn record(p: Partition, id: &RecordId) -> String {
    tagged('p', p, "rec:", id.as_str())
}

/// A scope's header: window totals, in flight, spent, held, window start, open segment.
pub fn scope(p: Partition, id: &RecordId) -> String {
    tagged('p', p, "sc:", id.as_str())
}

/// A scope's closed rate segments.
pub fn segments(p: Partition, id: &RecordId) -> String {
    tagged('p', p, "sg:", id.as_str())
}

/// A reservation.
pub fn reservation(p: Partition, id: &ReservationId) -> String {
    tagged('p', p, "res:", &id.to_string())
}

/// Deadlines of live reservations (ZSET: id → Redis time in ms).
pub fn deadlines(p: Partition) -> String {
    tagged('p', p, "deadlines", "")
}

/// Redis time of the last renewal that the partition saw.
pub fn beat(p: Partition) -> String {
    tagged('p', p, "beat", "")
}

/// Settlement watermarks (HASH: worker → last sequence).
pub fn watermarks(p: Partition) -> String {
    tagged('p', p, "wm", "")
}

/// The spend stream, filter → ledger.
pub fn spend(p: Partition) -> String {
    tagged('p', p, "spend", "")
}

/// Opens an index slot.
pub fn index_ready(i: Partition) -> String {
    tagged('i', i, "ready", "")
}

/// Where a virtual key's hash leads: [`crate::records::IndexEntry`].
pub fn index(i: Partition, hash: &KeyHash) -> String {
    tagged('i', i, "ix:", &hash.to_string())
}

/// A model: [`crate::records::Versioned`] [`crate::records::ModelRecord`].
pub fn model(i: Partition, name: &str) -> String {
    tagged('i', i, "model:", name)
}

/// Proxy-wide settings, in every index slot: [`crate::records::Versioned`] [`crate::records::ProxySettings`].
pub fn settings(i: Partition) -> String {
    tagged('i', i, "settings", "")
}

/// Every index entry, as SCAN matches names.
pub const fn index_pattern() -> &'static str {
    "tk:{i*}:ix:*"
}

/// Every model.
pub const fn model_pattern() -> &'static str {
    "tk:{i*}:model:*"
}

/// Every record.
pub const fn record_pattern() -> &'static str {
    "tk:{p*}:rec:*"
}

/// Token of the restore that fills a partition: with the rest of it, it is gone if Redis is emptied meanwhile.
pub fn restoring(p: Partition) -> String {
    format!("tk:{{p{}}}:restoring", p.0)
}

/// Token of the restore that fills an index slot.
pub fn index_restoring(i: Partition) -> String {
    format!("tk:{{i{}}}:restoring", i.0)
}

/// Held by the admin service that restores a Redis which lost its state. Outside the partitions: no script touches it.
pub const fn restore_lock() -> &'static str {
    "tk:restore"
}

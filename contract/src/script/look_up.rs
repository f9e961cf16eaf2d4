//! Everything about a virtual key, read at one moment.

use super::argv::Argv;
use super::reply;
use super::{By, Call, Script, ScriptError};
use crate::id::Rev;
use crate::redis_key::{self, Partition, RecordId};
use crate::resp::Reply;
use crate::virtual_key::KeyHash;

/// Reads a key's index entry and the records that it names, with the markers that say whether an absent one is absent. Changes nothing.
///
/// The records' names are not among the command's keys, because the entry tells them: index and partition must be on one node.
#[derive(Clone, Copy, Debug)]
pub struct LookUp<'a> {
    /// The partition, and the index of the same number.
    pub partition: Partition,
    /// The virtual key's hash.
    pub hash: &'a KeyHash,
    /// Catalogue revision of the settings that the caller has; zero for none.
    pub known: Rev,
}

/// What [`LookUp`] answers, as stored; `None` for what is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Redis time, ms.
    pub now_ms: u64,
    /// [`crate::records::Ready`] of the index.
    pub index: Option<Vec<u8>>,
    /// [`crate::records::Ready`] of the partition.
    pub partition: Option<Vec<u8>>,
    /// [`crate::records::ProxySettings`]; left out where the index's catalogue is the one known.
    pub settings: Option<Vec<u8>>,
    /// [`crate::records::IndexEntry`].
    pub entry: Option<Vec<u8>>,
    /// [`crate::records::Record`]s in the entry's order.
    pub records: Vec<Option<Vec<u8>>>,
}

impl Call for LookUp<'_> {
    type Answer = Found;

    fn script(&self) -> Script {
        Script::LookUp
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut argv = Argv::new();
        argv.key(&redis_key::index_ready(p));
        argv.key(&redis_key::index(p, self.hash));
        argv.key(&redis_key::settings(p));
        argv.key(&redis_key::ready(p));
        argv.rev(self.known);
        argv.text(&redis_key::record(p, &RecordId::of_name("")));
        argv.finish(Script::LookUp, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<Found, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        if word != b"ok" {
            return Err(ScriptError::Malformed);
        }
        let now_ms = fields.number()?;
        let mut stored = || Ok(fields.bulk()?.map(<[u8]>::to_vec));
        Ok(Found {
            now_ms,
            index: stored()?,
            partition: stored()?,
            settings: stored()?,
            entry: stored()?,
            records: fields.rest_bulks()?,
        })
    }
}

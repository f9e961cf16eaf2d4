//! Publication: versioned values, and the markers that open a partition or an index.

use super::argv::Argv;
use super::reply;
use super::{By, Call, Script, ScriptError};
use crate::records::Ready;
use crate::resp::Reply;

/// Writes versioned values ([`crate::records::Versioned::encode`]) of one hash tag, each only over an absent or lower revision.
/// Answers how many were written.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// Key name and value, at most 500.
    pub values: &'a [(String, Vec<u8>)],
}

impl Call for Put<'_> {
    type Answer = u64;

    fn script(&self) -> Script {
        Script::Put
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let mut argv = Argv::new();
        for (key, value) in self.values {
            argv.key(key);
            argv.bytes(value);
        }
        argv.finish(Script::Put, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<u64, ScriptError> {
        reply::number(reply)
    }
}

/// Opens a partition or index (`ready` key of the tag), or gives an open one a higher catalogue revision; its other figures stay then.
/// A lower or equal revision of an open one changes nothing. Answers whether it was written.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// [`crate::redis_key::ready`] or [`crate::redis_key::index_ready`].
    pub key: &'a str,
    /// The marker.
    pub ready: &'a Ready,
}

impl Call for Open<'_> {
    type Answer = bool;

    fn script(&self) -> Script {
        Script::Open
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let mut argv = Argv::new();
        argv.key(self.key);
        argv.text(&self.ready.encode());
        argv.finish(Script::Open, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<bool, ScriptError> {
        match reply::number(reply)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ScriptError::Malformed),
        }
    }
}

//! The markers that open partitions and indexes.
//!
//! Opening and filling are several commands, and Redis may be emptied between any two of them. So a restore leaves a token beside what it
//! fills, and the marker is written only where that token still is. A marker is raised only as the very one that was read.

use contract::id::Rev;
use contract::records::Ready;
use contract::redis_key::{self, Partition};
use contract::resp::Reply;

use super::link::{Link, LinkError, refuse_error};

const OPEN: &str = "if redis.call('GET',KEYS[2])~=ARGV[2] then return 0 end \
     redis.call('SET',KEYS[1],ARGV[1]) redis.call('DEL',KEYS[2]) return 1";
const RAISE: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
     redis.call('SET',KEYS[1],ARGV[2]) return 1";
/// Others raise the same marker too, but not often.
const TRIES: u32 = 5;

/// A partition's or an index slot's marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Opens an index slot.
    Index(Partition),
    /// Opens a partition.
    Partition(Partition),
}

impl Marker {
    /// All markers; indexes first: whoever is told by a partition that prices changed must find the new revision in the index.
    pub(super) fn all(partitions: u16) -> Vec<Self> {
        let numbers = || (0..partitions).map(Partition);
        numbers()
            .map(Self::Index)
            .chain(numbers().map(Self::Partition))
            .collect()
    }

    /// Its key.
    pub(super) fn key(self) -> String {
        match self {
            Self::Index(slot) => redis_key::index_ready(slot),
            Self::Partition(partition) => redis_key::ready(partition),
        }
    }

    fn token_key(self) -> String {
        match self {
            Self::Index(slot) => redis_key::index_restoring(slot),
            Self::Partition(partition) => redis_key::restoring(partition),
        }
    }

    /// Leaves the token beside what is going to be filled.
    pub(super) async fn begin(self, link: &Link, token: &str) -> Result<(), LinkError> {
        let key = self.token_key();
        refuse_error(
            link.command(&[b"SET", key.as_bytes(), token.as_bytes()])
                .await?,
        )?;
        Ok(())
    }

    /// Closes what is open.
    pub(super) async fn close(self, link: &Link) -> Result<(), LinkError> {
        refuse_error(link.command(&[b"DEL", self.key().as_bytes()]).await?)?;
        Ok(())
    }

    /// Opens what was filled since [`Marker::begin`]; `false`: Redis was emptied or another restore began meanwhile.
    pub(super) async fn open(
        self,
        link: &Link,
        token: &str,
        ready: &Ready,
    ) -> Result<bool, LinkError> {
        let (key, token_key, marker) = (self.key(), self.token_key(), ready.encode());
        let (marker, token) = (marker.as_bytes(), token.as_bytes());
        let keys = [key.as_bytes(), token_key.as_bytes()];
        let eval = [
            &b"EVAL"[..],
            OPEN.as_bytes(),
            b"2",
            keys[0],
            keys[1],
            marker,
            token,
        ];
        Ok(refuse_error(link.command(&eval).await?)? == Reply::Integer(1))
    }

    /// Gives what is open a higher catalogue revision; what is closed stays closed.
    pub(super) async fn raise(self, link: &Link, catalogue: Rev) -> Result<(), LinkError> {
        let key = self.key();
        for _ in 0..TRIES {
            let stored = refuse_error(link.command(&[b"GET", key.as_bytes()]).await?)?;
            let Reply::Bulk(Some(old)) = stored else {
                return Ok(());
            };
            let Some(marker) = Ready::decode(&old) else {
                return Ok(());
            };
            if marker.catalogue >= catalogue {
                return Ok(());
            }
            let new = Ready {
                catalogue,
                ..marker
            }
            .encode();
            let eval = [
                &b"EVAL"[..],
                RAISE.as_bytes(),
                b"1",
                key.as_bytes(),
                &old[..],
                new.as_bytes(),
            ];
            if refuse_error(link.command(&eval).await?)? == Reply::Integer(1) {
                return Ok(());
            }
        }
        Err(LinkError::Refused(format!(
            "{key} changes faster than it can be raised"
        )))
    }
}

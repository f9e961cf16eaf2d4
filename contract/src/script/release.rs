//! Release of reservations that were never sent upstream.

use super::argv::Argv;
use super::reply;
use super::{By, Call, Script, ScriptError};
use crate::id::ReservationId;
use crate::redis_key::{self, Partition};
use crate::resp::Reply;

/// Gives back reservations that were never sent upstream: a timed-out call, a client that left. Remembered for
/// [`super::RELEASED_MS`], so a late admit is refused. Needs no open partition.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// The partition.
    pub partition: Partition,
    /// At most [`super::MAX_BATCH`].
    pub ids: &'a [ReservationId],
}

/// What [`Release`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseAnswer {
    /// Redis time, ms.
    pub now_ms: u64,
    /// How many of the ids held something.
    pub released: u64,
}

impl Call for Release<'_> {
    type Answer = ReleaseAnswer;

    fn script(&self) -> Script {
        Script::Release
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let mut argv = Argv::new();
        argv.key(&redis_key::deadlines(self.partition));
        for id in self.ids {
            argv.key(&redis_key::reservation(self.partition, id));
            argv.text(&id.to_string());
        }
        argv.finish(Script::Release, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<ReleaseAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        if word != b"ok" {
            return Err(ScriptError::Malformed);
        }
        let answer = ReleaseAnswer {
            now_ms: fields.number()?,
            released: fields.number()?,
        };
        fields.end()?;
        Ok(answer)
    }
}

//! Sweeping of reservations whose worker is gone.

use super::argv::Argv;
use super::reply;
use super::{By, Call, Script, ScriptError};
use crate::id::ReservationId;
use crate::redis_key::{self, Partition};
use crate::resp::Reply;

/// Sweeps reservations whose deadline passed (rechecked): never sent → released, sent → charged as reserved, version 0.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The partition.
    pub partition: Partition,
    /// These, at most [`super::MAX_BATCH`]; empty: up to that many that Redis finds expired.
    pub ids: &'a [ReservationId],
}

/// What [`Sweep`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepAnswer {
    /// Done; ids that were not expired are in neither list.
    Done {
        /// Redis time, ms.
        now_ms: u64,
        /// Were sent upstream: charged as reserved, with an event of version 0.
        charged: Vec<ReservationId>,
        /// Were never sent: slot and money given back, no event. Their place in the rate window stays taken.
        released: Vec<ReservationId>,
    },
    /// Not open: nothing swept.
    NotReady,
}

impl Call for Sweep<'_> {
    type Answer = SweepAnswer;

    fn script(&self) -> Script {
        Script::Sweep
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut argv = Argv::new();
        argv.key(&redis_key::ready(p));
        argv.key(&redis_key::deadlines(p));
        argv.key(&redis_key::spend(p));
        argv.key(&redis_key::beat(p));
        for id in self.ids {
            argv.key(&redis_key::reservation(p, id));
            argv.text(&id.to_string());
        }
        argv.finish(Script::Sweep, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<SweepAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        match word {
            b"ok" => {
                let (now_ms, charged) = (fields.number()?, fields.number()?);
                Ok(SweepAnswer::Done {
                    now_ms,
                    charged: fields.ids(charged)?,
                    released: fields.rest_ids()?,
                })
            }
            b"not_ready" => fields.end().map(|()| SweepAnswer::NotReady),
            _ => Err(ScriptError::Malformed),
        }
    }
}

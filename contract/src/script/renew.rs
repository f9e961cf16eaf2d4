//! Renewal of live reservations.

use super::argv::Argv;
use super::reply;
use super::{By, Call, MAX_TOKENS, ScopeLimits, Script, ScriptError};
use crate::id::ReservationId;
use crate::money::NanoUsd;
use crate::redis_key::{self, Partition};
use crate::resp::Reply;

/// Keeps live reservations alive, marks them as sent upstream, and re-creates those that Redis no longer knows, even over a limit.
/// Needs no open partition.
#[derive(Clone, Copy, Debug)]
pub struct Renew<'a> {
    /// The partition.
    pub partition: Partition,
    /// The worker (16 hex digits).
    pub worker: &'a str,
    /// The worker's highest settlement sequence in this partition that belongs to none of `items`: every item, once finished, gets a
    /// higher one. Where Redis has settled further than this, the call was overtaken by a settlement, and an unknown item may be a
    /// settled one: it is not re-created then.
    pub last_sequence: u64,
    /// The whole reservations, at most [`super::MAX_BATCH`]; may be empty (the beat counts).
    pub items: &'a [Renewal<'a>],
}

/// One live reservation, whole.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The reservation.
    pub id: ReservationId,
    /// Redis time of its admission, ms.
    pub admitted_ms: u64,
    /// Reserved tokens.
    pub tokens: u64,
    /// Reserved money.
    pub cost: NanoUsd,
    /// Scopes with the limits they were admitted under.
    pub scopes: &'a [ScopeLimits<'a>],
    /// What a sweep charges.
    pub body: &'a [u8],
}

/// What [`Renew`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewAnswer {
    /// Redis time, ms.
    pub now_ms: u64,
    /// The worker's last settled sequence that Redis knows.
    pub watermark: u64,
    /// Reservations that were swept or released meanwhile: they are not live any more. Settle them all the same.
    pub lost: Vec<ReservationId>,
}

impl Call for Renew<'_> {
    type Answer = RenewAnswer;

    fn script(&self) -> Script {
        Script::Renew
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut scopes: Vec<ScopeLimits<'_>> = Vec::new();
        let mut numbers = Vec::with_capacity(self.items.len());
        for item in self.items {
            let listed = item
                .scopes
                .iter()
                .map(|scope| number_of(&mut scopes, scope).to_string());
            numbers.push(listed.collect::<Vec<_>>().join(" "));
        }
        let mut argv = Argv::new();
        argv.key(&redis_key::deadlines(p));
        argv.key(&redis_key::beat(p));
        argv.key(&redis_key::watermarks(p));
        for item in self.items {
            argv.key(&redis_key::reservation(p, &item.id));
        }
        for scope in &scopes {
            argv.key(&redis_key::scope(p, scope.id));
        }
        for scope in &scopes {
            argv.key(&redis_key::segments(p, scope.id));
        }
        argv.text(self.worker);
        argv.number(self.last_sequence);
        argv.count(self.items.len());
        argv.count(scopes.len());
        for scope in &scopes {
            let rated = scope.limits.rpm.is_some() || scope.limits.tpm.is_some();
            argv.text(if rated { "1" } else { "0" });
        }
        for (item, numbers) in self.items.iter().zip(&numbers) {
            argv.text(&item.id.to_string());
            argv.number(item.admitted_ms);
            argv.number(item.tokens.min(MAX_TOKENS));
            argv.number(item.cost.get());
            argv.text(numbers);
            argv.bytes(item.body);
        }
        argv.finish(Script::Renew, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<RenewAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        if word != b"ok" {
            return Err(ScriptError::Malformed);
        }
        Ok(RenewAnswer {
            now_ms: fields.number()?,
            watermark: fields.number()?,
            lost: fields.rest_ids()?,
        })
    }
}

/// The scope's number, from 1, in the list of distinct scopes; of two sets of limits for one scope the later counts.
fn number_of<'a>(scopes: &mut Vec<ScopeLimits<'a>>, scope: &ScopeLimits<'a>) -> usize {
    let mut numbered = scopes.iter_mut().zip(1..);
    if let Some((known, number)) = numbered.find(|(known, _)| known.id == scope.id) {
        known.limits = scope.limits;
        number
    } else {
        scopes.push(*scope);
        scopes.len()
    }
}

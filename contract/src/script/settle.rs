//! Settlement of finished requests: what was held becomes what was spent, and the ledger gets its event.

use super::argv::{Argv, window};
use super::reply;
use super::{By, Call, MAX_TOKENS, Script, ScriptError};
use crate::id::ReservationId;
use crate::money::NanoUsd;
use crate::redis_key::{self, Partition, RecordId};
use crate::resp::Reply;
use crate::window::BudgetWindow;

/// A scope as a settlement names it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeWindow<'a> {
    /// The scope.
    pub id: &'a RecordId,
    /// Its budget window; `None` where it has no budget. Used only for a scope that no admission has given a window since Redis lost
    /// it: else the window of the last admission decides, which saw the current record.
    pub window: Option<&'a BudgetWindow>,
}

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// The reservation.
    pub id: ReservationId,
    /// Redis time of its admission, ms.
    pub admitted_ms: u64,
    /// LLM tokens it used.
    pub tokens: u64,
    /// What it cost.
    pub cost: NanoUsd,
    /// Its scopes, as admitted.
    pub scopes: &'a [ScopeWindow<'a>],
    /// [`crate::spend_event::SpendBody`] as JSON.
    pub body: &'a [u8],
}

/// Settles a batch: held → spent, tokens corrected, slot freed, event written. A repeat changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Settle<'a> {
    /// The partition.
    pub partition: Partition,
    /// P as configured.
    pub partitions: u16,
    /// The worker (16 hex digits).
    pub worker: &'a str,
    /// Sequence of the first item; the others follow without a gap. Starts at 1.
    pub first_sequence: u64,
    /// At most [`super::MAX_BATCH`].
    pub items: &'a [Settlement<'a>],
}

/// What [`Settle`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleAnswer {
    /// Everything up to `watermark` is settled.
    Done {
        /// Redis time, ms.
        now_ms: u64,
        /// The worker's last settled sequence after the call. Below `first_sequence + items − 1` where `first_sequence` left a gap:
        /// nothing was applied then, re-send from `watermark + 1`; a worker that no longer has that item goes on under a new worker
        /// id, from sequence 1.
        watermark: u64,
    },
    /// Not open; keep the items.
    NotReady,
}

impl Call for Settle<'_> {
    type Answer = SettleAnswer;

    fn script(&self) -> Script {
        Script::Settle
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut scopes: Vec<ScopeWindow<'_>> = Vec::new();
        let mut numbers = Vec::with_capacity(self.items.len());
        for item in self.items {
            let listed = item
                .scopes
                .iter()
                .map(|scope| number_of(&mut scopes, scope).to_string());
            numbers.push(listed.collect::<Vec<_>>().join(" "));
        }
        let mut argv = Argv::new();
        argv.key(&redis_key::ready(p));
        for item in self.items {
            argv.key(&redis_key::reservation(p, &item.id));
        }
        for scope in &scopes {
            argv.key(&redis_key::scope(p, scope.id));
        }
        for scope in &scopes {
            argv.key(&redis_key::segments(p, scope.id));
        }
        argv.key(&redis_key::deadlines(p));
        argv.key(&redis_key::spend(p));
        argv.key(&redis_key::watermarks(p));
        argv.partitions(self.partitions);
        argv.text(self.worker);
        argv.number(self.first_sequence);
        argv.count(self.items.len());
        argv.count(scopes.len());
        for scope in &scopes {
            argv.text(&window(scope.window));
        }
        for (item, numbers) in self.items.iter().zip(&numbers) {
            argv.text(&item.id.to_string());
            argv.number(item.admitted_ms);
            argv.number(item.tokens.min(MAX_TOKENS));
            argv.number(item.cost.get());
            argv.text(numbers);
            argv.bytes(item.body);
        }
        argv.finish(Script::Settle, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<SettleAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        let answer = match word {
            b"ok" => SettleAnswer::Done {
                now_ms: fields.number()?,
                watermark: fields.number()?,
            },
            b"not_ready" => SettleAnswer::NotReady,
            _ => return Err(ScriptError::Malformed),
        };
        fields.end()?;
        Ok(answer)
    }
}

/// The scope's number, from 1, in the list of distinct scopes; of two windows for one scope the later counts.
fn number_of<'a>(scopes: &mut Vec<ScopeWindow<'a>>, scope: &ScopeWindow<'a>) -> usize {
    let mut numbered = scopes.iter_mut().zip(1..);
    if let Some((known, number)) = numbered.find(|(known, _)| known.id == scope.id) {
        known.window = scope.window;
        number
    } else {
        scopes.push(*scope);
        scopes.len()
    }
}

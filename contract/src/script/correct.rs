//! Taking back what a scope has spent: an administrator's reset.

use super::argv::Argv;
use super::reply;
use super::{By, Call, Script, ScriptError};
use crate::money::NanoUsd;
use crate::redis_key::{self, Partition, RecordId};
use crate::resp::Reply;

/// The name under which [`Correct`]s are numbered, beside the workers' in a partition's watermarks.
pub const CORRECTIONS: &str = "corrections";

/// Lowers what a scope has spent in one budget window; nothing where that window is over. The ledger decides the amount and numbers its
/// corrections in each partition from 1; each has its effect once, in their order, whatever is spent or in flight meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Correct<'a> {
    /// The partition.
    pub partition: Partition,
    /// The scope.
    pub scope: &'a RecordId,
    /// The correction's number.
    pub sequence: u64,
    /// [`crate::window::BudgetWindow::start`] of the window.
    pub window_start_ms: u64,
    /// By how much.
    pub amount: NanoUsd,
}

/// What [`Correct`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectAnswer {
    /// The partition is not open.
    NotReady,
    /// It has had its effect, now or before.
    Done,
    /// Corrections after this number are missing: nothing was done.
    Gap(u64),
}

impl Call for Correct<'_> {
    type Answer = CorrectAnswer;

    fn script(&self) -> Script {
        Script::Correct
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut argv = Argv::new();
        argv.key(&redis_key::ready(p));
        argv.key(&redis_key::watermarks(p));
        argv.key(&redis_key::scope(p, self.scope));
        argv.key(&redis_key::segments(p, self.scope));
        argv.text(CORRECTIONS);
        argv.number(self.sequence);
        argv.number(self.window_start_ms);
        argv.number(self.amount.get());
        argv.finish(Script::Correct, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<CorrectAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        let answer = match word {
            b"not_ready" => CorrectAnswer::NotReady,
            b"ok" => {
                fields.number()?;
                CorrectAnswer::Done
            }
            b"gap" => CorrectAnswer::Gap(fields.number()?),
            _ => return Err(ScriptError::Malformed),
        };
        fields.end()?;
        Ok(answer)
    }
}

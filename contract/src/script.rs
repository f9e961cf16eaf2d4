//! The scripts that change the ledger in Redis: typed calls in, typed replies out. The Lua is in `lua/`; the same rules in Rust are in
//! [`crate::model`]. One suite runs against both.
//!
//! A call encodes itself as EVALSHA, or as EVAL after a `NOSCRIPT` error. Numbers travel as decimal text, never through cjson. Every
//! script is safe to repeat: a reply may be lost after the script ran.

mod admit;
mod argv;
mod correct;
mod look_up;
mod put;
mod release;
mod renew;
mod reply;
mod restore;
mod settle;
mod source;
mod sweep;

pub use admit::{Admit, AdmitAnswer, Remaining};
pub use correct::{CORRECTIONS, Correct, CorrectAnswer};
pub use look_up::{Found, LookUp};
pub use put::{Open, Put};
pub use release::{Release, ReleaseAnswer};
pub use renew::{Renew, RenewAnswer, Renewal};
pub use restore::{Load, LoadAnswer, LoadScope};
pub use settle::{ScopeWindow, Settle, SettleAnswer, Settlement};
pub use source::{Script, all};
pub use sweep::{Sweep, SweepAnswer};

use crate::limits::Limits;
use crate::redis_key::RecordId;
use crate::resp::Reply;

/// How long a reservation lives without renewal, ms.
pub const LEASE_MS: u64 = 30_000;
/// A reservation past its deadline expires only if its partition saw a renewal this recently, ms.
pub const BEAT_MS: u64 = 15_000;
/// How long a released id is remembered, ms.
pub const RELEASED_MS: u64 = 60_000;
/// How long a swept id and what it was charged is remembered, ms: a later settlement corrects the charge.
pub const SWEPT_MS: u64 = 86_400_000;
/// Longest rate segment, ms: admissions this close together leave the rate window together.
pub const SEGMENT_MS: u64 = 250;
/// Longest [`Admit::travel_ms`] that a configuration may choose. Rate windows restored by [`Load`] and [`Renew`] count on it.
pub const MAX_TRAVEL_MS: u64 = 5_000;
/// Most tokens that one request reserves or settles; larger numbers count as this. Sums of a minute stay exact in Lua's doubles.
pub const MAX_TOKENS: u64 = 1 << 40;
/// Most ids or items in one [`Settle`], [`Release`], [`Renew`] or [`Sweep`].
pub const MAX_BATCH: usize = 64;

/// How to name the script in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// EVALSHA.
    Hash,
    /// EVAL with the source: after `NOSCRIPT`.
    Source,
}

/// A call of a script.
pub trait Call {
    /// What the reply means.
    type Answer;
    /// The script.
    fn script(&self) -> Script;
    /// Appends the command in RESP.
    fn encode(&self, by: By, out: &mut Vec<u8>);
    /// Reads the reply.
    fn decode(&self, reply: &Reply) -> Result<Self::Answer, ScriptError>;
}

/// Why a reply is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptError {
    /// Redis does not know the script: repeat with [`By::Source`].
    NoScript,
    /// Redis answered an error (its text, e.g. `OOM …`).
    Redis(String),
    /// The reply does not have the script's shape.
    Malformed,
}

/// A scope as an admission or renewal names it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeLimits<'a> {
    /// The scope.
    pub id: &'a RecordId,
    /// Its limits, from exactly the revision sent along.
    pub limits: &'a Limits,
}

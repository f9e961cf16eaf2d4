//! Restoring what the ledger knows into a partition that lost its state.

use super::argv::Argv;
use super::reply;
use super::{By, Call, MAX_TOKENS, MAX_TRAVEL_MS, SEGMENT_MS, Script, ScriptError};
use crate::money::NanoUsd;
use crate::redis_key::{self, Partition, RecordId};
use crate::resp::Reply;
use crate::window::RATE_WINDOW_MS;

/// Restores ledger state into a partition that is not open; refused once it is. A repeat for the same scopes replaces the earlier call.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The partition.
    pub partition: Partition,
    /// Scopes, at most 200 a call.
    pub scopes: &'a [LoadScope<'a>],
    /// Worker → last settled sequence.
    pub watermarks: &'a [(String, u64)],
}

/// What a scope had used before a wipe. Replaces spent, and what an earlier [`Load`] put into the rate window; slots, held money and the
/// rate window's share of live reservations come back by renewal, before or after.
#[derive(Clone, Copy, Debug)]
pub struct LoadScope<'a> {
    /// The scope.
    pub id: &'a RecordId,
    /// Spent in the window that began at `window_start_ms`.
    pub spent: NanoUsd,
    /// [`crate::window::BudgetWindow::start`] of the window.
    pub window_start_ms: u64,
    /// Admissions of the last minute: Redis time (ms, ascending), requests, tokens.
    pub recent: &'a [(u64, u32, u64)],
}

/// What [`Load`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadAnswer {
    /// Everything was written.
    Loaded,
    /// The partition is open: nothing was written.
    AlreadyOpen,
}

impl Call for Load<'_> {
    type Answer = LoadAnswer;

    fn script(&self) -> Script {
        Script::Load
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut argv = Argv::new();
        argv.key(&redis_key::ready(p));
        argv.key(&redis_key::watermarks(p));
        for scope in self.scopes {
            argv.key(&redis_key::scope(p, scope.id));
        }
        for scope in self.scopes {
            argv.key(&redis_key::segments(p, scope.id));
        }
        argv.count(self.scopes.len());
        for scope in self.scopes {
            argv.number(scope.spent.get());
            argv.number(scope.window_start_ms);
            argv.bytes(&segments(scope.recent));
        }
        for (worker, sequence) in self.watermarks {
            argv.text(worker);
            argv.number(*sequence);
        }
        argv.finish(Script::Load, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<LoadAnswer, ScriptError> {
        let (word, fields) = reply::open(reply)?;
        fields.end()?;
        match word {
            b"ok" => Ok(LoadAnswer::Loaded),
            b"open" => Ok(LoadAnswer::AlreadyOpen),
            _ => Err(ScriptError::Malformed),
        }
    }
}

/// Admissions as closed rate segments: when each leaves the window (6 bytes), requests (4), tokens (8), big-endian.
fn segments(recent: &[(u64, u32, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut open: Option<Segment> = None;
    for (at_ms, requests, tokens) in recent {
        let leaves_ms = at_ms
            .saturating_add(RATE_WINDOW_MS)
            .saturating_add(MAX_TRAVEL_MS);
        let tokens = (*tokens).min(MAX_TOKENS);
        match &mut open {
            Some(segment) if at_ms.saturating_sub(segment.start_ms) < SEGMENT_MS => {
                segment.leaves_ms = segment.leaves_ms.max(leaves_ms);
                segment.requests = segment.requests.saturating_add(*requests);
                segment.tokens = segment.tokens.saturating_add(tokens);
            }
            _ => {
                let next = Segment {
                    start_ms: *at_ms,
                    leaves_ms,
                    requests: *requests,
                    tokens,
                };
                if let Some(closed) = open.replace(next) {
                    closed.write(&mut out);
                }
            }
        }
    }
    if let Some(last) = open {
        last.write(&mut out);
    }
    out
}

struct Segment {
    start_ms: u64,
    leaves_ms: u64,
    requests: u32,
    tokens: u64,
}

impl Segment {
    fn write(&self, out: &mut Vec<u8>) {
        let [_, _, leaves @ ..] = self.leaves_ms.to_be_bytes();
        out.extend_from_slice(&leaves);
        out.extend_from_slice(&self.requests.to_be_bytes());
        out.extend_from_slice(&self.tokens.to_be_bytes());
    }
}

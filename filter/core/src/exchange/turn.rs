//! One step of an exchange: the worker, the moment, and the effects so far.

use contract::resp::{Reply, encode_command};

use super::refusal::{Refusal, Unavailable};
use super::reply;
use super::state::{Request, State};
use crate::clock::Now;
use crate::effect::{Effect, Level};
use crate::event::{CallId, StoreFailure};
use crate::metric::Metric;
use crate::worker::Worker;

/// Calls to Redis that one request may make before it is given up: changes of records cannot keep it going for ever.
const MOST_CALLS: u32 = 12;

/// What a step works with.
pub(crate) struct Turn<'a> {
    pub worker: &'a mut Worker,
    pub now: Now,
    pub effects: Vec<Effect>,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub call: CallId,
    pub sent: Now,
    pub timeout_ms: u64,
}

/// The outcome of a call.
pub(crate) type Outcome<'a> = Result<&'a [Reply], StoreFailure>;

impl Turn<'_> {
    /// Sends commands to Redis, unless the request has used up its calls or its patience.
    pub(crate) fn call(
        &mut self,
        request: &mut Request,
        commands: Vec<u8>,
        replies: usize,
    ) -> Result<Pending, Unavailable> {
        let timeout = self.worker.config().redis_timeout_ms;
        // All of a request's calls together may take half as long again as one: a hung Redis is answered in time on the cold path too.
        let patience = timeout
            .saturating_add(timeout / 2)
            .saturating_sub(request.waited_ms);
        if request.calls >= MOST_CALLS || patience == 0 {
            return Err(Unavailable::TooManyTries);
        }
        request.calls = request.calls.saturating_add(1);
        let pending = Pending {
            call: CallId(request.calls),
            sent: self.now,
            timeout_ms: timeout.min(patience),
        };
        self.effects.push(Effect::Measure(Metric::RedisCalls, 1));
        self.effects.push(Effect::CallRedis {
            call: pending.call,
            commands,
            replies,
            timeout_ms: pending.timeout_ms,
        });
        Ok(pending)
    }

    /// Accounts for an outcome; the replies, if there are as many as commands. Whoever understands them says so to the worker.
    pub(crate) fn arrived<'a>(
        &mut self,
        request: &mut Request,
        pending: Pending,
        outcome: Outcome<'a>,
        commands: usize,
    ) -> Result<&'a [Reply], StoreFailure> {
        let took = self.now.since(pending.sent);
        request.waited_ms = request.waited_ms.saturating_add(took);
        let shown = i64::try_from(took).unwrap_or(i64::MAX);
        self.effects
            .push(Effect::Measure(Metric::RedisLatency, shown));
        let outcome = outcome.and_then(|replies| {
            if replies.len() == commands {
                Ok(replies)
            } else {
                Err(StoreFailure::Malformed)
            }
        });
        if outcome.is_err() {
            self.store_failed();
        }
        outcome
    }

    /// Redis failed, or answered what is no answer.
    pub(crate) fn store_failed(&mut self) {
        self.worker.store_failed(self.now, &mut self.effects);
    }

    /// Redis's clock as far as known, else Envoy's.
    pub(crate) fn redis_ms(&self) -> u64 {
        self.worker.redis_time(self.now).unwrap_or(self.now.0)
    }

    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> State {
        reply::refuse(refusal, &mut self.effects);
        State::Over
    }

    pub(crate) fn unavailable(&mut self, why: Unavailable) -> State {
        self.refuse(&Refusal::Unavailable(why))
    }

    pub(crate) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.effects.push(Effect::Log(level, text.into()));
    }
}

/// Appends `MGET` of `names`.
pub(crate) fn mget(out: &mut Vec<u8>, names: &[&str]) {
    let mut args: Vec<&[u8]> = vec![b"MGET"];
    args.extend(names.iter().map(|name| name.as_bytes()));
    encode_command(out, &args);
}

/// The values of an `MGET` of `N` names.
pub(crate) fn values<const N: usize>(reply: &Reply) -> Option<[Option<&[u8]>; N]> {
    let Reply::Array(Some(items)) = reply else {
        return None;
    };
    let values: Option<Vec<_>> = items
        .iter()
        .map(|item| match item {
            Reply::Bulk(value) => Some(value.as_deref()),
            _ => None,
        })
        .collect();
    values?.try_into().ok()
}

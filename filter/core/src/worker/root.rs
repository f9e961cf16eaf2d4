//! The root context's calls to Redis: flushes and renewals, and what their answers change.

use contract::id::ReservationId;
use contract::redis_key::Partition;
use contract::resp::Reply;
use contract::script::By;

use super::{Worker, report_lost};
use crate::clock::Now;
use crate::effect::{Effect, Level};
use crate::event::{CallId, StoreFailure};
use crate::metric::Metric;
use crate::outbox::{Batch, Verdict};

/// A call whose outcome Envoy still owes after this many time-outs never comes.
const OVERDUE: u64 = 10;

/// A call under way.
pub(super) struct RootCall {
    partition: Partition,
    sent: Now,
    what: What,
}

enum What {
    Flush(Batch),
    Renew(Round),
}

/// A call of a renewal round.
struct Round {
    commands: Vec<Vec<ReservationId>>,
    by: By,
    /// Acknowledged when it was sent.
    acknowledged: u64,
}

/// A call's outcome.
#[derive(Clone, Copy)]
struct Arrived<'a> {
    call: CallId,
    partition: Partition,
    sent: Now,
    now: Now,
    outcome: Result<&'a [Reply], StoreFailure>,
}

impl<'a> Arrived<'a> {
    /// The replies, if there is one for each command.
    fn replies(&self, commands: usize) -> Option<&'a [Reply]> {
        self.outcome
            .ok()
            .filter(|replies| replies.len() == commands)
    }
}

impl RootCall {
    pub(super) const fn flush(partition: Partition, batch: Batch, sent: Now) -> Self {
        Self {
            partition,
            sent,
            what: What::Flush(batch),
        }
    }
}

impl Worker {
    /// Sends what waits for `partition`, unless a flush is under way or was put off.
    pub(super) fn flush(&mut self, partition: Partition, now: Now, effects: &mut Vec<Effect>) {
        if let Some(home) = self.homes.get_mut(&partition) {
            home.settle_due(now);
            home.outbox.trim(now);
            if home.can_flush(now) {
                self.send_flush(partition, By::Hash, now, effects);
            }
        }
    }

    fn send_flush(&mut self, partition: Partition, by: By, now: Now, effects: &mut Vec<Effect>) {
        let call = self.new_call();
        let Some(home) = self.homes.get_mut(&partition) else {
            return;
        };
        let mut commands = Vec::new();
        if let Some(batch) = home.outbox.batch(by, &mut commands) {
            home.flushing = Some(call);
            let replies = batch.commands();
            self.send(
                call,
                commands,
                replies,
                RootCall::flush(partition, batch, now),
                effects,
            );
        }
    }

    /// Renews what is due; with `probe` in any case, to learn whether Redis is back.
    pub(super) fn renew(
        &mut self,
        partition: Partition,
        probe: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let closed = self.breaker.is_closed();
        let Some(home) = self.homes.get_mut(&partition) else {
            return;
        };
        if home.renewing.is_none() && (probe || (closed && home.renewals.is_due(now))) {
            self.send_renewal(partition, By::Hash, now, effects);
        }
    }

    fn send_renewal(&mut self, partition: Partition, by: By, now: Now, effects: &mut Vec<Effect>) {
        let call = self.new_call();
        let Some(home) = self.homes.get_mut(&partition) else {
            return;
        };
        let mut out = Vec::new();
        let (worker, last) = (home.outbox.worker(), home.outbox.last());
        let commands = home.renewals.call(by, worker, last, now, &mut out);
        home.renewing = Some(call);
        let (replies, acknowledged) = (commands.len(), home.outbox.acknowledged());
        let what = What::Renew(Round {
            commands,
            by,
            acknowledged,
        });
        self.send(
            call,
            out,
            replies,
            RootCall {
                partition,
                sent: now,
                what,
            },
            effects,
        );
    }

    fn send(
        &mut self,
        call: CallId,
        commands: Vec<u8>,
        replies: usize,
        root: RootCall,
        effects: &mut Vec<Effect>,
    ) {
        self.calls.insert(call, root);
        effects.push(Effect::Measure(Metric::RedisCalls, 1));
        let timeout_ms = self.config.redis_timeout_ms;
        effects.push(Effect::CallRedis {
            call,
            commands,
            replies,
            timeout_ms,
        });
    }

    pub(super) fn new_call(&mut self) -> CallId {
        self.next_call = self.next_call.wrapping_add(1);
        CallId(self.next_call)
    }

    /// Takes a call's outcome.
    pub(super) fn root_answered(
        &mut self,
        call: CallId,
        root: RootCall,
        outcome: Result<&[Reply], StoreFailure>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let took = i64::try_from(now.since(root.sent)).unwrap_or(i64::MAX);
        effects.push(Effect::Measure(Metric::RedisLatency, took));
        let RootCall {
            partition,
            sent,
            what,
        } = root;
        let arrived = Arrived {
            call,
            partition,
            sent,
            now,
            outcome,
        };
        match what {
            What::Flush(batch) => self.flushed(arrived, batch, effects),
            What::Renew(round) => self.renewed(arrived, round, effects),
        }
    }

    fn flushed(&mut self, arrived: Arrived<'_>, batch: Batch, effects: &mut Vec<Effect>) {
        let Arrived {
            call,
            partition,
            sent,
            now,
            ..
        } = arrived;
        let Some(home) = self.homes.get_mut(&partition) else {
            return;
        };
        if home.flushing == Some(call) {
            home.flushing = None;
        }
        let Some(replies) = arrived.replies(batch.commands()) else {
            home.outbox.failed(batch);
            home.flush_failed(now);
            return self.store_failed(now, effects);
        };
        let by = batch.by;
        let result = home.outbox.answered(batch, replies, now);
        if let Some(redis_ms) = result.now_ms {
            self.clock.learn(sent, now, redis_ms);
        }
        report_lost(result.lost, effects);
        if result.gap {
            self.names = self.names.wrapping_add(1);
            home.outbox.rename(self.ids.worker(self.names, now));
            let text = "Redis lost more settlements than are kept: going on under a new worker id";
            effects.push(Effect::Log(Level::Error, text.to_owned()));
        }
        match result.verdict {
            Verdict::Failed(error) => {
                home.flush_failed(now);
                effects.push(Effect::Log(
                    Level::Warn,
                    format!("settling failed: {error}"),
                ));
                self.store_failed(now, effects);
            }
            Verdict::NoScript if by == By::Hash => {
                self.send_flush(partition, By::Source, now, effects);
            }
            Verdict::NoScript => {
                home.flush_failed(now);
                self.store_failed(now, effects);
            }
            Verdict::NotReady => {
                home.hurry_renewal(now);
                home.flush_failed(now);
            }
            Verdict::Incomplete if !result.gap => home.flush_failed(now),
            Verdict::Incomplete | Verdict::Complete => {
                home.flush_done();
                self.breaker.answered();
                if home.outbox.is_urgent() && home.can_flush(now) {
                    self.send_flush(partition, By::Hash, now, effects);
                }
            }
        }
    }

    /// A call that was never made, or of which nobody will hear: its settlements and releases wait again.
    pub(super) fn unsent(&mut self, call: CallId, root: RootCall) {
        if let Some(home) = self.homes.get_mut(&root.partition)
            && let What::Flush(batch) = root.what
        {
            if home.flushing == Some(call) {
                home.flushing = None;
            }
            home.outbox.failed(batch);
        }
    }

    fn renewed(&mut self, arrived: Arrived<'_>, round: Round, effects: &mut Vec<Effect>) {
        let Arrived {
            call,
            partition,
            sent,
            now,
            ..
        } = arrived;
        let Some(home) = self.homes.get_mut(&partition) else {
            return;
        };
        if home.renewing == Some(call) {
            home.renewing = None;
        }
        let Some(replies) = arrived.replies(round.commands.len()) else {
            home.renewals.failed(round.commands, now);
            return self.store_failed(now, effects);
        };
        let result = home.renewals.answered(round.commands, replies, now);
        if let Some(redis_ms) = result.now_ms {
            self.clock.learn(sent, now, redis_ms);
        }
        if let Some(watermark) = result.watermark {
            let lost = home.outbox.observe(round.acknowledged, watermark, now);
            report_lost(lost, effects);
        }
        if let Some(error) = result.error {
            effects.push(Effect::Log(
                Level::Warn,
                format!("renewing failed: {error}"),
            ));
            self.store_failed(now, effects);
        } else if result.no_script && round.by == By::Hash {
            self.send_renewal(partition, By::Source, now, effects);
        } else if result.no_script {
            home.renewals.failed(Vec::new(), now);
            self.store_failed(now, effects);
        } else if result.round_complete {
            home.lost = false;
            if !self.breaker.is_closed() {
                let text = "Redis answers again and knows every live reservation";
                effects.push(Effect::Log(Level::Info, text.to_owned()));
                self.breaker.close();
            }
            self.breaker.answered();
        } else if result.young_done && self.breaker.is_closed() {
            self.breaker.answered();
        } else {
            self.send_renewal(partition, By::Hash, now, effects);
        }
    }

    /// Envoy owes every call an outcome; should one stay away, its obligations go on.
    pub(super) fn give_up_overdue(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let limit = self.config.redis_timeout_ms.saturating_mul(OVERDUE);
        let overdue: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, root)| now.since(root.sent) > limit)
            .map(|(call, _)| *call)
            .collect();
        for call in overdue {
            if let Some(root) = self.calls.remove(&call) {
                self.root_answered(call, root, Err(StoreFailure::Timeout), now, effects);
            }
        }
    }
}

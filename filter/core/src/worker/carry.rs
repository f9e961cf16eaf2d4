//! Settlements that travel ahead of an admission in the same call, so that a slot that is free counts as free at once.
//!
//! Decides what an admission takes along. Failure stance: whoever made the call may be gone before its answer; what travelled is then sent
//! again, which changes nothing where it had arrived.

use contract::redis_key::Partition;
use contract::resp::Reply;
use contract::script::By;

use super::Worker;
use super::root::RootCall;
use crate::clock::Now;
use crate::effect::Effect;
use crate::event::CallId;

/// What travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    /// The root's name for it.
    pub call: CallId,
    /// How many of the call's replies are its own: the first ones.
    pub replies: usize,
}

impl Worker {
    /// Appends what waits for `partition`, where somebody may wait for a slot of it, or in any case if it shall be `all`.
    pub(crate) fn carry(
        &mut self,
        partition: Partition,
        all: bool,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Option<Carried> {
        let call = self.new_call();
        let home = self.homes.get_mut(&partition)?;
        home.settle_due(now);
        if !self.breaker.is_closed() || !home.can_flush(now) || !(all || home.outbox.is_awaited()) {
            return None;
        }
        let batch = home.outbox.batch(By::Hash, out)?;
        home.flushing = Some(call);
        let replies = batch.commands();
        self.calls
            .insert(call, RootCall::flush(partition, batch, now));
        Some(Carried { call, replies })
    }

    /// Whether Redis may not have heard of something that is over: it waits, or it is under way and was overtaken.
    pub(crate) fn has_unsettled(&self, partition: Partition) -> bool {
        self.homes
            .get(&partition)
            .is_some_and(|home| home.outbox.waiting() > 0)
    }

    /// What travelled was answered. Calls that follow are the root's: it makes them at its next tick.
    pub(crate) fn carried(
        &mut self,
        call: CallId,
        replies: &[Reply],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        for effect in self.redis(now, call, Ok(replies)) {
            match effect {
                call @ Effect::CallRedis { .. } => self.owed.push(call),
                other => effects.push(other),
            }
        }
    }

    /// What travelled was not sent, or its answer is nobody's.
    pub(crate) fn drop_carried(&mut self, call: CallId) {
        if let Some(root) = self.calls.remove(&call) {
            self.unsent(call, root);
        }
    }
}

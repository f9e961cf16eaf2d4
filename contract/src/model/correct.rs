//! Taking back what a scope has spent.

use super::Model;
use crate::script::{CORRECTIONS, Correct, CorrectAnswer};

impl Model {
    /// What Redis answers at `clock_ms`.
    pub fn correct(&mut self, clock_ms: u64, call: &Correct<'_>) -> CorrectAnswer {
        if !self.is_open(call.partition, None) {
            return CorrectAnswer::NotReady;
        }
        let done = self.watermark_of(CORRECTIONS);
        if call.sequence <= done {
            return CorrectAnswer::Done;
        }
        if call.sequence > done.saturating_add(1) {
            return CorrectAnswer::Gap(done);
        }
        self.watermarks
            .insert(CORRECTIONS.to_owned(), call.sequence);
        let Some(known) = self.scopes.get(call.scope) else {
            return CorrectAnswer::Done;
        };
        let mut scope = known.clone();
        let now_ms = clock_ms.max(scope.seen_ms);
        let window = scope.window.clone();
        scope.roll(window.as_ref(), now_ms);
        if scope.start_ms == call.window_start_ms {
            scope.recharge(call.amount.get(), 0);
            scope.seen_ms = now_ms;
            self.scopes.insert(call.scope.clone(), scope);
        }
        CorrectAnswer::Done
    }
}

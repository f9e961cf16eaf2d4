//! Publication, and restoring what the ledger knows.

use super::Model;
use super::rate_window::{Counted, Segment};
use crate::records::Ready;
use crate::script::{
    Load, LoadAnswer, LoadScope, MAX_TOKENS, MAX_TRAVEL_MS, Open, Put, SEGMENT_MS,
};
use crate::window::RATE_WINDOW_MS;

impl Model {
    /// How many values were written.
    pub fn put(&mut self, call: &Put<'_>) -> u64 {
        let mut written: u64 = 0;
        for (key, value) in call.values {
            let is_newer = self
                .values
                .get(key)
                .is_none_or(|old| old.get(..16) < value.get(..16));
            if is_newer {
                self.values.insert(key.clone(), value.clone());
                written = written.saturating_add(1);
            }
        }
        written
    }

    /// Whether the marker was written.
    pub fn open(&mut self, call: &Open<'_>) -> bool {
        let ready = match self.ready.get(call.key) {
            Some(old) if old.catalogue >= call.ready.catalogue => return false,
            Some(old) => Ready {
                catalogue: call.ready.catalogue,
                ..old.clone()
            },
            None => call.ready.clone(),
        };
        self.ready.insert(call.key.to_owned(), ready);
        true
    }

    /// What Redis answers at `clock_ms`.
    pub fn load(&mut self, clock_ms: u64, call: &Load<'_>) -> LoadAnswer {
        if self.is_open(call.partition, None) {
            return LoadAnswer::AlreadyOpen;
        }
        for loaded in call.scopes {
            let scope = self.scope(loaded.id);
            let now_ms = clock_ms.max(scope.seen_ms);
            scope.rate.restore(segments(loaded), now_ms);
            scope.spent = loaded.spent.get();
            scope.start_ms = loaded.window_start_ms;
            scope.next_ms = None;
            scope.window = None;
            scope.seen_ms = now_ms;
        }
        for (worker, sequence) in call.watermarks {
            self.watermarks.insert(worker.clone(), *sequence);
        }
        LoadAnswer::Loaded
    }
}

fn segments(loaded: &LoadScope<'_>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (at_ms, requests, tokens) in loaded.recent {
        let leaves_ms = at_ms
            .saturating_add(RATE_WINDOW_MS)
            .saturating_add(MAX_TRAVEL_MS);
        let joins = |segment: &&mut Segment| at_ms.saturating_sub(segment.opened_ms) < SEGMENT_MS;
        let counted = Counted {
            place: None,
            requests: u64::from(*requests),
            tokens: (*tokens).min(MAX_TOKENS),
        };
        match segments.last_mut().filter(joins) {
            Some(segment) => {
                segment.leaves_ms = segment.leaves_ms.max(leaves_ms);
                segment.counted.push(counted);
            }
            None => segments.push(Segment {
                opened_ms: *at_ms,
                leaves_ms,
                restored: true,
                counted: vec![counted],
            }),
        }
    }
    segments
}

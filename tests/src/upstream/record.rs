//! What the scripted upstream saw: one [`Call`] for every request, kept as the truth that limits and spend are judged by.
//!
//! The record is bounded: beyond [`Records::MOST`] calls the oldest finished ones go.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tokio::sync::watch;

use crate::clock;

/// How a call ended, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The answer is still being written.
    Running,
    /// The whole answer was handed to the connection.
    Finished,
    /// The other side went away first.
    Aborted,
    /// The upstream closed the connection on purpose.
    Reset,
}

/// Token counts that an answer reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// Prompt tokens.
    pub prompt: u64,
    /// Completion tokens.
    pub completion: u64,
}

/// One request as the upstream saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Number of the call, from 1.
    pub number: u64,
    /// The `tag=` of its script.
    pub tag: Option<String>,
    /// Milliseconds since the epoch at which its head arrived, by this machine's clock.
    pub arrived_ms: u64,
    /// Milliseconds since the epoch at which it ended.
    pub ended_ms: Option<u64>,
    /// Redis time of its admission, where the gateway was told to add it.
    pub admitted_ms: Option<u64>,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The model named in the body.
    pub model: Option<String>,
    /// Headers in order; bytes that are no UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, at most the first 64 KiB.
    pub body: String,
    /// Status that was answered; 0 where none was.
    pub status: u16,
    /// The id that the answer carries.
    pub response_id: Option<String>,
    /// Bytes of the answer's body handed to the connection.
    pub bytes_sent: u64,
    /// Content chunks (streams) handed to the connection.
    pub chunks_sent: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What its answer reported, once it did.
    pub usage: Option<Reported>,
}

impl Call {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

/// All calls, and the names that tests hold answers by.
#[derive(Debug)]
pub struct Records {
    calls: Mutex<State>,
    changes: watch::Sender<u64>,
    holds: Mutex<HashMap<String, watch::Sender<bool>>>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    calls: VecDeque<Call>,
    open: HashMap<String, Open>,
}

/// How many calls of one tag are open, and the most that ever were.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    now: usize,
    most: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            changes: watch::Sender::new(0),
            holds: Mutex::default(),
        }
    }
}

impl Records {
    /// Most calls that are kept.
    pub const MOST: usize = 200_000;

    fn state(&self) -> MutexGuard<'_, State> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call and gives its number.
    pub fn open(&self, mut call: Call) -> u64 {
        let mut state = self.state();
        state.last += 1;
        call.number = state.last;
        while state.calls.len() >= Self::MOST {
            state.calls.pop_front();
        }
        let number = call.number;
        if let Some(tag) = &call.tag {
            let open = state.open.entry(tag.clone()).or_default();
            open.now += 1;
            open.most = open.most.max(open.now);
        }
        state.calls.push_back(call);
        drop(state);
        self.changed();
        number
    }

    /// Changes a call that is still kept.
    pub fn update(&self, number: u64, change: impl FnOnce(&mut Call)) {
        let mut state = self.state();
        let at = state.calls.partition_point(|call| call.number < number);
        if let Some(call) = state.calls.get_mut(at).filter(|call| call.number == number) {
            change(call);
        }
        drop(state);
        self.changed();
    }

    /// Ends a call, unless it ended already.
    pub fn close(&self, number: u64, outcome: Outcome) {
        let now = clock::unix_ms();
        {
            let state = &mut *self.state();
            let at = state.calls.partition_point(|call| call.number < number);
            if let Some(call) = state
                .calls
                .get_mut(at)
                .filter(|call| call.number == number && call.outcome == Outcome::Running)
            {
                call.outcome = outcome;
                call.ended_ms = Some(now);
                if let Some(open) = call.tag.as_ref().and_then(|tag| state.open.get_mut(tag)) {
                    open.now = open.now.saturating_sub(1);
                }
            }
        }
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// Every call that is kept, oldest first.
    pub fn all(&self) -> Vec<Call> {
        self.state().calls.iter().cloned().collect()
    }

    /// Number of calls ever seen.
    pub fn seen(&self) -> u64 {
        self.state().last
    }

    /// The calls whose script has this tag, oldest first.
    pub fn tagged(&self, tag: &str) -> Vec<Call> {
        self.state()
            .calls
            .iter()
            .filter(|call| call.tag.as_deref() == Some(tag))
            .cloned()
            .collect()
    }

    /// The most calls with this tag that were ever open at once.
    pub fn most_at_once(&self, tag: &str) -> usize {
        self.state().open.get(tag).map_or(0, |open| open.most)
    }

    /// Waits until `done` accepts the tag's calls, and gives them.
    pub async fn until(
        &self,
        tag: &str,
        within: Duration,
        done: impl Fn(&[Call]) -> bool,
    ) -> Result<Vec<Call>> {
        let mut changes = self.changes.subscribe();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let calls = self.tagged(tag);
                if done(&calls) || changes.changed().await.is_err() {
                    return calls;
                }
            }
        };
        tokio::time::timeout(within, wait).await.map_err(|_| {
            anyhow!(
                "calls tagged {tag} are not as awaited after {within:?}: {:?}",
                self.tagged(tag)
            )
        })
    }

    fn gate(&self, name: &str) -> watch::Sender<bool> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds
            .entry(name.to_owned())
            .or_insert_with(|| watch::Sender::new(false))
            .clone()
    }

    /// Lets go every answer held by `name`, now and later.
    pub fn release(&self, name: &str) {
        self.gate(name).send_replace(true);
    }

    /// Waits until `name` is released.
    pub async fn held(&self, name: &str) {
        let mut gate = self.gate(name).subscribe();
        // The sender lives as long as the record does.
        let _ = gate.wait_for(|open| *open).await;
    }
}

/// The most of `times` (ms) that lie within any window of `window_ms`: two times belong to one window where they are less than
/// `window_ms` apart.
pub fn most_in_any_window(times: &[u64], window_ms: u64) -> usize {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, time) in sorted.iter().enumerate() {
        while time.saturating_sub(sorted[first]) >= window_ms {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_what_is_less_than_its_length_apart() {
        assert_eq!(most_in_any_window(&[0, 59_999, 60_000, 60_001], 60_000), 3);
        assert_eq!(most_in_any_window(&[0, 60_000], 60_000), 1);
        assert_eq!(most_in_any_window(&[], 60_000), 0);
    }
}

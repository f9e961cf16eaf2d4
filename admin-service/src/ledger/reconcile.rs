//! Whether the log, the sums, the totals and the counters in Redis agree, to the nano-dollar.
//!
//! 1. The rows of each day that the log still holds, against that day's sums.
//! 2. All rows (for organizations, customers and tags: all days' sums), with what rows that are no more were charged, against what each scope,
//!    key, customer and tag was ever charged.
//! 3. What each scope has spent in its window, with what still waits on the stream, against its counter in Redis.
//!
//! It reports and changes nothing. Failure stance: what could not be compared is an error, never agreement.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::redis_key::{self, Partition};
use contract::resp::Reply;
use tokio::sync::watch;

use super::drain::{DrainError, Ledger, prior};
use super::{LEASE as DRAIN_LEASE, batch, stream};
use crate::publish::{LinkError, record_id, refuse_error};
use crate::store::outbox::Kind;
use crate::store::spend::{
    Difference, Lease, ScopeKey, ScopeState, compare_day, compare_totals, compared_days,
    hold_lease, scopes_after, windows_of,
};
use crate::store::{Change, Tx};

/// The name of the lease whose holder compares.
const LEASE: &str = "reconcile";
/// How often it is compared.
const EVERY: Duration = Duration::from_hours(24);
/// The first time after a start, and the pause after a failure.
const SOON: Duration = Duration::from_mins(10);
/// After this a counter that differs is looked at again.
const AGAIN: Duration = Duration::from_secs(2);
/// Scopes of one look at Redis.
const SCOPES: u32 = 500;
/// Entries of the stream that a look takes into account; a longer stream is drained first.
const MOST_WAITING: usize = 5_000;

impl Ledger {
    /// Compares once a day, one of several services, until `stop` becomes true. Differences go to the log and the health report.
    pub async fn watch_agreement(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = SOON;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            pause = match self.claim_comparison().await {
                Ok(false) => SOON,
                Ok(true) => match self.reconcile().await {
                    Ok(_) => EVERY,
                    Err(error) => {
                        tracing::warn!(%error, "the ledger could not be compared");
                        SOON
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "the ledger could not be compared");
                    SOON
                }
            };
        }
    }

    async fn claim_comparison(&self) -> Result<bool, DrainError> {
        let lease = Lease {
            name: LEASE,
            holder: self.holder.clone(),
            for_us: u64::try_from(EVERY.as_micros()).unwrap_or(u64::MAX),
        };
        Ok(self.store.write(&Claim(lease)).await?.value)
    }

    /// Compares everything now; logs and answers what differs.
    pub async fn reconcile(&self) -> Result<Vec<Difference>, DrainError> {
        let mut all = compare_totals(&self.store).await?;
        for day in compared_days(&self.store).await? {
            all.extend(compare_day(&self.store, &day).await?);
        }
        for partition in &self.partitions {
            all.extend(self.compare_counters(*partition).await?);
        }
        for difference in &all {
            tracing::error!(%difference, "the ledger does not agree with itself");
        }
        let now_us = self.store.clock().now_us();
        let differences = u64::try_from(all.len()).unwrap_or(u64::MAX);
        self.health.update(|report| {
            report.ledger_differences = Some(differences);
            report.ledger_compared_us = Some(now_us);
        });
        Ok(all)
    }

    /// Compares the counters of a partition with what the database says, part by part.
    async fn compare_counters(&self, partition: Partition) -> Result<Vec<Difference>, DrainError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let look = Look {
                ledger: self,
                partition,
                after: after.clone(),
            };
            let mut part = self.store.write(&look).await?.value;
            if !part.differences.is_empty() {
                // What was taken back a moment ago may still be on its way to Redis.
                tokio::time::sleep(AGAIN).await;
                part = self.store.write(&look).await?.value;
            }
            all.extend(part.differences);
            match part.last {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }
}

struct Claim(Lease);

impl Change for Claim {
    type Answer = bool;
    type Error = crate::store::StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<bool, Self::Error> {
        self.0.claim(tx).await
    }
}

/// One part of the scopes, while no drain is at work: Redis is asked for counters and stream at one moment.
struct Look<'a> {
    ledger: &'a Ledger,
    partition: Partition,
    after: Option<ScopeKey>,
}

#[derive(Default)]
struct Part {
    differences: Vec<Difference>,
    last: Option<ScopeKey>,
}

/// What a counter in Redis says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counter {
    spent: u64,
    window_start_ms: u64,
    next_ms: u64,
}

impl Change for Look<'_> {
    type Answer = Part;
    type Error = DrainError;

    async fn apply(&self, tx: &mut Tx) -> Result<Part, DrainError> {
        hold_lease(tx, DRAIN_LEASE).await?;
        let scopes = scopes_after(tx, self.partition, self.after.as_ref(), SCOPES).await?;
        let Some((last, _)) = scopes.last() else {
            return Ok(Part::default());
        };
        let last = Some(last.clone());
        let (now_ms, counters, waiting) = self.ask(&scopes).await?;
        let rules = self.ledger.settings.now().windows.clone();
        let prior = prior(tx, &waiting, &rules).await?;
        let settled = batch::fold(&waiting, prior).scopes;
        let keys = scopes.iter().map(|(scope, _)| scope.clone());
        let windows = windows_of(tx, &keys.collect::<BTreeSet<_>>(), &rules).await?;
        let mut differences = Vec::new();
        for ((scope, state), counter) in scopes.iter().zip(counters) {
            // These are sums for reports; what of them Redis counts has a row of its own.
            if matches!(scope.kind, Kind::Organization | Kind::Customer) {
                continue;
            }
            let state = settled.get(scope).unwrap_or(state);
            let began_ms = windows.start(scope, now_ms);
            if let Some((expected, found)) = differ(state, counter, began_ms, now_ms) {
                differences.push(Difference {
                    between: "scopes and counters in Redis",
                    scope: format!("{} {:?}", scope.kind.as_str(), scope.object_id),
                    field: "spent",
                    expected,
                    found,
                });
            }
        }
        Ok(Part { differences, last })
    }
}

/// What differs between a scope and its counter: what was expected, and what was found.
fn differ(
    state: &ScopeState,
    counter: Option<Counter>,
    began_ms: u64,
    now_ms: u64,
) -> Option<(i64, i64)> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    // A window that is over counts as nothing spent, on either side: it is set to zero by whatever comes next.
    let ended = state.window_end_ms > 0 && state.window_end_ms <= now_ms;
    let expected = if state.window_start_ms < began_ms || ended {
        0
    } else {
        state.spent.get()
    };
    let found = match counter {
        None => 0,
        Some(counter) if counter.next_ms > 0 && counter.next_ms <= now_ms => 0,
        // The budget was given another window since the last admission: the next one begins it.
        Some(counter) if counter.window_start_ms < state.window_start_ms.max(began_ms) => {
            return None;
        }
        Some(counter) => counter.spent,
    };
    (expected != found).then(|| (signed(expected), signed(found)))
}

impl Look<'_> {
    /// The time, these scopes' counters, and all entries that wait, at one moment.
    async fn ask(
        &self,
        scopes: &[(ScopeKey, ScopeState)],
    ) -> Result<(u64, Vec<Option<Counter>>, Vec<stream::StreamEntry>), DrainError> {
        let mut names = Vec::new();
        for (scope, _) in scopes {
            let id = record_id(scope.kind, &scope.object_id)?;
            names.push(redis_key::scope(self.partition, &id));
        }
        let spend = redis_key::spend(self.partition);
        let most = (MOST_WAITING + 1).to_string();
        let mut get = vec![&b"MGET"[..]];
        get.extend(names.iter().map(String::as_bytes));
        let range = vec![
            &b"XRANGE"[..],
            spend.as_bytes(),
            b"-",
            b"+",
            b"COUNT",
            most.as_bytes(),
        ];
        let commands = [
            vec![&b"MULTI"[..]],
            vec![b"TIME"],
            get,
            range,
            vec![b"EXEC"],
        ];
        let mut replies = self.ledger.link.commands(&commands).await?;
        let done = replies.pop().ok_or(LinkError::Malformed("EXEC"))?;
        let Reply::Array(Some(parts)) = refuse_error(done)? else {
            return Err(LinkError::Malformed("EXEC").into());
        };
        let Ok([time, counters, waiting]) = <[Reply; 3]>::try_from(parts) else {
            return Err(LinkError::Malformed("EXEC").into());
        };
        let waiting = stream::entries(self.partition, waiting)?;
        if waiting.len() > MOST_WAITING {
            return Err(LinkError::Refused(
                "too many spend events wait to be compared; try again when they are drained"
                    .to_owned(),
            )
            .into());
        }
        let Reply::Array(Some(counters)) = refuse_error(counters)? else {
            return Err(LinkError::Malformed("MGET").into());
        };
        let counters = counters
            .iter()
            .map(counter)
            .collect::<Result<Vec<_>, _>>()?;
        if counters.len() != scopes.len() {
            return Err(LinkError::Malformed("MGET").into());
        }
        Ok((
            crate::publish::time_ms(&time).ok_or(LinkError::Malformed("TIME"))?,
            counters,
            waiting,
        ))
    }
}

/// Reads the beginning of a scope's header: seen, in flight, spent, held, start and end of the window.
fn counter(reply: &Reply) -> Result<Option<Counter>, LinkError> {
    match reply {
        Reply::Bulk(None) => Ok(None),
        Reply::Bulk(Some(bytes)) => read_counter(bytes)
            .map(Some)
            .ok_or(LinkError::Malformed("a scope")),
        _ => Err(LinkError::Malformed("MGET")),
    }
}

fn read_counter(bytes: &[u8]) -> Option<Counter> {
    let number = |from: usize, length: usize| {
        let bytes = bytes.get(from..from + length)?;
        Some(
            bytes
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)),
        )
    };
    Some(Counter {
        spent: number(10, 8)?,
        window_start_ms: number(26, 6)?,
        next_ms: number(32, 6)?,
    })
}

#[cfg(test)]
mod tests {
    use contract::money::NanoUsd;

    use super::*;

    fn state(spent: u64, window_start_ms: u64) -> ScopeState {
        ScopeState {
            window_start_ms,
            spent: NanoUsd::saturating(spent),
            total: NanoUsd::saturating(spent),
            ..ScopeState::default()
        }
    }

    fn differ_by(
        state: &ScopeState,
        counter: [u64; 3],
        began: u64,
        now: u64,
    ) -> Option<(i64, i64)> {
        let [spent, window_start_ms, next_ms] = counter;
        let counter = Counter {
            spent,
            window_start_ms,
            next_ms,
        };
        differ(state, Some(counter), began, now)
    }

    #[test]
    fn a_counter_agrees_only_with_what_its_window_spent() {
        assert_eq!(differ_by(&state(5, 0), [5, 0, 0], 0, 100), None);
        assert_eq!(differ_by(&state(5, 0), [6, 0, 0], 0, 100), Some((5, 6)));
        assert_eq!(differ(&state(5, 0), None, 0, 100), Some((5, 0)));
        let ended = ScopeState {
            window_end_ms: 100,
            ..state(5, 0)
        };
        assert_eq!(differ(&ended, None, 0, 99), Some((5, 0)));
        assert_eq!(differ(&ended, None, 0, 100), None);
        // The window is over on either side, or was begun by an admission that is not settled.
        assert_eq!(differ_by(&state(5, 10), [5, 10, 50], 50, 60), None);
        assert_eq!(differ_by(&state(5, 10), [0, 50, 90], 50, 60), None);
        assert_eq!(differ_by(&state(5, 10), [1, 50, 90], 50, 60), Some((0, 1)));
        assert_eq!(differ(&state(5, 10), None, 50, 60), None);
        // A budget that was given another window.
        assert_eq!(differ_by(&state(5, 0), [5, 0, 0], 50, 60), None);
    }
}

//! A Redis that lost its state, or was put back in time, on its way to being opened.
//!
//! Decides: what is loaded, in which order, and from when on scopes with slots or money admit. Failure stance: closed until all of it is there.
//! The order matters: closed first, so that nothing more reaches the stream; the stream drained; then one consistent reading of the
//! database; then load; open last. A drain that was under way when Redis lost its state is waited for by that reading.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::records::Ready;
use contract::redis_key::{self, Partition, RecordId};
use contract::resp::Reply;
use contract::script::{Load, LoadAnswer, LoadScope, MAX_TRAVEL_MS};
use contract::window::RATE_WINDOW_MS;

use super::link::{LinkError, refuse_error};
use super::lock::Lock;
use super::marker::Marker;
use super::reconcile::Known;
use super::records::record_id;
use super::watch_redis::Seen;
use super::{PublishError, Publisher};
use crate::store::StoreError;
use crate::store::publish_state::first_partitions;
use crate::store::spend::{self, Restored};

/// One renewal interval: by then every live reservation has come back.
const RENEWAL_MS: u64 = 10_000;
/// Scopes of one `Load`.
const SCOPES: usize = 200;
/// How long the drain of a closed partition is waited for before the next try.
const DRAIN_WAIT: Duration = Duration::from_secs(5);
const DRAIN_POLL: Duration = Duration::from_millis(20);

type ByPartition = BTreeMap<Partition, (Vec<Loaded>, Vec<(String, u64)>)>;
type Loaded = (RecordId, spend::ScopeState, Vec<spend::Recent>);

impl Publisher {
    /// Makes what is not open ready and opens it. `Ok(false)`: another service is at it.
    pub(super) async fn restore(&self, seen: &Seen) -> Result<bool, PublishError> {
        let used_with = first_partitions(&self.store, self.partitions).await?;
        if used_with != self.partitions {
            return Err(PublishError::Closed(format!(
                "the ledger was kept with {used_with} partitions: {} cannot be used with this database",
                self.partitions
            )));
        }
        let Some(lock) = Lock::take(&self.link, &self.holder).await? else {
            return Ok(false);
        };
        let restored = tokio::select! {
            restored = self.restore_locked(seen) => restored,
            error = lock.lost() => Err(error),
        };
        lock.give_up().await?;
        restored.map(|()| true)
    }

    async fn restore_locked(&self, seen: &Seen) -> Result<(), PublishError> {
        self.link.load_scripts().await?;
        let token = format!("{}:{}", self.holder, self.store.clock().now_us());
        let filled = seen.not_open();
        for marker in &filled {
            marker.begin(&self.link, &token).await?;
        }
        let closed = self.close_what_went_back(seen).await?;
        self.wait_for_drain(&closed).await?;
        let catalogue = self.put_catalogue().await?;
        self.put_everything(&mut Known::new()).await?;
        // A Redis from an old file knows keys that were deleted since.
        if !seen.is_empty() {
            self.put_tombstones(&mut Known::new()).await?;
        }
        let full_ms = if closed.is_empty() {
            0
        } else {
            self.load(&closed).await?
        };
        for marker in filled {
            let full_ms = match marker {
                Marker::Index(_) => 0,
                Marker::Partition(partition) if closed.contains(&partition) => full_ms,
                Marker::Partition(partition) => seen.full_ms(partition),
            };
            let run_id = seen.run_id.clone();
            let ready = Ready {
                partitions: self.partitions,
                catalogue,
                full_ms,
                run_id,
            };
            if !marker.open(&self.link, &token, &ready).await? {
                let why = "Redis was emptied while it was being restored";
                return Err(PublishError::Closed(why.to_owned()));
            }
        }
        Ok(())
    }

    /// Partitions that need their ledger state: those without a marker, and after a restart of Redis those that know less than the ledger
    /// does. A Redis that came back with all of it, as from its append-only file, is left as it is.
    async fn close_what_went_back(&self, seen: &Seen) -> Result<Vec<Partition>, PublishError> {
        let mut closed = seen.without_marker();
        let restarted = seen.of_another_run();
        if restarted.is_empty() {
            return Ok(closed);
        }
        // First the database: what it knows came through this stream, so Redis can only know more, unless it went back.
        let known = spend::read_watermarks(&self.store).await?;
        for partition in restarted {
            let held = self.watermarks(partition).await?;
            let went_back = known
                .iter()
                .filter(|((of, _), _)| *of == partition)
                .any(|((_, worker), known)| held.get(worker).is_none_or(|held| held < known));
            if went_back {
                tracing::warn!(
                    partition = partition.0,
                    "Redis went back in time: the partition is closed and restored"
                );
                Marker::Partition(partition).close(&self.link).await?;
                closed.push(partition);
            }
        }
        Ok(closed)
    }

    async fn watermarks(&self, partition: Partition) -> Result<BTreeMap<String, u64>, LinkError> {
        let key = redis_key::watermarks(partition);
        let reply = refuse_error(self.link.command(&[b"HGETALL", key.as_bytes()]).await?)?;
        let Reply::Array(Some(items)) = reply else {
            return Err(LinkError::Malformed("HGETALL"));
        };
        let text = |reply: &Reply| match reply {
            Reply::Bulk(Some(bytes)) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        };
        let pair = |pair: &[Reply]| match pair {
            [worker, sequence] => Some((text(worker)?, text(sequence)?.parse().ok()?)),
            _ => None,
        };
        Ok(items.chunks(2).filter_map(pair).collect())
    }

    /// Waits until the streams of closed partitions are in the database: what is on them was not loaded from it.
    async fn wait_for_drain(&self, closed: &[Partition]) -> Result<(), PublishError> {
        let drained = tokio::time::timeout(DRAIN_WAIT, async {
            loop {
                let waiting: u64 = crate::ledger::stream_lengths(&self.link, closed)
                    .await?
                    .iter()
                    .sum();
                if waiting == 0 {
                    return Ok(());
                }
                tokio::time::sleep(DRAIN_POLL).await;
            }
        });
        drained.await.unwrap_or_else(|_| {
            Err(PublishError::Closed(
                "spend events of a closed partition are not in the database yet".to_owned(),
            ))
        })
    }

    /// Loads what the ledger knows. Answers from when on slots and money are admitted.
    async fn load(&self, closed: &[Partition]) -> Result<u64, PublishError> {
        let now_ms = self.redis_now_ms().await?;
        let since_ms = now_ms.saturating_sub(RATE_WINDOW_MS + MAX_TRAVEL_MS);
        let restored = spend::restore(&self.store, since_ms).await?;
        let was_used = restored.was_used;
        for (partition, (scopes, watermarks)) in by_partition(restored)? {
            if closed.contains(&partition) {
                self.load_partition(partition, &scopes, &watermarks).await?;
            }
        }
        Ok(if was_used {
            now_ms.saturating_add(RENEWAL_MS)
        } else {
            0
        })
    }

    async fn load_partition(
        &self,
        partition: Partition,
        scopes: &[Loaded],
        watermarks: &[(String, u64)],
    ) -> Result<(), PublishError> {
        let scopes = scopes.iter().map(|(id, state, recent)| LoadScope {
            id,
            spent: state.spent,
            window_start_ms: state.window_start_ms,
            recent,
        });
        let scopes = scopes.collect::<Vec<_>>();
        let mut calls = vec![Load {
            partition,
            scopes: &[],
            watermarks,
        }];
        calls.extend(scopes.chunks(SCOPES).map(|scopes| Load {
            partition,
            scopes,
            watermarks: &[],
        }));
        if self
            .link
            .calls(&calls)
            .await?
            .contains(&LoadAnswer::AlreadyOpen)
        {
            return Err(PublishError::Closed(
                "another service has just opened Redis".to_owned(),
            ));
        }
        Ok(())
    }

    async fn redis_now_ms(&self) -> Result<u64, LinkError> {
        let time = refuse_error(self.link.command(&[b"TIME"]).await?)?;
        time_ms(&time).ok_or(LinkError::Malformed("TIME"))
    }
}

/// The answer to TIME, in ms.
pub(crate) fn time_ms(time: &Reply) -> Option<u64> {
    let number = |part: &Reply| match part {
        Reply::Bulk(Some(digits)) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match time {
        Reply::Array(Some(parts)) => match &parts[..] {
            [seconds, micros] => {
                let (seconds, micros) = (number(seconds)?, number(micros)?);
                Some(seconds.saturating_mul(1_000).saturating_add(micros / 1_000))
            }
            _ => None,
        },
        _ => None,
    }
}

fn by_partition(restored: Restored) -> Result<ByPartition, StoreError> {
    let mut all = ByPartition::new();
    for (scope, (state, recent)) in restored.scopes {
        let id = record_id(scope.kind, &scope.object_id)?;
        all.entry(scope.partition)
            .or_default()
            .0
            .push((id, state, recent));
    }
    for ((partition, worker), sequence) in restored.watermarks {
        all.entry(partition).or_default().1.push((worker, sequence));
    }
    Ok(all)
}

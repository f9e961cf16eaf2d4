//! The watch on Redis: is it there, is it the same, is it open, may it be trusted.

use std::time::Duration;

use contract::records::Ready;
use contract::redis_key::{self, Partition};
use contract::resp::Reply;
use tokio::sync::watch;

use super::link::refuse_error;
use super::requirements::ServerInfo;
use super::{PublishError, Publisher, RedisState, SaidOnce, stopped_within};

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// What one look found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) run_id: String,
    objection: Option<String>,
    indexes: Vec<Option<Ready>>,
    partitions: Vec<Option<Ready>>,
}

impl Seen {
    /// Whether Redis holds no marker at all: it is new, or was emptied.
    pub(super) fn is_empty(&self) -> bool {
        self.markers().all(|marker| marker.is_none())
    }

    fn markers(&self) -> impl Iterator<Item = Option<&Ready>> {
        self.indexes
            .iter()
            .chain(&self.partitions)
            .map(Option::as_ref)
    }

    fn is_open(&self) -> bool {
        self.markers()
            .all(|marker| marker.is_some_and(|marker| marker.run_id == self.run_id))
    }

    fn other_partitions(&self, partitions: u16) -> Option<u16> {
        self.markers()
            .flatten()
            .map(|marker| marker.partitions)
            .find(|found| *found != partitions)
    }

    /// Partitions that are closed.
    pub(super) fn without_marker(&self) -> Vec<Partition> {
        self.numbered()
            .filter(|(_, marker)| marker.is_none())
            .map(|(number, _)| number)
            .collect()
    }

    /// Partitions that were opened before Redis started again.
    pub(super) fn of_another_run(&self) -> Vec<Partition> {
        let another =
            |marker: Option<&Ready>| marker.is_some_and(|marker| marker.run_id != self.run_id);
        self.numbered()
            .filter(|(_, marker)| another(*marker))
            .map(|(number, _)| number)
            .collect()
    }

    /// Whether a marker is there and of another run of Redis.
    pub(super) fn is_of_another_run(&self, key: &str) -> bool {
        let (indexes, partitions) = (&self.indexes, &self.partitions);
        let mut named = (0..)
            .map(|number| redis_key::index_ready(Partition(number)))
            .zip(indexes)
            .chain(
                (0..)
                    .map(|number| redis_key::ready(Partition(number)))
                    .zip(partitions),
            );
        let found = named
            .find(|(name, _)| name == key)
            .and_then(|(_, marker)| marker.as_ref());
        found.is_some_and(|marker| marker.run_id != self.run_id)
    }

    /// From when on an open partition admits slots and money.
    pub(super) fn full_ms(&self, partition: Partition) -> u64 {
        let marker = self.numbered().find(|(number, _)| *number == partition);
        marker
            .and_then(|(_, marker)| marker)
            .map_or(0, |marker| marker.full_ms)
    }

    fn numbered(&self) -> impl Iterator<Item = (Partition, Option<&Ready>)> {
        (0..)
            .map(Partition)
            .zip(self.partitions.iter().map(Option::as_ref))
    }
}

impl Publisher {
    pub(super) async fn watch_until(&self, mut stop: watch::Receiver<bool>) {
        let mut said = SaidOnce::default();
        loop {
            match self.watch_once().await {
                Ok(()) => said.forget("Redis is open"),
                Err(error) => {
                    said.say("requests are refused", &error);
                    let why = error.to_string();
                    self.health.update(|report| {
                        report.redis = match error {
                            PublishError::Link(_) => RedisState::Unreachable(why),
                            PublishError::Store(_) | PublishError::Closed(_) => {
                                RedisState::Closed(why)
                            }
                        };
                    });
                }
            }
            if stopped_within(&mut stop, EVERY).await {
                return;
            }
        }
    }

    /// One look; restores what it finds closed.
    pub async fn watch_once(&self) -> Result<(), PublishError> {
        let seen = self.look().await?;
        if let Some(found) = seen.other_partitions(self.partitions) {
            return Err(PublishError::Closed(format!(
                "Redis was opened with {found} partitions, and {} are configured",
                self.partitions
            )));
        }
        if !seen.is_open() {
            if let Some(objection) = seen.objection {
                return Err(PublishError::Closed(objection));
            }
            self.health.update(|report| {
                report.redis = RedisState::Closed("Redis is being restored".to_owned());
            });
            let began = tokio::time::Instant::now();
            if !self.restore(&seen).await? {
                return Err(PublishError::Closed(
                    "another service is restoring Redis".to_owned(),
                ));
            }
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(milliseconds = took, "Redis was restored and opened");
            self.health.update(|report| {
                report.restores += 1;
                report.last_restore_ms = took;
            });
            self.store.wake_publisher();
        }
        self.health.update(|report| {
            report.redis = RedisState::Open;
            report.warning = seen.objection;
        });
        Ok(())
    }

    async fn look(&self) -> Result<Seen, PublishError> {
        let mut keys = Vec::new();
        keys.extend(self.all().into_iter().map(redis_key::index_ready));
        keys.extend(self.all().into_iter().map(redis_key::ready));
        let mut commands = vec![vec![&b"INFO"[..], b"server"], vec![b"INFO", b"memory"]];
        commands.extend(keys.iter().map(|key| vec![&b"GET"[..], key.as_bytes()]));
        let mut replies = self.link.commands(&commands).await?.into_iter();
        let (Some(server), Some(memory)) = (replies.next(), replies.next()) else {
            return Err(super::LinkError::Malformed("INFO").into());
        };
        let info = ServerInfo::read([server, memory])?;
        let mut markers = Vec::with_capacity(keys.len());
        for reply in replies {
            markers.push(match refuse_error(reply)? {
                Reply::Bulk(Some(marker)) => Ready::decode(&marker),
                _ => None,
            });
        }
        let partitions = markers.split_off(usize::from(self.partitions));
        let objection = info.objection();
        Ok(Seen {
            run_id: info.run_id,
            objection,
            indexes: markers,
            partitions,
        })
    }
}

//! The watch on Redis: is it there, is it the same, is it open, may it be trusted.

use std::time::Duration;

use contract::records::Ready;
use contract::redis_key::Partition;
use contract::resp::Reply;
use tokio::sync::watch;

use super::link::refuse_error;
use super::marker::Marker;
use super::requirements::ServerInfo;
use super::{PublishError, Publisher, RedisState, SaidOnce, stopped_within};

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// What one look found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) run_id: String,
    objection: Option<String>,
    markers: Vec<(Marker, Option<Ready>)>,
}

impl Seen {
    /// Whether Redis holds no marker at all: it is new, or was emptied.
    pub(super) fn is_empty(&self) -> bool {
        self.markers.iter().all(|(_, ready)| ready.is_none())
    }

    fn is_this_run(&self, ready: &Ready) -> bool {
        ready.run_id == self.run_id
    }

    /// Markers that are missing, or were written before Redis started again.
    pub(super) fn not_open(&self) -> Vec<Marker> {
        let is_open = |ready: &Option<Ready>| ready.as_ref().is_some_and(|it| self.is_this_run(it));
        let closed = self.markers.iter().filter(|(_, ready)| !is_open(ready));
        closed.map(|(marker, _)| *marker).collect()
    }

    fn other_partitions(&self, partitions: u16) -> Option<u16> {
        let found = self
            .markers
            .iter()
            .filter_map(|(_, ready)| Some(ready.as_ref()?.partitions));
        found.into_iter().find(|found| *found != partitions)
    }

    fn partitions(&self) -> impl Iterator<Item = (Partition, Option<&Ready>)> {
        self.markers
            .iter()
            .filter_map(|(marker, ready)| match marker {
                Marker::Partition(partition) => Some((*partition, ready.as_ref())),
                Marker::Index(_) => None,
            })
    }

    /// Partitions that are closed.
    pub(super) fn without_marker(&self) -> Vec<Partition> {
        self.partitions()
            .filter(|(_, ready)| ready.is_none())
            .map(|(number, _)| number)
            .collect()
    }

    /// Partitions that were opened before Redis started again.
    pub(super) fn of_another_run(&self) -> Vec<Partition> {
        let another = |ready: Option<&Ready>| ready.is_some_and(|ready| !self.is_this_run(ready));
        self.partitions()
            .filter(|(_, ready)| another(*ready))
            .map(|(number, _)| number)
            .collect()
    }

    /// From when on an open partition admits slots and money.
    pub(super) fn full_ms(&self, partition: Partition) -> u64 {
        let found = self.partitions().find(|(number, _)| *number == partition);
        found
            .and_then(|(_, ready)| ready)
            .map_or(0, |ready| ready.full_ms)
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
                    let state = match error {
                        PublishError::Link(error) => RedisState::Unreachable(error.to_string()),
                        PublishError::Closed(why) => RedisState::Closed(why),
                        // The details are in the log; this is shown to anybody.
                        PublishError::Store(_) => RedisState::Closed(
                            "Redis is not open, and the database does not answer".to_owned(),
                        ),
                    };
                    self.health.update(|report| report.redis = state);
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
        if !seen.not_open().is_empty() {
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
        let all = Marker::all(self.partitions);
        let keys = all.iter().map(|marker| marker.key()).collect::<Vec<_>>();
        let mut commands = vec![vec![&b"INFO"[..], b"server"], vec![b"INFO", b"memory"]];
        commands.extend(keys.iter().map(|key| vec![&b"GET"[..], key.as_bytes()]));
        let mut replies = self.link.commands(&commands).await?.into_iter();
        let (Some(server), Some(memory)) = (replies.next(), replies.next()) else {
            return Err(super::LinkError::Malformed("INFO").into());
        };
        let info = ServerInfo::read([server, memory])?;
        let mut markers = Vec::with_capacity(all.len());
        for (marker, reply) in all.into_iter().zip(replies) {
            let ready = match refuse_error(reply)? {
                Reply::Bulk(Some(text)) => Ready::decode(&text),
                _ => None,
            };
            markers.push((marker, ready));
        }
        let objection = info.objection();
        Ok(Seen {
            run_id: info.run_id,
            objection,
            markers,
        })
    }
}

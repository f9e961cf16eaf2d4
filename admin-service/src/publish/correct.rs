//! What was taken back of what was spent, on its way to Redis.

use contract::redis_key::Partition;
use contract::script::{Correct, CorrectAnswer};

use super::records::record_id;
use super::{PublishError, Publisher};
use crate::store::StoreError;
use crate::store::spend::{Correction, corrections};

impl Publisher {
    /// Has Redis apply the correction that an outbox row names, and those before it that Redis does not know.
    pub(super) async fn correct(&self, object_id: &str) -> Result<(), PublishError> {
        let (partition, sequence) = parse(object_id)?;
        let mut from = sequence;
        loop {
            let mut connection = self.store.read().await?;
            let all = corrections(&mut connection, partition, from, sequence).await?;
            drop(connection);
            match self.apply(&all).await? {
                None => return Ok(()),
                Some(done) if done.saturating_add(1) < from => from = done.saturating_add(1),
                Some(_) => {
                    let why = "corrections of what was spent are not in their order";
                    return Err(PublishError::Closed(why.to_owned()));
                }
            }
        }
    }

    /// Applies these in order. `Some`: Redis lacks those after this number.
    async fn apply(&self, all: &[Correction]) -> Result<Option<u64>, PublishError> {
        for correction in all {
            let scope = &correction.scope;
            let id = record_id(scope.kind, &scope.object_id)?;
            let call = Correct {
                partition: scope.partition,
                scope: &id,
                sequence: correction.sequence,
                window_start_ms: correction.window_start_ms,
                amount: correction.amount,
            };
            match self.link.call(&call).await? {
                CorrectAnswer::Done => {}
                CorrectAnswer::Gap(done) => return Ok(Some(done)),
                CorrectAnswer::NotReady => {
                    let why = "Redis is not open yet";
                    return Err(PublishError::Closed(why.to_owned()));
                }
            }
        }
        Ok(None)
    }
}

fn parse(object_id: &str) -> Result<(Partition, u64), StoreError> {
    let parsed = object_id.split_once(':').and_then(|(partition, sequence)| {
        Some((Partition(partition.parse().ok()?), sequence.parse().ok()?))
    });
    parsed.ok_or_else(|| StoreError::Corrupt(format!("outbox.object_id = {object_id:?}")))
}

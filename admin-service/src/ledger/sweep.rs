//! Sweeping: reservations whose Envoy is gone are charged as reserved, or released if they were never sent.

use contract::redis_key::Partition;
use contract::script::{Sweep, SweepAnswer};

use crate::publish::{Link, LinkError};

/// Sweeps every partition until none finds anything; answers how many reservations were charged and released.
pub async fn sweep(link: &Link, partitions: &[Partition]) -> Result<(u64, u64), LinkError> {
    let (mut charged, mut released) = (0, 0);
    let mut busy = partitions.to_vec();
    while !busy.is_empty() {
        let calls = busy.iter().map(|partition| Sweep {
            partition: *partition,
            ids: &[],
        });
        let answers = link.calls(&calls.collect::<Vec<_>>()).await?;
        let mut found = Vec::new();
        for (partition, answer) in busy.iter().zip(answers) {
            // A partition that is not open has nothing to sweep: live reservations come back by renewal before it opens.
            if let SweepAnswer::Done {
                charged: some,
                released: others,
                ..
            } = answer
                && !(some.is_empty() && others.is_empty())
            {
                charged += count(some.len());
                released += count(others.len());
                found.push(*partition);
            }
        }
        busy = found;
    }
    Ok((charged, released))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

//! What the workers and the admin service of a random sequence know: records, requests in flight, outboxes.

use std::collections::VecDeque;

use contract::id::{KeyId, ReservationId, Rev, TeamId, UserId};
use contract::limits::{Budget, Limits};
use contract::money::NanoUsd;
use contract::redis_key::RecordId;
use contract::window::BudgetWindow;

use super::rng::Rng;
use crate::ledger::START;

/// A record whose limits change over time.
pub struct Policy {
    pub id: RecordId,
    pub rev: Rev,
    pub limits: Limits,
    /// What it was before, for workers that have not heard.
    pub before: (Rev, Limits),
}

/// A request that a worker believes to be admitted.
#[derive(Clone)]
pub struct Flight {
    pub id: ReservationId,
    pub worker: usize,
    pub admitted_ms: u64,
    pub tokens: u64,
    pub cost: NanoUsd,
    pub scopes: Vec<(RecordId, Limits)>,
}

/// A finished request.
#[derive(Clone)]
pub struct Finished {
    pub flight: Flight,
    pub tokens: u64,
    pub cost: NanoUsd,
}

/// A worker's numbered settlements, the oldest first.
pub struct Worker {
    pub name: String,
    pub first_sequence: u64,
    pub finished: VecDeque<Finished>,
}

impl Worker {
    pub fn new(number: u64) -> Self {
        Self {
            name: format!("{number:016x}"),
            first_sequence: 1,
            finished: VecDeque::new(),
        }
    }

    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::try_from(self.finished.len()).expect("a length") - 1
    }

    /// What the ledger or Redis knows of this worker without doubt, kept no longer than a few items beyond.
    pub fn forget_until(&mut self, watermark: u64) {
        while self.finished.len() > 12 && self.first_sequence <= watermark {
            self.finished.pop_front();
            self.first_sequence += 1;
        }
    }
}

pub fn policies(rng: &mut Rng, scale: u32) -> Vec<Policy> {
    let (team, user) = (TeamId::new("team"), UserId::new("user/1"));
    let ids = [
        RecordId::key(&KeyId::new("key-1")),
        RecordId::key(&KeyId::new("key-2")),
        RecordId::user(&user),
        RecordId::team(&team),
        RecordId::member(&team, &user),
    ];
    ids.map(|id| {
        let limits = limits(rng, START, scale);
        Policy {
            id,
            rev: Rev::new(1).unwrap(),
            before: (Rev::new(1).unwrap(), limits.clone()),
            limits,
        }
    })
    .into()
}

/// Limits small enough that every one of them refuses now and then; those of a scale above 1 leave room for long rate windows.
pub fn limits(rng: &mut Rng, now_ms: u64, scale: u32) -> Limits {
    let mut limits = Limits::default();
    if rng.one_in(3) {
        limits.rpm = Some(scale * u32::try_from(rng.below(30)).unwrap());
    }
    if rng.one_in(3) {
        limits.tpm = Some(u64::from(scale) * rng.below(3000));
    }
    if rng.one_in(3) {
        limits.parallel = Some(scale * u32::try_from(1 + rng.below(12)).unwrap());
    }
    if rng.one_in(3) {
        let max = NanoUsd::new(u64::from(scale) * rng.below(20_000)).unwrap();
        limits.budget = Some(Budget {
            max,
            window: window(rng, now_ms),
        });
    }
    limits
}

fn window(rng: &mut Rng, now_ms: u64) -> BudgetWindow {
    let near = |rng: &mut Rng| now_ms - 100_000 + rng.below(200_000);
    match rng.below(4) {
        0 => BudgetWindow::Lifetime,
        1 => {
            let anchor_ms = near(rng);
            BudgetWindow::Fixed {
                anchor_ms,
                every_ms: 1 + rng.below(120_000),
            }
        }
        2 => BudgetWindow::Fixed {
            anchor_ms: START,
            every_ms: 30_000,
        },
        _ => {
            let mut boundaries: Vec<u64> = (0..4).map(|_| near(rng)).collect();
            boundaries.sort_unstable();
            boundaries.dedup();
            BudgetWindow::Calendar(boundaries)
        }
    }
}

//! The ledger's tables.
//!
//! Decides: the statements. Leaves to `ledger`: what an event changes ([`Writes`] comes ready made). Failure stance: everything of one batch is
//! written in one transaction that holds the ledger's lease, or nothing is.

use std::collections::{BTreeMap, BTreeSet};

use contract::id::ReservationId;
use contract::money::NanoUsd;
use contract::redis_key::Partition;
use contract::usage::Usage;

use super::outbox::Kind;
use super::{StoreError, Tx, customers};
use crate::domain::budget_window::WindowRules;

mod daily;
mod dead_letters;
mod lease;
mod logs;
mod parts;
mod restore;
mod rows;
mod scopes;
mod shown;
mod watermarks;
mod windows;

pub use dead_letters::{DeadLetter, count as dead_letters};
pub use lease::{Lease, holder};
pub use logs::{Filter, LogRow, SummaryRow, rows as log_rows, summary};
pub use restore::{Recent, Restored, read as restore, read_watermarks, scopes_of};
pub use shown::{Spent, spent};
pub use windows::Windows;

/// A scope of the ledger: whose spent amount is counted, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeKey {
    /// What kind of object ([`Kind::Catalogue`] never).
    pub kind: Kind,
    /// The object, as the outbox names it.
    pub object_id: String,
    /// The partition whose stream charged it.
    pub partition: Partition,
}

/// What a scope has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeState {
    /// When the budget window began that `spent` belongs to, Redis time in ms; 0 for a lifetime.
    pub window_start_ms: u64,
    /// Spent in that window.
    pub spent: NanoUsd,
    /// Spent ever.
    pub total: NanoUsd,
    /// When it last changed, Redis time in ms.
    pub last_ms: u64,
}

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// The reservation's id.
    pub event_id: ReservationId,
    /// 0: swept, charged as reserved; 1: settled.
    pub version: u8,
    /// The partition whose stream carried it.
    pub partition: Partition,
    /// Redis time of the entry, ms.
    pub settled_ms: u64,
    /// Redis time of the admission, ms.
    pub admitted_ms: u64,
    /// From admission to the end, ms.
    pub duration_ms: u64,
    /// From admission to the first byte, ms.
    pub first_byte_ms: Option<u64>,
    /// The provider's response id, or the event's.
    pub request_id: String,
    /// LiteLLM's `call_type`.
    pub call_type: String,
    /// The hash the client presented, hexadecimal.
    pub api_key: String,
    /// The key's stable id.
    pub key_id: String,
    /// The key's user, or empty.
    pub user_id: String,
    /// The key's team, or empty.
    pub team_id: String,
    /// The customer, or empty.
    pub end_user: String,
    /// The model billed.
    pub model: String,
    /// The model the client named.
    pub model_group: String,
    /// The provider.
    pub provider: String,
    /// HTTP status of the answer; 0 where none came.
    pub http_status: u16,
    /// Whether the usage is the provider's own count.
    pub exact: bool,
    /// What was charged.
    pub spend: NanoUsd,
    /// What was consumed.
    pub usage: Usage,
    /// Request tags.
    pub tags: Vec<String>,
    /// The client's address, or empty.
    pub client_ip: String,
    /// For version 0: scope (`kind:object`) → start of the budget window it was charged in.
    pub windows: BTreeMap<String, u64>,
}

/// Which daily sum a request counts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DailyKey {
    /// The user's or team's id.
    pub entity: String,
    /// `2026-11-23`, UTC.
    pub date: String,
    /// The key's hash.
    pub api_key: String,
    /// The model billed.
    pub model: String,
    /// The model the client named.
    pub model_group: String,
    /// The provider.
    pub provider: String,
    /// The path, such as `/chat/completions`.
    pub endpoint: String,
}

/// A daily sum, or the change of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DailySums {
    /// Nano-dollars.
    pub spend: i64,
    /// Tokens read.
    pub prompt_tokens: i64,
    /// Tokens written.
    pub completion_tokens: i64,
    /// Tokens read from a prompt cache.
    pub cache_read: i64,
    /// Tokens written to a prompt cache.
    pub cache_creation: i64,
    /// Requests.
    pub api_requests: i64,
    /// Requests answered with success.
    pub successful_requests: i64,
    /// The others.
    pub failed_requests: i64,
    /// Sum of the durations, ms.
    pub total_response_time_ms: i64,
    /// Requests whose duration is known.
    pub timed_requests: i64,
}

/// What the database knows already about the objects of a batch.
#[derive(Clone, Debug, Default)]
pub struct Prior {
    /// Rows of the batch's events.
    pub rows: BTreeMap<ReservationId, SpendRow>,
    /// The batch's scopes.
    pub scopes: BTreeMap<ScopeKey, ScopeState>,
    /// Their budget windows.
    pub windows: Windows,
}

/// What a batch changes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Rows to insert, or to put in place of a lower version.
    pub rows: Vec<SpendRow>,
    /// Changes of daily sums by user.
    pub daily_users: BTreeMap<DailyKey, DailySums>,
    /// Changes of daily sums by team.
    pub daily_teams: BTreeMap<DailyKey, DailySums>,
    /// Scopes as they are afterwards.
    pub scopes: BTreeMap<ScopeKey, ScopeState>,
    /// Highest sequence by partition and worker, with the Redis time it was seen at.
    pub watermarks: BTreeMap<(Partition, String), (u64, u64)>,
    /// Entries that are no spend events.
    pub dead_letters: Vec<DeadLetter>,
}

impl Prior {
    /// Reads what the database knows about these events and scopes; windows from `from_ms` (Redis time) on.
    pub async fn read(
        tx: &mut Tx,
        events: &[ReservationId],
        scopes: &BTreeSet<ScopeKey>,
        from_ms: u64,
        rules: &WindowRules,
    ) -> Result<Self, StoreError> {
        parts::by_index(tx).await?;
        let connection = tx.connection();
        Ok(Self {
            rows: rows::read(connection, events).await?,
            scopes: scopes::read(connection, scopes).await?,
            windows: windows::read(connection, scopes, from_ms, rules).await?,
        })
    }
}

impl Writes {
    /// Writes all of it.
    pub async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        rows::write(tx, &self.rows).await?;
        customers::seen(tx, self.rows.iter().map(|row| row.end_user.as_str())).await?;
        daily::add_users(tx, &self.daily_users).await?;
        daily::add_teams(tx, &self.daily_teams).await?;
        scopes::write(tx, &self.scopes).await?;
        watermarks::raise(tx, &self.watermarks).await?;
        dead_letters::keep(tx, &self.dead_letters).await
    }
}

/// Whether the database refused what a row holds, so that repeating it cannot help and other rows may pass: data exceptions, constraint
/// violations and exceeded sizes, and nothing that can be true of the database as a whole.
pub fn is_about_data(error: &StoreError) -> bool {
    match error {
        StoreError::Failed(sqlx::Error::Database(error)) => {
            let code = error.code();
            let code = code.as_deref().unwrap_or_default();
            match code.parse::<u32>() {
                Ok(number) if code.len() < 5 => matches!(number & 0xff, 18 | 19 | 20 | 25),
                _ => ["22", "23", "54"]
                    .iter()
                    .any(|class| code.starts_with(class)),
            }
        }
        StoreError::Failed(sqlx::Error::Encode(_))
        | StoreError::Duplicate(_)
        | StoreError::Corrupt(_) => true,
        StoreError::Failed(_)
        | StoreError::Unavailable(_)
        | StoreError::Full(_)
        | StoreError::Repeated => false,
    }
}

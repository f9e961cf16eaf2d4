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
use super::{StoreError, Tx, customers, tags};
use crate::domain::budget_window::WindowRules;
use crate::settings::CustomerDefault;

mod begin;
mod compare;
mod corrections;
mod daily;
mod dead_letters;
mod lease;
mod logs;
mod marks;
mod parts;
mod restore;
mod retention;
mod rows;
mod scopes;
mod shown;
mod tally;
mod watermarks;
mod windows;

pub use begin::begin_with;
pub use compare::{
    Day, Difference, day as compare_day, days as compared_days, totals as compare_totals,
};
pub use corrections::{Correction, Reset, corrections, reset};
pub(super) use daily::SUMS;
pub use dead_letters::{DeadLetter, count as dead_letters};
pub use lease::{Lease, hold as hold_lease, holder};
pub use logs::{
    Filter, LogRow, Page, Sort, SummaryRow, count as count_logs, page_of as log_page,
    rows as log_rows, summary,
};
pub use restore::{Recent, Restored, read as restore, read_watermarks, scopes_of};
pub use retention::DeleteOld;
pub use scopes::after as scopes_after;
pub use shown::{Spent, spent};
pub use tally::{Tally, begun_with, forgotten};
pub use windows::{Windows, of as windows_of};

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
    /// When the window ends, of scopes that no object's row describes; 0 where it never does.
    pub window_end_ms: u64,
}

impl ScopeState {
    /// Adds what was charged before: to the window, where it was charged in the same or a later one.
    fn go_on_from(&mut self, known: &Self) {
        let add = |sum: NanoUsd, more| sum.checked_add(more).unwrap_or(NanoUsd::MAX);
        self.total = add(self.total, known.total);
        self.last_ms = self.last_ms.max(known.last_ms);
        if known.window_start_ms >= self.window_start_ms {
            self.spent = add(self.spent, known.spent);
            self.window_start_ms = known.window_start_ms;
            self.window_end_ms = known.window_end_ms;
        }
    }
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
    /// The key's or team's organisation, or empty.
    pub organization_id: String,
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
    /// Names of the scopes it was charged in beside its key's, user's, team's and membership's.
    pub charged: Vec<String>,
}

/// Whose daily sums. Every one has a table by key and day, and all but users have their sums over all keys as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// By user; requests without one are under ''. Every request is in it.
    User,
    /// By team.
    Team,
    /// By organisation.
    Organization,
    /// By customer.
    EndUser,
    /// By request tag; a request counts in each of its tags.
    Tag,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Team,
        Self::Organization,
        Self::EndUser,
        Self::Tag,
    ];

    /// The table by key and day.
    pub const fn table(self) -> &'static str {
        match self {
            Self::User => "daily_user_spend",
            Self::Team => "daily_team_spend",
            Self::Organization => "daily_organization_spend",
            Self::EndUser => "daily_end_user_spend",
            Self::Tag => "daily_tag_spend",
        }
    }

    /// That table's column of the entity.
    pub const fn column(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Team => "team_id",
            Self::Organization => "organization_id",
            Self::EndUser => "end_user_id",
            Self::Tag => "tag",
        }
    }

    /// `daily_spend.kind` of the sums over all keys. Users have theirs over all users.
    pub const fn over_keys(self) -> &'static str {
        match self {
            Self::User => "all",
            Self::Team => "team",
            Self::Organization => "organization",
            Self::EndUser => "end_user",
            Self::Tag => "tag",
        }
    }
}

/// Which daily sum a request counts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DailyKey {
    /// The user's, team's … id.
    pub entity: String,
    /// `2026-11-23`, UTC.
    pub date: String,
    /// The key's hash; empty in sums over all keys.
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

/// Which count of failures a request counts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorKey {
    /// `2026-11-23`, UTC.
    pub date: String,
    /// The key's hash.
    pub api_key: String,
    /// The user, or empty.
    pub user_id: String,
    /// The model the client named.
    pub model_group: String,
    /// The path.
    pub endpoint: String,
    /// The status; 0 where no answer came.
    pub http_status: u16,
}

/// A daily sum, or the change of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Requests answered with success whose prompt came from a prompt cache, at least in part.
    pub cache_hits: i64,
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

impl DailySums {
    /// Adds another sum.
    pub fn add(&mut self, more: &Self) {
        self.add_times(more, 1);
    }

    /// Adds another sum `times` times: −1 takes it away.
    pub fn add_times(&mut self, more: &Self, times: i64) {
        for (sum, more) in [
            (&mut self.spend, more.spend),
            (&mut self.prompt_tokens, more.prompt_tokens),
            (&mut self.completion_tokens, more.completion_tokens),
            (&mut self.cache_read, more.cache_read),
            (&mut self.cache_creation, more.cache_creation),
            (&mut self.cache_hits, more.cache_hits),
            (&mut self.api_requests, more.api_requests),
            (&mut self.successful_requests, more.successful_requests),
            (&mut self.failed_requests, more.failed_requests),
            (
                &mut self.total_response_time_ms,
                more.total_response_time_ms,
            ),
            (&mut self.timed_requests, more.timed_requests),
        ] {
            *sum = sum.saturating_add(more.saturating_mul(times));
        }
    }
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
    /// Changes of daily sums by key.
    pub daily: BTreeMap<(Dimension, DailyKey), DailySums>,
    /// Changes of daily sums over all keys.
    pub daily_over_keys: BTreeMap<(Dimension, DailyKey), DailySums>,
    /// Changes of counts of failures.
    pub errors: BTreeMap<ErrorKey, i64>,
    /// Changes of what each key's hash has ever spent, with the latest day.
    pub api_keys: BTreeMap<String, (i64, String)>,
    /// Changes of what customers have spent, by their ids.
    pub customers: BTreeMap<String, i64>,
    /// Changes of what requests with a tag have spent, by the tags.
    pub tags: BTreeMap<String, i64>,
    /// Scopes as they are afterwards.
    pub scopes: BTreeMap<ScopeKey, ScopeState>,
    /// Highest sequence by partition and worker, with the Redis time it was seen at.
    pub watermarks: BTreeMap<(Partition, String), (u64, u64)>,
    /// Entries that are no spend events.
    pub dead_letters: Vec<DeadLetter>,
}

impl Prior {
    /// Reads what the database knows about these events and scopes.
    pub async fn read(
        tx: &mut Tx,
        events: &[ReservationId],
        scopes: &BTreeSet<ScopeKey>,
        rules: &WindowRules,
    ) -> Result<Self, StoreError> {
        parts::by_index(tx).await?;
        let connection = tx.connection();
        Ok(Self {
            rows: rows::read(connection, events).await?,
            scopes: scopes::read(connection, scopes).await?,
            windows: windows::read(connection, scopes, rules).await?,
        })
    }
}

impl Writes {
    /// Writes all of it. `default` is what binds customers without a budget of their own.
    pub async fn write(&self, tx: &mut Tx, default: &CustomerDefault) -> Result<(), StoreError> {
        rows::write(tx, &self.rows).await?;
        customers::count(tx, &self.customers).await?;
        tags::count(tx, &self.tags).await?;
        daily::add(tx, &self.daily).await?;
        daily::add_over_keys(tx, &self.daily_over_keys).await?;
        daily::add_errors(tx, &self.errors).await?;
        daily::add_api_keys(tx, &self.api_keys).await?;
        scopes::write(tx, &self.scopes).await?;
        marks::mark(tx, &self.scopes, &self.tags, default).await?;
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

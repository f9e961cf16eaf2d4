//! Brings people, teams, keys and their spend over from a database of LiteLLM.
//!
//! 1. `source` reads LiteLLM's tables, row by row as JSON, so that columns which a version lacks are simply not there.
//! 2. `routes::imported` puts the fields of a row where the API would put them.
//! 3. `taking` writes what is not there yet, in batches, each one transaction with audit and outbox rows; a dry run rolls them back.
//! 4. `report` says what was taken, what was there, and what was not taken and why.
//!
//! Failure stance: what exists here is never changed, so running again takes only what is new. A row that cannot be taken is named and left.

use std::collections::BTreeMap;
use std::fmt;

use contract::redis_key::{self, Partition};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::budget_window::WindowRules;
use crate::error::ApiError;
use crate::publish::{Link, LinkError, refuse_error};
use crate::settings::{CustomerDefault, Live};
use crate::store::row::Object;
use crate::store::{Store, StoreError};

mod report;
mod source;
mod taking;
mod values;

pub use report::{Counted, Report};
pub(crate) use values::{micros, money};

use source::{NOT_TAKEN, Source};
use taking::Batch;

/// Rows of one transaction.
const BATCH: usize = 200;

/// The tables that are taken, owners first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Budgets,
    Organizations,
    Users,
    OrganizationMembers,
    Teams,
    TeamMembers,
    Customers,
    Tags,
    Keys,
}

impl Table {
    const ALL: [Self; 9] = [
        Self::Budgets,
        Self::Organizations,
        Self::Users,
        Self::OrganizationMembers,
        Self::Teams,
        Self::TeamMembers,
        Self::Customers,
        Self::Tags,
        Self::Keys,
    ];

    /// LiteLLM's name, what names a row in it, and what the report calls it.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Budgets => ("LiteLLM_BudgetTable", "budget_id", "budgets"),
            Self::Organizations => (
                "LiteLLM_OrganizationTable",
                "organization_id",
                "organizations",
            ),
            Self::Users => ("LiteLLM_UserTable", "user_id", "users"),
            Self::OrganizationMembers => (
                "LiteLLM_OrganizationMembership",
                "organization_id, user_id",
                "organization members",
            ),
            Self::Teams => ("LiteLLM_TeamTable", "team_id", "teams"),
            Self::TeamMembers => ("LiteLLM_TeamTable", "team_id", "team members"),
            Self::Customers => ("LiteLLM_EndUserTable", "user_id", "customers"),
            Self::Tags => ("LiteLLM_TagTable", "tag_name", "tags"),
            Self::Keys => ("LiteLLM_VerificationToken", "token", "keys"),
        }
    }
}

/// Why the import ended early. What was written until then stays; running again goes on.
#[derive(Debug)]
pub enum ImportError {
    /// LiteLLM's database is not named by a URL of PostgreSQL.
    NotPostgres,
    /// The database has no users or no keys of LiteLLM.
    NotLiteLlm,
    /// LiteLLM's database.
    Source(sqlx::Error),
    /// The own database.
    Store(StoreError),
    /// Something inside; for the log.
    Broken(String),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPostgres => f.write_str("--from: expected postgres://…, LiteLLM's database"),
            Self::NotLiteLlm => f.write_str(
                "--from: expected LiteLLM's tables (LiteLLM_UserTable, LiteLLM_VerificationToken) in the first schema of the search path",
            ),
            Self::Source(error) => write!(f, "LiteLLM's database: {error}"),
            Self::Store(error) => error.fmt(f),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Source(error)
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ApiError> for ImportError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Store(error) => Self::Store(error),
            other => Self::Broken(format!("{other:?}")),
        }
    }
}

/// What an import is made with.
#[derive(Debug)]
pub struct Import<'a> {
    /// Where to.
    pub store: &'a Store,
    /// How budget windows are computed.
    pub rules: &'a WindowRules,
    /// What limits customers without a budget row.
    pub customers: &'a CustomerDefault,
    /// The hash of the master key: no key of LiteLLM may have it.
    pub master: String,
    /// Whether to write; else nothing stays.
    pub apply: bool,
}

impl Import<'_> {
    /// Takes everything from the PostgreSQL at `from`.
    pub async fn run(&self, from: &str) -> Result<Report, ImportError> {
        sqlx::any::install_default_drivers();
        let mut source = Source::open(from).await?;
        let mut report = Report {
            applied: self.apply,
            ..Report::default()
        };
        let mut resets = BTreeMap::new();
        for table in Table::ALL {
            let (name, order, called) = table.names();
            let mut counted = Counted::default();
            let mut skip = 0;
            loop {
                let rows = source.rows(name, order, BATCH, skip).await?;
                let Some(rows) = rows else {
                    report.note(format!("{name} is not there"));
                    break;
                };
                if rows.is_empty() {
                    break;
                }
                skip += rows.len();
                if table == Table::Budgets {
                    resets.extend(rows.iter().filter_map(reset));
                }
                // Memberships have a table of their own for what was spent.
                let spend = match table {
                    Table::TeamMembers => source.memberships(&rows).await?,
                    _ => Vec::new(),
                };
                let batch = Batch {
                    import: self,
                    table,
                    rows: &rows,
                    memberships: &spend,
                    resets: &resets,
                };
                let taken = batch.take().await?;
                counted.add(&taken.counted);
                report.notes.extend(taken.notes);
            }
            report.tables.push((called, counted));
        }
        for name in NOT_TAKEN {
            if let Some(count) = source.count(name).await?.filter(|count| *count > 0) {
                report.note(format!("{count} rows of {name} are not taken"));
            }
        }
        source.close().await?;
        Ok(report)
    }
}

/// A budget row's id, and when LiteLLM would have started it anew.
fn reset(row: &Object) -> Option<(String, u64)> {
    Some((
        values::text(row, "budget_id")?,
        micros(row.get("budget_reset_at"))?,
    ))
}

/// Imports into the database of `config`, and has a Redis that is open take what was spent.
pub async fn litellm(config: &Config, from: &str, apply: bool) -> Result<Report, ImportError> {
    let clock = Clock::System;
    let store = Store::connect(&config.database_url, config.database_connections, clock).await?;
    store.migrate().await?;
    let live =
        Live::of(config.file.clone()).map_err(|error| ImportError::Broken(error.to_string()))?;
    live.refresh(&store).await?;
    let settings = live.now();
    let import = Import {
        store: &store,
        rules: &settings.windows,
        customers: &settings.customer_default,
        master: config.master_key.hash().to_string(),
        apply,
    };
    let mut report = import.run(from).await?;
    // Whoever brought nothing has nothing for Redis to take.
    let brought = report.tables.iter().any(|(_, counted)| counted.taken > 0);
    if apply
        && brought
        && let Err(why) = close(config).await
    {
        report.note(format!(
            "Redis was not reached ({why}): it takes what was spent when it is opened next"
        ));
    }
    Ok(report)
}

/// Takes the markers away that open Redis: a running service then gives it everything anew, what was spent too.
async fn close(config: &Config) -> Result<(), LinkError> {
    let link = Link::new(&config.redis_url)?;
    for partition in (0..config.partitions).map(Partition) {
        for key in [
            redis_key::ready(partition),
            redis_key::index_ready(partition),
        ] {
            refuse_error(link.command(&[b"DEL", key.as_bytes()]).await?)?;
        }
    }
    Ok(())
}

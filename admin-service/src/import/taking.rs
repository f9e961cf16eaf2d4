//! One batch of rows, taken in one transaction.
//!
//! Each module below knows the tables of one kind of thing. What somebody has spent is collected while rows are written, and written after them.

use std::collections::BTreeMap;

use super::values::text;
use super::{Counted, Import, ImportError, Table};
use crate::error::ApiError;
use crate::policy::{Authorized, Upkeep};
use crate::store::row::Object;
use crate::store::spend::{ScopeKey, ScopeState, begin_with};
use crate::store::{Change, Passing, StoreError, Tx};

mod budgets;
mod customers;
mod keys;
mod organizations;
mod spent;
mod tags;
mod teams;
mod users;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) counted: Counted,
    pub(super) notes: Vec<String>,
}

/// Some rows of one table.
pub(super) struct Batch<'a> {
    pub(super) import: &'a Import<'a>,
    pub(super) table: Table,
    pub(super) rows: &'a [Object],
    /// Rows of LiteLLM's memberships, with team members only.
    pub(super) memberships: &'a [Object],
    /// When LiteLLM would have started its budget rows anew, microseconds since the epoch, by their ids.
    pub(super) resets: &'a BTreeMap<String, u64>,
}

/// A dry run is a transaction that is not committed.
pub(super) enum Ended {
    DryRun(Taken),
    Failed(ApiError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl Passing for Ended {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Failed(ApiError::Store(error)) if error.is_passing())
    }
}

impl Batch<'_> {
    pub(super) async fn take(&self) -> Result<Taken, ImportError> {
        match self.import.store.write(self).await {
            Ok(done) => Ok(done.value),
            Err(Ended::DryRun(taken)) => Ok(taken),
            Err(Ended::Failed(error)) => Err(error.into()),
        }
    }
}

impl Change for Batch<'_> {
    type Answer = Taken;
    type Error = Ended;

    async fn apply(&self, tx: &mut Tx) -> Result<Taken, Ended> {
        let mut work = Work {
            import: self.import,
            resets: self.resets,
            by: Authorized::of_service(),
            taken: Taken::default(),
            spend: BTreeMap::new(),
        };
        for row in self.rows {
            match self.table {
                Table::Budgets => work.budget(tx, row).await?,
                Table::Organizations => work.organization(tx, row).await?,
                Table::Users => work.user(tx, row).await?,
                Table::OrganizationMembers => work.organization_member(tx, row).await?,
                Table::Teams => work.team(tx, row).await?,
                Table::TeamMembers => work.members(tx, row, self.memberships).await?,
                Table::Customers => work.customer(tx, row).await?,
                Table::Tags => work.tag(tx, row).await?,
                Table::Keys => work.key(tx, row).await?,
            }
        }
        begin_with(tx, &work.spend).await?;
        if self.import.apply {
            Ok(work.taken)
        } else {
            Err(Ended::DryRun(work.taken))
        }
    }
}

struct Work<'a> {
    import: &'a Import<'a>,
    resets: &'a BTreeMap<String, u64>,
    by: Authorized<Upkeep>,
    taken: Taken,
    spend: BTreeMap<ScopeKey, ScopeState>,
}

impl Work<'_> {
    /// Counts a row that has a name; answers whether it is to be taken.
    fn is_new(&mut self, there: bool) -> bool {
        if there {
            self.taken.counted.there += 1;
        } else {
            self.taken.counted.taken += 1;
        }
        !there
    }

    fn leave(&mut self, note: String) {
        self.taken.counted.left += 1;
        self.taken.notes.push(note);
    }

    /// The name of a row; one without is left out.
    fn name(&mut self, row: &Object, column: &str) -> Option<String> {
        let name = text(row, column);
        if name.is_none() {
            self.leave(format!("a row without {column}"));
        }
        name
    }

    fn notes(&mut self, what: &str, notes: Vec<String>) {
        let notes = notes.into_iter().map(|note| format!("{what}: {note}"));
        self.taken.notes.extend(notes);
    }
}

//! Customers as Redis must hold them.
//!
//! A customer of whom nothing is said has no record, as one whom no row knows: the filter holds both to the default limits. A customer of whom
//! something is said and who has no budget row carries the default limits in their own record.

use contract::id::CustomerId;
use contract::limits::Limits;
use contract::records::{CustomerRecord, Record};
use contract::redis_key::RecordId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{PublishView, Published, PublishedRecord, rows};
use crate::store::StoreError;
use crate::store::outbox::rev;

/// A customer with the limits of their budget row.
pub(super) const CUSTOMER_ROWS: &str = "SELECT c.user_id, c.rev, c.blocked, c.models, c.budget_id, b.budget_id AS found, \
     b.allowed_models, b.model_max_budget AS budget_models, '{}' AS extra, '{}' AS metadata, b.created_at, b.max_budget, b.budget_duration, b.budget_anchor, b.tpm_limit, b.rpm_limit, \
     b.max_parallel_requests FROM customers c LEFT JOIN budgets b ON b.budget_id = COALESCE(c.budget_id, $1)";

/// Those of whom something is said.
pub(super) const PAGE: &str = "WHERE (c.blocked = 1 OR c.models <> '[]' OR c.budget_id IS NOT NULL) AND c.user_id > $2 \
     ORDER BY c.user_id";

impl PublishView<'_> {
    pub(super) async fn customer_rows(
        &self,
        which: &str,
        value: &str,
        limit: u32,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let default = self.customers.budget_id.as_deref().unwrap_or_default();
        self.select(CUSTOMER_ROWS, which, &[default, value], limit)
            .await
    }

    pub(super) fn read_customer(&self, row: &AnyRow) -> Result<Published, StoreError> {
        let id = CustomerId::new(row.try_get::<String, _>("user_id")?);
        let own = RecordId::customer(&id);
        let own_budget = row.try_get::<Option<String>, _>("budget_id")?.is_some();
        let blocked = rows::flag(row, "blocked")?;
        let mut models: Vec<String> = rows::json(row, "models")?;
        let said = blocked || own_budget || !models.is_empty();
        let record = if said {
            let found = row.try_get::<Option<String>, _>("found")?.is_some();
            if found && models.is_empty() {
                models = rows::json(row, "allowed_models")?;
            }
            let limits = if found {
                rows::limits(row, self.store.clock().now_us(), self.rules)?
            } else if own_budget {
                Limits::default()
            } else {
                self.customers.limits()
            };
            Record::Customer(CustomerRecord {
                id,
                blocked,
                models,
                limits,
            })
        } else {
            Record::Deleted
        };
        Ok(Published::Record(Box::new(PublishedRecord {
            id: own.clone(),
            rev: rev(row.try_get("rev")?)?,
            homes: vec![own],
            record,
        })))
    }
}

//! Customers (end users).

use std::collections::BTreeMap;

use contract::id::CustomerId;
use contract::redis_key::RecordId;

use super::spent::{Budget, of};
use super::{Ended, Work};
use crate::import::values::{flag, text, texts};
use crate::store::Tx;
use crate::store::customers::{self, CustomerRow};
use crate::store::outbox::{Kind, signed};
use crate::store::row::{LimitColumns, Object};
use crate::store::spend::{Tally, begun_with};

impl Work<'_> {
    pub(super) async fn customer(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = self.name(row, "user_id") else {
            return Ok(());
        };
        let there = customers::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut customer = CustomerRow::new(id.as_str());
        customer.alias = text(row, "alias");
        customer.blocked = flag(row, "blocked");
        customer.allowed_model_region = text(row, "allowed_model_region");
        customer.default_model = text(row, "default_model");
        customer.models = texts(row, "models");
        customer.budget_id = text(row, "budget_id");
        let budget = match &customer.budget_id {
            Some(id) => self.budget_of(tx, Some(id)).await?,
            None => self.default_budget(tx).await?,
        };
        customer.refresh_at = customer.budget_id.as_ref().and(budget.refresh_at);
        customers::insert(tx, &self.by, &mut customer).await?;
        let ever = signed(of(row).get());
        customers::count(tx, &BTreeMap::from([(id.clone(), ever)])).await?;
        begun_with(tx, Tally::Customers, &id, ever).await?;
        self.begin(tx, (Kind::Customer, &id), row, &budget);
        // Redis counts whom money limits.
        if budget.limits.max_budget.is_some() {
            let scope = RecordId::customer(&CustomerId::new(id.as_str()));
            self.begin(tx, (Kind::Scope, scope.as_str()), row, &budget);
        }
        Ok(())
    }

    /// What limits a customer who has no budget row.
    async fn default_budget(&self, tx: &mut Tx) -> Result<Budget, Ended> {
        let default = self.import.customers;
        let named = self.budget_of(tx, default.budget_id.as_ref()).await?;
        let max_budget = default.max_budget;
        Ok(named.or(Budget {
            limits: LimitColumns {
                max_budget,
                ..LimitColumns::default()
            },
            ..Budget::default()
        }))
    }
}

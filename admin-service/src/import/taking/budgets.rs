//! Budget rows.

use super::spent::Budget;
use super::{Ended, Work};
use crate::domain::budget_window::BudgetDuration;
use crate::import::values::{object, text, texts, whole};
use crate::import::{micros, money};
use crate::routes::imported;
use crate::store::Tx;
use crate::store::budgets::{self, BudgetRow};
use crate::store::row::{LimitColumns, Object};

impl Work<'_> {
    pub(super) async fn budget(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = self.name(row, "budget_id") else {
            return Ok(());
        };
        let there = budgets::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut limits = LimitColumns {
            max_budget: money(row.get("max_budget")),
            max_parallel_requests: whole(row, "max_parallel_requests"),
            tpm_limit: whole(row, "tpm_limit"),
            rpm_limit: whole(row, "rpm_limit"),
            budget_duration: text(row, "budget_duration"),
            budget_anchor: None,
        };
        if limits
            .budget_duration
            .as_deref()
            .is_some_and(|text| BudgetDuration::parse(text).is_none())
        {
            let note = "its budget_duration is none: the budget never starts anew".to_owned();
            self.notes(&format!("budget {id}"), vec![note]);
            limits.budget_duration = None;
        }
        imported::anchor(&mut limits, row, tx.now_us());
        let models = object(row, "model_max_budget");
        let mut budget = BudgetRow {
            budget_id: id,
            limits,
            soft_budget: money(row.get("soft_budget")),
            tpd_limit: row.get("tpd_limit").and_then(serde_json::Value::as_i64),
            model_max_budget: Some(models).filter(|models| !models.is_empty()),
            allowed_models: texts(row, "allowed_models"),
            created_at: micros(row.get("created_at")).unwrap_or(0),
            created_by: text(row, "created_by").unwrap_or_default(),
            ..BudgetRow::default()
        };
        Ok(budgets::bring(tx, &self.by, &mut budget).await?)
    }

    /// The limits of a budget row, which is one of this service by now.
    pub(super) async fn budget_of(
        &self,
        tx: &mut Tx,
        id: Option<&String>,
    ) -> Result<Budget, Ended> {
        let Some(id) = id else {
            return Ok(Budget::default());
        };
        let found = budgets::find(tx.connection(), id).await?;
        let now_us = tx.now_us();
        Ok(found.map_or_else(Budget::default, |row| Budget {
            refresh_at: row.refresh_at(now_us, self.import.rules),
            resets: self.resets.get(id).copied(),
            limits: row.limits,
        }))
    }
}

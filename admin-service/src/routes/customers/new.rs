//! `POST /customer/new`.

use axum::body::Bytes;
use axum::extract::State;

use super::{fields, shown_one};
use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, CustomerNew};
use crate::request::{Body, NEW_CUSTOMER};
use crate::routes::answer::Answer;
use crate::routes::budgets::fields::{self as budget_fields, Counting};
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::budgets::{self, BudgetRow};
use crate::store::customers::{self, CustomerRow};
use crate::store::{Change, Tx};

/// Fields that make a budget row of the customer's own.
const OF_BUDGET: [&str; 9] = [
    "max_budget",
    "soft_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "budget_duration",
    "model_max_budget",
    "budget_reset_at",
];

/// Makes a customer, with a budget row where the request sets a limit.
pub async fn new(
    State(app): State<App>,
    by: Authorized<CustomerNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, NEW_CUSTOMER)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = fields::unenforced(&body);
    fields::one_budget(&body)?;
    keys::spend(&mut body, true)?;
    let user_id = body.text("user_id").value().unwrap_or_default();
    let mut customer = CustomerRow::new(user_id);
    fields::apply(&mut customer, &mut body);
    customer.budget_id = body.text("budget_id").value().filter(|id| !id.is_empty());
    let budget = if OF_BUDGET.iter().any(|field| body.has(field)) {
        let mut row = BudgetRow {
            budget_id: uuid::Uuid::new_v4().to_string(),
            ..BudgetRow::default()
        };
        let now_us = app.store.clock().now_us();
        budget_fields::apply(&mut row, &mut body, now_us, Counting::Now)?;
        Some(row)
    } else {
        None
    };
    let settings = app.settings();
    let change = New {
        by: &by,
        customer,
        budget,
        rules: &settings.windows,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(shown_one(&app, &done.value).await?)
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct New<'a> {
    by: &'a Authorized<CustomerNew>,
    customer: CustomerRow,
    budget: Option<BudgetRow>,
    rules: &'a WindowRules,
}

impl Change for New<'_> {
    type Answer = CustomerRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<CustomerRow, ApiError> {
        let mut customer = self.customer.clone();
        if let Some(seen) = customers::lock(tx, &customer.user_id).await? {
            return Err(BudgetRefusal::CustomerExists(seen.user_id).into());
        }
        match (&self.budget, &customer.budget_id) {
            // Limits beside a named row: the row stays whose it is, and gets none of them.
            (Some(_), Some(_)) => return Err(BudgetRefusal::BudgetNamedAndMade.into()),
            (Some(budget), None) => {
                let mut budget = budget.clone();
                budgets::put(tx, self.by, &mut budget).await?;
                customer.refresh_at = budget.refresh_at(tx.now_us(), self.rules);
                customer.budget_id = Some(budget.budget_id);
            }
            (None, Some(id)) => {
                let found = budgets::lock(tx, id).await?;
                let budget = found.ok_or_else(|| BudgetRefusal::BudgetMissing(id.clone()))?;
                customer.refresh_at = budget.refresh_at(tx.now_us(), self.rules);
            }
            (None, None) => {}
        }
        customers::insert(tx, self.by, &mut customer).await?;
        Ok(customer)
    }
}

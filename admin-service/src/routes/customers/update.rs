//! `POST /customer/update`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;

use super::{fields, shown_one};
use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, CustomerUpdate};
use crate::request::{Body, Patch, UPDATE_CUSTOMER};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::budgets::{self, BudgetRow};
use crate::store::customers::{self, CustomerRow};
use crate::store::{Change, Tx};

/// Changes what the request says of a customer, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<CustomerUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_CUSTOMER)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = fields::unenforced(&body);
    fields::one_budget(&body)?;
    let user_id = body.text("user_id").value().unwrap_or_default();
    let max_budget = body.money("max_budget")?;
    let budget_id = body.text("budget_id");
    let settings = app.settings();
    let change = Update {
        by: &by,
        user_id,
        body,
        max_budget,
        budget_id,
        rules: &settings.windows,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(shown_one(&app, &done.value).await?)
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct Update<'a> {
    by: &'a Authorized<CustomerUpdate>,
    user_id: String,
    body: Body,
    max_budget: Patch<NanoUsd>,
    budget_id: Patch<String>,
    rules: &'a WindowRules,
}

impl Change for Update<'_> {
    type Answer = CustomerRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<CustomerRow, ApiError> {
        let found = customers::lock(tx, &self.user_id).await?;
        let before = found.ok_or_else(|| BudgetRefusal::CustomerMissing {
            id: self.user_id.clone(),
            param: "user_id",
        })?;
        let mut customer = before.clone();
        fields::apply(&mut customer, &mut self.body.clone());
        match &self.budget_id {
            Patch::Absent => {}
            Patch::Null => customer.budget_id = None,
            Patch::Set(id) => customer.budget_id = Some(id.clone()).filter(|id| !id.is_empty()),
        }
        let mut budget = match &customer.budget_id {
            Some(id) => {
                let found = budgets::lock(tx, id).await?;
                Some(found.ok_or_else(|| BudgetRefusal::BudgetMissing(id.clone()))?)
            }
            None => None,
        };
        if self.max_budget.is_present() {
            let changed = self.with_budget(tx, budget).await?;
            customer.budget_id = Some(changed.budget_id.clone());
            budget = Some(changed);
        }
        customer.refresh_at = budget.and_then(|budget| budget.refresh_at(tx.now_us(), self.rules));
        customers::update(tx, self.by, "updated", &before, &mut customer).await?;
        Ok(customer)
    }
}

impl Update<'_> {
    /// The customer's budget row with the amount that was sent. A row that limits others too stays as it is: the customer gets one like it.
    async fn with_budget(
        &self,
        tx: &mut Tx,
        budget: Option<BudgetRow>,
    ) -> Result<BudgetRow, ApiError> {
        let mut row = budget.unwrap_or_default();
        let own = !row.budget_id.is_empty() && budgets::links(tx, &row.budget_id).await? <= 1;
        if !own {
            row.budget_id = uuid::Uuid::new_v4().to_string();
        }
        self.max_budget.clone().apply(&mut row.limits.max_budget);
        budgets::put(tx, self.by, &mut row).await?;
        Ok(row)
    }
}

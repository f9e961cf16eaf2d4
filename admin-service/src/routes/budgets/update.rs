//! `POST /budget/update`.

use axum::body::Bytes;
use axum::extract::State;

use super::fields::{self, Counting};
use super::follow_default;
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, BudgetUpdate};
use crate::request::{BUDGET, Body};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::shape;
use crate::store::budgets::{self, BudgetRow};
use crate::store::{Change, Tx};

/// Changes what the request says of a row, and nothing else; everybody whom it limits follows.
pub async fn update(
    State(app): State<App>,
    by: Authorized<BudgetUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BUDGET)?;
    let ignored = std::mem::take(&mut body.ignored);
    let named = body.text("budget_id").value().filter(|id| !id.is_empty());
    let budget_id = named.ok_or(BudgetRefusal::BudgetIdMissing)?;
    let update = Update {
        app: &app,
        by: &by,
        budget_id,
        body,
    };
    let done = app.store.write(&update).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let now_us = app.store.clock().now_us();
    let shown = shape::budget_row(&done.value, now_us, &app.settings().windows);
    Ok(Answer::new(shown).ignoring(&ignored).published(published))
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<BudgetUpdate>,
    budget_id: String,
    body: Body,
}

impl Change for Update<'_> {
    type Answer = BudgetRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<BudgetRow, ApiError> {
        let found = budgets::lock(tx, &self.budget_id).await?;
        let mut row = found.ok_or_else(|| BudgetRefusal::BudgetUnknown(self.budget_id.clone()))?;
        let now_us = tx.now_us();
        fields::apply(&mut row, &mut self.body.clone(), now_us, Counting::Calendar)?;
        budgets::put(tx, self.by, &mut row).await?;
        let refresh_at = row.refresh_at(now_us, &self.app.settings().windows);
        budgets::publish_linked(tx, &row.budget_id, refresh_at).await?;
        follow_default(tx, self.app, &row.budget_id).await?;
        Ok(row)
    }
}

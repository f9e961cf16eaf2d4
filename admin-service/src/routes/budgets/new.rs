//! `POST /budget/new`.

use axum::body::Bytes;
use axum::extract::State;

use super::fields::{self, Counting};
use super::follow_default;
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, BudgetNew};
use crate::request::{BUDGET, Body};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::shape;
use crate::store::budgets::{self, BudgetRow};
use crate::store::{Change, Tx};

/// Makes a budget row.
pub async fn new(
    State(app): State<App>,
    by: Authorized<BudgetNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BUDGET)?;
    let ignored = std::mem::take(&mut body.ignored);
    let budget_id = body.text("budget_id").value().filter(|id| !id.is_empty());
    let mut row = BudgetRow {
        budget_id: budget_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        ..BudgetRow::default()
    };
    let now_us = app.store.clock().now_us();
    fields::apply(&mut row, &mut body, now_us, Counting::Calendar)?;
    let done = app
        .store
        .write(&New {
            app: &app,
            by: &by,
            row,
        })
        .await?;
    let shown = shape::budget_row(&done.value, now_us, &app.settings().windows);
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(shown).ignoring(&ignored).published(published))
}

struct New<'a> {
    app: &'a App,
    by: &'a Authorized<BudgetNew>,
    row: BudgetRow,
}

impl Change for New<'_> {
    type Answer = BudgetRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<BudgetRow, ApiError> {
        let mut row = self.row.clone();
        if budgets::find(tx.connection(), &row.budget_id)
            .await?
            .is_some()
        {
            return Err(BudgetRefusal::BudgetExists(row.budget_id).into());
        }
        budgets::insert(tx, self.by, &mut row).await?;
        follow_default(tx, self.app, &row.budget_id).await?;
        Ok(row)
    }
}

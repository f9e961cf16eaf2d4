//! `POST /budget/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::follow_default;
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::policy::{Authorized, BudgetDelete};
use crate::request::{BUDGET_ID, Body};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::shape;
use crate::store::budgets::{self, BudgetRow};
use crate::store::{Change, Tx, organizations};

/// Deletes a row: whoever it limited is without it. A row that is not there is `null`.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<BudgetDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, BUDGET_ID)?;
    let budget_id = body.text("id").value().unwrap_or_default();
    let done = app
        .store
        .write(&Delete {
            app: &app,
            by: &by,
            budget_id: &budget_id,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let now_us = app.store.clock().now_us();
    let shown = done.value.map_or(Value::Null, |row| {
        shape::budget_row(&row, now_us, &app.settings().windows)
    });
    Ok(Answer::new(shown)
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    app: &'a App,
    by: &'a Authorized<BudgetDelete>,
    budget_id: &'a str,
}

impl Change for Delete<'_> {
    type Answer = Option<BudgetRow>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Option<BudgetRow>, ApiError> {
        let Some(row) = budgets::lock(tx, self.budget_id).await? else {
            return Ok(None);
        };
        let used = organizations::of_budget(tx.connection(), self.budget_id).await?;
        if let Some(organization) = used.into_iter().next() {
            return Err(BudgetRefusal::BudgetOfOrganization(organization.organization_id).into());
        }
        budgets::delete(tx, self.by, &row).await?;
        follow_default(tx, self.app, self.budget_id).await?;
        Ok(Some(row))
    }
}

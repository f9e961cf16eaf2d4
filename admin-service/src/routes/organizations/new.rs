//! `POST /organization/new`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::{fields, shown};
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal, OrganizationRefusal};
use crate::policy::{Authorized, OrganizationNew};
use crate::request::{Body, NEW_ORGANIZATION};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::budgets::{self, BudgetRow};
use crate::store::organizations::{self, OrganizationRow};
use crate::store::{Change, Tx};

/// Makes an organization, with a budget row of its own unless the request names one.
pub async fn new(
    State(app): State<App>,
    by: Authorized<OrganizationNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, NEW_ORGANIZATION)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = keys::unenforced(&body);
    let id = body.text("organization_id").value();
    let id = id.filter(|id| !id.is_empty());
    let change = New {
        app: &app,
        by: &by,
        organization_id: id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        budget_id: body.text("budget_id").value(),
        body,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let body = shown(&mut *app.store.read().await?, &app, &done.value).await?;
    Ok(Answer::new(Value::Object(body))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct New<'a> {
    app: &'a App,
    by: &'a Authorized<OrganizationNew>,
    organization_id: String,
    budget_id: Option<String>,
    body: Body,
}

impl Change for New<'_> {
    type Answer = OrganizationRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<OrganizationRow, ApiError> {
        let id = &self.organization_id;
        if organizations::find(tx.connection(), id).await?.is_some() {
            return Err(OrganizationRefusal::OrganizationExists(id.clone()).into());
        }
        let named = match &self.budget_id {
            Some(id) => {
                let found = budgets::lock(tx, id).await?;
                Some(found.ok_or_else(|| BudgetRefusal::BudgetMissing(id.clone()))?)
            }
            None => None,
        };
        // A named row is shared with others: limits of the request would be theirs too.
        let given = named.is_some();
        let mut budget = named.unwrap_or_else(|| BudgetRow {
            budget_id: uuid::Uuid::new_v4().to_string(),
            ..BudgetRow::default()
        });
        let mut row = OrganizationRow::new(id);
        let now_us = tx.now_us();
        if given && fields::limits(&self.body) {
            return Err(OrganizationRefusal::BudgetAndLimits.into());
        }
        fields::apply(&mut row, &mut budget, self.body.clone(), now_us)?;
        if !given {
            budgets::put(tx, self.by, &mut budget).await?;
        }
        row.refresh_at = budget
            .limits
            .refresh_at(now_us, &self.app.settings().windows);
        row.budget_id = budget.budget_id;
        organizations::insert(tx, self.by, &mut row).await?;
        Ok(row)
    }
}

//! `PATCH /organization/update`.

use axum::body::Bytes;
use axum::extract::{Path, State};

use super::{Sight, fields, shown_whole};
use crate::app::App;
use crate::error::{ApiError, BudgetRefusal, OrganizationRefusal};
use crate::policy::{Authorized, OrganizationUpdate};
use crate::request::{Body, PATCH_ORGANIZATION, UPDATE_ORGANIZATION};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::budgets::{self, publish_linked};
use crate::store::organizations::{self, OrganizationRow};
use crate::store::{Change, Tx};

/// Changes what the request says of an organization, and nothing else. Its limits are those of its budget row: whoever shares it follows.
pub async fn update(
    State(app): State<App>,
    by: Authorized<OrganizationUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_ORGANIZATION)?;
    let organization_id = body.text("organization_id").value().unwrap_or_default();
    change(&app, &by, organization_id, body).await
}

/// The same with the organization in the path.
pub async fn patch(
    State(app): State<App>,
    by: Authorized<OrganizationUpdate>,
    Path(organization_id): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, PATCH_ORGANIZATION)?;
    change(&app, &by, organization_id, body).await
}

async fn change(
    app: &App,
    by: &Authorized<OrganizationUpdate>,
    organization_id: String,
    mut body: Body,
) -> Result<Answer, ApiError> {
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = keys::unenforced(&body);
    let change = Update {
        app,
        by,
        organization_id,
        budget_id: body.text("budget_id").value(),
        body,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut connection = app.store.read().await?;
    let body = shown_whole(&mut connection, app, &done.value, &Sight::Whole).await?;
    Ok(Answer::new(body)
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<OrganizationUpdate>,
    organization_id: String,
    budget_id: Option<String>,
    body: Body,
}

impl Change for Update<'_> {
    type Answer = OrganizationRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<OrganizationRow, ApiError> {
        let id = &self.organization_id;
        let found = organizations::lock(tx, id).await?;
        let before = found.ok_or_else(|| OrganizationRefusal::OrganizationMissing(id.clone()))?;
        let mut row = before.clone();
        if let Some(named) = &self.budget_id {
            row.budget_id.clone_from(named);
        }
        let found = budgets::lock(tx, &row.budget_id).await?;
        let mut budget =
            found.ok_or_else(|| BudgetRefusal::BudgetMissing(row.budget_id.clone()))?;
        let now_us = tx.now_us();
        fields::apply(&mut row, &mut budget, self.body.clone(), now_us)?;
        row.refresh_at = budget
            .limits
            .refresh_at(now_us, &self.app.settings().windows);
        let limits = fields::limits(&self.body);
        if limits {
            budgets::put(tx, self.by, &mut budget).await?;
        }
        organizations::update(tx, self.by, &before, &mut row).await?;
        if limits {
            publish_linked(tx, &budget.budget_id, row.refresh_at).await?;
        }
        Ok(row)
    }
}

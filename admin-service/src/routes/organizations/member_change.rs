//! `PATCH /organization/member_update`, `DELETE /organization/member_delete`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;

use super::member_add::{budget_of, must_administer};
use super::memberships;
use crate::app::App;
use crate::error::{ApiError, OrganizationRefusal};
use crate::policy::{Authorized, OrganizationMemberDelete, OrganizationMemberUpdate};
use crate::request::{Body, ORG_MEMBER_DELETE, ORG_MEMBER_UPDATE};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::teams::Who;
use crate::store::organization_members::{self, OrgMemberRow};
use crate::store::{Change, Tx, organizations, users};

/// Changes a member's role and budget.
pub async fn member_update(
    State(app): State<App>,
    by: Authorized<OrganizationMemberUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, ORG_MEMBER_UPDATE)?;
    let change = Update {
        app: &app,
        by: &by,
        organization_id: body.text("organization_id").value().unwrap_or_default(),
        who: Who::take(&mut body)?,
        role: body.text("role").value(),
        max_budget: body.money("max_budget_in_organization")?.value(),
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut shown = memberships(&mut *app.store.read().await?, &app, &[done.value]).await?;
    Ok(Answer::new(shown.pop().unwrap_or_default())
        .ignoring(&body.ignored)
        .published(published))
}

/// Removes a member. Teams of the organization that the user is in are left as they are.
pub async fn member_delete(
    State(app): State<App>,
    by: Authorized<OrganizationMemberDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, ORG_MEMBER_DELETE)?;
    let change = Remove {
        by: &by,
        organization_id: body.text("organization_id").value().unwrap_or_default(),
        who: Who::take(&mut body)?,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let mut shown = memberships(&mut *app.store.read().await?, &app, &[done.value]).await?;
    Ok(Answer::new(shown.pop().unwrap_or_default())
        .ignoring(&body.ignored)
        .published(published))
}

/// The membership that is meant, its organization locked; who is in no such one is refused.
async fn member(tx: &mut Tx, organization_id: &str, who: &Who) -> Result<OrgMemberRow, ApiError> {
    let user_id = match (&who.user_id, &who.user_email) {
        (Some(id), _) => Some(id.clone()),
        (None, Some(email)) => {
            let user = users::find(tx.connection(), users::Which::Email(email)).await?;
            user.map(|user| user.user_id)
        }
        (None, None) => None,
    };
    let found = match &user_id {
        Some(id) => organization_members::find(tx.connection(), organization_id, id).await?,
        None => None,
    };
    let named = user_id.or_else(|| who.user_email.clone());
    found.ok_or_else(|| {
        OrganizationRefusal::NotInOrganization {
            user: named.unwrap_or_default(),
            organization: organization_id.to_owned(),
        }
        .into()
    })
}

async fn locked<R>(tx: &mut Tx, by: &Authorized<R>, organization_id: &str) -> Result<(), ApiError> {
    if organizations::lock(tx, organization_id).await?.is_none() {
        return Err(OrganizationRefusal::OrganizationMissing(organization_id.to_owned()).into());
    }
    must_administer(tx, by, organization_id).await
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<OrganizationMemberUpdate>,
    organization_id: String,
    who: Who,
    role: Option<String>,
    max_budget: Option<NanoUsd>,
}

impl Change for Update<'_> {
    type Answer = OrgMemberRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<OrgMemberRow, ApiError> {
        locked(tx, self.by, &self.organization_id).await?;
        let before = member(tx, &self.organization_id, &self.who).await?;
        let mut row = before.clone();
        if let Some(role) = &self.role {
            row.user_role = Some(role.clone());
        }
        budget_of(tx, self.app, self.by, &mut row, self.max_budget).await?;
        organization_members::update(tx, self.by, &before, &mut row).await?;
        Ok(row)
    }
}

struct Remove<'a> {
    by: &'a Authorized<OrganizationMemberDelete>,
    organization_id: String,
    who: Who,
}

impl Change for Remove<'_> {
    type Answer = OrgMemberRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<OrgMemberRow, ApiError> {
        locked(tx, self.by, &self.organization_id).await?;
        let row = member(tx, &self.organization_id, &self.who).await?;
        organization_members::delete(tx, self.by, &row).await?;
        Ok(row)
    }
}

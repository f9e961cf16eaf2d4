//! `DELETE /organization/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::{Sight, shown_whole};
use crate::app::App;
use crate::error::{ApiError, OrganizationRefusal};
use crate::policy::{Authorized, OrganizationDelete};
use crate::request::{Body, ORGANIZATION_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::teams;
use crate::store::keys::{self, Owner};
use crate::store::{Change, Tx, organization_members, organizations, teams as team_rows};

/// Deletes organizations with their teams, keys and memberships, all that are named or none. Answers what they were.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<OrganizationDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, ORGANIZATION_IDS)?;
    let mut ids = body.texts("organization_ids").value().unwrap_or_default();
    ids.sort();
    ids.dedup();
    let mut shown = Vec::with_capacity(ids.len());
    {
        let mut connection = app.store.read().await?;
        for id in &ids {
            let found = organizations::find(&mut connection, id).await?;
            let row =
                found.ok_or_else(|| OrganizationRefusal::OrganizationDeleteMissing(id.clone()))?;
            shown.push(shown_whole(&mut connection, &app, &row, &Sight::Whole).await?);
        }
    }
    let change = Delete { by: &by, ids };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(Value::Array(shown))
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<OrganizationDelete>,
    ids: Vec<String>,
}

impl Change for Delete<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        for id in &self.ids {
            let found = organizations::lock(tx, id).await?;
            let row =
                found.ok_or_else(|| OrganizationRefusal::OrganizationDeleteMissing(id.clone()))?;
            for team in team_rows::of_organization(tx.connection(), id).await? {
                if let Some(team) = team_rows::lock(tx, &team.team_id).await? {
                    teams::delete_whole(tx, self.by, &team).await?;
                }
            }
            for key in keys::lock_of_owner(tx, Owner::Organization(id)).await? {
                keys::delete(tx, self.by, &key).await?;
            }
            for member in organization_members::of_organization(tx.connection(), id).await? {
                organization_members::delete(tx, self.by, &member).await?;
            }
            organizations::delete(tx, self.by, &row).await?;
        }
        Ok(())
    }
}

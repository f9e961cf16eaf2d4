//! `POST /user/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::caller::Role;
use crate::error::{AccessRefusal, ApiError, UserRefusal};
use crate::policy::{Authorized, UserDelete};
use crate::request::{Body, USER_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::keys::{self, Owner};
use crate::store::users::UserRow;
use crate::store::{
    Change, Tx, invitations, members, organization_members, passwords, sessions, teams, users,
};

/// Deletes users with their keys and memberships, all that are named or none. Answers how many.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<UserDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, USER_IDS)?;
    let mut user_ids = body.texts("user_ids").value().unwrap_or_default();
    user_ids.sort();
    user_ids.dedup();
    let done = app.store.write(&Delete { by: &by, user_ids }).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok(Answer::new(json!(done.value))
        .ignoring(&body.ignored)
        .published(published))
}

struct Delete<'a> {
    by: &'a Authorized<UserDelete>,
    user_ids: Vec<String>,
}

impl Change for Delete<'_> {
    type Answer = usize;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<usize, ApiError> {
        for user_id in &self.user_ids {
            let found = users::lock(tx, users::Which::Id(user_id)).await?;
            if !self.by.is_admin() {
                check_scope(tx, self.by, found.as_ref()).await?;
            }
            let user = found.ok_or_else(|| UserRefusal::UserDeleteMissing(user_id.clone()))?;
            for key in keys::lock_of_owner(tx, Owner::User(user_id)).await? {
                keys::delete(tx, self.by, &key).await?;
            }
            for member in members::of_user(tx.connection(), user_id).await? {
                members::delete(tx, self.by, &member).await?;
            }
            for member in organization_members::of_user(tx.connection(), user_id).await? {
                organization_members::delete(tx, self.by, &member).await?;
            }
            passwords::delete(tx, self.by, user_id).await?;
            invitations::delete_of_user(tx, self.by, user_id).await?;
            // Whoever gets this id again has nothing of these.
            sessions::end_of_user(tx, self.by, user_id, None).await?;
            users::delete(tx, self.by, &user).await?;
        }
        Ok(self.user_ids.len())
    }
}

/// An admin of organizations deletes plain users who belong to theirs alone, and is not told of others.
async fn check_scope(
    tx: &mut Tx,
    by: &Authorized<UserDelete>,
    user: Option<&UserRow>,
) -> Result<(), ApiError> {
    let own = by.caller.user_id.as_deref();
    let theirs = organization_members::administered(tx.connection(), own).await?;
    if let Some(user) = user {
        let role = Role::parse(user.user_role.as_deref());
        let plain = !matches!(role, Role::ProxyAdmin | Role::ProxyAdminViewer);
        let memberships = organization_members::of_user(tx.connection(), &user.user_id).await?;
        let all_theirs = memberships
            .iter()
            .all(|member| !member.is_admin() && theirs.contains(&member.organization_id));
        let mut teams_theirs = true;
        for member in members::of_user(tx.connection(), &user.user_id).await? {
            let team = teams::find(tx.connection(), &member.team_id).await?;
            let organization = team.and_then(|team| team.organization_id);
            teams_theirs &= organization.is_some_and(|id| theirs.contains(&id));
        }
        if plain && all_theirs && teams_theirs && !memberships.is_empty() {
            return Ok(());
        }
    }
    Err(AccessRefusal::OnlyProxyAdmin {
        route: "/user/delete".to_owned(),
        role: by.caller.role.as_str(),
        user: by.caller.masked_user(),
    }
    .into())
}

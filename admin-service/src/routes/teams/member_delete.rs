//! `POST /team/member_delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;

use super::rights::{self, Standing};
use super::shown;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::policy::{Authorized, TeamMemberDelete};
use crate::request::{Body, MEMBER_DELETE};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::keys::{self, Owner};
use crate::store::members::{self, MemberRow};
use crate::store::teams::{self, TeamRow};
use crate::store::users;
use crate::store::{Change, Tx};

/// Who is meant, by id or by e-mail address.
#[derive(Clone, Debug)]
pub(in crate::routes) struct Who {
    pub(in crate::routes) user_id: Option<String>,
    pub(in crate::routes) user_email: Option<String>,
}

impl Who {
    /// Reads it; one of the two must be there.
    pub(in crate::routes) fn take(body: &mut Body) -> Result<Self, ApiError> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let who = Self {
            user_id: filled(body.text("user_id").value()),
            user_email: filled(body.text("user_email").value()),
        };
        if who.user_id.is_none() && who.user_email.is_none() {
            let msg = "Value error, Either user id or user email must be provided";
            return Err(crate::request::Problem::whole_body("value_error", msg).into());
        }
        Ok(who)
    }

    /// The membership that is meant; who is in no such one is refused.
    pub(super) async fn member(&self, tx: &mut Tx, team_id: &str) -> Result<MemberRow, ApiError> {
        let found = match (&self.user_id, &self.user_email) {
            (Some(id), _) => members::find(tx.connection(), team_id, id).await?,
            (None, Some(email)) => {
                let which = users::Which::Email(email);
                match users::find(tx.connection(), which).await? {
                    Some(user) => members::find(tx.connection(), team_id, &user.user_id).await?,
                    None => None,
                }
            }
            (None, None) => None,
        };
        Ok(found.ok_or(TeamRefusal::NotAMember)?)
    }
}

/// Removes a member with the keys that it has in the team.
pub async fn member_delete(
    State(app): State<App>,
    by: Authorized<TeamMemberDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, MEMBER_DELETE)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let who = Who::take(&mut body)?;
    let change = Remove {
        app: &app,
        by: &by,
        team_id,
        who,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let team = shown(&mut *app.store.read().await?, &app, &done.value).await?;
    Ok(Answer::new(Value::Object(team))
        .ignoring(&body.ignored)
        .published(published))
}

struct Remove<'a> {
    app: &'a App,
    by: &'a Authorized<TeamMemberDelete>,
    team_id: String,
    who: Who,
}

impl Change for Remove<'_> {
    type Answer = TeamRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TeamRow, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let before = found.ok_or_else(|| TeamRefusal::MemberTeamMissing(self.team_id.clone()))?;
        let standing = rights::must_administer(tx.connection(), self.by, &before).await?;
        if standing == Standing::Team && self.app.settings().team_admins_keep_members() {
            return Err(TeamRefusal::TeamAdminMayNotRemove.into());
        }
        let member = self.who.member(tx, &self.team_id).await?;
        // The team's row is locked: nobody makes another key in it meanwhile.
        for key in keys::lock_of_owner(tx, Owner::User(&member.user_id)).await? {
            if key.team_id.as_ref() == Some(&self.team_id) {
                keys::delete(tx, self.by, &key).await?;
            }
        }
        members::delete(tx, self.by, &member).await?;
        let mut team = before.clone();
        teams::update(tx, self.by, &before, &mut team).await?;
        Ok(team)
    }
}

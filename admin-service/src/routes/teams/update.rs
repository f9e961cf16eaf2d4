//! `POST /team/update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::fields::{self, MemberLimits};
use super::membership::share;
use super::{TEAM, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::openapi::schema::{Record, TEXT, one};
use crate::policy::{Authorized, TeamUpdate};
use crate::request::{Body, UPDATE_TEAM};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::teams::{self, TeamRow};
use crate::store::{Change, Tx, members};

/// The answer.
pub static UPDATED: Record = Record::new("UpdatedTeam", &[("team_id", TEXT), ("data", one(&TEAM))]);

/// Changes what the request says of a team, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<TeamUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_TEAM)?;
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = keys::unenforced(&body);
    let limits = MemberLimits::take(&mut body)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    let done = app
        .store
        .write(&Update {
            app: &app,
            by: &by,
            team_id,
            body,
            limits,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let data = shown(&mut *app.store.read().await?, &app, &done.value).await?;
    Ok(
        Answer::new(json!({"team_id": done.value.team_id, "data": Value::Object(data)}))
            .ignoring(&ignored)
            .unenforced(unenforced.into_iter())
            .published(published),
    )
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<TeamUpdate>,
    team_id: String,
    body: Body,
    limits: MemberLimits,
}

impl Change for Update<'_> {
    type Answer = TeamRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TeamRow, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let before = found.ok_or_else(|| Refusal::TeamUpdateMissing(self.team_id.clone()))?;
        if !self.by.is_admin() {
            let own = self.by.caller.user_id.as_deref().unwrap_or_default();
            let member = members::find(tx.connection(), &self.team_id, own).await?;
            return Err(match member {
                Some(member) if member.role == "admin" => Refusal::TeamAdminMayNotEdit,
                _ => Refusal::NotTeamAdmin {
                    route: "/team/update",
                    team: self.team_id.clone(),
                },
            }
            .into());
        }
        let mut team = before.clone();
        let now_us = tx.now_us();
        fields::apply(
            &mut team,
            self.body.clone(),
            now_us,
            &self.app.settings().windows,
        )?;
        share(tx, self.app, self.by, &mut team, &self.limits).await?;
        teams::update(tx, self.by, &before, &mut team).await?;
        Ok(team)
    }
}

//! `POST /team/update`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::fields::{self, MemberLimits};
use super::membership::share;
use super::rights::{self, Standing};
use super::{TEAM, shown};
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::openapi::schema::{Record, TEXT, one};
use crate::policy::{Authorized, TeamUpdate};
use crate::request::{Body, PATCH_TEAM, UPDATE_TEAM};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::teams::{self, TeamRow};
use crate::store::{Change, Tx};

/// The answer.
pub static UPDATED: Record = Record::new("UpdatedTeam", &[("team_id", TEXT), ("data", one(&TEAM))]);

/// Changes what the request says of a team, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<TeamUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_TEAM)?;
    let team_id = body.text("team_id").value().unwrap_or_default();
    change(
        &app,
        &by,
        team_id,
        body,
        |team, data| json!({"team_id": team, "data": data}),
    )
    .await
}

/// The same with the team in the path, answered with the row alone.
pub async fn patch(
    State(app): State<App>,
    by: Authorized<TeamUpdate>,
    Path(team_id): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, PATCH_TEAM)?;
    let named = body.text("team_id").value();
    if named.is_some_and(|named| named != team_id) {
        return Err(TeamRefusal::TeamsDisagree.into());
    }
    change(&app, &by, team_id, body, |_, data| data).await
}

async fn change(
    app: &App,
    by: &Authorized<TeamUpdate>,
    team_id: String,
    mut body: Body,
    answer: impl Fn(&str, Value) -> Value,
) -> Result<Answer, ApiError> {
    let ignored = std::mem::take(&mut body.ignored);
    let unenforced = keys::unenforced(&body);
    let sent: Vec<String> = body.clone().rest().keys().cloned().collect();
    let limits = MemberLimits::take(&mut body)?;
    let done = app
        .store
        .write(&Update {
            app,
            by,
            team_id,
            body,
            sent,
            limits,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let team = done.value;
    let data = shown(&mut *app.store.read().await?, app, &team).await?;
    Ok(Answer::new(answer(&team.team_id, Value::Object(data)))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

/// An admin of a team edits the fields that the proxy's admins let team admins edit.
pub(super) fn editable<'a>(
    fields: impl IntoIterator<Item = &'a str>,
    editable: &[String],
) -> Result<(), ApiError> {
    if editable.is_empty() {
        return Err(TeamRefusal::TeamAdminMayNotEdit.into());
    }
    let beyond = |field: &&str| !editable.iter().any(|editable| editable == field);
    let fields: Vec<String> = fields
        .into_iter()
        .filter(beyond)
        .map(str::to_owned)
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    let editable = editable.to_vec();
    Err(TeamRefusal::TeamAdminMayNotEditFields { fields, editable }.into())
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<TeamUpdate>,
    team_id: String,
    body: Body,
    /// The fields that the request sets.
    sent: Vec<String>,
    limits: MemberLimits,
}

impl Change for Update<'_> {
    type Answer = TeamRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TeamRow, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let before = found.ok_or_else(|| TeamRefusal::TeamUpdateMissing(self.team_id.clone()))?;
        let standing = rights::must_administer(tx.connection(), self.by, &before).await?;
        if standing == Standing::Team {
            let may = self.app.settings().team_admin_editable_fields();
            editable(self.sent.iter().map(String::as_str), &may)?;
        }
        let mut team = before.clone();
        let now_us = tx.now_us();
        fields::apply(
            &mut team,
            self.body.clone(),
            now_us,
            &self.app.settings().windows,
        )?;
        rights::within_organization(tx.connection(), self.by, Some(&before), &team).await?;
        share(tx, self.app, self.by, &mut team, &self.limits).await?;
        teams::update(tx, self.by, &before, &mut team).await?;
        Ok(team)
    }
}

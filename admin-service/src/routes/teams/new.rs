//! `POST /team/new`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::fields::{self, MemberLimits};
use super::member_add::{Named, read_members, the_user};
use super::membership::{Joining, join, share};
use super::rights::{self, Standing};
use super::shown;
use crate::app::App;
use crate::caller::MASTER_USER;
use crate::error::{ApiError, TeamRefusal};
use crate::policy::{Authorized, TeamNew};
use crate::request::{Body, NEW_TEAM};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::routes::shape::dollars;
use crate::settings::TeamDefaults;
use crate::store::teams::{self, TeamRow};
use crate::store::{Change, Tx, members};

/// Makes a team with its first members; whoever makes it becomes its admin.
pub async fn new(
    State(app): State<App>,
    by: Authorized<TeamNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, NEW_TEAM)?;
    let ignored = std::mem::take(&mut body.ignored);
    fill_defaults(&mut body, &app.settings().team_defaults);
    let unenforced = keys::unenforced(&body);
    let limits = MemberLimits::take(&mut body)?;
    let mut named = match body.take("members_with_roles").value() {
        Some(list) => read_members(list)?,
        None => Vec::new(),
    };
    for (field, admin) in [("admins", true), ("members", false)] {
        for user_id in body.texts(field).value().unwrap_or_default() {
            named.push(Named {
                user_id: Some(user_id),
                user_email: None,
                admin,
            });
        }
    }
    let creator = by
        .caller
        .user_id
        .clone()
        .unwrap_or_else(|| MASTER_USER.to_owned());
    let listed = named
        .iter()
        .any(|member| member.user_id.as_ref() == Some(&creator));
    // The setting is about proxy admins: whoever else makes a team is to find themselves in it.
    let left_out = by.is_admin() && app.settings().leave_admin_out_of_teams;
    if !listed && !left_out {
        named.push(Named {
            user_id: Some(creator),
            user_email: None,
            admin: true,
        });
    }
    let team_id = body.text("team_id").value().filter(|id| !id.is_empty());
    let mut team = TeamRow::new(team_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
    fields::apply(
        &mut team,
        body,
        app.store.clock().now_us(),
        &app.settings().windows,
    )?;
    let change = New {
        app: &app,
        by: &by,
        team,
        named,
        limits,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let body = shown(&mut *app.store.read().await?, &app, &done.value).await?;
    Ok(Answer::new(Value::Object(body))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

/// `default_team_params`, but for `models`, which are for teams that single sign-on makes.
fn fill_defaults(body: &mut Body, defaults: &TeamDefaults) {
    for (name, value) in [
        ("max_budget", defaults.max_budget.map(dollars)),
        (
            "budget_duration",
            defaults.budget_duration.as_ref().map(|text| json!(text)),
        ),
        ("tpm_limit", defaults.tpm_limit.map(|limit| json!(limit))),
        ("rpm_limit", defaults.rpm_limit.map(|limit| json!(limit))),
        (
            "team_member_permissions",
            defaults
                .team_member_permissions
                .as_ref()
                .map(|all| json!(all)),
        ),
        (
            "organization_id",
            defaults.organization_id.as_ref().map(|id| json!(id)),
        ),
    ] {
        if let Some(value) = value {
            body.fill(name, value);
        }
    }
}

struct New<'a> {
    app: &'a App,
    by: &'a Authorized<TeamNew>,
    team: TeamRow,
    named: Vec<Named>,
    limits: MemberLimits,
}

impl Change for New<'_> {
    type Answer = TeamRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TeamRow, ApiError> {
        let mut team = self.team.clone();
        if teams::find(tx.connection(), &team.team_id).await?.is_some() {
            return Err(TeamRefusal::TeamExists(team.team_id).into());
        }
        rights::within_organization(tx.connection(), self.by, None, &team).await?;
        let standing = if self.by.is_admin() {
            Standing::Proxy
        } else {
            Standing::Organization
        };
        share(tx, self.app, self.by, &mut team, &self.limits).await?;
        teams::insert(tx, self.by, &mut team).await?;
        for named in &self.named {
            let user = the_user(tx, (self.app, self.by), &team, standing, named).await?;
            if members::find(tx.connection(), &team.team_id, &user.user_id)
                .await?
                .is_none()
            {
                let joining = Joining {
                    admin: named.admin,
                    ..Joining::default()
                };
                join(tx, self.app, self.by, &team, &user, &joining).await?;
            }
        }
        Ok(team)
    }
}

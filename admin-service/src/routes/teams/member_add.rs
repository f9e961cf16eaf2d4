//! `POST /team/member_add`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::membership::{Joining, join};
use super::{MEMBERSHIP, TEAM, memberships, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, either, list, one};
use crate::policy::{Authorized, TeamMemberAdd, Writes};
use crate::request::{Body, MEMBER, MEMBER_ADD, Patch, Problem};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::routes::users;
use crate::store::members::{self, MemberRow};
use crate::store::teams::{self, TeamRow};
use crate::store::users::{self as user_rows, UserRow};
use crate::store::{Change, Tx};

/// Somebody to add, as the request names them.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) user_id: Option<String>,
    pub(super) user_email: Option<String>,
    pub(super) admin: bool,
}

/// The answer: the team, and who came to it.
pub static MEMBERS_ADDED: Record = Record::with(
    "MembersAdded",
    &[&TEAM],
    &[
        (
            "updated_users",
            list(&either(&[one(&users::USER), one(&ADDED)])),
        ),
        ("updated_team_memberships", list(&one(&MEMBERSHIP))),
    ],
);
static ADDED: Record = Record::new(
    "AddedUser",
    &[("user_id", TEXT), ("user_email", TEXT_OR_NULL)],
);

/// Adds members. For a proxy admin a user that is not there yet is made; an admin of the team adds those who are there, and is shown no more
/// of them than who they are.
pub async fn member_add(
    State(app): State<App>,
    by: Authorized<TeamMemberAdd>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, MEMBER_ADD)?;
    let unenforced = keys::unenforced(&body);
    let named = match body.take("member").value() {
        Some(list @ Value::Array(_)) => read_members(list)?,
        Some(one) => read_members(Value::Array(vec![one]))?,
        None => Vec::new(),
    };
    let joining = Joining {
        team_id: body.text("team_id").value().unwrap_or_default(),
        admin: false,
        max_budget: body.money("max_budget_in_team")?.value(),
        budget_duration: match body.text("budget_duration") {
            Patch::Null => Patch::Absent,
            said => said,
        },
    };
    let change = Add {
        app: &app,
        by: &by,
        named,
        joining,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (team, added) = done.value;
    let mut connection = app.store.read().await?;
    let mut object = shown(&mut connection, &app, &team).await?;
    let mut shown_users = Vec::new();
    for (user, _) in &added {
        let whole = by.is_admin() || by.caller.user_id.as_ref() == Some(&user.user_id);
        shown_users.push(if whole {
            users::shown(&mut connection, &app, user).await?
        } else {
            json!({"user_id": user.user_id, "user_email": user.user_email})
        });
    }
    let rows = added
        .into_iter()
        .map(|(_, member)| member)
        .collect::<Vec<_>>();
    let memberships = memberships(&mut connection, &app, &rows).await?;
    object.insert("updated_users".into(), Value::Array(shown_users));
    object.insert("updated_team_memberships".into(), Value::Array(memberships));
    Ok(Answer::new(Value::Object(object))
        .ignoring(&body.ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

/// Reads a list of members.
pub(super) fn read_members(list: Value) -> Result<Vec<Named>, ApiError> {
    let Value::Array(items) = list else {
        return Ok(Vec::new());
    };
    items.into_iter().map(read_member).collect()
}

fn read_member(value: Value) -> Result<Named, ApiError> {
    let Value::Object(map) = value else {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        return Err(Problem::body("model_attributes_type", "member", msg).into());
    };
    let mut body = Body::from_map(map, MEMBER)?;
    let filled = |text: Patch<String>| text.value().filter(|text| !text.is_empty());
    let named = Named {
        user_id: filled(body.text("user_id")),
        user_email: filled(body.text("user_email")),
        admin: body.text("role").value().as_deref() == Some("admin"),
    };
    if named.user_id.is_none() && named.user_email.is_none() {
        let msg = "Value error, Either user_id or user_email must be provided";
        return Err(Problem::body("value_error", "member", msg).into());
    }
    Ok(named)
}

async fn find_user(tx: &mut Tx, named: &Named) -> Result<Option<UserRow>, ApiError> {
    let which = match (&named.user_id, &named.user_email) {
        (Some(id), _) => user_rows::Which::Id(id),
        (None, Some(email)) => user_rows::Which::Email(email),
        (None, None) => return Err(ApiError::Broken("a member without a name".to_owned())),
    };
    Ok(user_rows::find(tx.connection(), which).await?)
}

/// The user that is meant; one that is not there is made.
pub(super) async fn the_user<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    named: &Named,
) -> Result<UserRow, ApiError> {
    if let Some(user) = find_user(tx, named).await? {
        return Ok(user);
    }
    let id = named
        .user_id
        .clone()
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut user = UserRow::new(id);
    user.user_email.clone_from(&named.user_email);
    users::insert_new(tx, by, &mut user).await?;
    Ok(user)
}

struct Add<'a> {
    app: &'a App,
    by: &'a Authorized<TeamMemberAdd>,
    named: Vec<Named>,
    joining: Joining,
}

impl Change for Add<'_> {
    type Answer = (TeamRow, Vec<(UserRow, MemberRow)>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let team_id = &self.joining.team_id;
        let found = teams::lock(tx, team_id).await?;
        let before = found.ok_or_else(|| Refusal::MemberTeamMissing(team_id.clone()))?;
        if !self.by.is_admin() {
            self.is_team_admin(tx, team_id).await?;
        }
        let mut team = before.clone();
        let mut added = Vec::new();
        for named in &self.named {
            let user = self.user(tx, named).await?;
            if members::find(tx.connection(), team_id, &user.user_id)
                .await?
                .is_some()
            {
                return Err(self.already(tx, named, &user).await?);
            }
            let joining = Joining {
                admin: named.admin,
                ..self.joining.clone()
            };
            let member = join(tx, self.app, self.by, &team, &user, &joining).await?;
            added.push((user, member));
        }
        teams::update(tx, self.by, &before, &mut team).await?;
        Ok((team, added))
    }
}

impl Add<'_> {
    async fn is_team_admin(&self, tx: &mut Tx, team_id: &str) -> Result<(), ApiError> {
        let own = self.by.caller.user_id.as_deref().unwrap_or_default();
        let member = members::find(tx.connection(), team_id, own).await?;
        if member.is_some_and(|member| member.role == "admin") {
            return Ok(());
        }
        Err(Refusal::NotTeamAdmin {
            route: "/team/member_add",
            team: team_id.to_owned(),
        }
        .into())
    }

    async fn user(&self, tx: &mut Tx, named: &Named) -> Result<UserRow, ApiError> {
        if !self.by.is_admin() && find_user(tx, named).await?.is_none() {
            let asked = named.user_id.as_ref().or(named.user_email.as_ref());
            return Err(Refusal::UserMissing(asked.cloned().unwrap_or_default()).into());
        }
        the_user(tx, self.by, named).await
    }

    async fn already(
        &self,
        tx: &mut Tx,
        named: &Named,
        user: &UserRow,
    ) -> Result<ApiError, ApiError> {
        let none = || "None".to_owned();
        let member = format!(
            "user_id={}, user_email={}",
            user.user_id,
            named.user_email.clone().unwrap_or_else(none)
        );
        let all = members::of_team(tx.connection(), &self.joining.team_id).await?;
        let shown = all.iter().map(|member| {
            let email = member
                .user_email
                .as_ref()
                .map_or_else(none, |email| format!("'{email}'"));
            format!(
                "Member(user_id='{}', user_email={email}, role='{}')",
                member.user_id, member.role
            )
        });
        let existing = shown.collect::<Vec<_>>().join(", ");
        Ok(Refusal::MemberExists { member, existing }.into())
    }
}

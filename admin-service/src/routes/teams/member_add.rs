//! `POST /team/member_add`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::available::open_to_all;
use super::membership::{Joining, join};
use super::rights::{self, Standing};
use super::{MEMBERSHIP, TEAM, memberships, shown};
use crate::app::App;
use crate::error::{ApiError, TeamRefusal, UserRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, either, list, one};
use crate::policy::{Authorized, Reach, TeamMemberAdd, Writes};
use crate::request::{Body, MEMBER, MEMBER_ADD, Patch, Problem};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::routes::users;
use crate::store::members::{self, MemberRow};
use crate::store::organization_members::{self, OrgMemberRow};
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
pub(super) static ADDED: Record = Record::new(
    "AddedUser",
    &[("user_id", TEXT), ("user_email", TEXT_OR_NULL)],
);

/// Adds members. For an admin of the proxy or of the team's organization a user that is not there yet is made; an admin of the team adds those
/// who are there; anybody joins a team that is open to all by themselves. Only proxy admins are shown more of them than who they are.
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
        allowed_models: body.texts("allowed_models").value(),
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
    // Locked, so that nobody becomes a member while they are being deleted.
    Ok(user_rows::lock(tx, which).await?)
}

/// The user that is meant. One that is not there is made, by a proxy admin for everybody, by an admin of the team's organization as a member of
/// it; an admin of the team makes nobody.
pub(super) async fn the_user<R: Writes>(
    tx: &mut Tx,
    (app, by): (&App, &Authorized<R>),
    team: &TeamRow,
    standing: Standing,
    named: &Named,
) -> Result<UserRow, ApiError> {
    if let Some(user) = find_user(tx, named).await? {
        return Ok(user);
    }
    let organization = match standing {
        Standing::Proxy => None,
        Standing::Organization => team.organization_id.as_ref(),
        Standing::Team | Standing::Member | Standing::Stranger => {
            let asked = named.user_id.as_ref().or(named.user_email.as_ref());
            return Err(UserRefusal::UserMissing(asked.cloned().unwrap_or_default()).into());
        }
    };
    let id = named
        .user_id
        .clone()
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut user = UserRow::new(id);
    user.user_email.clone_from(&named.user_email);
    users::give(tx, app, by, &mut user).await?;
    users::insert_new(tx, by, &mut user).await?;
    if let Some(organization) = organization {
        let mut member = OrgMemberRow::new(organization, &user.user_id, "internal_user");
        organization_members::insert(tx, by, &mut member).await?;
    }
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
        let before = found.ok_or_else(|| TeamRefusal::MemberTeamMissing(team_id.clone()))?;
        let standing = if self.joins_by_themselves(tx).await? {
            Standing::Member
        } else {
            rights::must_administer(tx.connection(), self.by, &before).await?
        };
        self.joining.within(&before, standing)?;
        let mut team = before.clone();
        let mut added = Vec::new();
        for named in &self.named {
            let user = the_user(tx, (self.app, self.by), &before, standing, named).await?;
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
    /// Whether somebody joins a team that is open to all, alone and as an ordinary member.
    async fn joins_by_themselves(&self, tx: &mut Tx) -> Result<bool, ApiError> {
        let Joining {
            team_id,
            max_budget,
            budget_duration,
            ..
        } = &self.joining;
        let [named] = self.named.as_slice() else {
            return Ok(false);
        };
        let plain = !named.admin && max_budget.is_none() && !budget_duration.is_present();
        let open = self.by.reach == Reach::Own && open_to_all(self.app).contains(team_id);
        if !plain || !open || self.by.caller.user_id.is_none() {
            return Ok(false);
        }
        let user = find_user(tx, named).await?;
        Ok(user.map(|user| user.user_id) == self.by.caller.user_id)
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
        Ok(TeamRefusal::MemberExists { member, existing }.into())
    }
}

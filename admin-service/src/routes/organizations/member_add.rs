//! `POST /organization/member_add`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::{Value, json};

use super::{MEMBERSHIP, memberships};
use crate::app::App;
use crate::error::{ApiError, OrganizationRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, either, list, one};
use crate::policy::{Authorized, OrganizationMemberAdd, Writes};
use crate::request::{Body, ORG_MEMBER, ORG_MEMBER_ADD, Patch, Problem};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::routes::teams::rights::{administers_organization, limits_within};
use crate::routes::users;
use crate::store::budgets::{self, BudgetRow};
use crate::store::organization_members::{self, ORG_ADMIN, OrgMemberRow};
use crate::store::users::{self as user_rows, UserRow};
use crate::store::{Change, Tx, organizations};

/// The answer: who came.
pub static MEMBERS_ADDED: Record = Record::new(
    "OrganizationMembersAdded",
    &[
        ("organization_id", TEXT),
        (
            "updated_users",
            list(&either(&[one(&users::USER), one(&ADDED)])),
        ),
        ("updated_organization_memberships", list(&one(&MEMBERSHIP))),
    ],
);
static ADDED: Record = Record::new(
    "AddedOrganizationUser",
    &[("user_id", TEXT), ("user_email", TEXT_OR_NULL)],
);

/// Somebody to add.
struct Named {
    user_id: Option<String>,
    user_email: Option<String>,
    role: String,
}

/// Adds members. A user that is not there yet is made. An admin of the organization adds new users, and users of organizations that they
/// administer: taking in anybody else would give them authority over that user, which only proxy admins give.
pub async fn member_add(
    State(app): State<App>,
    by: Authorized<OrganizationMemberAdd>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, ORG_MEMBER_ADD)?;
    let named = match body.take("member").value() {
        Some(Value::Array(list)) => list.into_iter().map(read).collect::<Result<_, _>>()?,
        Some(one) => vec![read(one)?],
        None => Vec::new(),
    };
    let max_budget = body.money("max_budget_in_organization")?.value();
    let organization_id = body.text("organization_id").value().unwrap_or_default();
    let change = Add {
        app: &app,
        by: &by,
        organization_id,
        named,
        max_budget,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (added, rows): (Vec<UserRow>, Vec<OrgMemberRow>) = done.value.into_iter().unzip();
    let mut connection = app.store.read().await?;
    let mut shown = Vec::with_capacity(added.len());
    for user in &added {
        shown.push(if by.is_admin() {
            users::shown(&mut connection, &app, user).await?
        } else {
            json!({"user_id": user.user_id, "user_email": user.user_email})
        });
    }
    let memberships = memberships(&mut connection, &app, &rows).await?;
    Ok(Answer::new(json!({
        "organization_id": change.organization_id,
        "updated_users": shown,
        "updated_organization_memberships": memberships,
    }))
    .ignoring(&body.ignored)
    .published(published))
}

fn read(value: Value) -> Result<Named, ApiError> {
    let Value::Object(map) = value else {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        return Err(Problem::body("model_attributes_type", "member", msg).into());
    };
    let mut body = Body::from_map(map, ORG_MEMBER)?;
    let filled = |text: Patch<String>| text.value().filter(|text| !text.is_empty());
    let named = Named {
        user_id: filled(body.text("user_id")),
        user_email: filled(body.text("user_email")),
        role: body.text("role").value().unwrap_or_default(),
    };
    if named.user_id.is_none() && named.user_email.is_none() {
        let msg = "Value error, Either user_id or user_email must be provided";
        return Err(Problem::body("value_error", "member", msg).into());
    }
    Ok(named)
}

struct Add<'a> {
    app: &'a App,
    by: &'a Authorized<OrganizationMemberAdd>,
    organization_id: String,
    named: Vec<Named>,
    max_budget: Option<NanoUsd>,
}

impl Change for Add<'_> {
    type Answer = Vec<(UserRow, OrgMemberRow)>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let id = &self.organization_id;
        if organizations::lock(tx, id).await?.is_none() {
            return Err(OrganizationRefusal::OrganizationMissing(id.clone()).into());
        }
        must_administer(tx, self.by, id).await?;
        let mut added = Vec::with_capacity(self.named.len());
        for named in &self.named {
            let user = self.user(tx, named).await?;
            let there = organization_members::find(tx.connection(), id, &user.user_id).await?;
            if there.is_some() {
                let (user, organization) = (user.user_id, id.clone());
                return Err(
                    OrganizationRefusal::OrganizationMemberExists { user, organization }.into(),
                );
            }
            let mut member = OrgMemberRow::new(id, &user.user_id, &named.role);
            budget_of(tx, self.app, self.by, &mut member, self.max_budget).await?;
            organization_members::insert(tx, self.by, &mut member).await?;
            added.push((user, member));
        }
        Ok(added)
    }
}

impl Add<'_> {
    async fn user(&self, tx: &mut Tx, named: &Named) -> Result<UserRow, ApiError> {
        let which = match (&named.user_id, &named.user_email) {
            (Some(id), _) => user_rows::Which::Id(id),
            (None, Some(email)) => user_rows::Which::Email(email),
            (None, None) => return Err(ApiError::Broken("a member without a name".to_owned())),
        };
        // Locked, so that nobody becomes a member while they are being deleted.
        if let Some(user) = user_rows::lock(tx, which).await? {
            if !self.by.is_admin() && !self.knows(tx, &user).await? {
                return Err(OrganizationRefusal::NotYourUserToTake(user.user_id).into());
            }
            return Ok(user);
        }
        let id = named.user_id.clone();
        let mut user = UserRow::new(id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
        user.user_email.clone_from(&named.user_email);
        let role = match named.role.as_str() {
            ORG_ADMIN => "internal_user",
            role => role,
        };
        user.user_role = Some(role.to_owned());
        users::give(tx, self.app, self.by, &mut user).await?;
        users::insert_new(tx, self.by, &mut user).await?;
        Ok(user)
    }

    /// Whether the user is in an organization that the caller administers.
    async fn knows(&self, tx: &mut Tx, user: &UserRow) -> Result<bool, ApiError> {
        let own = self.by.caller.user_id.as_deref();
        let theirs = organization_members::administered(tx.connection(), own).await?;
        let memberships = organization_members::of_user(tx.connection(), &user.user_id).await?;
        Ok(memberships
            .iter()
            .any(|member| theirs.contains(&member.organization_id)))
    }
}

/// The caller administers this organization, or is refused.
pub(super) async fn must_administer<R>(
    tx: &mut Tx,
    by: &Authorized<R>,
    organization_id: &str,
) -> Result<(), ApiError> {
    let connection = tx.connection();
    if by.is_admin()
        || administers_organization(connection, &by.caller, Some(organization_id)).await?
    {
        return Ok(());
    }
    Err(by.only_admins())
}

/// Gives a member a budget: in the row that it has, or in a new one. Whoever is no proxy admin gives no more than the organization has.
pub(super) async fn budget_of<R: Writes>(
    tx: &mut Tx,
    app: &App,
    by: &Authorized<R>,
    member: &mut OrgMemberRow,
    max_budget: Option<NanoUsd>,
) -> Result<(), ApiError> {
    let Some(max_budget) = max_budget else {
        return Ok(());
    };
    let found = match &member.budget_id {
        Some(id) => budgets::lock(tx, id).await?,
        None => None,
    };
    let known = found.is_some();
    let mut row = found.unwrap_or_else(|| BudgetRow {
        budget_id: uuid::Uuid::new_v4().to_string(),
        ..BudgetRow::default()
    });
    row.limits.max_budget = Some(max_budget);
    if !by.is_admin() {
        let organization = organizations::find(tx.connection(), &member.organization_id).await?;
        let most = match &organization {
            Some(organization) => budgets::find(tx.connection(), &organization.budget_id).await?,
            None => None,
        };
        limits_within(&row.limits, &most.map(|row| row.limits).unwrap_or_default())?;
    }
    budgets::put(tx, by, &mut row).await?;
    member.refresh_at = row.refresh_at(tx.now_us(), &app.settings().windows);
    if known {
        budgets::publish_linked(tx, &row.budget_id, member.refresh_at).await?;
    }
    member.budget_id = Some(row.budget_id);
    Ok(())
}

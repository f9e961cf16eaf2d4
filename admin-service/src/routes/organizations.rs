//! Organizations: owners of teams and keys, with a budget row of their own and admins of their own.

use std::collections::BTreeMap;

use contract::id::{OrganizationId, UserId};
use contract::redis_key::RecordId;
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::shape::{self, Times, dollars};
use super::teams;
use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{
    ANY, NULL, NUMBER, OBJECT, Of, Record, TEXT, TEXT_OR_NULL, TEXTS, list, one,
};
use crate::store::organization_members::{self, OrgMemberRow};
use crate::store::organizations::OrganizationRow;
use crate::store::outbox::Kind;
use crate::store::row::Object;
use crate::store::spend::spent;
use crate::store::{budgets, teams as team_rows, users};

mod delete;
mod fields;
mod info;
mod member_add;
mod member_change;
mod new;
mod update;

pub use delete::delete;
pub use info::{INFO_QUERY, LIST_QUERY, info, infos, list as list_all};
pub use member_add::{MEMBERS_ADDED, member_add};
pub use member_change::{member_delete, member_update};
pub use new::new;
pub use update::{patch, update};

/// An organization's own fields.
static OWN: Record = Record::new(
    "",
    &[
        ("organization_id organization_alias budget_id", TEXT),
        ("spend", NUMBER),
        ("metadata model_spend", OBJECT),
        ("models", TEXTS),
        ("created_by updated_by created_at updated_at", TEXT),
        ("users", NULL),
        ("litellm_budget_table", one(&shape::BUDGET).or_null()),
        ("object_permission object_permission_id", ANY),
    ],
);
/// The answer of `/organization/new`.
pub static CREATED: Record = Record::with("NewOrganization", &[&OWN], &[]);
/// An organization with who is in it.
pub static ORGANIZATION: Record = Record::with(
    "Organization",
    &[&OWN],
    &[
        ("members", list(&ONE_MEMBERSHIP)),
        ("teams", list(&ONE_TEAM)),
    ],
);
static ONE_TEAM: Of = one(&teams::TEAM);
static ONE_MEMBERSHIP: Of = one(&MEMBERSHIP);
/// Several.
pub static ORGANIZATIONS: Of = list(&ONE_ORGANIZATION);
static ONE_ORGANIZATION: Of = one(&ORGANIZATION);

/// A membership of an organization.
pub static MEMBERSHIP: Record = Record::new(
    "OrganizationMembership",
    &[
        ("user_id organization_id created_at updated_at", TEXT),
        ("user_role budget_id user_email", TEXT_OR_NULL),
        ("spend", NUMBER),
        ("user", one(&PERSON).or_null()),
        ("litellm_budget_table", one(&shape::BUDGET).or_null()),
    ],
);
static PERSON: Record = Record::new(
    "OrganizationMember",
    &[("user_id", TEXT), ("user_email user_alias", TEXT_OR_NULL)],
);

/// How much of an organization a caller sees.
#[derive(Clone, Debug)]
enum Sight {
    /// All of it.
    Whole,
    /// Itself, and of members and teams what concerns this user.
    OfMember(String),
}

/// An organization's own fields as LiteLLM prints them.
async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    row: &OrganizationRow,
) -> Result<Object, ApiError> {
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let ids = [row.organization_id.clone()];
    let spent = spent(connection, Kind::Organization, &ids, now_us / 1_000, rules).await?;
    let spent = spent.get(&row.organization_id).copied().unwrap_or_default();
    let budget = budgets::find(connection, &row.budget_id).await?;
    let mut object = Object::new();
    for (name, value) in [
        ("organization_id", json!(row.organization_id)),
        ("organization_alias", json!(row.organization_alias)),
        ("budget_id", json!(row.budget_id)),
        ("spend", dollars(spent.spend)),
        ("metadata", json!(row.metadata)),
        ("models", json!(row.models)),
        ("model_spend", json!({})),
        ("created_by", json!(row.created_by)),
        ("updated_by", json!(row.updated_by)),
        ("created_at", Times::Z.print(row.created_at)),
        ("updated_at", Times::Z.print(row.updated_at)),
        ("users", Value::Null),
        (
            "litellm_budget_table",
            budget.map_or(Value::Null, |row| shape::budget(&row, now_us, rules)),
        ),
    ] {
        object.insert(name.to_owned(), value);
    }
    let kept = [
        ("object_permission", Value::Null),
        ("object_permission_id", Value::Null),
    ];
    shape::fill(&mut object, &row.extra, &kept);
    Ok(object)
}

/// The same with members and teams.
async fn shown_whole(
    connection: &mut AnyConnection,
    app: &App,
    row: &OrganizationRow,
    sight: &Sight,
) -> Result<Value, ApiError> {
    let mut object = shown(connection, app, row).await?;
    let id = &row.organization_id;
    let mut members = organization_members::of_organization(connection, id).await?;
    let rows = team_rows::of_organization(connection, id).await?;
    let mut all = teams::shown_all(connection, app, &rows).await?;
    if let Sight::OfMember(user) = sight {
        members.retain(|member| member.user_id == *user);
        all.retain(|(_, members)| members.iter().any(|member| member.user_id == *user));
    }
    let members = memberships(connection, app, &members).await?;
    let all = all.into_iter().map(|(team, _)| Value::Object(team));
    object.insert("members".into(), Value::Array(members));
    object.insert("teams".into(), Value::Array(all.collect()));
    Ok(Value::Object(object))
}

/// Memberships as LiteLLM prints them.
pub(super) async fn memberships(
    connection: &mut AnyConnection,
    app: &App,
    members: &[OrgMemberRow],
) -> Result<Vec<Value>, ApiError> {
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let ids: Vec<String> = members
        .iter()
        .filter_map(|member| member.budget_id.clone())
        .collect();
    let budgets = budgets::find_all(connection, &ids).await?;
    let budgets: BTreeMap<&String, Value> = budgets
        .iter()
        .map(|row| (&row.budget_id, shape::budget(row, now_us, rules)))
        .collect();
    let scope = |member: &OrgMemberRow| {
        let organization = OrganizationId::new(member.organization_id.as_str());
        let name =
            RecordId::organization_member(&organization, &UserId::new(member.user_id.as_str()));
        name.as_str().to_owned()
    };
    let ids = members.iter().map(scope).collect::<Vec<_>>();
    let spent = spent(connection, Kind::Scope, &ids, now_us / 1_000, rules).await?;
    let mut all = Vec::with_capacity(members.len());
    for member in members {
        let user = users::find(connection, users::Which::Id(&member.user_id)).await?;
        let email = user.as_ref().and_then(|user| user.user_email.clone());
        let person = user.map(|user| {
            json!({"user_id": user.user_id, "user_email": user.user_email, "user_alias": user.user_alias})
        });
        let budget = member.budget_id.as_ref().and_then(|id| budgets.get(id));
        all.push(json!({
            "user_id": member.user_id,
            "organization_id": member.organization_id,
            "user_role": member.user_role,
            "spend": dollars(spent.get(&scope(member)).copied().unwrap_or_default().spend),
            "budget_id": member.budget_id,
            "created_at": Times::Z.print(member.created_at),
            "updated_at": Times::Z.print(member.updated_at),
            "user": person,
            "user_email": email,
            "litellm_budget_table": budget.cloned().unwrap_or_default(),
        }));
    }
    Ok(all)
}

//! Teams and their members.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::ApiError;
use crate::openapi::schema::{
    ANY, FLAG, NUMBER, NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, list as list_of,
    one,
};
use crate::routes::shape::{self, Times, dollars, maybe_dollars};
use crate::store::budgets;
use crate::store::members::{self, MemberRow};
use crate::store::outbox::{Kind, member_object};
use crate::store::row::Object;
use crate::store::spend::{Spent, spent};
use crate::store::teams::{self, TeamRow};

mod available;
mod block;
mod bulk_member_add;
mod delete;
mod edit;
mod fields;
mod info;
mod list;
mod me;
mod member_add;
mod member_delete;
mod member_update;
mod membership;
mod models;
mod new;
mod permissions;
mod permissions_bulk;
mod reset;
mod reset_spend;
pub(super) mod rights;
mod update;

pub use available::{AVAILABLE, available};
pub use block::{block, unblock};
pub use bulk_member_add::{BULK_ADDED, bulk_member_add};
pub(super) use delete::delete_whole;
pub use delete::{DELETED, delete};
pub(super) use fields::apply;
pub use info::{INFO, INFO_QUERY, info};
pub use list::{LIST_QUERY, LISTED, PAGE, PAGE_QUERY, list, list_v2};
pub use me::{OWN_MEMBERSHIP, me};
pub use member_add::{MEMBERS_ADDED, member_add};
pub(super) use member_delete::Who;
pub use member_delete::member_delete;
pub use member_update::{MEMBER_UPDATED, member_update};
pub(super) use membership::{Joining, join};
pub use models::{add as model_add, delete as model_delete};
pub use new::new;
pub use permissions::{PERMISSIONS, PERMISSIONS_QUERY, permissions_list, permissions_update};
pub use permissions_bulk::{PERMISSIONS_APPENDED, permissions_bulk_update};
pub use reset::{BUDGET_RESET, reset_budget};
pub use reset_spend::{SPEND_RESET, reset_spend};
pub use update::{UPDATED, patch, update};

/// A team as answers show it.
pub static TEAM: Record = Record::with(
    "Team",
    &[&shape::LIMITS],
    &[
        ("team_id", TEXT),
        ("team_alias organization_id", TEXT_OR_NULL),
        ("members_with_roles", list_of(&one(&MEMBER))),
        ("team_member_permissions", TEXTS.or_null()),
        ("metadata model_aliases", OBJECT),
        ("soft_budget", NUMBER_OR_NULL),
        ("models", list_of(&ANY)),
        ("blocked", FLAG),
        ("spend", NUMBER),
        ("created_at updated_at", TEXT),
        (
            "admins members tpd_limit budget_limits router_settings access_group_ids default_team_member_models model_id",
            ANY,
        ),
        (
            "model_spend model_max_budget policies allow_team_guardrail_config litellm_model_table",
            ANY,
        ),
        ("object_permission object_permission_id", ANY),
    ],
);
static MEMBER: Record = Record::new(
    "Member",
    &[("user_id user_email", TEXT_OR_NULL), ("role", TEXT)],
);

/// A membership as answers show it.
pub static MEMBERSHIP: Record = Record::new(
    "Membership",
    &[
        ("user_id team_id", TEXT),
        ("budget_id", TEXT_OR_NULL),
        ("spend total_spend", NUMBER),
        ("litellm_budget_table", one(&shape::BUDGET).or_null()),
    ],
);

/// A team as LiteLLM prints it.
pub(super) async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    team: &TeamRow,
) -> Result<Object, ApiError> {
    let mut all = shown_all(connection, app, std::slice::from_ref(team)).await?;
    let (object, _) = all.pop().unwrap_or_default();
    Ok(object)
}

/// Teams with their members, as LiteLLM prints them.
pub(super) async fn shown_all(
    connection: &mut AnyConnection,
    app: &App,
    teams: &[TeamRow],
) -> Result<Vec<(Object, Vec<MemberRow>)>, ApiError> {
    let ids: Vec<String> = teams.iter().map(|team| team.team_id.clone()).collect();
    let mut members: BTreeMap<String, Vec<MemberRow>> = BTreeMap::new();
    for member in members::of_teams(connection, &ids).await? {
        let of_team = members.entry(member.team_id.clone()).or_default();
        of_team.push(member);
    }
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let spent = spent(connection, Kind::Team, &ids, now_us / 1_000, rules).await?;
    let show = |team: &TeamRow| {
        let members = members.remove(&team.team_id).unwrap_or_default();
        let spent = spent.get(&team.team_id).copied().unwrap_or_default();
        (row(team, &members, spent, now_us, rules), members)
    };
    Ok(teams.iter().map(show).collect())
}

fn row(
    team: &TeamRow,
    members: &[MemberRow],
    spent: Spent,
    now_us: u64,
    rules: &WindowRules,
) -> Object {
    let mut object = shape::limits(&team.limits, now_us, rules, Times::Z);
    for (name, value) in [
        ("team_id", json!(team.team_id)),
        ("team_alias", json!(team.team_alias)),
        ("organization_id", json!(team.organization_id)),
        (
            "members_with_roles",
            Value::Array(members.iter().map(with_role).collect()),
        ),
        (
            "team_member_permissions",
            json!(team.team_member_permissions),
        ),
        ("metadata", json!(team.metadata)),
        ("soft_budget", maybe_dollars(team.soft_budget)),
        ("models", json!(team.models)),
        ("model_aliases", json!(team.model_aliases)),
        ("blocked", json!(team.blocked)),
        ("spend", dollars(spent.spend)),
        ("created_at", Times::Z.print(team.created_at)),
        ("updated_at", Times::Z.print(team.updated_at)),
    ] {
        object.insert(name.to_owned(), value);
    }
    shape::fill(
        &mut object,
        &team.extra,
        &[
            ("admins", json!([])),
            ("members", json!([])),
            ("tpd_limit", Value::Null),
            ("budget_limits", Value::Null),
            ("router_settings", Value::Null),
            ("access_group_ids", json!([])),
            ("default_team_member_models", json!([])),
            ("model_id", Value::Null),
            ("model_spend", json!({})),
            ("model_max_budget", json!({})),
            ("policies", json!([])),
            ("allow_team_guardrail_config", json!(false)),
            ("litellm_model_table", Value::Null),
            ("object_permission", Value::Null),
            ("object_permission_id", Value::Null),
        ],
    );
    object
}

/// The same by id.
pub(super) async fn shown_by_id(
    connection: &mut AnyConnection,
    app: &App,
    team_id: &str,
) -> Result<Option<Value>, ApiError> {
    match teams::find(connection, team_id).await? {
        Some(team) => Ok(Some(Value::Object(shown(connection, app, &team).await?))),
        None => Ok(None),
    }
}

fn with_role(member: &MemberRow) -> Value {
    json!({"user_id": member.user_id, "user_email": member.user_email, "role": member.role})
}

/// Memberships with their spend and limits.
async fn memberships(
    connection: &mut AnyConnection,
    app: &App,
    members: &[MemberRow],
) -> Result<Vec<Value>, ApiError> {
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let object = |member: &MemberRow| member_object(&member.team_id, &member.user_id);
    let objects = members.iter().map(object).collect::<Vec<_>>();
    let spent = spent(connection, Kind::Member, &objects, now_us / 1_000, rules).await?;
    let mut all = Vec::with_capacity(members.len());
    // Most members share their team's row: it is read once.
    let mut read: BTreeMap<&String, Value> = BTreeMap::new();
    for (member, object) in members.iter().zip(&objects) {
        if let Some(id) = &member.budget_id
            && !read.contains_key(id)
        {
            let budget = budgets::find(connection, id).await?;
            let budget = budget.map(|budget| shape::budget(&budget, now_us, rules));
            read.insert(id, budget.unwrap_or_default());
        }
        let budget = member.budget_id.as_ref().and_then(|id| read.get(id));
        let spent = spent.get(object).copied().unwrap_or_default();
        all.push(json!({
            "user_id": member.user_id,
            "team_id": member.team_id,
            "budget_id": member.budget_id,
            "spend": dollars(spent.spend),
            "total_spend": dollars(spent.total),
            "litellm_budget_table": budget.cloned().unwrap_or_default(),
        }));
    }
    Ok(all)
}

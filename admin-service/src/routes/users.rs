//! Users.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::ApiError;
use crate::openapi::schema;
use crate::openapi::schema::{ANY, FLAG, NUMBER, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS};
use crate::routes::organizations;
use crate::routes::shape::{self, Times, dollars};
use crate::store::organization_members;
use crate::store::outbox::Kind;
use crate::store::row::Object;
use crate::store::spend::{Spent, spent};
use crate::store::users::{UserRow, teams_of};

mod bulk_update;
mod defaults;
mod delete;
mod fields;
mod info;
mod list;
mod new;
mod roles;
mod scope;
mod update;

pub use bulk_update::{BULK_UPDATED, bulk_update};
pub(super) use defaults::give;
pub use delete::delete;
pub(super) use fields::apply;
pub use info::{FLAT, INFO, INFO_QUERY, flat, info};
pub use list::{FILTER_QUERY, FOUND, LIST_QUERY, LISTED, SEATS, filter, list, seats};
pub(super) use new::insert_new;
pub use new::{CREATED, new};
pub use roles::{ROLES, available_roles};
pub use update::{UPDATED, update};

/// A user as answers show them.
pub static USER: Record = Record::with(
    "User",
    &[&shape::LIMITS],
    &[
        ("user_id", TEXT),
        ("user_alias user_email user_role sso_user_id", TEXT_OR_NULL),
        ("blocked", FLAG.or_null()),
        ("teams", TEXTS),
        ("models", schema::list(&ANY)),
        ("metadata", OBJECT),
        ("spend", NUMBER),
        ("created_at updated_at", TEXT),
        (
            "team_id organization_id object_permission_id object_permission password_reset_required last_breach_check_at",
            ANY,
        ),
        (
            "allowed_cache_controls policies model_spend model_max_budget verified_subjects",
            ANY,
        ),
        ("litellm_organization_table", ANY),
        (
            "organization_memberships",
            schema::list(&schema::one(&organizations::MEMBERSHIP)).or_null(),
        ),
        (
            "invitations_created invitations_updated invitations_user",
            ANY,
        ),
    ],
);

/// What users have spent, by id.
pub(super) async fn spent_by(
    connection: &mut AnyConnection,
    app: &App,
    ids: &[String],
) -> Result<BTreeMap<String, Spent>, ApiError> {
    let now_ms = app.store.clock().now_ms();
    Ok(spent(connection, Kind::User, ids, now_ms, &app.settings().windows).await?)
}

/// A user's row as LiteLLM prints it.
pub(super) async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    user: &UserRow,
) -> Result<Value, ApiError> {
    let spent = spent_by(connection, app, std::slice::from_ref(&user.user_id)).await?;
    let spent = spent.get(&user.user_id).copied().unwrap_or_default();
    let teams = teams_of(connection, &user.user_id).await?;
    let memberships = organization_members::of_user(connection, &user.user_id).await?;
    let memberships = organizations::memberships(connection, app, &memberships).await?;
    let now_us = app.store.clock().now_us();
    let mut object = row(user, spent, &teams, now_us, &app.settings().windows);
    // As in LiteLLM, a user who is shown alone is shown with them, in a list without.
    object.insert("organization_memberships".into(), memberships.into());
    Ok(Value::Object(object))
}

fn row(user: &UserRow, spent: Spent, teams: &[String], now_us: u64, rules: &WindowRules) -> Object {
    let mut object = shape::limits(&user.limits, now_us, rules, Times::Z);
    for (name, value) in [
        ("user_id", json!(user.user_id)),
        ("user_alias", json!(user.user_alias)),
        ("user_email", json!(user.user_email)),
        ("user_role", json!(user.user_role)),
        ("sso_user_id", json!(user.sso_user_id)),
        ("blocked", json!(user.blocked)),
        ("teams", json!(teams)),
        ("spend", dollars(spent.spend)),
        ("models", json!(user.models)),
        ("metadata", json!(user.metadata)),
        ("created_at", Times::Z.print(user.created_at)),
        ("updated_at", Times::Z.print(user.updated_at)),
    ] {
        object.insert(name.to_owned(), value);
    }
    shape::fill(
        &mut object,
        &user.extra,
        &[
            ("team_id", Value::Null),
            ("organization_id", Value::Null),
            ("object_permission_id", Value::Null),
            ("object_permission", Value::Null),
            ("password_reset_required", Value::Null),
            ("last_breach_check_at", Value::Null),
            ("allowed_cache_controls", json!([])),
            ("policies", json!([])),
            ("model_spend", json!({})),
            ("model_max_budget", json!({})),
            ("verified_subjects", Value::Null),
            ("litellm_organization_table", Value::Null),
            ("organization_memberships", Value::Null),
            ("invitations_created", Value::Null),
            ("invitations_updated", Value::Null),
            ("invitations_user", Value::Null),
        ],
    );
    object
}

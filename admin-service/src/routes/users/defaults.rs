//! What the settings give a user where nothing is said: `default_internal_user_params`, then `max_internal_user_budget` with
//! `internal_user_budget_duration` for internal users whose budget is still empty.

use serde_json::{Map, json};

use super::fields;
use crate::app::App;
use crate::error::{ApiError, UserRefusal};
use crate::policy::Authorized;
use crate::request::{Body, NEW_USER};
use crate::routes::keys::{limits_within, models_within};
use crate::routes::shape::dollars;
use crate::settings::UserDefaults;
use crate::store::Tx;
use crate::store::users::{self, UserRow};

const ADMIN: &str = "proxy_admin";
const INTERNAL: &str = "internal_user";
const VIEWER: &str = "internal_user_viewer";

/// Fills what a request leaves open of a new user: the default parameters for everybody but proxy admins, then the budget of internal users.
pub(super) fn fill(body: &mut Body, defaults: &UserDefaults) {
    if !is(body, ADMIN) {
        let budget = defaults.max_budget.map(dollars);
        for (name, value) in [
            (
                "user_role",
                defaults.user_role.as_ref().map(|role| json!(role)),
            ),
            ("max_budget", budget),
            (
                "budget_duration",
                defaults.budget_duration.as_ref().map(|text| json!(text)),
            ),
            (
                "models",
                defaults.models.as_ref().map(|models| json!(models)),
            ),
        ] {
            if let Some(value) = value {
                body.fill(name, value);
            }
        }
    }
    if is(body, INTERNAL) {
        if let (Some(budget), false) = (defaults.internal_max_budget, body.has("max_budget")) {
            body.set("max_budget", dollars(budget));
        }
        if let (Some(duration), false) = (
            &defaults.internal_budget_duration,
            body.has("budget_duration"),
        ) {
            body.set("budget_duration", json!(duration));
        }
    }
}

/// Fills the budget of a user whom a change calls an internal user, if they have none and the change names none. What is there stays.
pub(super) fn fill_empty(body: &mut Body, before: &UserRow, defaults: &UserDefaults) {
    if !is(body, INTERNAL) {
        return;
    }
    let empty = before.limits.max_budget.is_none() && body.get("max_budget").is_none();
    if let (Some(budget), true) = (defaults.internal_max_budget, empty) {
        body.set("max_budget", dollars(budget));
    }
    let open = before.limits.budget_duration.is_none() && body.get("budget_duration").is_none();
    if let (Some(duration), true) = (
        &defaults.internal_budget_duration,
        open && body.has("max_budget"),
    ) {
        body.set("budget_duration", json!(duration));
    }
}

/// The same for a user who is made along the way, by being added to a team or an organization. An admin of an organization makes plain users
/// with no more than they have themselves, whatever the defaults are.
pub(in crate::routes) async fn give<R>(
    tx: &mut Tx,
    app: &App,
    by: &Authorized<R>,
    user: &mut UserRow,
) -> Result<(), ApiError> {
    let settings = app.settings();
    let mut body = Body::from_map(Map::new(), NEW_USER)?;
    if let Some(role) = &user.user_role {
        body.set("user_role", json!(role));
    }
    fill(&mut body, &settings.user_defaults);
    let plain = is(&body, INTERNAL) || is(&body, VIEWER) || !body.has("user_role");
    if !plain && !by.is_admin() {
        body.set("user_role", json!(INTERNAL));
    }
    fields::apply(user, body, tx.now_us(), &settings.windows)?;
    if by.is_admin() {
        return Ok(());
    }
    let own = by.caller.user_id.clone().unwrap_or_default();
    let found = users::find(tx.connection(), users::Which::Id(&own)).await?;
    let own = found.ok_or(UserRefusal::UserMissing(own))?;
    if user.models.is_empty() || models_within(&user.models, &own.models, false).is_err() {
        user.models.clone_from(&own.models);
    }
    user.limits = std::mem::take(&mut user.limits).or(own.limits.clone());
    if limits_within(&user.limits, &own.limits).is_err() {
        user.limits = own.limits;
    }
    Ok(())
}

fn is(body: &Body, role: &str) -> bool {
    body.get("user_role").is_some_and(|sent| sent == role)
}

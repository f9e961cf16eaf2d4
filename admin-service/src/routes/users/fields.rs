//! The fields of a user: what a request puts where.

use serde_json::Value;

use crate::domain::budget_window::WindowRules;
use crate::domain::further_limits::FurtherLimits;
use crate::error::ApiError;
use crate::request::{Body, Patch, Problem};
use crate::routes::keys;
use crate::store::row::Object;
use crate::store::users::UserRow;

/// Puts everything that `body` says into `user`; what it does not say stays.
pub(in crate::routes) fn apply(
    user: &mut UserRow,
    mut body: Body,
    now_us: u64,
    rules: &WindowRules,
) -> Result<(), ApiError> {
    keys::spend(&mut body, user.created_at == 0)?;
    keys::limits(&mut user.limits, &mut body, now_us)?;
    body.text("user_alias").apply(&mut user.user_alias);
    body.text("user_email").apply(&mut user.user_email);
    user.user_email = user.user_email.take().map(|email| email.trim().to_owned());
    user.user_email = user.user_email.take().filter(|email| !email.is_empty());
    body.text("user_role").apply(&mut user.user_role);
    body.text("sso_user_id").apply(&mut user.sso_user_id);
    body.flag("blocked").apply(&mut user.blocked);
    body.texts("models").apply_or(&mut user.models, Vec::new());
    body.object("metadata")
        .apply_or(&mut user.metadata, Object::new());
    for (name, value) in body.rest() {
        match value {
            Value::Null => {
                user.extra.remove(&name);
            }
            value => {
                user.extra.insert(name, value);
            }
        }
    }
    user.refresh_at = FurtherLimits::refresh(
        user.limits.refresh_at(now_us, rules),
        &[&user.extra, &user.metadata],
        user.created_at,
        now_us,
        rules,
    );
    Ok(())
}

/// A password is set by its owner alone.
pub(super) fn no_password(body: &mut Body, route: &str) -> Result<(), ApiError> {
    match body.take("password") {
        Patch::Absent | Patch::Null => Ok(()),
        Patch::Set(_) => {
            let msg = format!(
                "Value error, password cannot be set via {route}. Users set their own password through an \
                 invitation link (POST /invitation/new)."
            );
            Err(Problem::body("value_error", "password", msg).into())
        }
    }
}

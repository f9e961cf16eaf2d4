//! `GET /user/available_roles`.

use serde_json::json;

use crate::openapi::schema::{Record, TEXT, one};
use crate::policy::{Authorized, UserRoles};
use crate::routes::answer::Answer;

/// The answer.
pub static ROLES: Record = Record::new(
    "Roles",
    &[(
        "proxy_admin proxy_admin_viewer internal_user internal_user_viewer",
        one(&ROLE),
    )],
);
static ROLE: Record = Record::new("Role", &[("description ui_label", TEXT)]);

/// The roles there are, as pages show them.
pub async fn available_roles(_by: Authorized<UserRoles>) -> Answer {
    let role =
        |description: &str, label: &str| json!({"description": description, "ui_label": label});
    Answer::new(json!({
        "proxy_admin": role("admin over litellm proxy, has all permissions", "Admin (All Permissions)"),
        "proxy_admin_viewer": role("view all keys, view all spend", "Admin (View Only)"),
        "internal_user": role(
            "view/create/delete their own keys, view their own spend",
            "Internal User (Create/Delete/View)",
        ),
        "internal_user_viewer": role(
            "view their own keys, view their own spend",
            "Internal User (View Only)",
        ),
    }))
}

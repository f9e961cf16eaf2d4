//! What LiteLLM's pages are told about who signed in, as claims of a token. The token is for reading only: nothing here takes it for a
//! credential.

use serde_json::{Map, Value, json};

use super::Begun;
use crate::app::App;
use crate::sign_in::token;
use crate::store::users::UserRow;

/// How long such a token tells the truth, microseconds.
const LASTS_US: u64 = 15 * 60 * 1_000_000;

/// The token of a session that began.
pub(in crate::routes) fn page_token(app: &App, begun: &Begun, key: Value) -> String {
    user_token(app, &begun.user, key)
}

/// LiteLLM's claims about a user; `key` is what the page may do next with, never a virtual key.
pub(in crate::routes) fn user_token(app: &App, user: &UserRow, key: Value) -> String {
    let expires_us = app.store.clock().now_us().saturating_add(LASTS_US);
    let mut claims = Map::new();
    for (name, value) in [
        ("user_id", json!(user.user_id)),
        ("key", key),
        ("user_email", json!(user.user_email)),
        ("user_role", json!(user.user_role)),
        ("login_method", json!("username_password")),
        ("premium_user", json!(true)),
        ("auth_header_name", json!("Authorization")),
        ("disabled_non_admin_personal_key_creation", json!(false)),
        ("server_root_path", json!(app.config.sign_in.root_path)),
        ("password_reset_required", json!(false)),
        ("exp", json!(expires_us / 1_000_000)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    token::sign(&app.keys.page, &claims)
}

//! What pages must know.

use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SignInRefusal};
use crate::openapi::schema::{ANY, FLAG, NULL, Record, TEXT, TEXT_OR_NULL, WHOLE, list};
use crate::policy::{Authorized, SsoReadiness, UiSettings};
use crate::routes::answer::Answer;

/// The answer of `/sso/get/ui_settings`.
pub static UI_SETTINGS: Record = Record::new(
    "PageSettings",
    &[
        (
            "PROXY_BASE_URL PROXY_LOGOUT_URL LITELLM_UI_API_DOC_BASE_URL",
            TEXT_OR_NULL,
        ),
        ("DEFAULT_TEAM_DISABLED SSO_ENABLED", FLAG),
        ("NUM_SPEND_LOGS_ROWS", WHOLE),
        ("DISABLE_EXPENSIVE_DB_QUERIES", FLAG),
    ],
);

/// The answer of `/.well-known/litellm-ui-config`.
pub static UI_CONFIG: Record = Record::new(
    "PageConfig",
    &[
        ("server_root_path", TEXT),
        ("proxy_base_url", TEXT_OR_NULL),
        ("gateway_base_url", NULL),
        (
            "auto_redirect_to_sso admin_ui_disabled sso_configured hide_default_credentials_hint is_control_plane",
            FLAG,
        ),
        (
            "mcp_stdio_enabled use_si_terminology claude_code_marketplace_auth_required",
            FLAG,
        ),
        ("workers", list(&ANY)),
    ],
);

/// The answer of `/sso/readiness`.
pub static READINESS: Record = Record::new(
    "SsoReadiness",
    &[
        ("status message", TEXT),
        ("sso_configured", FLAG),
        ("provider", TEXT.or_absent()),
    ],
);

/// `GET /sso/get/ui_settings`. No report here scans the log, so its size says nothing and no query is too expensive.
pub async fn ui_settings(State(app): State<App>, _by: Authorized<UiSettings>) -> Answer {
    let settings = &app.config.sign_in;
    Answer::new(json!({
        "PROXY_BASE_URL": none_if_empty(&settings.base_url),
        "PROXY_LOGOUT_URL": settings.logout_url,
        "LITELLM_UI_API_DOC_BASE_URL": settings.doc_url,
        "DEFAULT_TEAM_DISABLED": settings.default_team_disabled,
        "SSO_ENABLED": settings.sso.is_some(),
        "NUM_SPEND_LOGS_ROWS": -1,
        "DISABLE_EXPENSIVE_DB_QUERIES": false,
    }))
}

/// `GET /.well-known/litellm-ui-config`: for everybody.
pub async fn ui_config(State(app): State<App>) -> Answer {
    let settings = &app.config.sign_in;
    let root = match settings.root_path.as_str() {
        "" => "/",
        root => root,
    };
    Answer::new(json!({
        "server_root_path": root,
        "proxy_base_url": none_if_empty(&settings.base_url),
        "gateway_base_url": null,
        "auto_redirect_to_sso": false,
        "admin_ui_disabled": false,
        "sso_configured": settings.sso.is_some(),
        "hide_default_credentials_hint": true,
        "is_control_plane": false,
        "mcp_stdio_enabled": false,
        "use_si_terminology": false,
        "claude_code_marketplace_auth_required": false,
        "workers": [],
    }))
}

/// `GET /sso/readiness`.
pub async fn readiness(
    State(app): State<App>,
    _by: Authorized<SsoReadiness>,
) -> Result<Answer, ApiError> {
    let Some(sso) = &app.config.sign_in.sso else {
        return Ok(Answer::new(json!({
            "status": "healthy", "sso_configured": false, "message": "No SSO provider configured",
        })));
    };
    if sso.missing.is_empty() {
        return Ok(Answer::new(json!({
            "status": "healthy", "sso_configured": true, "provider": sso.provider,
            "message": format!("{} SSO is properly configured", capital(sso.provider)),
        })));
    }
    let message = format!(
        "{} SSO is configured but missing required environment variables: {}",
        capital(sso.provider),
        sso.missing.join(", ")
    );
    Err(SignInRefusal::SsoIncomplete(message).into())
}

fn none_if_empty(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_uppercase(), letters.as_str())
    })
}

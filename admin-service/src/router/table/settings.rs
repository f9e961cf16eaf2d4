//! Routes of settings and of the audit log.

use crate::openapi::schema::one;
use crate::policy::Action as A;
use crate::router::row::{Row, get, patch, post};
use crate::routes::{audit, settings};

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    vec![
        get(  A::SettingsRead,    "/get/internal_user_settings",    "get_internal_user_settings",    settings::internal_user).json(one(&settings::SHOWN)),
        patch(A::SettingsWrite,   "/update/internal_user_settings", "update_internal_user_settings", settings::update_internal_user).body(settings::INTERNAL_USER).json(one(&settings::CHANGED)),
        get(  A::SettingsRead,    "/get/default_team_settings",     "get_default_team_settings",     settings::default_team).json(one(&settings::SHOWN)),
        patch(A::SettingsWrite,   "/update/default_team_settings",  "update_default_team_settings",  settings::update_default_team).body(settings::DEFAULT_TEAM).json(one(&settings::CHANGED)),
        get(  A::SettingsRead,    "/get/self_serve_settings",       "get_self_serve_settings",       settings::self_serve).json(one(&settings::SOURCED)),
        patch(A::SettingsWrite,   "/update/self_serve_settings",    "update_self_serve_settings",    settings::update_self_serve).body(settings::SELF_SERVE).json(one(&settings::CHANGED)),
        get(  A::SsoSettingsRead, "/get/sso_settings",              "get_sso_settings",              settings::sso).json(one(&settings::PROVEN)),
        patch(A::SettingsWrite,   "/update/sso_settings",           "update_sso_settings",           settings::update_sso).body(settings::SSO).json(one(&settings::CHANGED)),
        get(  A::UiSettingsRead,  "/get/ui_settings",               "get_ui_settings",               settings::ui).json(one(&settings::SOURCED)),
        patch(A::SettingsWrite,   "/update/ui_settings",            "update_ui_settings",            settings::update_ui).body(settings::UI).json(one(&settings::CHANGED)),
        get(  A::SettingsRead,    "/email/event_settings",          "get_email_event_settings",      settings::events).json(one(&settings::EVENTS)),
        patch(A::SettingsWrite,   "/email/event_settings",          "update_event_settings",         settings::update_events).body(settings::EVENT_SETTINGS).json(one(&settings::EVENTS_CHANGED)),
        post( A::SettingsWrite,   "/email/event_settings/reset",    "reset_event_settings",          settings::reset_events).json(one(&settings::EVENTS_CHANGED)),
        get(  A::AuditRead,       "/audit",                         "get_audit_logs",                audit::list).query(audit::LIST_QUERY).json(one(&audit::PAGE)),
        get(  A::AuditRead,       "/audit/{id}",                    "get_audit_log_by_id",           audit::by_id).also(&[404]).json(one(&audit::ENTRY)),
    ]
}

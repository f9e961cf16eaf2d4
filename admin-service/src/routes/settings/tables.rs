//! The fields of each group, and what a form is told about them.

use serde_json::{Map, Value, json};

use crate::request::{Field, Type, USER_ROLE};
use crate::routes::keys::asks;

const TOKENS: Type = Type::Limit(9_007_199_254_740_991);
const REQUESTS: Type = Type::Limit(4_294_967_295);

/// `PATCH /update/internal_user_settings`.
pub const INTERNAL_USER: &[Field] = &[
    Field::new("user_role", USER_ROLE),
    Field::new("max_budget", Type::Number),
    Field::new("budget_duration", Type::Text),
    Field::new("models", Type::Texts),
    Field::new("teams", Type::List),
    Field::new("available_teams", Type::Texts),
];

/// `PATCH /update/default_team_settings`.
pub const DEFAULT_TEAM: &[Field] = &[
    Field::new("models", Type::Texts),
    Field::new("max_budget", Type::Number),
    Field::new("budget_duration", Type::Text),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("team_member_permissions", Type::Texts),
    Field::new("organization_id", Type::Text),
];

/// `PATCH /update/self_serve_settings`.
pub const SELF_SERVE: &[Field] = &[
    Field::new("max_internal_user_budget", Type::Number),
    Field::new("internal_user_budget_duration", Type::Text),
    Field::new("upperbound_key_generate_params", Type::Object),
    Field::new("default_key_generate_params", Type::Object),
    Field::new("key_generation_settings", Type::Object),
    Field::new("default_team_settings", Type::List),
    Field::new("max_budget", Type::Number),
    Field::new("budget_duration", Type::Text),
    Field::new("max_end_user_budget", Type::Number),
    Field::new("max_end_user_budget_id", Type::Text),
    Field::new("timezone", Type::Text),
    Field::new("budget_reset_time", Type::Text),
    Field::new("budget_exceeded_status_code", Type::Int),
    Field::new("ui_access_mode", Type::Any),
    Field::new("enable_key_alias_format_validation", Type::Flag),
    Field::new("self_serve_budget_policy", Type::Text),
    Field::new("apply_user_budget_to_team_keys", Type::Flag),
    Field::new("master_key_can_call_models", Type::Flag),
    Field::new("disable_auto_add_proxy_admin_to_teams", Type::Flag),
];

/// The section of the file that a field of [`SELF_SERVE`] is in.
pub(super) fn section_of(name: &str) -> &'static str {
    match name {
        "ui_access_mode"
        | "self_serve_budget_policy"
        | "apply_user_budget_to_team_keys"
        | "master_key_can_call_models"
        | "disable_auto_add_proxy_admin_to_teams" => "general_settings",
        _ => "litellm_settings",
    }
}

/// `PATCH /update/ui_settings`.
pub const UI: &[Field] = &[
    Field::new("usage_default_time_range", Type::Text),
    Field::new("disable_model_add_for_internal_users", Type::Flag),
    Field::new("disable_team_admin_delete_team_user", Type::Flag),
    Field::new("require_auth_for_public_ai_hub", Type::Flag),
    Field::new("allow_public_health_readiness_details", Type::Flag),
    Field::new("forward_client_headers_to_llm_api", Type::Flag),
    Field::new("forward_llm_provider_auth_headers", Type::Flag),
    Field::new("disable_agents_for_internal_users", Type::Flag),
    Field::new("allow_agents_for_team_admins", Type::Flag),
    Field::new("disable_vector_stores_for_internal_users", Type::Flag),
    Field::new("allow_vector_stores_for_team_admins", Type::Flag),
    Field::new("scope_user_search_to_org", Type::Flag),
    Field::new("disable_custom_api_keys", Type::Flag),
    Field::new("team_admin_editable_team_fields", Type::Texts),
    Field::new("enabled_ui_pages_internal_users", Type::Texts),
];

/// `PATCH /update/sso_settings`.
pub const SSO: &[Field] = &[
    Field::new("google_client_id", Type::Text),
    Field::new("google_client_secret", Type::Text),
    Field::new("microsoft_client_id", Type::Text),
    Field::new("microsoft_client_secret", Type::Text),
    Field::new("microsoft_tenant", Type::Text),
    Field::new("generic_client_id", Type::Text),
    Field::new("generic_client_secret", Type::Text),
    Field::new("generic_authorization_endpoint", Type::Text),
    Field::new("generic_token_endpoint", Type::Text),
    Field::new("generic_userinfo_endpoint", Type::Text),
    Field::new("generic_scope", Type::Text),
    Field::new("saml_idp_metadata_url", Type::Text),
    Field::new("saml_idp_metadata_xml", Type::Text),
    Field::new("saml_sp_entity_id", Type::Text),
    Field::new("saml_allow_unsolicited", Type::Text),
    Field::new("proxy_base_url", Type::Text),
    Field::new("user_email", Type::Text),
    Field::new("ui_access_mode", Type::Any),
    Field::new("role_mappings", Type::Object),
    Field::new("team_mappings", Type::Object),
];

/// Settings that are kept and shown and bind nobody: what they are about is not here, or not in this service. What forbids something that
/// nobody may do anyway is not among them.
const IDLE: &[&str] = &[
    "default_team_settings",
    "usage_default_time_range",
    "allow_public_health_readiness_details",
    "forward_client_headers_to_llm_api",
    "forward_llm_provider_auth_headers",
    "allow_agents_for_team_admins",
    "allow_vector_stores_for_team_admins",
    "enabled_ui_pages_internal_users",
    "saml_idp_metadata_url",
    "saml_idp_metadata_xml",
    "saml_sp_entity_id",
    "saml_allow_unsolicited",
];

/// The settings among `sent` that ask for something and bind nobody.
pub(super) fn idle(sent: &Map<String, Value>) -> Vec<&'static str> {
    IDLE.iter()
        .copied()
        .filter(|name| sent.get(*name).is_some_and(asks))
        .collect()
}

/// What each field means.
const ABOUT: &[(&str, &str)] = &[
    ("user_role", "Role of a new user"),
    ("max_budget", "US dollars that may be spent in one window"),
    (
        "budget_duration",
        "After how long the budget starts anew: 30s, 30m, 24h, 7d, 30d, 1mo",
    ),
    ("models", "Models that may be called; empty: all"),
    (
        "teams",
        "Teams that a new user joins: ids, or objects of team_id, max_budget_in_team, user_role",
    ),
    ("available_teams", "Teams that users may join by themselves"),
    ("tpm_limit", "Tokens in any 60 seconds"),
    ("rpm_limit", "Requests in any 60 seconds"),
    (
        "team_member_permissions",
        "What members may do with the team's keys",
    ),
    ("organization_id", "Organization of a new team"),
    (
        "max_internal_user_budget",
        "Budget in US dollars of an internal_user that has none",
    ),
    (
        "internal_user_budget_duration",
        "After how long that budget starts anew",
    ),
    (
        "upperbound_key_generate_params",
        "The most a new key may have, and what it gets where the request says nothing",
    ),
    (
        "default_key_generate_params",
        "What a new key has where the request says nothing",
    ),
    (
        "timezone",
        "Time zone whose days, weeks and months budgets follow, such as Europe/Berlin",
    ),
    (
        "budget_reset_time",
        "Time of day, HH:MM, at which budgets of days, weeks and months start anew",
    ),
    (
        "budget_exceeded_status_code",
        "HTTP status of a refusal for an exhausted budget",
    ),
    ("ui_access_mode", "Who may sign in to the interface"),
    (
        "default_team_settings",
        "Settings of single teams; kept and shown, without effect",
    ),
    (
        "max_end_user_budget",
        "Budget in US dollars, for ever, of a customer who has none",
    ),
    (
        "max_end_user_budget_id",
        "Budget row of a customer who has none; it wins over max_end_user_budget",
    ),
    (
        "enable_key_alias_format_validation",
        "Whether an alias of a key has 2 to 255 letters, digits and _-/.@, the first and last a letter or digit",
    ),
    (
        "self_serve_budget_policy",
        "What owners change of budgets of keys that they made: disabled, lower_only or ceiling",
    ),
    (
        "apply_user_budget_to_team_keys",
        "Whether a user's own budget binds their keys in teams too",
    ),
    (
        "master_key_can_call_models",
        "Whether the master key may call models",
    ),
    (
        "disable_auto_add_proxy_admin_to_teams",
        "Whether a proxy admin who makes a team stays out of it",
    ),
    (
        "disable_team_admin_delete_team_user",
        "Whether admins of teams remove no members",
    ),
    (
        "scope_user_search_to_org",
        "Whether admins of teams and organizations find users of their organizations only",
    ),
    (
        "disable_custom_api_keys",
        "Whether nobody chooses the value of a key",
    ),
    (
        "team_admin_editable_team_fields",
        "Fields of a team that its admins may change",
    ),
];

/// Name, type and meaning of a group's fields, as JSON schema.
pub(super) fn described(about: &str, fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = field.of.schema();
            let meaning = ABOUT.iter().find(|(name, _)| *name == field.name);
            let words = meaning.map_or_else(
                || field.name.replace('_', " "),
                |(_, about)| (*about).to_owned(),
            );
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("description".into(), json!(words));
            }
            (field.name.to_owned(), schema)
        })
        .collect();
    json!({"description": about, "properties": properties})
}

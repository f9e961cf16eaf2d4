//! The fields of each request, as LiteLLM lists them.

use super::types::{Field, Type};

mod spend;

pub use spend::{CALCULATE, END_USERS};

mod budgets;
mod customers;
mod keys;
mod models;
pub(super) mod organizations;
mod tags;
pub(super) mod teams;

pub mod people;

pub use budgets::{BUDGET, BUDGET_ID, BUDGET_IDS};
pub use customers::{NEW_CUSTOMER, UPDATE_CUSTOMER};
pub use keys::{
    BULK_UPDATE_KEYS, KEYS_ASKED, REGENERATE_KEY, RESET_SPEND, TEAM_KEY_FIELDS, TEAM_KEYS_UPDATE,
};
pub use models::{
    CHANGE_ASSIGNED_GROUP, MODEL_ID, NEW_ASSIGNED_GROUP, NEW_GROUP, NEW_MODEL, UPDATE_GROUP,
    UPDATE_MODEL,
};
pub use tags::{TAG, TAG_NAME, TAG_NAMES};

/// Requests in a minute or at once: what a limit of the ledger can hold.
const REQUESTS: Type = Type::Limit(4_294_967_295);
/// Tokens in a minute.
const TOKENS: Type = Type::Limit(9_007_199_254_740_991);
const LIMIT_TYPE: Type = Type::OneOf(
    &["guaranteed_throughput", "best_effort_throughput", "dynamic"],
    "'guaranteed_throughput', 'best_effort_throughput' or 'dynamic'",
);
const KEY_TYPE: Type = Type::OneOf(
    &["llm_api", "management", "read_only", "default"],
    "'llm_api', 'management', 'read_only' or 'default'",
);
/// A global role.
pub const USER_ROLE: Type = Type::OneOf(
    &[
        "proxy_admin",
        "proxy_admin_viewer",
        "internal_user",
        "internal_user_viewer",
    ],
    "<LitellmUserRoles.PROXY_ADMIN: 'proxy_admin'>, <LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY: 'proxy_admin_viewer'>, \
     <LitellmUserRoles.INTERNAL_USER: 'internal_user'> or <LitellmUserRoles.INTERNAL_USER_VIEW_ONLY: 'internal_user_viewer'>",
);

/// `POST /key/generate`.
pub const GENERATE_KEY: &[Field] = &[
    Field::new("key_alias", Type::Text),
    Field::new("duration", Type::Text),
    Field::new("models", Type::List),
    Field::new("spend", Type::Number),
    Field::new("max_budget", Type::Number),
    Field::new("user_id", Type::Text),
    Field::new("team_id", Type::Text),
    Field::new("agent_id", Type::Text),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("allowed_cache_controls", Type::List),
    Field::new("config", Type::Object),
    Field::new("permissions", Type::Object),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_fallbacks", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("mcp_rpm_limit", Type::Object),
    Field::new("tag_rpm_limit", Type::Object),
    Field::new("guardrails", Type::Texts),
    Field::new("policies", Type::Texts),
    Field::new("prompts", Type::Texts),
    Field::new("blocked", Type::Flag),
    Field::new("aliases", Type::Object),
    Field::new("object_permission", Type::Object),
    Field::new("key", Type::Text),
    Field::new("tpd_limit", Type::Int),
    Field::new("default_estimated_output_tokens", Type::Int),
    Field::new("default_estimated_output_tokens_per_model", Type::Object),
    Field::new("budget_id", Type::Text),
    Field::new("end_user_budget_id", Type::Text),
    Field::new("tags", Type::Texts),
    Field::new("disable_global_guardrails", Type::Flag),
    Field::new("enable_prompt_caching", Type::Flag),
    Field::new("throttle_on_budget_exceeded", Type::Flag),
    Field::new("enforced_params", Type::Texts),
    Field::new("allowed_routes", Type::List),
    Field::new("allowed_passthrough_routes", Type::List),
    Field::new("denied_passthrough_routes", Type::Texts),
    Field::new("allowed_vector_store_indexes", Type::List),
    Field::new("rpm_limit_type", LIMIT_TYPE),
    Field::new("tpm_limit_type", LIMIT_TYPE),
    Field::new("router_settings", Type::Object),
    Field::new("access_group_ids", Type::Texts),
    Field::new("soft_budget", Type::Number),
    Field::new("send_invite_email", Type::Flag),
    Field::new("key_type", KEY_TYPE),
    Field::new("auto_rotate", Type::Flag),
    Field::new("rotation_interval", Type::Text),
    Field::new("organization_id", Type::Text),
    Field::new("project_id", Type::Text),
];

/// `POST /key/update`.
pub const UPDATE_KEY: &[Field] = &[
    Field::new("key_alias", Type::Text),
    Field::new("duration", Type::Text),
    Field::new("models", Type::List),
    Field::new("spend", Type::Number),
    Field::new("max_budget", Type::Number),
    Field::new("user_id", Type::Text),
    Field::new("team_id", Type::Text),
    Field::new("agent_id", Type::Text),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("allowed_cache_controls", Type::List),
    Field::new("config", Type::Object),
    Field::new("permissions", Type::Object),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_fallbacks", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("mcp_rpm_limit", Type::Object),
    Field::new("tag_rpm_limit", Type::Object),
    Field::new("guardrails", Type::Texts),
    Field::new("policies", Type::Texts),
    Field::new("prompts", Type::Texts),
    Field::new("blocked", Type::Flag),
    Field::new("aliases", Type::Object),
    Field::new("object_permission", Type::Object),
    Field::new("key", Type::Text),
    Field::new("tpd_limit", Type::Int),
    Field::new("default_estimated_output_tokens", Type::Int),
    Field::new("default_estimated_output_tokens_per_model", Type::Object),
    Field::new("budget_id", Type::Text),
    Field::new("end_user_budget_id", Type::Text),
    Field::new("tags", Type::Texts),
    Field::new("disable_global_guardrails", Type::Flag),
    Field::new("enable_prompt_caching", Type::Flag),
    Field::new("throttle_on_budget_exceeded", Type::Flag),
    Field::new("enforced_params", Type::Texts),
    Field::new("allowed_routes", Type::List),
    Field::new("allowed_passthrough_routes", Type::List),
    Field::new("denied_passthrough_routes", Type::Texts),
    Field::new("allowed_vector_store_indexes", Type::List),
    Field::new("rpm_limit_type", LIMIT_TYPE),
    Field::new("tpm_limit_type", LIMIT_TYPE),
    Field::new("router_settings", Type::Object),
    Field::new("access_group_ids", Type::Texts),
    Field::new("soft_budget", Type::Number),
    Field::new("temp_budget_increase", Type::Number),
    Field::new("temp_budget_expiry", Type::Date),
    Field::new("auto_rotate", Type::Flag),
    Field::new("rotation_interval", Type::Text),
    Field::new("organization_id", Type::Text),
    Field::new("project_id", Type::Text),
];

/// `POST /key/block`, `/key/unblock`.
pub const KEY_NAME: &[Field] = &[Field::required("key", Type::Text)];

/// `POST /key/delete`.
pub const KEY_NAMES: &[Field] = &[
    Field::new("keys", Type::Texts),
    Field::new("key_aliases", Type::Texts),
];

/// `POST /user/new`.
pub const NEW_USER: &[Field] = &[
    Field::new("key_alias", Type::Text),
    Field::new("duration", Type::Text),
    Field::new("models", Type::List),
    Field::new("spend", Type::Number),
    Field::new("max_budget", Type::Number),
    Field::new("user_id", Type::Text),
    Field::new("team_id", Type::Text),
    Field::new("agent_id", Type::Text),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("allowed_cache_controls", Type::List),
    Field::new("config", Type::Object),
    Field::new("permissions", Type::Object),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_fallbacks", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("mcp_rpm_limit", Type::Object),
    Field::new("tag_rpm_limit", Type::Object),
    Field::new("guardrails", Type::Texts),
    Field::new("policies", Type::Texts),
    Field::new("prompts", Type::Texts),
    Field::new("blocked", Type::Flag),
    Field::new("aliases", Type::Object),
    Field::new("object_permission", Type::Object),
    Field::new("user_email", Type::Text),
    Field::new("user_alias", Type::Text),
    Field::new("user_role", USER_ROLE),
    Field::new("teams", Type::List),
    Field::never_null("auto_create_key", Type::Flag),
    Field::new("send_invite_email", Type::Flag),
    Field::new("sso_user_id", Type::Text),
    Field::new("organizations", Type::Texts),
    Field::new("password", Type::Text),
];

/// `POST /user/update`.
pub const UPDATE_USER: &[Field] = &[
    Field::new("key_alias", Type::Text),
    Field::new("duration", Type::Text),
    Field::new("models", Type::List),
    Field::new("spend", Type::Number),
    Field::new("max_budget", Type::Number),
    Field::new("user_id", Type::Text),
    Field::new("team_id", Type::Text),
    Field::new("agent_id", Type::Text),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("allowed_cache_controls", Type::List),
    Field::new("config", Type::Object),
    Field::new("permissions", Type::Object),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_fallbacks", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("mcp_rpm_limit", Type::Object),
    Field::new("tag_rpm_limit", Type::Object),
    Field::new("guardrails", Type::Texts),
    Field::new("policies", Type::Texts),
    Field::new("prompts", Type::Texts),
    Field::new("blocked", Type::Flag),
    Field::new("aliases", Type::Object),
    Field::new("object_permission", Type::Object),
    Field::new("password", Type::Text),
    Field::new("user_alias", Type::Text),
    Field::new("user_role", USER_ROLE),
    Field::new("user_email", Type::Text),
];

/// `POST /user/delete`.
pub const USER_IDS: &[Field] = &[Field::required("user_ids", Type::Texts)];

/// Two tables in one.
const fn joined<const N: usize>(first: &[Field], second: &[Field]) -> [Field; N] {
    let mut all = [Field::new("", Type::Any); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}

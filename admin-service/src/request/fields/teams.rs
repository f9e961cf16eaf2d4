//! The fields of requests about teams, as LiteLLM lists them.

use super::super::types::{Field, Type};
use super::{LIMIT_TYPE, REQUESTS, TOKENS, joined};

const MEMBER_ROLE: Type = Type::OneOf(&["admin", "user"], "'admin' or 'user'");

/// What a new team and a changed one may be given alike.
const GIVEN: &[Field] = &[
    Field::new("team_alias", Type::Text),
    Field::new("organization_id", Type::Text),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("tpd_limit", Type::Int),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("router_settings", Type::Object),
    Field::new("access_group_ids", Type::Texts),
    Field::new("default_team_member_models", Type::Texts),
    Field::new("model_aliases", Type::Object),
    Field::new("model_max_budget", Type::Object),
    Field::new("tags", Type::List),
    Field::new("guardrails", Type::Texts),
    Field::new("policies", Type::Texts),
    Field::new("prompts", Type::Texts),
    Field::new("object_permission", Type::Object),
    Field::new("allowed_passthrough_routes", Type::List),
    Field::new("denied_passthrough_routes", Type::Texts),
    Field::new("disable_global_guardrails", Type::Flag),
    Field::new("require_trace_id", Type::Flag),
    Field::new("secret_manager_settings", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("default_estimated_output_tokens", Type::Int),
    Field::new("default_estimated_output_tokens_per_model", Type::Object),
    Field::new("mcp_rpm_limit", Type::Object),
    Field::new("team_member_budget", Type::Number),
    Field::new("team_member_rpm_limit", REQUESTS),
    Field::new("team_member_tpm_limit", TOKENS),
    Field::new("team_member_key_duration", Type::Text),
    Field::new("team_member_budget_duration", Type::Text),
    Field::new("team_member_model_max_budget", Type::Object),
    Field::new("allowed_vector_store_indexes", Type::List),
    Field::new("enforced_batch_output_expires_after", Type::Object),
    Field::new("enforced_file_expires_after", Type::Object),
    Field::new("max_parallel_requests", REQUESTS),
];

/// `POST /team/new`.
pub const NEW_TEAM: &[Field] = &joined::<{ GIVEN.len() + 9 }>(
    &[
        Field::new("team_id", Type::Text),
        Field::never_null("admins", Type::Texts),
        Field::never_null("members", Type::Texts),
        Field::never_null("members_with_roles", Type::List),
        Field::new("team_member_permissions", Type::Texts),
        Field::never_null("models", Type::Texts),
        Field::never_null("blocked", Type::Flag),
        Field::new("rpm_limit_type", LIMIT_TYPE),
        Field::new("tpm_limit_type", LIMIT_TYPE),
    ],
    GIVEN,
);

/// `POST /team/update`.
pub const UPDATE_TEAM: &[Field] = &joined::<{ GIVEN.len() + 3 }>(
    &[
        Field::required("team_id", Type::Text),
        Field::new("models", Type::List),
        Field::new("blocked", Type::Flag),
    ],
    GIVEN,
);

/// `PATCH /team/{team_id}`.
pub const PATCH_TEAM: &[Field] = &joined::<{ GIVEN.len() + 3 }>(
    &[
        Field::new("team_id", Type::Text),
        Field::new("models", Type::List),
        Field::new("blocked", Type::Flag),
    ],
    GIVEN,
);

/// `POST /team/delete`.
pub const TEAM_IDS: &[Field] = &[Field::required("team_ids", Type::Texts)];

/// `POST /team/member_add`.
pub const MEMBER_ADD: &[Field] = &[
    Field::required("member", Type::Any),
    Field::required("team_id", Type::Text),
    Field::new("max_budget_in_team", Type::Number),
    Field::new("budget_duration", Type::Text),
    Field::new("allowed_models", Type::Texts),
];

/// A member, as teams name it.
pub const MEMBER: &[Field] = &[
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
    Field::required("role", MEMBER_ROLE),
];

/// `POST /team/bulk_member_add`.
pub const BULK_MEMBER_ADD: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::new("members", Type::List),
    Field::new("all_users", Type::Flag),
    Field::new("max_budget_in_team", Type::Number),
];

/// `POST /team/member_update`.
pub const MEMBER_UPDATE: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
    Field::new("max_budget_in_team", Type::Number),
    Field::new("role", MEMBER_ROLE),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("budget_duration", Type::Text),
    Field::new("allowed_models", Type::Texts),
    Field::new("temp_budget_increase", Type::Number),
    Field::new("temp_budget_expiry", Type::Date),
    Field::new("model_max_budget", Type::Object),
];

/// `POST /team/member_delete`.
pub const MEMBER_DELETE: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
];

/// `POST /team/block`, `/team/unblock`.
pub const TEAM_ID: &[Field] = &[Field::required("team_id", Type::Text)];

/// `POST /team/model/add`, `/team/model/delete`.
pub const TEAM_MODELS: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::required("models", Type::Texts),
];

/// `POST /team/permissions_bulk_update`.
pub const TEAM_PERMISSIONS_BULK: &[Field] = &[
    Field::required("permissions", Type::Texts),
    Field::new("team_ids", Type::Texts),
    Field::new("apply_to_all_teams", Type::Flag),
];

/// `POST /team/permissions_update`.
pub const TEAM_PERMISSIONS: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::required("team_member_permissions", Type::Texts),
];

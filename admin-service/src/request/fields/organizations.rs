//! The fields of requests about organizations, as LiteLLM lists them.

use super::{REQUESTS, TOKENS};
use crate::request::{Field, Type};

const ROLE: Type = Type::OneOf(
    &["org_admin", "internal_user", "internal_user_viewer"],
    "<LitellmUserRoles.ORG_ADMIN: 'org_admin'>, <LitellmUserRoles.INTERNAL_USER: 'internal_user'> or \
     <LitellmUserRoles.INTERNAL_USER_VIEW_ONLY: 'internal_user_viewer'>",
);

/// `POST /organization/new`.
pub const NEW_ORGANIZATION: &[Field] = &[
    Field::new("organization_id", Type::Text),
    Field::required("organization_alias", Type::Text),
    Field::new("budget_id", Type::Text),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("tpd_limit", Type::Int),
    Field::new("budget_duration", Type::Text),
    Field::new("model_max_budget", Type::Object),
    Field::new("allowed_models", Type::Texts),
    Field::new("models", Type::Texts),
    Field::new("metadata", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("object_permission", Type::Object),
];

/// `PATCH /organization/update`.
pub const UPDATE_ORGANIZATION: &[Field] = &[
    Field::required("organization_id", Type::Text),
    Field::never_null("organization_alias", Type::Text),
    Field::never_null("budget_id", Type::Text),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("tpd_limit", Type::Int),
    Field::new("budget_duration", Type::Text),
    Field::new("model_max_budget", Type::Object),
    Field::new("allowed_models", Type::Texts),
    Field::new("models", Type::Texts),
    Field::new("metadata", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("object_permission", Type::Object),
];

/// `PATCH /v2/organization/{organization_id}`.
pub const PATCH_ORGANIZATION: &[Field] = &[
    Field::never_null("organization_alias", Type::Text),
    Field::new("models", Type::Texts),
    Field::new("metadata", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_duration", Type::Text),
    Field::new("object_permission", Type::Object),
];

/// `DELETE /organization/delete`.
pub const ORGANIZATION_IDS: &[Field] = &[Field::required("organization_ids", Type::Texts)];

/// `POST /organization/info`.
pub const ORGANIZATIONS: &[Field] = &[Field::required("organizations", Type::Texts)];

/// `POST /organization/member_add`.
pub const ORG_MEMBER_ADD: &[Field] = &[
    Field::required("member", Type::Any),
    Field::required("organization_id", Type::Text),
    Field::new("max_budget_in_organization", Type::Number),
];

/// A member, as organizations name it.
pub const ORG_MEMBER: &[Field] = &[
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
    Field::required("role", ROLE),
];

/// `PATCH /organization/member_update`.
pub const ORG_MEMBER_UPDATE: &[Field] = &[
    Field::required("organization_id", Type::Text),
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
    Field::new("role", ROLE),
    Field::new("max_budget_in_organization", Type::Number),
];

/// `DELETE /organization/member_delete`.
pub const ORG_MEMBER_DELETE: &[Field] = &[
    Field::required("organization_id", Type::Text),
    Field::new("user_id", Type::Text),
    Field::new("user_email", Type::Text),
];

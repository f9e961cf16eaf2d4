//! Requests about customers.

use super::{REQUESTS, TOKENS};
use crate::request::{Field, Type};

const REGION: Type = Type::OneOf(&["eu", "us"], "'eu' or 'us'");

/// `POST /customer/new`.
pub const NEW_CUSTOMER: &[Field] = &[
    Field::required("user_id", Type::Text),
    Field::new("alias", Type::Text),
    Field::never_null("blocked", Type::Flag),
    Field::new("budget_id", Type::Text),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("tpd_limit", Type::Int),
    Field::new("budget_duration", Type::Text),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_reset_at", Type::Date),
    Field::new("spend", Type::Number),
    Field::new("allowed_model_region", REGION),
    Field::new("default_model", Type::Text),
    Field::new("models", Type::Texts),
    Field::new("object_permission", Type::Object),
];

/// `POST /customer/update`.
pub const UPDATE_CUSTOMER: &[Field] = &[
    Field::required("user_id", Type::Text),
    Field::new("alias", Type::Text),
    Field::never_null("blocked", Type::Flag),
    Field::new("max_budget", Type::Number),
    Field::new("budget_id", Type::Text),
    Field::new("allowed_model_region", REGION),
    Field::new("default_model", Type::Text),
    Field::new("models", Type::Texts),
    Field::new("object_permission", Type::Object),
];

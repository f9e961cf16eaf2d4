//! Requests about budget rows.

use super::{REQUESTS, TOKENS};
use crate::request::{Field, Type};

/// `POST /budget/new` and `POST /budget/update`.
pub const BUDGET: &[Field] = &[
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
    Field::new("allowed_models", Type::Texts),
];

/// `POST /budget/info`.
pub const BUDGET_IDS: &[Field] = &[Field::required("budgets", Type::Texts)];

/// `POST /budget/delete`.
pub const BUDGET_ID: &[Field] = &[Field::required("id", Type::Text)];

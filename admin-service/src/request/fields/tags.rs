//! Requests about tags.

use super::{REQUESTS, TOKENS};
use crate::request::{Field, Type};

/// `POST /tag/new` and `POST /tag/update`.
pub const TAG: &[Field] = &[
    Field::required("name", Type::Text),
    Field::new("description", Type::Text),
    Field::new("models", Type::Texts),
    Field::new("model_info", Type::Object),
    Field::new("budget_id", Type::Text),
    Field::new("max_budget", Type::Number),
    Field::new("soft_budget", Type::Number),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("model_max_budget", Type::Object),
    Field::new("budget_duration", Type::Text),
];

/// `POST /tag/info`.
pub const TAG_NAMES: &[Field] = &[Field::required("names", Type::Texts)];

/// `POST /tag/delete`.
pub const TAG_NAME: &[Field] = &[Field::required("name", Type::Text)];

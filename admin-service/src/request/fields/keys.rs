//! The fields of requests about keys.

use super::{GENERATE_KEY, LIMIT_TYPE, REQUESTS, TOKENS, joined};
use crate::request::types::{Field, Type};

/// `POST /key/regenerate`: every field of a new key, and what becomes of the old value.
pub const REGENERATE_KEY: &[Field] = &joined::<{ GENERATE_KEY.len() + 3 }>(
    GENERATE_KEY,
    &[
        Field::new("new_key", Type::Text),
        Field::new("new_master_key", Type::Text),
        Field::new("grace_period", Type::Text),
    ],
);

/// `POST /key/bulk_update`; each item is a `/key/update`.
pub const BULK_UPDATE_KEYS: &[Field] = &[Field::required("keys", Type::List)];

/// `POST /v2/key/info`.
pub const KEYS_ASKED: &[Field] = &[Field::new("keys", Type::Texts)];

/// `POST /key/{key}/reset_spend`. A flag counts as a number elsewhere, but not here: the route looks at it.
pub const RESET_SPEND: &[Field] = &[Field::required("reset_to", Type::Any)];

/// `POST /team/key/bulk_update`.
pub const TEAM_KEYS_UPDATE: &[Field] = &[
    Field::required("team_id", Type::Text),
    Field::new("key_ids", Type::Texts),
    Field::new("all_keys_in_team", Type::Flag),
    Field::required("update_fields", Type::Object),
];

/// What `update_fields` of it may say: nothing about whose the keys are or what they may call.
pub const TEAM_KEY_FIELDS: &[Field] = &[
    Field::new("max_budget", Type::Number),
    Field::new("budget_id", Type::Text),
    Field::new("budget_duration", Type::Text),
    Field::new("budget_limits", Type::List),
    Field::new("model_max_budget", Type::Object),
    Field::new("tpm_limit", TOKENS),
    Field::new("rpm_limit", REQUESTS),
    Field::new("model_tpm_limit", Type::Object),
    Field::new("model_rpm_limit", Type::Object),
    Field::new("max_parallel_requests", REQUESTS),
    Field::new("rpm_limit_type", LIMIT_TYPE),
    Field::new("tpm_limit_type", LIMIT_TYPE),
    Field::new("temp_budget_increase", Type::Number),
    Field::new("temp_budget_expiry", Type::Date),
    Field::new("duration", Type::Text),
    Field::new("tags", Type::Texts),
    Field::new("metadata", Type::Object),
];

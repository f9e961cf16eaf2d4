//! Bodies of the spend routes.

use crate::request::types::{Field, Type};

/// `POST /spend/calculate`.
pub const CALCULATE: &[Field] = &[
    Field::new("model", Type::Text),
    Field::new("messages", Type::List),
    Field::new("completion_response", Type::Object),
];

/// `POST /global/spend/end_users`.
pub const END_USERS: &[Field] = &[
    Field::new("api_key", Type::Text),
    Field::new("startTime", Type::Text),
    Field::new("endTime", Type::Text),
];

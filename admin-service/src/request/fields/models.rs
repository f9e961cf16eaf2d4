//! Requests about models and their access groups.

use crate::request::{Field, Type};

/// `POST /model/new`.
pub const NEW_MODEL: &[Field] = &[
    Field::required("model_name", Type::Text),
    Field::required("litellm_params", Type::Object),
    Field::new("model_info", Type::Object),
    Field::new("blocked", Type::Flag),
];

/// `POST /model/update` and `PATCH /model/{model_id}/update`.
pub const UPDATE_MODEL: &[Field] = &[
    Field::new("model_name", Type::Text),
    Field::new("litellm_params", Type::Object),
    Field::new("model_info", Type::Object),
    Field::new("blocked", Type::Flag),
];

/// `POST /model/delete`.
pub const MODEL_ID: &[Field] = &[Field::required("id", Type::Text)];

/// `POST /access_group/new`.
pub const NEW_GROUP: &[Field] = &[
    Field::required("access_group", Type::Text),
    Field::required("model_names", Type::Texts),
    Field::new("description", Type::Text),
];

/// `POST /v1/access_group`.
pub const NEW_ASSIGNED_GROUP: &[Field] = &[
    Field::required("access_group_name", Type::Text),
    Field::new("description", Type::Text),
    Field::new("access_model_names", Type::Texts),
    Field::new("access_mcp_server_ids", Type::Texts),
    Field::new("access_agent_ids", Type::Texts),
    Field::new("assigned_team_ids", Type::Texts),
    Field::new("assigned_key_ids", Type::Texts),
];

/// `PUT /v1/access_group/{access_group_id}`.
pub const CHANGE_ASSIGNED_GROUP: &[Field] = &[
    Field::never_null("access_group_name", Type::Text),
    Field::new("description", Type::Text),
    Field::new("access_model_names", Type::Texts),
    Field::new("access_mcp_server_ids", Type::Texts),
    Field::new("access_agent_ids", Type::Texts),
    Field::new("assigned_team_ids", Type::Texts),
    Field::new("assigned_key_ids", Type::Texts),
];

/// `PUT /access_group/{access_group}/update`.
pub const UPDATE_GROUP: &[Field] = &[
    Field::new("model_names", Type::Texts),
    Field::new("description", Type::Text),
];

//! Requests about sessions, passwords and invitations.

use crate::request::types::{Field, Type};

/// `POST /v2/login`.
pub const LOGIN: &[Field] = &[
    Field::required("username", Type::Text),
    Field::required("password", Type::Text),
];

/// `POST /user/password/change`.
pub const PASSWORD_CHANGE: &[Field] = &[
    Field::required("current_password", Type::Text),
    Field::required("new_password", Type::Text),
];

/// `POST /invitation/new`.
pub const INVITATION_NEW: &[Field] = &[Field::required("user_id", Type::Text)];

/// `POST /invitation/update`.
pub const INVITATION_UPDATE: &[Field] = &[
    Field::required("invitation_id", Type::Text),
    Field::required("is_accepted", Type::Flag),
];

/// `POST /invitation/delete`.
pub const INVITATION_DELETE: &[Field] = &[Field::required("invitation_id", Type::Text)];

/// `POST /onboarding/claim_token`.
pub const CLAIM: &[Field] = &[
    Field::required("invitation_link", Type::Text),
    Field::required("user_id", Type::Text),
    Field::required("password", Type::Text),
];

/// `POST /user/bulk_update`.
pub const BULK_UPDATE: &[Field] = &[
    Field::new("users", Type::List),
    Field::new("all_users", Type::Flag),
    Field::new("user_updates", Type::Object),
];

//! Models and groups of them.

use axum::http::StatusCode;

use super::{BAD, CONFLICT, INVALID, NOT_FOUND};
use crate::error::Wire;

/// A model or a group that is not there, is already, or cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRefusal {
    /// No group of this id.
    AssignedGroupMissing(String),
    /// A group of this name is there.
    AssignedGroupExists(String),
    /// A group for teams that are not there.
    UnknownTeams(Vec<String>),
    /// A model that could not be served: where and why.
    BadModel(String),
    /// A model of this id exists.
    ModelExists(String),
    /// `/model/update` without `model_info.id`.
    ModelIdMissing,
    /// A model of the database that is not there, named by a body or query.
    ModelMissing(String),
    /// The same, named by the path.
    ModelNotFound(String),
    /// A model that is not served, or not to this caller.
    ModelNotListed(String),
    /// A group of models without name.
    GroupWithoutName,
    /// A group of models of this name exists.
    GroupExists(String),
    /// A group of models that is not there.
    GroupMissing(String),
    /// A group names a model that is not served.
    GroupOfUnknownModel(String),
}

impl ModelRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::AssignedGroupMissing(id) => {
                Wire::detail(NOT_FOUND, format!("Access group '{id}' not found"))
            }
            Self::AssignedGroupExists(name) => Wire::detail(
                StatusCode::CONFLICT,
                format!("Access group '{name}' already exists"),
            ),
            Self::UnknownTeams(ids) => {
                Wire::detail(BAD, format!("Unknown team ids: {}", ids.join(", ")))
            }
            Self::BadModel(why) => Wire::detail_error(BAD, why),
            Self::ModelExists(id) => {
                Wire::detail_error(BAD, format!("Model with id={id} already exists"))
            }
            Self::ModelIdMissing => Wire::detail_error(BAD, "model_info.id is required"),
            Self::ModelMissing(id) => {
                Wire::detail_error(BAD, format!("Model with id={id} not found in db"))
            }
            Self::ModelNotFound(id) => {
                Wire::detail_error(NOT_FOUND, format!("Model {id} not found on proxy."))
            }
            Self::ModelNotListed(name) => Wire::param(
                NOT_FOUND,
                INVALID,
                "model",
                format!("The model `{name}` does not exist"),
            ),
            Self::GroupWithoutName => Wire::detail_error(BAD, "access_group is required"),
            Self::GroupExists(name) => {
                Wire::detail_error(CONFLICT, format!("Access group '{name}' already exists"))
            }
            Self::GroupMissing(name) => {
                Wire::detail_error(NOT_FOUND, format!("Access group '{name}' not found"))
            }
            Self::GroupOfUnknownModel(name) => {
                Wire::detail_error(BAD, format!("Model '{name}' is not served"))
            }
        }
    }
}

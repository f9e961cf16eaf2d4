//! Keys there are: found, listed, changed, given another value, set back.

use axum::http::StatusCode;

use super::{AUTH, BAD, BAD_REQUEST, FORBIDDEN, INVALID, MISSING, NOT_FOUND};
use crate::error::Wire;

/// A key that is not there, or not this caller's to use so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// `/key/info` of a key that is not there.
    KeyInfoMissing,
    /// A write to a key that is not there.
    KeyMissing,
    /// None of the keys to delete is there.
    NoKeysFound,
    /// The key belongs to somebody else.
    NotYourKeyInfo(&'static str),
    /// The key is not the caller's to delete.
    NotYourKeyToDelete,
    /// The key is not the caller's to give another value.
    NotYourKeyToRegenerate,
    /// `/key/regenerate` that names no key.
    NoKeyToRegenerate,
    /// The master key is no key of the database.
    MasterKeyIsConfigured,
    /// `grace_period`.
    BadGracePeriod(String),
    /// `rotation_interval`.
    BadRotationInterval(String),
    /// `/key/bulk_update` by somebody who is no admin.
    BulkUpdateIsForAdmins,
    /// `/key/bulk_update` of nothing.
    NoKeysToUpdate,
    /// More keys in one request than are taken.
    TooManyKeys(usize),
    /// `/v2/key/info` of nothing.
    NoKeysAsked,
    /// `reset_to` below zero.
    ResetBelowZero,
    /// `reset_to` above what was spent.
    ResetAboveSpend {
        /// What was asked.
        asked: String,
        /// What was spent.
        spent: String,
    },
    /// `expires` of `/key/list` that is no filter.
    BadExpiresFilter(String),
    /// Somebody else's keys.
    NotYourKeys,
    /// A key without user has no list.
    NoUserForList,
    /// `status` of `/key/list`.
    BadKeyStatus,
    /// A key's spend is kept by the ledger.
    SpendIsKept,
}

impl KeyRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::KeyInfoMissing => {
                Wire::param(NOT_FOUND, MISSING, "key", "Key not found in database")
            }
            Self::KeyMissing => Wire::param(NOT_FOUND, MISSING, "key", "Key not found."),
            Self::NoKeysFound => Wire::python(NOT_FOUND, INVALID, "error", "No keys found"),
            Self::NotYourKeyInfo(role) => Wire::error(
                FORBIDDEN,
                AUTH,
                format!("You are not allowed to access this key's info. Your role={role}"),
            ),
            Self::NotYourKeyToDelete => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "You are not authorized to delete this key",
            ),
            Self::NotYourKeyToRegenerate => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "You are not authorized to regenerate this key",
            ),
            Self::NoKeyToRegenerate => Wire::detail_error(
                BAD,
                "No key passed in. Name it in the path, in the query or in the body.",
            ),
            Self::MasterKeyIsConfigured => Wire::param(
                BAD,
                BAD_REQUEST,
                "new_master_key",
                "The master key is not changed by a request. Set LITELLM_MASTER_KEY (or general_settings.master_key) to the new \
                 one and restart every admin service: the former one is refused from then on, and virtual keys stay as they are.",
            ),
            Self::BadGracePeriod(text) => Wire::param(
                BAD,
                BAD_REQUEST,
                "grace_period",
                format!("Invalid grace_period '{text}'. Use a format like '30s', '24h' or '7d'."),
            ),
            Self::BadRotationInterval(text) => Wire::param(
                BAD,
                BAD_REQUEST,
                "rotation_interval",
                format!(
                    "Invalid rotation_interval '{text}'. Use a format like '30s', '24h' or '30d'."
                ),
            ),
            Self::BulkUpdateIsForAdmins => {
                Wire::detail_error(FORBIDDEN, "Only proxy admins can perform bulk key updates")
            }
            Self::NoKeysToUpdate => Wire::detail_error(BAD, "No keys provided for update"),
            Self::TooManyKeys(most) => {
                Wire::detail_error(BAD, format!("Maximum {most} keys can be updated at once"))
            }
            Self::NoKeysAsked => Wire::detail(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Malformed request. No keys passed in.",
            ),
            Self::ResetBelowZero => Wire::detail_error(BAD, "reset_to must be >= 0"),
            Self::ResetAboveSpend { asked, spent } => Wire::detail_error(
                BAD,
                format!("reset_to ({asked}) must be <= current spend ({spent})"),
            ),
            Self::BadExpiresFilter(asked) => Wire::detail_error(
                BAD,
                format!("Invalid expires value '{asked}'. Must be one of: active, expired"),
            ),
            Self::NotYourKeys => Wire::param(
                FORBIDDEN,
                BAD_REQUEST,
                "user_id",
                "You are not authorized to check another user's keys",
            ),
            Self::NoUserForList => Wire::param(
                FORBIDDEN,
                BAD_REQUEST,
                "user_id",
                "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.",
            ),
            Self::BadKeyStatus => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.",
            ),
            Self::SpendIsKept => Wire::param(
                BAD,
                BAD_REQUEST,
                "spend",
                "spend is counted from the requests themselves and cannot be set; leave it out or send 0.",
            ),
        }
    }
}

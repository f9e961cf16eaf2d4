//! `POST /key/health`.

use serde_json::json;

use crate::openapi::schema::{NULL, Record, word};
use crate::policy::{Authorized, KeyHealth};
use crate::routes::answer::Answer;

/// The answer.
pub static HEALTH: Record = Record::new(
    "KeyHealth",
    &[("key", word(&["healthy"])), ("logging_callbacks", NULL)],
);

/// Says that the key that asks can be used: one that cannot is refused before this. There are no logging callbacks here to be looked at.
pub async fn health(_: Authorized<KeyHealth>) -> Answer {
    Answer::new(json!({"key": "healthy", "logging_callbacks": null}))
}

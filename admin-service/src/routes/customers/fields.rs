//! The fields of a customer: what a request puts where.

use serde_json::Value;

use crate::error::ApiError;
use crate::request::{Body, Patch, Problem};
use crate::store::customers::CustomerRow;

/// Fields that are kept and echoed and bind nobody.
const UNENFORCED: [&str; 3] = ["allowed_model_region", "default_model", "object_permission"];

/// Those of them that a request sets.
pub(super) fn unenforced(body: &Body) -> Vec<&'static str> {
    let set = |name: &&'static str| match body.get(name) {
        Some(Value::Object(object)) => !object.is_empty(),
        other => other.is_some_and(|value| !value.is_null()),
    };
    UNENFORCED.into_iter().filter(set).collect()
}

/// A budget row is named or made, not both.
pub(super) fn one_budget(body: &Body) -> Result<(), ApiError> {
    if body.has("max_budget") && body.has("budget_id") {
        let msg = "Value error, Set either 'max_budget' or 'budget_id', not both.";
        return Err(Problem::whole_body("value_error", msg).into());
    }
    Ok(())
}

/// Puts everything that `body` says of the customer itself into `row`; what it does not say stays.
pub(super) fn apply(row: &mut CustomerRow, body: &mut Body) {
    body.text("alias").apply(&mut row.alias);
    body.flag("blocked").apply_or(&mut row.blocked, false);
    body.text("allowed_model_region")
        .apply(&mut row.allowed_model_region);
    body.text("default_model").apply(&mut row.default_model);
    body.texts("models").apply_or(&mut row.models, Vec::new());
    match body.take("object_permission") {
        Patch::Absent => {}
        Patch::Null => {
            row.extra.remove("object_permission");
        }
        Patch::Set(value) => {
            row.extra.insert("object_permission".to_owned(), value);
        }
    }
}

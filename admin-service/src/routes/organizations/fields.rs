//! The fields of an organization: what a request puts where. Limits go into its budget row.

use serde_json::Value;

use crate::error::ApiError;
use crate::request::{Body, Patch};
use crate::routes::budgets::fields::{Counting, apply as apply_budget};
use crate::store::budgets::BudgetRow;
use crate::store::organizations::OrganizationRow;
use crate::store::row::Object;

/// Fields that LiteLLM keeps in an organization's metadata.
const IN_METADATA: [&str; 2] = ["model_rpm_limit", "model_tpm_limit"];
/// Fields of the budget row.
const OF_BUDGET: [&str; 9] = [
    "max_budget",
    "soft_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "budget_duration",
    "model_max_budget",
    "allowed_models",
];

/// Whether the request says anything of the limits.
pub(super) fn limits(body: &Body) -> bool {
    OF_BUDGET.iter().any(|name| body.get(name).is_some())
}

/// Puts everything that `body` says into the two rows; what it does not say stays.
pub(super) fn apply(
    row: &mut OrganizationRow,
    budget: &mut BudgetRow,
    mut body: Body,
    now_us: u64,
) -> Result<(), ApiError> {
    apply_budget(budget, &mut body, now_us, Counting::Calendar)?;
    if let Patch::Set(alias) = body.text("organization_alias") {
        row.organization_alias = alias;
    }
    body.texts("models").apply_or(&mut row.models, Vec::new());
    body.object("metadata")
        .apply_or(&mut row.metadata, Object::new());
    for name in IN_METADATA {
        keep(&mut row.metadata, name.to_owned(), body.take(name));
    }
    for (name, value) in body.rest() {
        let value = match value {
            Value::Null => Patch::Null,
            value => Patch::Set(value),
        };
        keep(&mut row.extra, name, value);
    }
    Ok(())
}

fn keep(object: &mut Object, name: String, value: Patch<Value>) {
    match value {
        Patch::Absent => {}
        Patch::Null => {
            object.remove(&name);
        }
        Patch::Set(value) => {
            object.insert(name, value);
        }
    }
}

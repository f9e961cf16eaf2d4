//! The fields of a key: what a request puts where.

use serde_json::Value;

use super::rotates;
use crate::domain::budget_window::{BudgetDuration, WindowRules, duration_us};
use crate::domain::further_limits::FurtherLimits;
use crate::domain::temporary_budget;
use crate::error::{ApiError, KeyRefusal, RequestRefusal};
use crate::request::{Body, Patch, Problem, Step, UPDATE_KEY};
use crate::store::keys::KeyRow;
use crate::store::row::{LimitColumns, Object};

/// Fields that LiteLLM keeps in a key's metadata.
pub(super) const IN_METADATA: &[&str] = &[
    "model_rpm_limit",
    "model_tpm_limit",
    "rpm_limit_type",
    "tpm_limit_type",
    "guardrails",
    "tags",
    "enforced_params",
    "mcp_rpm_limit",
    "tag_rpm_limit",
    "prompts",
    "disable_global_guardrails",
    "enable_prompt_caching",
    "throttle_on_budget_exceeded",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "allowed_vector_store_indexes",
    "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model",
    "end_user_budget_id",
];

/// Fields that would bind a caller but are only kept: an answer names those that were sent.
pub(in crate::routes) const UNENFORCED: &[&str] = &[
    "allowed_passthrough_routes",
    "allowed_vector_store_indexes",
    "budget_fallbacks",
    "default_team_member_models",
    "denied_passthrough_routes",
    "enforced_params",
    "guardrails",
    "mcp_rpm_limit",
    "object_permission",
    "policies",
    "rpm_limit_type",
    "tag_rpm_limit",
    "throttle_on_budget_exceeded",
    "tpd_limit",
    "tpm_limit_type",
];

/// `auto_rotate` of a key that nobody gave an interval: it is never due.
pub(super) fn rotates_never(key: &KeyRow) -> Option<&'static str> {
    let never = key.rotation.auto == Some(true) && key.rotation.next_at.is_none();
    never.then_some("auto_rotate")
}

/// The unenforced fields that a request sets.
pub(in crate::routes) fn unenforced(body: &Body) -> Vec<&'static str> {
    UNENFORCED
        .iter()
        .copied()
        .filter(|field| body.get(field).is_some_and(asks))
        .collect()
}

/// Whether a value asks for something.
pub(in crate::routes) fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(object) => !object.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

/// A temporary increase may also be sent inside `metadata`, where it is kept: it is read as the two fields of their names, which win.
pub(super) fn lift_temporary(body: &mut Body) -> Result<(), ApiError> {
    let Some(Value::Object(mut metadata)) = body.get("metadata").cloned() else {
        return Ok(());
    };
    for name in [temporary_budget::INCREASE, temporary_budget::EXPIRY] {
        let field = UPDATE_KEY.iter().find(|field| field.name == name);
        if let (Some(field), Some(value)) = (field, metadata.remove(name)) {
            body.fill(name, field.read(value).map_err(ApiError::Invalid)?);
        }
    }
    body.set("metadata", Value::Object(metadata));
    Ok(())
}

/// Whether `body` says another temporary increase than `before` has: one that is only echoed is no change.
pub(super) fn changes_temporary(body: &Body, before: &Object) -> Result<bool, ApiError> {
    let mut after = before.clone();
    temporary(&mut after, &mut body.clone())?;
    Ok([temporary_budget::INCREASE, temporary_budget::EXPIRY]
        .iter()
        .any(|name| after.get(*name) != before.get(*name)))
}

/// When a key's record must be made anew.
pub(in crate::routes) fn refresh_at(key: &KeyRow, now_us: u64, rules: &WindowRules) -> Option<u64> {
    let metadata = Value::Object(key.metadata.clone());
    let end = temporary_budget::expiry_us(&metadata).filter(|end| *end > now_us);
    let own = [key.limits.refresh_at(now_us, rules), end];
    FurtherLimits::refresh(
        own.into_iter().flatten().min(),
        &[&key.extra, &key.metadata],
        key.created_at,
        now_us,
        rules,
    )
}

/// Puts everything that `body` says into `key`; what it does not say stays. `now_us` is when a lifetime or window begins.
pub(in crate::routes) fn apply(
    key: &mut KeyRow,
    mut body: Body,
    now_us: u64,
    rules: &WindowRules,
) -> Result<(), ApiError> {
    lift_temporary(&mut body)?;
    rotates::rotation(key, &mut body, now_us)?;
    spend(&mut body, key.created_at == 0)?;
    limits(&mut key.limits, &mut body, now_us)?;
    match body.text("duration") {
        Patch::Absent => {}
        Patch::Null => key.expires = None,
        Patch::Set(text) if text == "-1" => key.expires = None,
        Patch::Set(text) => {
            let lifetime = duration_us(&text).ok_or(RequestRefusal::BadDuration)?;
            key.expires = Some(now_us + lifetime);
        }
    }
    body.text("key_alias").apply(&mut key.key_alias);
    key.key_alias = key.key_alias.take().filter(|alias| !alias.is_empty());
    body.text("user_id").apply(&mut key.user_id);
    body.text("team_id").apply(&mut key.team_id);
    body.text("organization_id").apply(&mut key.organization_id);
    body.text("budget_id").apply(&mut key.budget_id);
    body.flag("blocked").apply(&mut key.blocked);
    body.texts("models").apply_or(&mut key.models, Vec::new());
    body.object("aliases")
        .apply_or(&mut key.aliases, Object::new());
    all_texts("aliases", &key.aliases)?;
    body.object("permissions")
        .apply_or(&mut key.permissions, Object::new());
    body.object("metadata")
        .apply_or(&mut key.metadata, Object::new());
    let routes = body.texts("allowed_routes");
    let routes_given = matches!(&routes, Patch::Set(routes) if !routes.is_empty());
    routes.apply_or(&mut key.allowed_routes, Vec::new());
    if let Patch::Set(preset) = body.text("key_type") {
        if !routes_given {
            key.allowed_routes = routes_of(&preset)
                .iter()
                .map(|route| (*route).to_owned())
                .collect();
        }
        key.key_type = Some(preset);
    }
    for name in IN_METADATA {
        put(&mut key.metadata, name, body.take(name));
    }
    temporary(&mut key.metadata, &mut body)?;
    for (name, value) in body.rest() {
        match value {
            Value::Null => {
                key.extra.remove(&name);
            }
            value => {
                key.extra.insert(name, value);
            }
        }
    }
    key.refresh_at = refresh_at(key, now_us, rules);
    Ok(())
}

/// What was spent is counted, not set: 0 for a new object says what is so anyway.
pub(in crate::routes) fn spend(body: &mut Body, new: bool) -> Result<(), ApiError> {
    match body.take("spend") {
        Patch::Absent | Patch::Null => Ok(()),
        Patch::Set(value) if new && value.as_f64() == Some(0.0) => Ok(()),
        Patch::Set(_) => Err(KeyRefusal::SpendIsKept.into()),
    }
}

/// The limit fields of keys, users and teams.
pub(in crate::routes) fn limits(
    limits: &mut LimitColumns,
    body: &mut Body,
    now_us: u64,
) -> Result<(), ApiError> {
    body.money("max_budget")?.apply(&mut limits.max_budget);
    body.whole("max_parallel_requests")
        .apply(&mut limits.max_parallel_requests);
    body.whole("tpm_limit").apply(&mut limits.tpm_limit);
    body.whole("rpm_limit").apply(&mut limits.rpm_limit);
    window(limits, body.text("budget_duration"), now_us)
}

/// A window begins to count when it is given; the same one sent again goes on.
pub(in crate::routes) fn window(
    limits: &mut LimitColumns,
    duration: Patch<String>,
    now_us: u64,
) -> Result<(), ApiError> {
    match duration {
        Patch::Absent => {}
        Patch::Null => {
            limits.budget_duration = None;
            limits.budget_anchor = None;
        }
        Patch::Set(text) => {
            if BudgetDuration::parse(&text).is_none() {
                return Err(RequestRefusal::BadBudgetDuration(text).into());
            }
            if limits.budget_duration.as_ref() != Some(&text) {
                limits.budget_anchor = Some(now_us);
            }
            limits.budget_duration = Some(text);
        }
    }
    Ok(())
}

/// Model aliases map names to names.
pub(in crate::routes) fn all_texts(field: &'static str, object: &Object) -> Result<(), ApiError> {
    match object.iter().find(|(_, value)| !value.is_string()) {
        None => Ok(()),
        Some((name, _)) => {
            let mut problem = Problem::body("string_type", field, "Input should be a valid string");
            problem.loc.push(Step::Name(name.clone()));
            Err(problem.into())
        }
    }
}

fn temporary(metadata: &mut Object, body: &mut Body) -> Result<(), ApiError> {
    let increase = body.money(temporary_budget::INCREASE)?;
    let expiry = body.text(temporary_budget::EXPIRY);
    match (increase, expiry) {
        (Patch::Absent, Patch::Absent) => {}
        (Patch::Null, Patch::Null) => {
            metadata.remove(temporary_budget::INCREASE);
            metadata.remove(temporary_budget::EXPIRY);
        }
        (Patch::Set(increase), Patch::Set(expiry)) => {
            let amount = crate::routes::shape::dollars(increase);
            metadata.insert(temporary_budget::INCREASE.into(), amount);
            let expiry = if expiry.len() == 10 {
                format!("{expiry}T00:00:00")
            } else {
                expiry
            };
            metadata.insert(temporary_budget::EXPIRY.into(), Value::String(expiry));
        }
        _ => return Err(temporary_budget_alone()),
    }
    Ok(())
}

/// One of the two fields of a temporary increase came without the other.
pub(in crate::routes) fn temporary_budget_alone() -> ApiError {
    let msg = "Value error, temp_budget_increase and temp_budget_expiry must be set together";
    Problem::whole_body("value_error", msg).into()
}

fn put(object: &mut Object, name: &str, value: Patch<Value>) {
    match value {
        Patch::Absent => {}
        Patch::Null => {
            object.remove(name);
        }
        Patch::Set(value) => {
            object.insert(name.to_owned(), value);
        }
    }
}

/// The routes that a preset stands for.
fn routes_of(preset: &str) -> &'static [&'static str] {
    match preset {
        "llm_api" => &["llm_api_routes"],
        "management" => &["management_routes"],
        "read_only" => &["info_routes"],
        _ => &[],
    }
}

//! A key as LiteLLM prints it.

use serde_json::{Value, json};

use crate::domain::budget_window::WindowRules;
use crate::openapi::schema::{
    ANY, FLAG, NUMBER, NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, list, one,
};
use crate::routes::shape::{self, Times, dollars};
use crate::store::budgets::BudgetRow;
use crate::store::keys::KeyRow;
use crate::store::row::Object;
use crate::store::spend::Spent;

/// What every print of a key has.
static PRINTED: Record = Record::with(
    "",
    &[&shape::LIMITS],
    &[
        (
            "token key_name key_alias expires user_id team_id key_type budget_id created_by updated_by",
            TEXT_OR_NULL,
        ),
        ("created_at updated_at", TEXT_OR_NULL),
        ("spend", NUMBER_OR_NULL),
        ("models", list(&ANY)),
        ("aliases permissions metadata", OBJECT),
        ("blocked", FLAG.or_null()),
        ("allowed_routes", TEXTS.or_null()),
        ("litellm_budget_table", one(&shape::BUDGET).or_null()),
        (
            "config router_settings agent_id project_id tpd_limit allowed_cache_controls policies access_group_ids",
            ANY,
        ),
        (
            "model_max_budget budget_fallbacks organization_id object_permission budget_limits",
            ANY,
        ),
    ],
);

/// A key, as every answer but the creating one shows it.
pub static KEY: Record = Record::with("Key", &[&PRINTED, &ROW], &[]);

/// What only answers about a key that is there have.
static ROW: Record = Record::new(
    "",
    &[
        ("soft_budget_cooldown", FLAG),
        ("total_spend", NUMBER),
        ("settings_updated_at last_active", TEXT_OR_NULL),
        (
            "model_spend object_permission_id rotation_count auto_rotate rotation_interval last_rotation_at key_rotation_at",
            ANY,
        ),
        (
            "litellm_organization_table litellm_project_table jwt_key_mappings",
            ANY,
        ),
    ],
);

/// A new key, with the key itself.
pub static CREATED: Record = Record::with(
    "CreatedKey",
    &[&PRINTED],
    &[
        ("key token_id", TEXT_OR_NULL),
        ("budget_reset_at", TEXT_OR_NULL.or_absent()),
        (
            "duration mcp_rpm_limit tag_rpm_limit prompts default_estimated_output_tokens",
            ANY,
        ),
        (
            "default_estimated_output_tokens_per_model end_user_budget_id disable_global_guardrails enable_prompt_caching",
            ANY,
        ),
        (
            "throttle_on_budget_exceeded allowed_passthrough_routes denied_passthrough_routes allowed_vector_store_indexes",
            ANY,
        ),
        (
            "enforced_params guardrails model_rpm_limit model_tpm_limit rpm_limit_type tags tpm_limit_type",
            ANY,
        ),
    ],
);

/// A changed key, under the name by which it was asked for.
pub static UPDATED: Record = Record::with("UpdatedKey", &[&KEY], &[("key", TEXT)]);

/// All fields of a key's row, the hash among them.
pub(in crate::routes) fn row(
    key: &KeyRow,
    spent: Spent,
    budget: Option<&BudgetRow>,
    now_us: u64,
    rules: &WindowRules,
    times: Times,
) -> Object {
    let mut object = shape::limits(&key.limits, now_us, rules, times);
    let last_active = Some(spent.last_ms)
        .filter(|ms| *ms > 0)
        .map(|ms| ms * 1_000);
    let budget = budget.map_or(Value::Null, |budget| shape::budget(budget, now_us, rules));
    for (name, value) in [
        ("token", json!(key.token)),
        ("key_name", json!(key.key_name)),
        ("key_alias", json!(key.key_alias)),
        ("soft_budget_cooldown", json!(false)),
        ("spend", dollars(spent.spend)),
        ("total_spend", dollars(spent.total)),
        ("expires", times.maybe(key.expires)),
        ("models", json!(key.models)),
        ("aliases", json!(key.aliases)),
        ("user_id", json!(key.user_id)),
        ("team_id", json!(key.team_id)),
        ("organization_id", json!(key.organization_id)),
        ("permissions", json!(key.permissions)),
        ("metadata", json!(key.metadata)),
        ("blocked", json!(key.blocked)),
        ("allowed_routes", json!(key.allowed_routes)),
        ("key_type", json!(key.key_type)),
        ("budget_id", json!(key.budget_id)),
        ("created_at", times.print(key.created_at)),
        ("created_by", json!(key.created_by)),
        ("updated_at", times.print(key.updated_at)),
        ("updated_by", json!(key.updated_by)),
        ("settings_updated_at", times.maybe(key.settings_updated_at)),
        ("auto_rotate", json!(key.rotation.auto.unwrap_or(false))),
        ("rotation_interval", json!(key.rotation.interval)),
        ("rotation_count", json!(key.rotation.count)),
        ("last_rotation_at", times.maybe(key.rotation.last_at)),
        ("key_rotation_at", times.maybe(key.rotation.next_at)),
        ("last_active", times.maybe(last_active)),
        ("litellm_budget_table", budget),
    ] {
        object.insert(name.to_owned(), value);
    }
    shape::fill(
        &mut object,
        &key.extra,
        &[
            ("config", json!({})),
            ("router_settings", json!({})),
            ("agent_id", Value::Null),
            ("project_id", Value::Null),
            ("tpd_limit", Value::Null),
            ("allowed_cache_controls", json!([])),
            ("policies", json!([])),
            ("access_group_ids", json!([])),
            ("model_spend", json!({})),
            ("model_max_budget", json!({})),
            ("budget_fallbacks", json!({})),
            ("object_permission_id", Value::Null),
            ("object_permission", Value::Null),
            ("budget_limits", Value::Null),
            ("litellm_organization_table", Value::Null),
            ("litellm_project_table", Value::Null),
            ("jwt_key_mappings", Value::Null),
        ],
    );
    object
}

/// The answer that shows the key itself, for the only time.
pub(in crate::routes) fn created(
    key: &KeyRow,
    secret: &str,
    budget: Option<&BudgetRow>,
    now_us: u64,
    rules: &WindowRules,
) -> Object {
    let mut object = row(key, Spent::default(), budget, now_us, rules, Times::Z);
    for only_in_info in [
        "soft_budget_cooldown",
        "total_spend",
        "budget_reset_at",
        "settings_updated_at",
        "last_active",
        "model_spend",
        "object_permission_id",
        "rotation_count",
        "auto_rotate",
        "rotation_interval",
        "last_rotation_at",
        "key_rotation_at",
        "litellm_organization_table",
        "litellm_project_table",
        "jwt_key_mappings",
    ] {
        object.remove(only_in_info);
    }
    object.insert("key".into(), json!(secret));
    object.insert("token_id".into(), json!(key.token));
    shape::fill(
        &mut object,
        &key.extra,
        &NULLS.map(|name| (name, Value::Null)),
    );
    for name in super::fields::IN_METADATA {
        object.insert(
            (*name).to_owned(),
            key.metadata.get(*name).cloned().unwrap_or(Value::Null),
        );
    }
    object
}

/// Fields of the creating answer that are `null` unless somebody sent them.
const NULLS: [&str; 2] = ["duration", "object_permission"];

//! Customers: the end users of whoever holds a key. `/end_user/…` is another name of each path.

use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::ApiError;
use crate::openapi::schema::{
    ANY, FLAG, NUMBER, NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, one,
};
use crate::routes::shape::{self, dollars};
use crate::store::budgets::{self, BudgetRow};
use crate::store::customers::CustomerRow;
use crate::store::outbox::Kind;
use crate::store::spend::spent;

mod block;
mod delete;
mod fields;
mod info;
mod new;
mod update;

pub use block::{BLOCKED, UNBLOCKED, block, unblock};
pub use delete::{DELETED, delete};
pub use info::{INFO_QUERY, LIST_QUERY, info, list};
pub use new::new;
pub use update::update;

/// A customer as answers show it.
pub static CUSTOMER: Record = Record::new(
    "Customer",
    &[
        ("user_id", TEXT),
        ("blocked", FLAG),
        (
            "alias allowed_model_region default_model budget_id object_permission_id",
            TEXT_OR_NULL,
        ),
        ("spend", NUMBER),
        ("models", TEXTS),
        ("litellm_budget_table", one(&BUDGET).or_null()),
        ("object_permission", OBJECT.or_null()),
    ],
);
/// The customer's budget row as it is shown within.
static BUDGET: Record = Record::with(
    "CustomerBudget",
    &[&shape::LIMITS],
    &[
        ("budget_id created_at", TEXT),
        ("soft_budget tpd_limit", ANY),
        ("model_max_budget", OBJECT.or_null()),
        ("allowed_models", TEXTS),
        ("temp_budget_increase", NUMBER_OR_NULL),
        ("temp_budget_expiry", TEXT_OR_NULL),
    ],
);

/// Customers as LiteLLM prints them.
async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    customers: &[CustomerRow],
) -> Result<Vec<Value>, ApiError> {
    let (now_us, settings) = (app.store.clock().now_us(), app.settings());
    let rules = &settings.windows;
    let ids: Vec<String> = customers.iter().map(|row| row.user_id.clone()).collect();
    let spent = spent(connection, Kind::Customer, &ids, now_us / 1_000, rules).await?;
    let mut named: Vec<String> = customers
        .iter()
        .filter_map(|row| row.budget_id.clone())
        .collect();
    named.sort();
    named.dedup();
    let budgets = budgets::find_all(connection, &named).await?;
    let shown = customers.iter().map(|row| {
        // With a budget, what counts is spent in its window.
        let spent = spent
            .get(&row.user_id)
            .map_or(row.spend, |spent| spent.spend);
        let mut budgets = budgets.iter();
        let budget = budgets.find(|budget| Some(&budget.budget_id) == row.budget_id.as_ref());
        let budget = budget.map_or(Value::Null, |budget| budget_of(budget, now_us, rules));
        let permission = row.extra.get("object_permission");
        json!({
            "user_id": row.user_id,
            "blocked": row.blocked,
            "alias": row.alias,
            "spend": dollars(spent),
            "allowed_model_region": row.allowed_model_region,
            "default_model": row.default_model,
            "models": row.models,
            "budget_id": row.budget_id,
            "litellm_budget_table": budget,
            "object_permission_id": null,
            "object_permission": permission.cloned().unwrap_or_default(),
        })
    });
    Ok(shown.collect())
}

/// The same of one.
async fn shown_one(app: &App, customer: &CustomerRow) -> Result<Value, ApiError> {
    let mut connection = app.store.read().await?;
    let mut all = shown(&mut connection, app, std::slice::from_ref(customer)).await?;
    Ok(all.pop().unwrap_or_default())
}

fn budget_of(row: &BudgetRow, now_us: u64, rules: &WindowRules) -> Value {
    let mut shown = shape::budget(row, now_us, rules);
    if let Some(object) = shown.as_object_mut() {
        for name in ["created_by", "updated_at", "updated_by"] {
            object.remove(name);
        }
    }
    shown
}

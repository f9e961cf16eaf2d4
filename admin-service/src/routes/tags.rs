//! Tags: labels that requests carry, with limits where an admin gives some.

use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{NUMBER_OR_NULL, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, one};
use crate::routes::shape::{self, BUDGET, Times, dollars};
use crate::store::budgets;
use crate::store::tags::TagRow;

mod delete;
mod distinct;
mod info;
mod write;

pub use delete::{DELETED, delete};
pub use distinct::{DISTINCT, distinct};
pub use info::{LIST_QUERY, info, list};
pub use write::{WRITTEN, new, update};

/// A tag as answers show it.
pub static TAG: Record = Record::new(
    "Tag",
    &[
        ("name", TEXT),
        ("description created_by budget_id", TEXT_OR_NULL),
        ("models", TEXTS),
        ("model_info", OBJECT.or_null()),
        ("spend", NUMBER_OR_NULL),
        ("created_at updated_at", TEXT),
        ("litellm_budget_table", one(&BUDGET).or_null()),
    ],
);

/// Tags as LiteLLM prints them; money only for those who may see everybody's.
async fn shown(
    connection: &mut AnyConnection,
    app: &App,
    tags: &[TagRow],
    with_money: bool,
) -> Result<Vec<Value>, ApiError> {
    let (now_us, settings) = (app.store.clock().now_us(), app.settings());
    let mut named: Vec<String> = tags
        .iter()
        .filter_map(|tag| tag.budget_id.clone())
        .collect();
    named.sort();
    named.dedup();
    let budgets = budgets::find_all(connection, &named).await?;
    let shown = tags.iter().map(|tag| {
        let mut budgets = budgets.iter().filter(|_| with_money);
        let budget = budgets.find(|budget| Some(&budget.budget_id) == tag.budget_id.as_ref());
        let budget = budget.map(|budget| shape::budget(budget, now_us, &settings.windows));
        json!({
            "name": tag.name,
            "description": tag.description,
            "models": tag.models,
            "model_info": tag.model_info,
            "budget_id": tag.budget_id,
            "spend": with_money.then(|| dollars(tag.spend)),
            "created_at": Times::Z.print(tag.created_at),
            "updated_at": Times::Z.print(tag.updated_at),
            "created_by": tag.created_by,
            "litellm_budget_table": budget,
        })
    });
    Ok(shown.collect())
}

//! `GET /budget/settings`: what can be set of a row, for forms.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, BudgetRefusal};
use crate::openapi::schema::{ANY, FLAG, NULL, Record, TEXT};
use crate::policy::{Authorized, BudgetSettings};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape;
use crate::store::budgets;

/// The query of [`settings`].
pub const SETTINGS_QUERY: &[Param] = &[Param::required("budget_id")];

/// A field of a row as [`settings`] shows it.
pub static SETTING: Record = Record::new(
    "BudgetSetting",
    &[
        ("field_name field_type field_description source", TEXT),
        ("field_value", ANY),
        ("stored_in_db premium_field editable", FLAG),
        (
            "field_default_value nested_fields field_options field_tab",
            NULL,
        ),
    ],
);

/// Name, type and meaning of the fields.
const FIELDS: &[(&str, &str, &str)] = &[
    (
        "max_budget",
        "Float",
        "US dollars that may be spent in one window; a request that does not fit is refused.",
    ),
    (
        "soft_budget",
        "Float",
        "US dollars from which on somebody is told; nothing is refused.",
    ),
    (
        "max_parallel_requests",
        "Integer",
        "Requests that may run at once.",
    ),
    ("tpm_limit", "Integer", "Tokens in any 60 seconds."),
    ("rpm_limit", "Integer", "Requests in any 60 seconds."),
    (
        "budget_duration",
        "String",
        "After how long the budget starts anew: 30s, 30m, 30h, 30d, 1mo.",
    ),
    (
        "model_max_budget",
        "Dictionary",
        "Budgets of single models within this one.",
    ),
    (
        "allowed_models",
        "List",
        "Models that may be called; empty: all.",
    ),
];

/// The fields of a row with their values.
pub async fn settings(
    State(app): State<App>,
    _by: Authorized<BudgetSettings>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), SETTINGS_QUERY);
    let budget_id = query.required("budget_id");
    query.finish()?;
    let found = budgets::find(&mut *app.store.read().await?, &budget_id).await?;
    let row = found.ok_or(BudgetRefusal::BudgetUnknown(budget_id))?;
    let now_us = app.store.clock().now_us();
    let shown = shape::budget(&row, now_us, &app.settings().windows);
    let field = |(name, kind, description): &(&str, &str, &str)| {
        let value = shown.get(*name).cloned().unwrap_or_default();
        let stored = !value.is_null() && value != json!([]);
        json!({
            "field_name": name,
            "field_type": kind,
            "field_description": description,
            "field_value": value,
            "stored_in_db": stored,
            "field_default_value": null,
            "premium_field": false,
            "nested_fields": null,
            "field_options": null,
            "field_tab": null,
            "source": "unset",
            "editable": true,
        })
    };
    Ok(Answer::new(Value::Array(
        FIELDS.iter().map(field).collect(),
    )))
}

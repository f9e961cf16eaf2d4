//! Budget rows.

use crate::openapi::schema::{Of, list, one};
use crate::policy::Action as A;
use crate::request::{BUDGET, BUDGET_ID, BUDGET_IDS};
use crate::router::row::{Row, get, post};
use crate::routes::budgets;
use crate::routes::shape::BUDGET_ROW;

static ROW: Of = one(&BUDGET_ROW);
static SETTING: Of = one(&budgets::SETTING);

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    vec![
        post(A::BudgetNew,      "/budget/new",      "new_budget",      budgets::new).body(BUDGET).json(ROW),
        post(A::BudgetUpdate,   "/budget/update",   "update_budget",   budgets::update).body(BUDGET).also(&[404]).json(ROW),
        post(A::BudgetDelete,   "/budget/delete",   "delete_budget",   budgets::delete).body(BUDGET_ID).json(ROW.or_null()),
        post(A::BudgetInfo,     "/budget/info",     "info_budget",     budgets::info).body(BUDGET_IDS).json(list(&ROW)),
        get( A::BudgetList,     "/budget/list",     "list_budget",     budgets::list).query(budgets::LIST_QUERY).json(list(&ROW)),
        get( A::BudgetSettings, "/budget/settings", "budget_settings", budgets::settings).query(budgets::SETTINGS_QUERY).also(&[404]).json(list(&SETTING)),
    ]
}

//! Budget rows, and the customers and tags that they limit.

use super::{BAD, BAD_REQUEST, NOT_FOUND};
use crate::error::Wire;

/// A budget row, customer or tag that is not there, or is already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetRefusal {
    /// A budget row that is not there.
    BudgetMissing(String),
    /// `/budget/new` of an id that exists.
    BudgetExists(String),
    /// `/budget/update` without id.
    BudgetIdMissing,
    /// `/budget/info` of no ids.
    NoBudgetsNamed,
    /// `/budget/update` or `/budget/settings` of a row that is not there.
    BudgetUnknown(String),
    /// A budget row to delete that an organization cannot be without.
    BudgetOfOrganization(String),
    /// A customer of this id exists.
    CustomerExists(String),
    /// A customer that is not there.
    CustomerMissing {
        /// Who.
        id: String,
        /// The parameter that named them.
        param: &'static str,
    },
    /// Customers to delete that are not there.
    CustomersMissing(Vec<String>),
    /// Limits and a budget row in one request.
    BudgetNamedAndMade,
    /// A tag of this name exists.
    TagExists(String),
    /// A tag that is not there.
    TagMissing(String),
}

impl BudgetRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::BudgetMissing(id) => Wire::param(
                BAD,
                BAD_REQUEST,
                "budget_id",
                format!("Budget not found: budget_id={id}"),
            ),
            Self::BudgetExists(id) => {
                Wire::detail_error(BAD, format!("Budget with id '{id}' already exists."))
            }
            Self::BudgetIdMissing => Wire::detail_error(BAD, "budget_id is required"),
            Self::NoBudgetsNamed => {
                Wire::detail_error(BAD, "budgets must name at least one budget_id")
            }
            Self::BudgetUnknown(id) => {
                Wire::detail_error(NOT_FOUND, format!("Budget not found: budget_id={id}"))
            }
            Self::BudgetOfOrganization(organization) => Wire::detail_error(
                BAD,
                format!(
                    "The budget is that of organization {organization}, which cannot be without one. \
                     Clear its limits with /budget/update instead."
                ),
            ),
            Self::CustomerExists(id) => Wire::param(
                BAD,
                "bad_request",
                "user_id",
                format!("Customer already exists, passed user_id={id}. Please pass a new user_id."),
            ),
            Self::CustomerMissing { id, param } => Wire::param(
                NOT_FOUND,
                "not_found",
                param,
                format!("End User Id={id} does not exist in db"),
            ),
            Self::CustomersMissing(ids) => Wire::param(
                NOT_FOUND,
                "not_found",
                "user_ids",
                format!("End User Id(s)={} do not exist in db", ids.join(", ")),
            ),
            Self::BudgetNamedAndMade => Wire::param(
                BAD,
                "bad_request",
                "budget_id",
                "Set either limits of the customer's own or 'budget_id', not both.",
            ),
            Self::TagExists(name) => Wire::detail(BAD, format!("Tag {name} already exists")),
            Self::TagMissing(name) => Wire::detail(NOT_FOUND, format!("Tag {name} not found")),
        }
    }
}

//! The spend log, reports and prices.

use super::{BAD, FORBIDDEN, INVALID, MISSING, NOT_FOUND};
use crate::error::Wire;

/// A report that cannot be made, or not for this caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpendRefusal {
    /// Spend by day without its days.
    DatesMissing,
    /// A report by day without its days; LiteLLM says it in another shape there.
    ReportDatesMissing,
    /// The spend of somebody else.
    OwnSpendOnly,
    /// The spend of an organization that the caller does not administer.
    NotYourOrganizationSpend(String),
    /// More ids than one request may name.
    TooManyNamed(&'static str, usize),
    /// An export in a format that there is not.
    BadExportFormat,
    /// A report by what none is made by.
    BadGroup,
    /// `/spend/calculate` without what it needs.
    NothingToPrice,
    /// `/spend/calculate` of a model without messages.
    MessagesMissing,
    /// A model without a known price.
    PriceUnknown(String),
    /// A request that is not in the log, or not the caller's.
    SpendLogMissing(String),
}

impl SpendRefusal {
    /// Status and body.
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::DatesMissing => Wire::detail_error(BAD, "Please provide start_date and end_date"),
            Self::ReportDatesMissing => {
                Wire::error(BAD, "bad_request", "Please provide start_date and end_date")
            }
            Self::OwnSpendOnly => Wire::detail_error(
                FORBIDDEN,
                "Non-admin users can only view their own spend data.",
            ),
            Self::NotYourOrganizationSpend(organization) => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Only proxy admins and admins of the organization can view its spend. organization_id={organization}"
                ),
            ),
            Self::TooManyNamed(name, most) => {
                Wire::detail_error(BAD, format!("{name}: expected at most {most} values"))
            }
            Self::BadExportFormat => Wire::detail_error(BAD, "format: expected `csv` or `json`"),
            Self::BadGroup => {
                Wire::detail_error(BAD, "group_by: expected `team`, `customer` or `api_key`")
            }
            Self::NothingToPrice => Wire::error(
                BAD,
                INVALID,
                "Bad Request - Either 'model' or 'completion_response' must be provided",
            ),
            Self::MessagesMissing => Wire::error(
                BAD,
                INVALID,
                "Bad Request - messages must be provided if 'model' is provided",
            ),
            Self::PriceUnknown(model) => Wire::error(
                BAD,
                INVALID,
                format!("Bad Request - the price of the model is not known. model={model}"),
            ),
            Self::SpendLogMissing(request) => Wire::error(
                NOT_FOUND,
                MISSING,
                format!("No request of this id is in the spend log. request_id={request}"),
            ),
        }
    }
}

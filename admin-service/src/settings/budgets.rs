//! Limits that the settings give to all customers and to the proxy as a whole.

use contract::limits::{Budget, Limits};
use contract::money::NanoUsd;
use contract::window::BudgetWindow;

use crate::config::{ConfigError, Section};

/// What a customer has who has no budget row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerDefault {
    /// `max_end_user_budget_id`: a budget row.
    pub budget_id: Option<String>,
    /// `max_end_user_budget`: money, for ever, where no such row is named or there is none.
    pub max_budget: Option<NanoUsd>,
}

/// What everybody together may spend: `max_budget` and `budget_duration`. Zero is no limit, as in LiteLLM, whose default it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyBudget {
    /// Money in a window.
    pub max: Option<NanoUsd>,
    /// The window, as it was written.
    pub duration: Option<String>,
}

impl CustomerDefault {
    /// The limits where the budget row is not there.
    pub fn limits(&self) -> Limits {
        Limits {
            budget: self.max_budget.map(|max| Budget {
                max,
                window: BudgetWindow::Lifetime,
            }),
            ..Limits::default()
        }
    }

    pub(super) fn take(litellm: &mut Section<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            budget_id: litellm.text("max_end_user_budget_id")?,
            max_budget: litellm.money("max_end_user_budget")?,
        })
    }
}

impl ProxyBudget {
    pub(super) fn take(litellm: &mut Section<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            max: litellm
                .money("max_budget")?
                .filter(|max| *max > NanoUsd::ZERO),
            duration: litellm.budget_duration("budget_duration")?,
        })
    }
}

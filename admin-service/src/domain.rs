//! What the words of the API mean, without database, Redis or HTTP.

pub mod budget_window;
pub mod further_limits;
pub mod temporary_budget;

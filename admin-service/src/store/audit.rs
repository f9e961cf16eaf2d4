//! The audit log: who changed what, from where, before and after. Written in the transaction of the change.

use serde_json::Value;

use super::outbox::{signed, time_ordered_id};
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// One change.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// `created`, `updated`, `deleted`, `blocked`, `unblocked`.
    pub action: &'static str,
    /// LiteLLM's name of the table.
    pub table: &'static str,
    /// Which object.
    pub object_id: &'a str,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// LiteLLM's name of the table of keys.
pub const KEYS: &str = "LiteLLM_VerificationToken";
/// LiteLLM's name of the table of settings.
pub const SETTINGS: &str = "LiteLLM_Config";
/// LiteLLM's name of the table of users.
pub const USERS: &str = "LiteLLM_UserTable";
/// LiteLLM's name of the table of teams.
pub const TEAMS: &str = "LiteLLM_TeamTable";
/// LiteLLM's name of the table of organizations.
pub const ORGANIZATIONS: &str = "LiteLLM_OrganizationTable";
/// LiteLLM's name of the table of tags.
pub const TAGS: &str = "LiteLLM_TagTable";
/// LiteLLM's name of the table of models.
pub const MODELS: &str = "LiteLLM_ProxyModelTable";
/// LiteLLM's name of the table of access groups.
pub const ACCESS_GROUPS: &str = "LiteLLM_AccessGroupTable";
/// LiteLLM's name of the table of customers.
pub const CUSTOMERS: &str = "LiteLLM_EndUserTable";
/// LiteLLM's name of the table of budget rows.
pub const BUDGETS: &str = "LiteLLM_BudgetTable";

/// Writes a row.
pub async fn record<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    change: Change<'_>,
) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    tx.audited = true;
    sqlx::query(
        "INSERT INTO audit_log (id, updated_at, changed_by, changed_by_api_key, changed_from, action, \
         table_name, object_id, before_value, updated_values) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(time_ordered_id(now_us))
    .bind(signed(now_us))
    .bind(by.caller.user_id.clone().unwrap_or_default())
    .bind(by.caller.audit_key().to_owned())
    .bind(by.caller.from.clone())
    .bind(change.action)
    .bind(change.table)
    .bind(change.object_id.to_owned())
    .bind(change.before.map(|value| value.to_string()))
    .bind(change.after.map(|value| value.to_string()))
    .execute(tx.connection())
    .await?;
    Ok(())
}

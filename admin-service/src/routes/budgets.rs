//! Budget rows: limits that keys, memberships, organizations, customers and tags share.

use crate::app::App;
use crate::store::outbox::Kind;
use crate::store::{StoreError, Tx, customers};

mod delete;
pub(super) mod fields;
mod info;
mod new;
mod settings;
mod update;

pub use delete::delete;
pub use info::{LIST_QUERY, info, list};
pub use new::new;
pub use settings::{SETTING, SETTINGS_QUERY, settings};
pub use update::update;

/// Has what the settings say of all customers published again, where it is this row that they name.
async fn follow_default(tx: &mut Tx, app: &App, budget_id: &str) -> Result<(), StoreError> {
    if app.settings().customer_default.budget_id.as_deref() != Some(budget_id) {
        return Ok(());
    }
    customers::publish_defaulted(tx).await?;
    let rev = contract::id::Rev::default().next(tx.now_us());
    tx.publish(Kind::Catalogue, "budgets", rev).await
}

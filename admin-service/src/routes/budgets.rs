//! Budget rows: limits that keys, memberships, organizations, customers and tags share.

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

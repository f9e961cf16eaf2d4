//! The settings that may change while the service runs: one snapshot, made of the file and of what the database holds, which wins.
//!
//! Decides: when a new snapshot replaces the old one. Whoever needs settings takes the snapshot by one call and works with it to the end, so
//! that no request sees half a change. Leaves the reading of values to `read` and the rows to `store::settings`.
//!
//! 1. A settings endpoint writes a row and raises the settings' revision in the transaction of the change, with an outbox row where Redis must
//!    be told; then it refreshes its own snapshot.
//! 2. Every service looks at that revision twice a second, and at its file, and refreshes.
//! 3. Whoever publishes refreshes first, so that nothing older than the outbox row is published.
//!
//! Failure stance: a file that becomes wrong, or a row that cannot be read, is logged and the last good snapshot stays.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::records::ProxySettings;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::config::{Config, ConfigError, FileSource};
use crate::domain::budget_window::WindowRules;
use crate::store::customers;
use crate::store::settings::{self as rows, Rows};
use crate::store::{Store, StoreError};

mod budgets;
mod keys;
mod read;

pub use budgets::{CustomerDefault, ProxyBudget};
pub use keys::{KeyGeneration, KeyMakers, SelfServeBudgets};
pub(crate) use read::take;
pub use read::{KeyBounds, KeyDefaults, Retention, TeamDefaults, UiAccess, UserDefaults};

/// How often the revision and the file are looked at.
const POLL: Duration = Duration::from_millis(500);

/// What may change at run time, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The revision of the database's part.
    pub rev: u64,
    /// What the filter is told about the proxy as a whole; models and access groups are the catalogue's to fill in.
    pub proxy: ProxySettings,
    /// `max_end_user_budget_id`, `max_end_user_budget`.
    pub customer_default: CustomerDefault,
    /// `max_budget`, `budget_duration`.
    pub proxy_budget: ProxyBudget,
    /// How budget windows are computed.
    pub windows: WindowRules,
    /// `default_key_generate_params`.
    pub key_defaults: KeyDefaults,
    /// `upperbound_key_generate_params`.
    pub key_bounds: KeyBounds,
    /// `key_generation_settings`.
    pub key_generation: KeyGeneration,
    /// `self_serve_budget_policy`.
    pub self_serve_budgets: SelfServeBudgets,
    /// `default_internal_user_params`, `max_internal_user_budget`, `internal_user_budget_duration`.
    pub user_defaults: UserDefaults,
    /// `default_team_params`.
    pub team_defaults: TeamDefaults,
    /// `ui_access_mode`: who may sign in to the interface.
    pub ui_access: UiAccess,
    /// How long rows of the spend log are kept; for ever without it.
    pub retention: Option<Retention>,
    /// `enable_key_alias_format_validation`.
    pub alias_format: bool,
    /// `disable_auto_add_proxy_admin_to_teams`.
    pub leave_admin_out_of_teams: bool,
    /// `litellm_settings` as it is in force, for what has no field of its own here.
    pub litellm: Map<String, Value>,
    /// `general_settings` likewise, without its secrets.
    pub general: Map<String, Value>,
    /// The rows of the database that are no setting of the file, by name: `ui_settings` and its like.
    pub stored: Map<String, Value>,
}

/// The file's part: `litellm_settings` and `general_settings` with references to the environment resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSettings {
    /// `litellm_settings`.
    pub litellm: Map<String, Value>,
    /// `general_settings`, without its secrets.
    pub general: Map<String, Value>,
}

/// The row of single sign-on.
pub const SSO_ROW: &str = "sso_settings";
/// The row of the interface's settings.
pub const UI_ROW: &str = "ui_settings";
/// The row that says which events are told by mail.
pub const MAIL_ROW: &str = "email_event_settings";
/// The events that somebody may be told of by mail, and whether they are where nobody decided.
pub const MAIL_EVENTS: [(&str, bool); 6] = [
    ("New User Invitation", true),
    ("Virtual Key Created", true),
    ("Virtual Key Rotated", true),
    ("Soft Budget Crossed", true),
    ("Max Budget Alert", true),
    ("model_deprecations", false),
];

/// Whether the stored row of events says that somebody is told of one of [`MAIL_EVENTS`].
pub fn mails(stored: Option<&Value>, event: &str) -> bool {
    let said = stored.and_then(|row| row.get(event));
    let default = MAIL_EVENTS.iter().find(|(name, _)| *name == event);
    said.and_then(Value::as_bool)
        .unwrap_or(default.is_some_and(|(_, on)| *on))
}

/// The two mappings of the file whose keys rows of the database may replace: a row is named `litellm_settings.max_budget`.
pub const SECTIONS: [&str; 2] = ["litellm_settings", "general_settings"];

impl Settings {
    /// The settings that `file` and `rows` make together. Says what is wrong with the first value that is.
    pub fn read(file: &FileSettings, rows: &Rows) -> Result<Self, ConfigError> {
        let mut merged = file.clone();
        let mut stored = Map::new();
        for (name, value) in &rows.values {
            let section = match name.split_once('.') {
                Some(("litellm_settings", key)) => Some((&mut merged.litellm, key)),
                Some(("general_settings", key)) => Some((&mut merged.general, key)),
                _ => None,
            };
            match section {
                // `null` is a row that was taken back: the file's value counts again.
                _ if value.is_null() => {}
                Some((map, key)) => {
                    map.insert(key.to_owned(), value.clone());
                }
                None => {
                    stored.insert(name.clone(), value.clone());
                }
            }
        }
        let mut settings = read::merged(&merged)?;
        settings.rev = rows.rev;
        settings.litellm = merged.litellm;
        settings.general = merged.general;
        settings.stored = stored;
        if let Some(rules) = rows::window_rules(rows) {
            settings.windows = rules;
        }
        Ok(settings)
    }

    /// Whether `other` gives the catalogue, and customers without a budget row, the same.
    pub fn publishes_as(&self, other: &Self) -> bool {
        self.proxy == other.proxy
            && self.customer_default == other.customer_default
            && self.proxy_budget == other.proxy_budget
    }

    /// Whether somebody is told by mail of an event of [`MAIL_EVENTS`].
    pub fn mails(&self, event: &str) -> bool {
        mails(self.stored.get(MAIL_ROW), event)
    }

    /// The fields of a team that its admins may change: the interface's `team_admin_editable_team_fields`.
    pub fn team_admin_editable_fields(&self) -> Vec<String> {
        let row = self.stored.get(UI_ROW);
        let fields = row.and_then(|row| row.get("team_admin_editable_team_fields"));
        let names = fields.and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether admins of teams remove no members: the interface's `disable_team_admin_delete_team_user`.
    pub fn team_admins_keep_members(&self) -> bool {
        self.ui_flag("disable_team_admin_delete_team_user")
    }

    /// Whether nobody chooses the value of a key: the interface's `disable_custom_api_keys`.
    pub fn only_random_keys(&self) -> bool {
        self.ui_flag("disable_custom_api_keys")
    }

    /// Whether admins of teams and organizations find users of these organizations only: the interface's `scope_user_search_to_org`.
    pub fn users_found_in_organization(&self) -> bool {
        self.ui_flag("scope_user_search_to_org")
    }

    fn ui_flag(&self, name: &str) -> bool {
        let flag = self.stored.get(UI_ROW).and_then(|row| row.get(name));
        flag.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Puts the proxy-wide flags where the catalogue has their defaults.
    pub fn apply_to(&self, proxy: &mut ProxySettings) {
        proxy.budget_exceeded_status = self.proxy.budget_exceeded_status;
        proxy.master_key_can_call_models = self.proxy.master_key_can_call_models;
        proxy.apply_user_budget_to_team_keys = self.proxy.apply_user_budget_to_team_keys;
        proxy.key_header.clone_from(&self.proxy.key_header);
        proxy
            .user_header_name
            .clone_from(&self.proxy.user_header_name);
        proxy
            .user_header_mappings
            .clone_from(&self.proxy.user_header_mappings);
    }
}

/// The snapshot in force, and what it is made of. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Mutex<Arc<FileSettings>>,
    now: watch::Sender<Arc<Settings>>,
    /// One refresh at a time, so that no older snapshot replaces a newer one.
    turn: tokio::sync::Mutex<()>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            file: Mutex::default(),
            now: watch::Sender::new(Arc::default()),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl Live {
    /// The settings of `file` alone, until the database is asked.
    pub fn of(file: FileSettings) -> Result<Self, ConfigError> {
        let settings = Settings::read(&file, &Rows::default())?;
        Ok(Self(Arc::new(Inner {
            file: Mutex::new(Arc::new(file)),
            now: watch::Sender::new(Arc::new(settings)),
            turn: tokio::sync::Mutex::default(),
        })))
    }

    /// The snapshot in force.
    pub fn now(&self) -> Arc<Settings> {
        self.0.now.borrow().clone()
    }

    /// Wakes whenever another snapshot is in force.
    pub fn changes(&self) -> watch::Receiver<Arc<Settings>> {
        self.0.now.subscribe()
    }

    /// The file's part.
    pub fn file(&self) -> Arc<FileSettings> {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&file)
    }

    /// Takes what the database holds, if that is not what the snapshot was made of.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.0.turn.lock().await;
        if rows::revision(store).await? == self.now().rev {
            return Ok(());
        }
        self.make(&rows::all(store).await?);
        Ok(())
    }

    /// Takes another file, and has the windows of budgets follow it.
    pub async fn use_file(&self, store: &Store, file: FileSettings) -> Result<(), StoreError> {
        let desired = Settings::read(&file, &Rows::default());
        {
            let mut place = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Arc::new(file);
        }
        if let Err(error) = desired {
            tracing::error!(%error, "the configuration file is wrong; what was read before stays");
            return Ok(());
        }
        let before = self.now();
        self.settle(store).await?;
        if !before.publishes_as(&self.now()) {
            rows::publish_proxy(store).await?;
        }
        Ok(())
    }

    /// Makes the snapshot of file and database, and records how budget windows are computed from now on. All services follow that record,
    /// so that two whose files differ do not publish against each other; the last one that was started or whose file changed counts.
    pub async fn settle(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.0.turn.lock().await;
        rows::settle_windows(store, &self.file()).await?;
        // What the file says of customers may have changed since the last start.
        store.write(&customers::PublishDefaulted).await?;
        self.make(&rows::all(store).await?);
        Ok(())
    }

    fn make(&self, rows: &Rows) {
        let file = self.file();
        let settings = Settings::read(&file, rows).or_else(|_| {
            // One row that cannot be used takes no other with it.
            let mut good = Rows {
                rev: rows.rev,
                ..Rows::default()
            };
            for (name, value) in &rows.values {
                good.values.insert(name.clone(), value.clone());
                if let Err(error) = Settings::read(&file, &good) {
                    tracing::error!(%error, "a setting of the database cannot be used and is left out");
                    good.values.remove(name);
                }
            }
            Settings::read(&file, &good)
        });
        match settings {
            Ok(settings) if *self.now() != settings => {
                self.0.now.send_replace(Arc::new(settings));
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the settings stay as they were"),
        }
    }

    /// Follows the database and the file until told to stop.
    pub async fn run(
        &self,
        store: &Store,
        mut source: Option<FileSource>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut failing = false;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let mut done = self.refresh(store).await;
            if let Some(config) = source.as_mut().and_then(FileSource::changed) {
                done = done.and(self.take_config(store, config).await);
            }
            match done {
                Ok(()) => failing = false,
                Err(error) if failing => tracing::debug!(%error, "settings were not refreshed"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(%error, "settings were not refreshed; the last ones stay");
                }
            }
        }
    }

    async fn take_config(
        &self,
        store: &Store,
        config: Result<Config, ConfigError>,
    ) -> Result<(), StoreError> {
        match config {
            Ok(config) => {
                tracing::info!("the configuration file changed; its settings are in force");
                for warning in &config.warnings {
                    tracing::warn!("configuration: {warning}");
                }
                self.use_file(store, config.file).await
            }
            Err(error) => {
                tracing::error!(%error, "the configuration file is wrong; what was read before stays");
                Ok(())
            }
        }
    }
}

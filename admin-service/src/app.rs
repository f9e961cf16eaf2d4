//! What every request handler is given.

use std::sync::Arc;

use contract::virtual_key::KeyHash;

use crate::config::Config;
use crate::publish::Health;
use crate::router::metrics::Metrics;
use crate::settings::{Live, Settings};
use crate::store::Store;

/// The service's parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The database.
    pub store: Store,
    /// How publishing and the ledger are doing.
    pub health: Health,
    /// What may change while the service runs.
    pub live: Live,
    /// Requests by route and status.
    pub metrics: Metrics,
    master: KeyHash,
}

impl App {
    /// Puts the parts together.
    pub fn new(config: Config, store: Store, health: Health, live: Live) -> Self {
        let master = config.master_key.hash();
        Self {
            config: Arc::new(config),
            store,
            health,
            live,
            metrics: Metrics::default(),
            master,
        }
    }

    /// The settings in force. Take them once and work with them to the end.
    pub fn settings(&self) -> Arc<Settings> {
        self.live.now()
    }

    /// The hash by which the master key is known.
    pub fn master_hash(&self) -> &KeyHash {
        &self.master
    }
}

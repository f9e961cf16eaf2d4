//! What every request handler is given.

use std::sync::Arc;

use contract::virtual_key::KeyHash;
use sqlx::AnyConnection;
use tokio::sync::watch;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::publish::Health;
use crate::router::metrics::Metrics;
use crate::settings::{Live, Settings};
use crate::sign_in::password::Hasher;
use crate::sign_in::secrets::Keys;
use crate::store::catalogue_rows::{self, CatalogueRows};
use crate::store::{Store, StoreError};

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
    catalogue: watch::Receiver<Arc<Catalogue>>,
    /// Hashes passwords.
    pub passwords: Arc<Hasher>,
    /// The keys of signing in.
    pub keys: Arc<Keys>,
    master: KeyHash,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        config: Config,
        store: Store,
        health: Health,
        live: Live,
        catalogue: watch::Receiver<Arc<Catalogue>>,
    ) -> Self {
        let master = config.master_key.hash();
        let keys = Keys::of(&config.master_key);
        Self {
            config: Arc::new(config),
            store,
            health,
            live,
            metrics: Metrics::default(),
            catalogue,
            passwords: Arc::new(Hasher::new()),
            keys: Arc::new(keys),
            master,
        }
    }

    /// The settings in force. Take them once and work with them to the end.
    pub fn settings(&self) -> Arc<Settings> {
        self.live.now()
    }

    /// The models of the file.
    pub fn catalogue_of_file(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.borrow())
    }

    /// Everything that is served at this moment, with the rows of the database that it is made of.
    pub async fn catalogue(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<(Catalogue, CatalogueRows), StoreError> {
        let settings = self.settings();
        let default = settings.customer_default.budget_id.as_deref();
        let rows = catalogue_rows::read(connection, default).await?;
        let now_us = self.store.clock().now_us();
        let catalogue = self.catalogue_of_file().with(&rows, &settings, now_us);
        Ok((catalogue, rows))
    }

    /// The hash by which the master key is known.
    pub fn master_hash(&self) -> &KeyHash {
        &self.master
    }
}

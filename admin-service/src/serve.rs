//! The service as a whole: its parts in the order in which they start and stop.
//!
//! Start: database and schema, the master key's row, the catalogue, then publisher, ledger and upkeep, and the listener last. Stop: the listener
//! first, then the rest, so that what the last requests changed is still published. Failure stance: without its database or with a wrong
//! configuration it does not start; without Redis it does, and publishes when Redis comes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contract::redis_key::Partition;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::app::App;
use crate::catalogue::{Catalogue, CatalogueError, PriceList};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::ledger::{Ledger, Retention};
use crate::publish::{Health, Link, LinkError, Publisher};
use crate::router::router;
use crate::settings::Live;
use crate::store::keys::Rotator;
use crate::store::spend::Difference;
use crate::store::{Store, StoreError, keys, refresh};

/// How long requests and tasks may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why the service did not start.
#[derive(Debug)]
pub enum StartError {
    /// The database.
    Store(StoreError),
    /// The settings.
    Settings(ConfigError),
    /// The models.
    Catalogue(CatalogueError),
    /// Redis's address.
    Redis(LinkError),
    /// The price list's file.
    Prices(String),
    /// The address to listen on.
    Listen(SocketAddr, std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Settings(error) => error.fmt(f),
            Self::Catalogue(error) => error.fmt(f),
            Self::Redis(error) => write!(f, "the address of Redis: {error}"),
            Self::Prices(why) => f.write_str(why),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Settings(error)
    }
}

impl From<CatalogueError> for StartError {
    fn from(error: CatalogueError) -> Self {
        Self::Catalogue(error)
    }
}

impl From<LinkError> for StartError {
    fn from(error: LinkError) -> Self {
        Self::Redis(error)
    }
}

/// The running service.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    app: App,
    stop_listening: watch::Sender<bool>,
    stop_tasks: watch::Sender<bool>,
    listening: JoinHandle<std::io::Result<()>>,
    tasks: JoinSet<()>,
    // Whoever publishes watches it; the catalogue of this version changes by a restart only.
    _catalogue: watch::Sender<Arc<Catalogue>>,
}

impl Service {
    /// Starts the service; when this answers it listens.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        for warning in &config.warnings {
            tracing::warn!("configuration: {warning}");
        }
        let store =
            Store::connect(&config.database_url, config.database_connections, clock).await?;
        store.migrate().await?;
        keys::master::settle(&store, &config.master_key).await?;
        let live = Live::of(config.file.clone())?;
        live.settle(&store).await?;
        let catalogue = catalogue(&config, &live)?;
        let catalogue = watch::Sender::new(Arc::new(catalogue));
        let link = Link::new(&config.redis_url)?;
        let health = Health::default();
        let app = App::new(config, store, health, live, catalogue.subscribe());
        let listener = TcpListener::bind(app.config.listen).await;
        let listener = listener.map_err(|error| StartError::Listen(app.config.listen, error))?;
        let address = listener.local_addr().unwrap_or(app.config.listen);

        let stop_tasks = watch::Sender::new(false);
        let tasks = tasks(&app, &link, catalogue.subscribe(), &stop_tasks);
        let stop_listening = watch::Sender::new(false);
        let mut stop = stop_listening.subscribe();
        let service = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let listening = tokio::spawn(async move {
            axum::serve(listener, service)
                .with_graceful_shutdown(async move {
                    let _ = stop.wait_for(|stop| *stop).await;
                })
                .await
        });
        Ok(Self {
            address,
            app,
            stop_listening,
            stop_tasks,
            listening,
            tasks,
            _catalogue: catalogue,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its parts.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Stops: running requests end, what they changed is published, what was spent is drained; all of it within bounds.
    pub async fn stop(mut self) {
        self.stop_listening.send_replace(true);
        if tokio::time::timeout(STOP_WITHIN, &mut self.listening)
            .await
            .is_err()
        {
            tracing::warn!("requests were still running and are cut");
            self.listening.abort();
        }
        self.stop_tasks.send_replace(true);
        let ended = tokio::time::timeout(STOP_WITHIN, async {
            while self.tasks.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("publisher or ledger did not end in time; they go on at the next start");
        }
    }
}

/// Compares the ledger with itself and with Redis, without serving; answers what differs.
pub async fn reconcile(config: Config, clock: Clock) -> Result<Vec<Difference>, String> {
    let said = |error: &dyn fmt::Display| error.to_string();
    let store = Store::connect(&config.database_url, config.database_connections, clock);
    let store = store.await.map_err(|error| said(&error))?;
    let settings = Live::of(config.file.clone()).map_err(|error| said(&error))?;
    settings
        .refresh(&store)
        .await
        .map_err(|error| said(&error))?;
    let ledger = Ledger {
        store,
        link: Link::new(&config.redis_url).map_err(|error| said(&error))?,
        partitions: (0..config.partitions).map(Partition).collect(),
        settings,
        health: Health::default(),
        holder: uuid::Uuid::new_v4().to_string(),
    };
    ledger.reconcile().await.map_err(|error| said(&error))
}

fn catalogue(config: &Config, live: &Live) -> Result<Catalogue, StartError> {
    let prices = match &config.prices {
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| {
                let path = path.display();
                StartError::Prices(format!(
                    "--prices {path}: expected a readable file ({error})"
                ))
            })?;
            PriceList::parse(&text)?
        }
        None => PriceList::embedded()?,
    };
    let list = (!config.model_list.is_empty()).then_some(config.model_list.as_slice());
    let catalogue = Catalogue::build(&prices, list, live.now().proxy.clone())?
        .with_aliases(config.model_aliases.clone());
    for warning in &catalogue.warnings {
        tracing::warn!("models: {warning}");
    }
    Ok(catalogue)
}

fn tasks(
    app: &App,
    link: &Link,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    stop: &watch::Sender<bool>,
) -> JoinSet<()> {
    let config = &app.config;
    // One of several services leads; this is its name among them.
    let holder = uuid::Uuid::new_v4().to_string();
    let publisher = Publisher {
        store: app.store.clone(),
        link: link.clone(),
        partitions: config.partitions,
        settings: app.live.clone(),
        catalogue,
        health: app.health.clone(),
        holder: holder.clone(),
    };
    let ledger = Ledger {
        store: app.store.clone(),
        link: link.clone(),
        partitions: (0..config.partitions).map(Partition).collect(),
        settings: app.live.clone(),
        health: app.health.clone(),
        holder: holder.clone(),
    };
    let rotator = Rotator {
        store: app.store.clone(),
        settings: config.rotation,
        holder: holder.clone(),
    };
    let retention = Retention {
        store: app.store.clone(),
        settings: app.live.clone(),
        holder,
    };
    let (store, live) = (app.store.clone(), app.live.clone());
    let (follower, source) = (app.clone(), config.source.clone());
    let mut tasks = JoinSet::new();
    let (stop_publisher, stop_ledger, stop_upkeep) =
        (stop.subscribe(), stop.subscribe(), stop.subscribe());
    let stop_settings = stop.subscribe();
    let (stop_retention, stop_comparing) = (stop.subscribe(), stop.subscribe());
    let comparing = ledger.clone();
    tasks.spawn(async move { Box::pin(publisher.run(stop_publisher)).await });
    tasks.spawn(async move { ledger.run(stop_ledger).await });
    tasks.spawn(async move { retention.run(stop_retention).await });
    tasks.spawn(async move { Box::pin(comparing.watch_agreement(stop_comparing)).await });
    if config.rotation.enabled {
        let stop_rotator = stop.subscribe();
        tasks.spawn(async move { rotator.run(stop_rotator).await });
    }
    tasks.spawn(async move { refresh::run(&store, &live, stop_upkeep).await });
    tasks.spawn(async move {
        follower
            .live
            .run(&follower.store, source, stop_settings)
            .await;
    });
    tasks
}

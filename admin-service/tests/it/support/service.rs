//! The publisher and ledger of one admin service, started or stepped by hand.

use std::sync::Arc;

use contract::records::ProxySettings;
use contract::redis_key::Partition;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollkeeper_admin::catalogue::{Catalogue, PriceList};
use tollkeeper_admin::ledger::Ledger;
use tollkeeper_admin::publish::{Health, Publisher};
use tollkeeper_admin::settings::Live;

use super::database::Database;
use super::redis::TestRedis;

/// One service, not running.
pub struct Service {
    pub publisher: Publisher,
    pub ledger: Ledger,
    pub health: Health,
    pub catalogue: watch::Sender<Arc<Catalogue>>,
}

/// A service that runs until dropped or stopped.
pub struct Running {
    pub health: Health,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Service {
    pub fn new(name: &str, database: &Database, redis: &TestRedis) -> Self {
        let health = Health::default();
        let (catalogue, received) = watch::channel(Arc::new(catalogue("1e-6")));
        let publisher = Publisher {
            store: database.store.clone(),
            link: redis.link.clone(),
            partitions: 1,
            settings: Live::default(),
            catalogue: received,
            health: health.clone(),
            holder: name.to_owned(),
        };
        let ledger = Ledger {
            store: database.store.clone(),
            link: redis.link.clone(),
            partitions: vec![Partition(0)],
            settings: Live::default(),
            health: health.clone(),
            holder: name.to_owned(),
        };
        Self {
            publisher,
            ledger,
            health,
            catalogue,
        }
    }

    /// The same with P partitions.
    #[must_use]
    pub fn with_partitions(mut self, partitions: u16) -> Self {
        self.publisher.partitions = partitions;
        self.ledger.partitions = self.publisher.all();
        self
    }

    /// Starts everything.
    pub fn start(self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (publisher, ledger, also_stopped) = (self.publisher, self.ledger, stopped.clone());
        let tasks = vec![
            tokio::spawn(async move { publisher.run(stopped).await }),
            tokio::spawn(async move { ledger.run(also_stopped).await }),
        ];
        Running {
            health: self.health,
            stop,
            tasks,
        }
    }

    /// Drains until the stream is empty.
    pub async fn drain_all(&self) {
        let all = [Partition(0)];
        while self
            .ledger
            .drain(&all, 500)
            .await
            .expect("drained")
            .expect("leads")
            .entries
            > 0
        {}
    }
}

impl Running {
    /// Stops it as a termination signal would.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("it ends well");
        }
    }

    /// Ends it between any two steps, as a crash would.
    pub fn crash(self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A catalogue of one model at this price a token.
pub fn catalogue(price: &str) -> Catalogue {
    let list = format!(
        r#"[{{"model_name": "gpt-4o-mini", "litellm_params": {{"model": "openai/gpt-4o-mini", "input_cost_per_token": {price}}}}}]"#
    );
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
    let prices = PriceList::embedded().expect("the price list");
    Catalogue::build(&prices, Some(&list), ProxySettings::default()).expect("a catalogue")
}

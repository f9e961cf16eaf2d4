//! The whole product on this machine: one handle, every part a process of its own.
//!
//! 1. Builds the filter (wasm) and the admin service.
//! 2. Starts the scripted upstream unless the providers are somewhere else, then Redis, the admin service, and the Envoys.
//! 3. Is ready when every part has said so: a line that it prints, or its own health endpoint.
//!
//! Ports are the kernel's choice; a part that is restarted keeps its own. All files are in one data folder. Dropping the handle kills what
//! is left; [`Stack::stop`] ends it in order.

mod admin;
mod bootstrap;
mod build;
mod envoy;
mod postgres;
mod redis;
mod redis_login;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Map, Value};

use crate::client::{Client, request};
use crate::process::Process;
use crate::upstream::{Remember, Upstream};
pub use admin::Admin;
pub use bootstrap::{Providers, provider_keys};
pub use build::Programs;
pub use envoy::{Envoy, Settings};
pub use postgres::Postgres;
pub use redis::Redis;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Envoys.
    pub envoys: usize,
    /// Workers of each.
    pub workers: u32,
    /// Where LLM calls go.
    pub providers: Providers,
    /// LiteLLM's config.yaml for the admin service.
    pub config: Option<PathBuf>,
    /// The admin service's database; SQLite in the data folder where it is not said.
    pub database: Option<String>,
    /// A Redis that runs already.
    pub redis: Option<String>,
    /// Whether the admin service is built optimised.
    pub release: bool,
    /// Folder of everything that is kept.
    pub data: PathBuf,
    /// Key of the administrator.
    pub master_key: String,
    /// Fields of the filter's configuration that differ from the shipped one.
    pub filter: Map<String, Value>,
    /// The providers' keys, by the names of the environment variables that carry them.
    pub provider_keys: Vec<(String, String)>,
    /// Whether an Envoy without the filter is started too, for comparison.
    pub plain: bool,
    /// Whether the scripted upstream remembers calls.
    pub remember: Remember,
}

impl Options {
    /// One Envoy with one worker, and the scripted upstream.
    pub fn new(data: &Path, master_key: &str) -> Self {
        Self {
            envoys: 1,
            workers: 1,
            providers: Providers::Scripted,
            config: None,
            database: None,
            redis: None,
            release: false,
            data: data.to_owned(),
            master_key: master_key.to_owned(),
            filter: Map::new(),
            provider_keys: Vec::new(),
            plain: false,
            remember: Remember::Calls,
        }
    }
}

/// The running product.
#[derive(Debug)]
pub struct Stack {
    /// The proxies, in the order of their start.
    pub envoys: Vec<Envoy>,
    /// An Envoy without the filter, for comparison.
    pub plain: Option<Envoy>,
    /// The admin service.
    pub admin: Admin,
    /// The Redis that was started; none where one was given.
    pub redis: Option<Redis>,
    /// Its URL in any case.
    pub redis_url: String,
    /// The scripted upstream; none where calls go somewhere else.
    pub upstream: Option<Upstream>,
    /// Key of the administrator.
    pub master_key: String,
    /// For calls to any part.
    pub client: Client,
}

impl Stack {
    /// Builds and starts everything; when it returns, the first request can be sent.
    pub async fn start(options: &Options) -> Result<Self> {
        let programs = Programs::build(options.release)?;
        Self::start_built(options, &programs).await
    }

    /// Starts everything from programs that are built.
    pub async fn start_built(options: &Options, programs: &Programs) -> Result<Self> {
        for folder in ["", "logs"] {
            let folder = options.data.join(folder);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let upstream = match &options.providers {
            Providers::Scripted => Some(Upstream::start(options.remember)?),
            Providers::Elsewhere(_) | Providers::Real => None,
        };
        let redis = match &options.redis {
            None => Some(Redis::start(&programs.redis, &options.data).await?),
            Some(_) => None,
        };
        let redis_url = match (&options.redis, &redis) {
            (Some(url), _) => url.clone(),
            (None, Some(redis)) => redis.url(),
            (None, None) => String::new(),
        };
        let filter_url = redis
            .as_ref()
            .map_or_else(|| redis_url.clone(), Redis::filter_url);
        let client = Client::default();
        let admin = Admin::start(&programs.admin, options, &redis_url, &client).await?;
        let providers = match &upstream {
            Some(upstream) => Providers::Elsewhere(upstream.url()),
            None => options.providers.clone(),
        };
        let shared = Settings {
            name: "envoy".to_owned(),
            workers: options.workers,
            wasm: programs.wasm.clone(),
            redis_url: filter_url,
            providers,
            filter: options.filter.clone(),
            provider_keys: options.provider_keys.clone(),
            governed: true,
            data: options.data.clone(),
        };
        let mut envoys = Vec::with_capacity(options.envoys);
        for number in 0..options.envoys {
            let settings = Settings {
                name: format!("envoy-{number}"),
                ..shared.clone()
            };
            envoys.push(Envoy::start(&programs.envoy, settings, &client).await?);
        }
        let plain = if options.plain {
            let settings = Settings {
                name: "envoy-plain".to_owned(),
                governed: false,
                ..shared
            };
            Some(Envoy::start(&programs.envoy, settings, &client).await?)
        } else {
            None
        };
        let master_key = options.master_key.clone();
        Ok(Self {
            envoys,
            plain,
            admin,
            redis,
            redis_url,
            upstream,
            master_key,
            client,
        })
    }

    /// Calls the admin service as the administrator.
    pub async fn post_admin(&self, path: &str, body: &Value) -> Result<Value> {
        let reply = self
            .client
            .post(
                &format!("{}{path}", self.admin.url()),
                Some(&self.master_key),
                body,
            )
            .await?;
        reply
            .good()
            .with_context(|| format!("POST {path} with {body}"))
    }

    /// Changes something at the admin service as the administrator.
    pub async fn patch_admin(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.admin.url());
        let body_text = body.to_string().into();
        let request = request(Method::PATCH, &url, Some(&self.master_key), body_text)?;
        let reply = self.client.send(request).await?.whole().await?;
        reply
            .good()
            .with_context(|| format!("PATCH {path} with {body}"))
    }

    /// Reads from the admin service as the administrator.
    pub async fn get_admin(&self, path: &str) -> Result<Value> {
        let reply = self
            .client
            .get(
                &format!("{}{path}", self.admin.url()),
                Some(&self.master_key),
            )
            .await?;
        reply.good().with_context(|| format!("GET {path}"))
    }

    /// A new virtual key with these fields of `/key/generate`.
    pub async fn key(&self, fields: &Value) -> Result<String> {
        let made = self.post_admin("/key/generate", fields).await?;
        made.get("key")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .with_context(|| format!("/key/generate gave no key: {made}"))
    }

    /// Ends everything in order: no new calls, then policy and ledger, then the store.
    pub async fn stop(self) -> Result<()> {
        for envoy in self.envoys.iter().chain(&self.plain) {
            envoy.process().stop(Duration::from_secs(2)).await?;
        }
        self.admin.process().stop(Duration::from_secs(10)).await?;
        if let Some(redis) = &self.redis {
            redis.process().stop(Duration::from_secs(10)).await?;
        }
        Ok(())
    }

    fn processes(&self) -> Vec<&Process> {
        let mut processes = vec![self.admin.process()];
        processes.extend(self.redis.as_ref().map(Redis::process));
        processes.extend(self.envoys.iter().map(Envoy::process));
        processes
    }

    /// Names of the parts that have ended.
    pub fn ended(&self) -> Vec<String> {
        let processes = self.processes().into_iter();
        processes
            .filter(|process| !process.is_running())
            .map(|process| process.name().to_owned())
            .collect()
    }

    /// Waits until a part has ended.
    pub async fn any_end(&self) {
        let mut ends: Vec<_> = self
            .processes()
            .into_iter()
            .map(|process| Box::pin(process.ended(Duration::MAX)))
            .collect();
        std::future::poll_fn(|context| {
            let ended = ends
                .iter_mut()
                .any(|end| end.as_mut().poll(context).is_ready());
            if ended {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Starts every part again that has ended, each at its address.
    pub async fn restart_ended(&mut self) -> Result<()> {
        if let Some(redis) = self
            .redis
            .as_mut()
            .filter(|redis| !redis.process().is_running())
        {
            redis.restart().await?;
        }
        if !self.admin.process().is_running() {
            self.admin.restart(&self.client).await?;
        }
        for envoy in self
            .envoys
            .iter_mut()
            .filter(|envoy| !envoy.process().is_running())
        {
            envoy.restart(&self.client).await?;
        }
        Ok(())
    }

    /// The ends of all logs, for a failure's message.
    pub fn tails(&self, lines: usize) -> String {
        let tails: Vec<String> = self
            .processes()
            .iter()
            .map(|process| process.tail(lines))
            .collect();
        tails.join("\n")
    }
}

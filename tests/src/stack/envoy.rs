//! Envoy as a process, from the product's own `envoy/envoy.yaml`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use super::bootstrap::{self, Edits, Providers};
use super::redis_login::RedisLogin;
use crate::client::{Client, authority};
use crate::process::Process;

/// What makes one Envoy differ from another.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the process and of its files.
    pub name: String,
    /// Worker threads.
    pub workers: u32,
    /// The filter's module.
    pub wasm: PathBuf,
    /// The Redis of the ledger.
    pub redis_url: String,
    /// Where LLM calls go.
    pub providers: Providers,
    /// Fields of the filter's configuration that differ from the shipped one.
    pub filter: Map<String, Value>,
    /// The providers' keys, by the names of the environment variables that carry them.
    pub provider_keys: Vec<(String, String)>,
    /// Whether the filter is in the way; without it the same Envoy is the plain proxy that a benchmark compares with.
    pub governed: bool,
    /// Data folder of the stack.
    pub data: PathBuf,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    program: PathBuf,
    settings: Settings,
    process: Process,
    url: String,
    admin_url: String,
}

impl Envoy {
    /// Starts it on free ports and waits until its workers accept.
    pub async fn start(program: &Path, settings: Settings, client: &Client) -> Result<Self> {
        let (process, url, admin_url) = run(program, &settings, (0, 0), client).await?;
        Ok(Self {
            program: program.to_owned(),
            settings,
            process,
            url,
            admin_url,
        })
    }

    /// Starts it again on the same ports, after it was stopped or killed.
    pub async fn restart(&mut self, client: &Client) -> Result<()> {
        let port = |url: &str| {
            authority(url)
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok())
                .unwrap_or(0)
        };
        let ports = (port(&self.url), port(&self.admin_url));
        (self.process, self.url, self.admin_url) =
            run(&self.program, &self.settings, ports, client).await?;
        Ok(())
    }

    /// The proxy's base URL, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Base URL of Envoy's administration.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Every counter and gauge whose name contains `part`, by name.
    pub async fn stats(&self, client: &Client, part: &str) -> Result<Vec<(String, u64)>> {
        let reply = client
            .get(
                &format!("{}/stats?type=All&filter={part}", self.admin_url),
                None,
            )
            .await?;
        let stats = reply.text();
        Ok(stats
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }
}

async fn run(
    program: &Path,
    settings: &Settings,
    ports: (u16, u16),
    client: &Client,
) -> Result<(Process, String, String)> {
    let edits = Edits {
        wasm: &settings.wasm,
        redis_url: &settings.redis_url,
        providers: &settings.providers,
        filter: &settings.filter,
        governed: settings.governed,
        port: ports.0,
        admin_port: ports.1,
    };
    let bootstrap = bootstrap::edited(&edits)?;
    let file = settings.data.join(format!("{}.json", settings.name));
    std::fs::write(&file, serde_json::to_vec_pretty(&bootstrap)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let address = settings.data.join(format!("{}.admin", settings.name));
    let mut command = Command::new(program);
    command
        .arg("--config-path")
        .arg(&file)
        .arg("--admin-address-path")
        .arg(&address)
        // Several Envoys run side by side: nothing of hot restart's shared memory.
        .args([
            "--disable-hot-restart",
            "--concurrency",
            &settings.workers.to_string(),
        ])
        .args([
            "--log-level",
            "warning",
            "--component-log-level",
            "main:info",
        ]);
    for name in bootstrap::provider_keys()? {
        let given = settings
            .provider_keys
            .iter()
            .find(|(given, _)| *given == name);
        // Envoy does not start where a variable is missing; an empty one sends no credential.
        command.env(name, given.map_or("", |(_, key)| key));
    }
    if let Some(login) = RedisLogin::of(&settings.redis_url)? {
        command.envs(login.environment());
    }
    let (process, mut lines) = Process::start(
        &settings.name,
        &command,
        &settings
            .data
            .join("logs")
            .join(format!("{}.log", settings.name)),
    )?;
    // Envoy writes down where its administration listens before its main loop starts.
    let looping = |line: &str| line.contains("starting main dispatch loop").then_some(());
    process
        .line(&mut lines, Duration::from_mins(1), looping)
        .await?;
    let address = std::fs::read_to_string(&address)
        .with_context(|| format!("{} wrote no admin address", settings.name))?;
    let admin_url = format!("http://{}", address.trim());
    until_good(client, &format!("{admin_url}/ready"), &process).await?;
    let listeners = client
        .get(&format!("{admin_url}/listeners?format=json"), None)
        .await?
        .good()?;
    let url = proxy_url(&listeners).with_context(|| {
        format!(
            "{} has no listener {}: {listeners}",
            settings.name,
            bootstrap::LISTENER
        )
    })?;
    Ok((process, url, admin_url))
}

fn proxy_url(listeners: &Value) -> Option<String> {
    let all = listeners.get("listener_statuses")?.as_array()?;
    let ours = all.iter().find(|listener| {
        listener.get("name").and_then(Value::as_str) == Some(bootstrap::LISTENER)
    })?;
    let address = ours.pointer("/local_address/socket_address")?;
    Some(format!(
        "http://{}:{}",
        address.get("address")?.as_str()?,
        address.get("port_value")?.as_u64()?
    ))
}

/// Waits until `url` answers 2xx; an end of `process` meanwhile is an error that shows its log.
pub async fn until_good(client: &Client, url: &str, process: &Process) -> Result<()> {
    let asking = async {
        loop {
            if client
                .get(url, None)
                .await
                .is_ok_and(|reply| (200..300).contains(&reply.status))
            {
                return;
            }
            // A health endpoint has no event to wait for.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = Duration::from_mins(1);
    tokio::select! {
        answered = tokio::time::timeout(limit, asking) => match answered {
            Ok(()) => Ok(()),
            Err(_) => bail!("{} was not ready within {limit:?} at {url}\n{}", process.name(), process.tail(30)),
        },
        ended = process.ended(limit * 2) => bail!("{} ended before it was ready ({ended:?})\n{}", process.name(), process.tail(30)),
    }
}

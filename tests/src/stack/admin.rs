//! The admin service as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Options;
use crate::client::{Client, authority};
use crate::process::Process;

/// A running admin service.
#[derive(Debug)]
pub struct Admin {
    program: PathBuf,
    options: Options,
    redis_url: String,
    database_url: String,
    log: PathBuf,
    url: String,
    process: Process,
}

impl Admin {
    /// Starts it and waits until it is ready to serve.
    pub async fn start(
        program: &Path,
        options: &Options,
        redis_url: &str,
        client: &Client,
    ) -> Result<Self> {
        let database_url = match &options.database {
            Some(url) => url.clone(),
            None => format!("sqlite://{}", options.data.join("tollkeeper.db").display()),
        };
        let log = options.data.join("logs/admin.log");
        let command = command(program, options, redis_url, &database_url, "127.0.0.1:0");
        let (process, url) = run(&command, &log, client).await?;
        let (program, options, redis_url) =
            (program.to_owned(), options.clone(), redis_url.to_owned());
        Ok(Self {
            program,
            options,
            redis_url,
            database_url,
            log,
            url,
            process,
        })
    }

    /// Starts it again at the same address, after it was stopped or killed.
    pub async fn restart(&mut self, client: &Client) -> Result<()> {
        let listen = authority(&self.url);
        let command = command(
            &self.program,
            &self.options,
            &self.redis_url,
            &self.database_url,
            listen,
        );
        (self.process, self.url) = run(&command, &self.log, client).await?;
        Ok(())
    }

    /// Its base URL, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of its database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn command(
    program: &Path,
    options: &Options,
    redis_url: &str,
    database_url: &str,
    listen: &str,
) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--dev", "--listen", listen]);
    // By the environment: a command line can be read by every user of the machine.
    command.env("LITELLM_MASTER_KEY", &options.master_key);
    command.env("DATABASE_URL", database_url);
    command.env("REDIS_URL", redis_url);
    if let Some(config) = &options.config {
        command.arg("--config").arg(config);
    }
    command
}

async fn run(command: &Command, log: &Path, client: &Client) -> Result<(Process, String)> {
    let (process, mut lines) = Process::start("admin", command, log)?;
    let url = process
        .line(&mut lines, Duration::from_mins(1), url_in)
        .await?;
    super::envoy::until_good(client, &format!("{url}/health/readiness"), &process).await?;
    Ok((process, url))
}

/// `http://host:port` of the line that says where it listens.
fn url_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest
        .find(|end: char| end.is_whitespace() || end == '"' || end == ',')
        .unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('/').to_owned())
}

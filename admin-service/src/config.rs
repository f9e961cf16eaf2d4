//! Configuration: LiteLLM's `config.yaml` as it is, the environment, the command line; the later wins.
//!
//! Decides: which keys have an effect here, which are known and have none, and what their values must be. Leaves `model_list` to `catalogue`.
//! Failure stance: a wrong value stops the start with its path and what was expected; an unknown key is named in the start-up log.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use contract::virtual_key::VirtualKey;
use serde_json::Value;

use crate::catalogue::Alias;
use crate::secrets::Secrets;
use crate::settings::FileSettings;

mod environment;
mod known;
mod rotation;
mod section;
mod settings;
mod sign_in;
mod source;

pub use environment::Environment;
pub use rotation::RotationSettings;
pub(crate) use section::Section;
pub use sign_in::{SignIn, Sso};
pub use source::FileSource;

/// The command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// LiteLLM's config.yaml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `postgres://…` or `sqlite:PATH`; else `DATABASE_URL`, else `sqlite:tollkeeper.db`.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// `redis://…` or `rediss://…`; else `REDIS_URL`, else `REDIS_HOST` and its companions, else `redis://127.0.0.1:6379`.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The master key; better given by `LITELLM_MASTER_KEY` or `LITELLM_MASTER_KEY_FILE`.
    #[arg(long, value_name = "KEY")]
    pub master_key: Option<String>,
    /// Number of ledger partitions: 1.
    #[arg(long, value_name = "N")]
    pub partitions: Option<u16>,
    /// Model prices instead of those that the program ships with.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Development on this machine: a short master key is accepted.
    #[arg(long)]
    pub dev: bool,
}

/// Everything that was configured.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database.
    pub database_url: String,
    /// Most connections to it.
    pub database_connections: u32,
    /// Redis. May carry a password: not to be logged.
    pub redis_url: String,
    /// Number of partitions.
    pub partitions: u16,
    /// The master key.
    pub master_key: VirtualKey,
    /// Development mode.
    pub dev: bool,
    /// The file of model prices, if it is not the one shipped.
    pub prices: Option<PathBuf>,
    /// `model_list` as written.
    pub model_list: Vec<Value>,
    /// `router_settings.model_group_alias`.
    pub model_aliases: Vec<Alias>,
    /// What may change while the service runs: handlers read it from the snapshot of `settings`, never from here.
    pub file: FileSettings,
    /// Settings of single sign-on that the environment gives, by their names in `/get/sso_settings`.
    pub sso: std::collections::BTreeMap<&'static str, String>,
    /// Seals secrets of settings.
    pub secrets: Secrets,
    /// Where the file is, to be read again when it changes.
    pub source: Option<FileSource>,
    /// How the service replaces keys' values by itself.
    pub rotation: RotationSettings,
    /// How people sign in.
    pub sign_in: SignIn,
    /// Sentences for the start-up log.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("dev", &self.dev)
            .finish_non_exhaustive()
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where: a path in the file, a variable or an option.
    pub path: String,
    /// What was expected.
    pub expected: String,
}

impl ConfigError {
    pub(crate) fn new(path: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.expected)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file that `options` names, then lets the environment and `options` win.
    pub fn load(options: &Options, environment: Environment) -> Result<Self, ConfigError> {
        let text = match &options.config {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigError::new(
                    path.display().to_string(),
                    format!("expected a readable file ({error})"),
                )
            })?,
            None => String::new(),
        };
        let source = FileSource::new(options, &environment);
        let mut config = Self::parse(&text, options, environment)?;
        config.source = source;
        Ok(config)
    }

    /// The same from the file's text.
    pub fn parse(
        text: &str,
        options: &Options,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        settings::read(text, options, environment)
    }
}

/// The master key, if it may be used: at least 32 characters, unless in development.
fn master_key(text: Option<String>, dev: bool) -> Result<VirtualKey, ConfigError> {
    const WHERE: &str = "LITELLM_MASTER_KEY (or general_settings.master_key)";
    let make = "make one with: echo sk-$(openssl rand -hex 32)";
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(ConfigError::new(
            WHERE,
            format!("expected a master key; {make}"),
        ));
    };
    if text.len() < 32 && !dev {
        return Err(ConfigError::new(
            WHERE,
            format!("expected at least 32 characters outside --dev; {make}"),
        ));
    }
    VirtualKey::parse(text.as_bytes()).ok_or_else(|| {
        ConfigError::new(
            WHERE,
            "expected sk- and at most 256 visible ASCII characters other than comma",
        )
    })
}

#[cfg(test)]
mod tests;

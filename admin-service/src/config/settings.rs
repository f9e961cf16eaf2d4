//! The sections of the file that have an effect here.

use std::net::SocketAddr;

use chrono::NaiveTime;
use contract::money::NanoUsd;
use contract::records::ProxySettings;
use serde_json::{Map, Value};

use super::section::Section;
use super::{Config, ConfigError, Environment, Options, known, master_key};
use crate::domain::budget_window::{WindowRules, duration_us};
use crate::error::ApiError;
use crate::request::{Body, GENERATE_KEY};

/// `default_key_generate_params`: what a new key has where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyDefaults(pub Map<String, Value>);

/// `upperbound_key_generate_params`: the most a new key may have; where the request says nothing it gets exactly that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// Money.
    pub max_budget: Option<NanoUsd>,
    /// Budget window.
    pub budget_duration: Option<String>,
    /// Lifetime.
    pub duration: Option<String>,
    /// Requests at once.
    pub max_parallel_requests: Option<u64>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
}

/// What a new user has where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserDefaults {
    /// `default_internal_user_params.user_role`.
    pub user_role: Option<String>,
    /// `default_internal_user_params.max_budget`.
    pub max_budget: Option<NanoUsd>,
    /// `default_internal_user_params.budget_duration`.
    pub budget_duration: Option<String>,
    /// `default_internal_user_params.models`.
    pub models: Option<Vec<String>>,
    /// `max_internal_user_budget`: fills a budget that is still empty, for `internal_user` only.
    pub internal_max_budget: Option<NanoUsd>,
    /// `internal_user_budget_duration`, likewise.
    pub internal_budget_duration: Option<String>,
}

const ROLES: &[&str] = &[
    "proxy_admin",
    "proxy_admin_viewer",
    "internal_user",
    "internal_user_viewer",
];

pub(super) fn read(
    text: &str,
    options: &Options,
    mut environment: Environment,
) -> Result<Config, ConfigError> {
    let mut file = parse_yaml(text)?;
    if let Some(variables) = file.remove("environment_variables") {
        let set = variables_of(&variables, &environment)?;
        environment.overlay(set);
    }
    let environment = &environment;
    let mut warnings = Vec::new();
    let mut top = Section::new("", Some(Value::Object(file)), environment)?;
    let mut general = top.section("general_settings")?;
    let mut litellm = top.section("litellm_settings")?;
    let model_list = top
        .read("model_list", "a list of models", |value| {
            value.as_array().cloned()
        })?
        .unwrap_or_default();
    top.finish(known::TOP, &mut warnings);

    let mut proxy = ProxySettings::default();
    if let Some(status) = litellm.whole("budget_exceeded_status_code", 400, 499)? {
        proxy.budget_exceeded_status = u16::try_from(status).unwrap_or(422);
    }
    if let Some(flag) = general.flag("master_key_can_call_models")? {
        proxy.master_key_can_call_models = flag;
    }
    if let Some(flag) = general.flag("apply_user_budget_to_team_keys")? {
        proxy.apply_user_budget_to_team_keys = flag;
    }
    let windows = windows(&mut litellm)?;
    let key_defaults = key_defaults(&mut litellm)?;
    let key_bounds = key_bounds(&mut litellm, &mut warnings)?;
    let user_defaults = user_defaults(&mut litellm, &mut warnings)?;

    let file_key = general.text("master_key")?;
    let key = options
        .master_key
        .clone()
        .or(environment.get("LITELLM_MASTER_KEY")?)
        .or(file_key);
    let file_database = general.text("database_url")?;
    let database = options
        .database
        .clone()
        .or(environment.get("DATABASE_URL")?)
        .or(file_database);
    let connections = general
        .whole("database_connection_pool_limit", 1, 1_000)?
        .unwrap_or(10);
    let leave_admin_out_of_teams = general
        .flag("disable_auto_add_proxy_admin_to_teams")?
        .unwrap_or(false);
    let key_header = general.text("litellm_key_header_name")?;
    general.finish(known::GENERAL, &mut warnings);
    litellm.finish(known::LITELLM, &mut warnings);

    let listen = match (options.listen, environment.get("TOLLKEEPER_LISTEN")?) {
        (Some(listen), _) => listen,
        (None, Some(text)) => text.parse().map_err(|_| {
            ConfigError::new(
                "TOLLKEEPER_LISTEN",
                "expected an address and port such as 127.0.0.1:4000",
            )
        })?,
        (None, None) => SocketAddr::from(([127, 0, 0, 1], 4000)),
    };
    if options.dev && !listen.ip().is_loopback() {
        return Err(ConfigError::new(
            "--dev",
            "expected to listen on a loopback address only",
        ));
    }
    let partitions = options.partitions.unwrap_or(1);
    if partitions == 0 {
        return Err(ConfigError::new("--partitions", "expected at least 1"));
    }
    Ok(Config {
        listen,
        database_url: database.unwrap_or_else(|| "sqlite:tollkeeper.db".to_owned()),
        database_connections: u32::try_from(connections).unwrap_or(10),
        redis_url: redis_url(options, environment)?,
        partitions,
        master_key: master_key(key, options.dev)?,
        dev: options.dev,
        prices: options
            .prices
            .clone()
            .or(environment.get("TOLLKEEPER_MODEL_PRICES")?.map(Into::into)),
        model_list,
        proxy,
        windows,
        key_defaults,
        key_bounds,
        user_defaults,
        leave_admin_out_of_teams,
        key_header,
        warnings,
    })
}

fn parse_yaml(text: &str) -> Result<Map<String, Value>, ConfigError> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ConfigError::new(
            "config file",
            "expected a mapping at the top",
        )),
        Err(error) => Err(ConfigError::new(
            "config file",
            format!("expected YAML: {error}"),
        )),
    }
}

fn variables_of(
    value: &Value,
    environment: &Environment,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut set = Vec::new();
    let Some(map) = value.as_object() else {
        return Err(ConfigError::new(
            "environment_variables",
            "expected a mapping",
        ));
    };
    for (name, value) in map {
        match environment.resolve(value)? {
            Value::Null => {}
            Value::String(text) => set.push((name.clone(), text)),
            other => set.push((name.clone(), other.to_string())),
        }
    }
    Ok(set)
}

fn windows(litellm: &mut Section<'_>) -> Result<WindowRules, ConfigError> {
    let mut rules = WindowRules::default();
    let zone = "a time zone such as Europe/Berlin";
    if let Some(timezone) = litellm.read("timezone", zone, |value| value.as_str()?.parse().ok())? {
        rules.timezone = timezone;
    }
    let time = "a time of day such as 09:30";
    let read = |value: &Value| NaiveTime::parse_from_str(value.as_str()?, "%H:%M").ok();
    if let Some(reset_time) = litellm.read("budget_reset_time", time, read)? {
        rules.reset_time = reset_time;
    }
    Ok(rules)
}

fn key_defaults(litellm: &mut Section<'_>) -> Result<KeyDefaults, ConfigError> {
    const NAME: &str = "default_key_generate_params";
    let path = litellm.path(NAME);
    let map = litellm.read(NAME, "a mapping", |value| value.as_object().cloned())?;
    let map = map.unwrap_or_default();
    match Body::from_map(map.clone(), GENERATE_KEY) {
        Ok(body) => match body.ignored.first() {
            None => Ok(KeyDefaults(map)),
            Some(unknown) => {
                let path = format!("{path}.{unknown}");
                Err(ConfigError::new(path, "expected a field of /key/generate"))
            }
        },
        Err(ApiError::Invalid(problems)) => {
            let first = problems.first();
            let field = first.map_or_else(String::new, |problem| format!("{:?}", problem.loc));
            let msg = first.map_or_else(String::new, |problem| problem.msg.clone());
            Err(ConfigError::new(path, format!("{msg} {field}")))
        }
        Err(_) => Err(ConfigError::new(path, "expected fields of /key/generate")),
    }
}

fn key_bounds(
    litellm: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<KeyBounds, ConfigError> {
    let mut section = litellm.section("upperbound_key_generate_params")?;
    let bounds = KeyBounds {
        max_budget: section.money("max_budget")?,
        budget_duration: section.budget_duration("budget_duration")?,
        duration: section.read("duration", "a duration such as 30d", |value| {
            value
                .as_str()
                .filter(|text| duration_us(text).is_some())
                .map(str::to_owned)
        })?,
        max_parallel_requests: section.whole("max_parallel_requests", 0, u64::from(u32::MAX))?,
        tpm_limit: section.whole("tpm_limit", 0, 9_007_199_254_740_991)?,
        rpm_limit: section.whole("rpm_limit", 0, u64::from(u32::MAX))?,
    };
    section.finish(&[], warnings);
    Ok(bounds)
}

fn user_defaults(
    litellm: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<UserDefaults, ConfigError> {
    let mut section = litellm.section("default_internal_user_params")?;
    let defaults = UserDefaults {
        user_role: section.one_of("user_role", ROLES)?,
        max_budget: section.money("max_budget")?,
        budget_duration: section.budget_duration("budget_duration")?,
        models: section.texts("models")?,
        internal_max_budget: litellm.money("max_internal_user_budget")?,
        internal_budget_duration: litellm.budget_duration("internal_user_budget_duration")?,
    };
    section.finish(&["teams", "available_teams"], warnings);
    Ok(defaults)
}

fn redis_url(options: &Options, environment: &Environment) -> Result<String, ConfigError> {
    if let Some(url) = options.redis.clone().or(environment.get("REDIS_URL")?) {
        return Ok(url);
    }
    let host = environment
        .get("REDIS_HOST")?
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = environment
        .get("REDIS_PORT")?
        .unwrap_or_else(|| "6379".to_owned());
    let port: u16 = port
        .parse()
        .map_err(|_| ConfigError::new("REDIS_PORT", "expected a port number"))?;
    let scheme = match environment.get("REDIS_SSL")?.as_deref() {
        Some("true" | "True" | "1") => "rediss",
        _ => "redis",
    };
    let user = environment.get("REDIS_USERNAME")?.unwrap_or_default();
    let login = match environment.get("REDIS_PASSWORD")? {
        Some(password) => format!("{}:{}@", percent(&user), percent(&password)),
        None => String::new(),
    };
    Ok(format!("{scheme}://{login}{host}:{port}"))
}

/// Encodes what a URL's user part cannot hold.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

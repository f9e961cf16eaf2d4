//! The sections of the file that have an effect here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::section::Section;
use super::{Config, ConfigError, Environment, Options, known, master_key, rotation};
use crate::catalogue::Alias;
use crate::secrets::Secrets;
use crate::settings::{self, FileSettings};

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
    warnings.extend(mocked(&model_list));
    let model_aliases = model_aliases(top.section("router_settings")?, &mut warnings)?;
    top.finish(known::TOP, &mut warnings);

    let file = FileSettings {
        litellm: litellm.resolved()?,
        general: without_secrets(general.resolved()?),
    };
    // Read here for its warnings and errors; in force is what `settings` makes of the file and the database.
    settings::take(&mut litellm, &mut general, &mut warnings)?;

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
    let sign_in = super::sign_in::read(&mut general, environment)?;
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
    if partitions != 1 {
        return Err(ConfigError::new(
            "--partitions",
            "expected 1: limits of organizations, customers, tags, models and the proxy would hold in each partition by itself",
        ));
    }
    let master_key = master_key(key, options.dev)?;
    let salt = environment.get("LITELLM_SALT_KEY")?;
    let material = salt.as_deref().unwrap_or(master_key.expose());
    let secrets = Secrets::new(material.as_bytes()).ok_or_else(|| {
        ConfigError::new("LITELLM_SALT_KEY", "expected a key to derive others from")
    })?;
    Ok(Config {
        sso: sso(environment)?,
        secrets,
        listen,
        database_url: database.unwrap_or_else(|| "sqlite:tollkeeper.db".to_owned()),
        database_connections: u32::try_from(connections).unwrap_or(10),
        redis_url: redis_url(options, environment)?,
        partitions,
        master_key,
        dev: options.dev,
        prices: options
            .prices
            .clone()
            .or(environment.get("TOLLKEEPER_MODEL_PRICES")?.map(Into::into)),
        model_list,
        model_aliases,
        file,
        source: None,
        rotation: rotation::read(environment)?,
        sign_in,
        warnings,
    })
}

/// What has no business in a snapshot that many read.
fn without_secrets(mut general: Map<String, Value>) -> Map<String, Value> {
    general.retain(|key, _| !matches!(key.as_str(), "master_key" | "database_url"));
    general
}

/// Models whose entry says what they answer: their provider answers here, and costs.
fn mocked(models: &[Value]) -> impl Iterator<Item = String> {
    let says = |model: &Value| model.get("litellm_params")?.get("mock_response").cloned();
    let mocked = models.iter().enumerate();
    let mocked = mocked.filter(move |(_, model)| says(model).is_some());
    mocked.map(|(at, _)| {
        format!("model_list[{at}].litellm_params.mock_response is known and has no effect")
    })
}

/// `router_settings.model_group_alias`: another name → a model, or a mapping with `model` and `hidden`. How requests are routed is Envoy's
/// business, so nothing else of the section has an effect.
fn model_aliases(
    mut router: Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Alias>, ConfigError> {
    let what = "a mapping of names to models";
    let read = |value: &Value| {
        let aliases = value.as_object()?.iter();
        aliases
            .map(|(name, target)| {
                let model = target.get("model").unwrap_or(target).as_str()?;
                let hidden = target.get("hidden").and_then(Value::as_bool);
                Some(Alias {
                    name: name.clone(),
                    model: model.to_owned(),
                    hidden: hidden.unwrap_or(false),
                })
            })
            .collect::<Option<Vec<Alias>>>()
    };
    let aliases = router.read("model_group_alias", what, read)?;
    router.without_effect(warnings);
    Ok(aliases.unwrap_or_default())
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

/// What the environment says of single sign-on.
fn sso(environment: &Environment) -> Result<BTreeMap<&'static str, String>, ConfigError> {
    let variables = [
        ("GOOGLE_CLIENT_ID", "google_client_id"),
        ("GOOGLE_CLIENT_SECRET", "google_client_secret"),
        ("MICROSOFT_CLIENT_ID", "microsoft_client_id"),
        ("MICROSOFT_CLIENT_SECRET", "microsoft_client_secret"),
        ("MICROSOFT_TENANT", "microsoft_tenant"),
        ("GENERIC_CLIENT_ID", "generic_client_id"),
        ("GENERIC_CLIENT_SECRET", "generic_client_secret"),
        (
            "GENERIC_AUTHORIZATION_ENDPOINT",
            "generic_authorization_endpoint",
        ),
        ("GENERIC_TOKEN_ENDPOINT", "generic_token_endpoint"),
        ("GENERIC_USERINFO_ENDPOINT", "generic_userinfo_endpoint"),
        ("GENERIC_SCOPE", "generic_scope"),
        ("PROXY_BASE_URL", "proxy_base_url"),
    ];
    let mut found = BTreeMap::new();
    for (variable, name) in variables {
        if let Some(value) = environment.get(variable)? {
            found.insert(name, value);
        }
    }
    Ok(found)
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

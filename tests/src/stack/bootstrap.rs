//! Envoy's bootstrap: the product's own `envoy/envoy.yaml`, with only the places changed that depend on this machine (ports, paths,
//! addresses) and what a test asks for. There is no second copy of the configuration.
//!
//! A place that is to be changed and is not there is an error that names it: the file has moved on and this has to follow.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::redis_login::RedisLogin;
use crate::setup;

/// Name of the listener that clients call.
pub const LISTENER: &str = "llm";

/// Name of the HTTP filter.
const FILTER: &str = "envoy.filters.http.wasm";

/// Clusters that are no LLM provider.
const REDIS: &str = "redis";
const BRIDGE: &str = "redis_bridge";

/// Where LLM calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Providers {
    /// To a scripted upstream that the stack starts.
    Scripted,
    /// All of them to one `http://` or `https://` URL.
    Elsewhere(String),
    /// To the providers themselves, with the keys in the environment.
    Real,
}

impl Providers {
    /// All calls to one URL, which must be one that can be used.
    pub fn elsewhere(url: &str) -> Result<Self> {
        Address::of(url)?;
        Ok(Self::Elsewhere(url.to_owned()))
    }
}

/// What to change.
#[derive(Debug)]
pub struct Edits<'a> {
    /// The filter's module.
    pub wasm: &'a Path,
    /// Redis.
    pub redis_url: &'a str,
    /// Where LLM calls go.
    pub providers: &'a Providers,
    /// Fields of the filter's configuration.
    pub filter: &'a Map<String, Value>,
    /// Whether the filter is in the way.
    pub governed: bool,
    /// Port of the proxy; 0 for a free one.
    pub port: u16,
    /// Port of Envoy's administration; 0 for a free one.
    pub admin_port: u16,
}

/// The shipped bootstrap with these edits.
pub fn edited(edits: &Edits<'_>) -> Result<Value> {
    let mut bootstrap = shipped()?;
    apply(&mut bootstrap, edits).context("envoy/envoy.yaml is not as the harness expects it")?;
    Ok(bootstrap)
}

/// Names of the environment variables from which the shipped bootstrap takes the providers' keys.
pub fn provider_keys() -> Result<Vec<String>> {
    let mut bootstrap = shipped()?;
    let name = |secret: &mut Value| {
        let name = secret.pointer("/generic_secret/secret/environment_variable");
        name.and_then(Value::as_str).map(str::to_owned)
    };
    Ok(list(&mut bootstrap, "/static_resources/secrets")?
        .iter_mut()
        .filter_map(name)
        .collect())
}

fn shipped() -> Result<Value> {
    let file = setup::root().join("envoy/envoy.yaml");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))
}

fn apply(bootstrap: &mut Value, edits: &Edits<'_>) -> Result<()> {
    bootstrap["admin"]["address"] = socket("127.0.0.1", edits.admin_port);
    let listener = named(bootstrap, "/static_resources/listeners", LISTENER)?;
    listener["address"] = socket("127.0.0.1", edits.port);
    if !edits.governed {
        remove_filter(listener)?;
    }
    let mut filters = 0;
    each_wasm(bootstrap, &mut |wasm| {
        filters += 1;
        wasm["config"]["vm_config"]["code"] = json!({"local": {"filename": edits.wasm}});
        configure(&mut wasm["config"]["configuration"], edits.filter)
    })?;
    if filters < 1 + usize::from(edits.governed) {
        bail!("it has {filters} wasm filters, not one for requests and one for the way to Redis");
    }
    let redis = Address::of(edits.redis_url)?;
    let cluster = named(bootstrap, "/static_resources/clusters", REDIS)?;
    cluster["type"] = json!("STRICT_DNS");
    cluster["load_assignment"] = redis.assignment(REDIS);
    if let Some(login) = RedisLogin::of(edits.redis_url)? {
        cluster["typed_extension_protocol_options"] = login.options();
    }
    if let Providers::Elsewhere(url) = edits.providers {
        let upstream = Address::of(url)?;
        for cluster in list(bootstrap, "/static_resources/clusters")? {
            let name = cluster
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if name != REDIS && name != BRIDGE {
                send_to(cluster, &name, &upstream);
            }
        }
        rewrite_hosts(bootstrap, &format!("{}:{}", upstream.host, upstream.port));
    }
    Ok(())
}

/// Takes the filter out of the clients' listener.
fn remove_filter(listener: &mut Value) -> Result<()> {
    let chain = listener
        .pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters")
        .and_then(Value::as_array_mut);
    let chain = chain.with_context(|| format!("listener {LISTENER} has no HTTP filters"))?;
    chain.retain(|filter| filter.get("name").and_then(Value::as_str) != Some(FILTER));
    Ok(())
}

/// Points a provider's cluster to one address. What the shipped cluster does to a request (its credential, its headers) stays.
fn send_to(cluster: &mut Value, name: &str, upstream: &Address) {
    cluster["type"] = json!("STRICT_DNS");
    cluster["load_assignment"] = upstream.assignment(name);
    if let Value::Object(fields) = cluster {
        if !upstream.tls {
            fields.remove("transport_socket");
        } else if let Some(name) = fields
            .get_mut("transport_socket")
            .and_then(|socket| socket.pointer_mut("/typed_config/sni"))
        {
            *name = json!(upstream.host);
        }
    }
}

/// Routes name the provider's host to the provider; here they name the one that takes its place.
fn rewrite_hosts(value: &mut Value, host: &str) {
    match value {
        Value::Object(fields) => {
            if let Some(literal) = fields.get_mut("host_rewrite_literal") {
                *literal = json!(host);
            }
            fields
                .values_mut()
                .for_each(|field| rewrite_hosts(field, host));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite_hosts(item, host)),
        _ => {}
    }
}

fn configure(configuration: &mut Value, fields: &Map<String, Value>) -> Result<()> {
    let text = configuration
        .get("value")
        .and_then(Value::as_str)
        .context("a wasm filter's configuration is no string value")?;
    let mut values: Value =
        serde_json::from_str(text).context("a wasm filter's configuration is no JSON")?;
    for (name, value) in fields {
        values[name] = value.clone();
    }
    configuration["value"] = Value::String(values.to_string());
    Ok(())
}

/// Calls `change` for the typed configuration of every wasm filter.
fn each_wasm(value: &mut Value, change: &mut impl FnMut(&mut Value) -> Result<()>) -> Result<()> {
    match value {
        Value::Object(fields) => {
            let kind = fields
                .get("@type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if kind.ends_with(".wasm.v3.Wasm") {
                return change(value);
            }
            fields
                .values_mut()
                .try_for_each(|field| each_wasm(field, change))
        }
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| each_wasm(item, change)),
        _ => Ok(()),
    }
}

fn list<'a>(bootstrap: &'a mut Value, place: &str) -> Result<&'a mut Vec<Value>> {
    bootstrap
        .pointer_mut(place)
        .and_then(Value::as_array_mut)
        .with_context(|| format!("it has no list {place}"))
}

fn named<'a>(bootstrap: &'a mut Value, place: &str, name: &str) -> Result<&'a mut Value> {
    let found = list(bootstrap, place)?
        .iter_mut()
        .find(|item| item.get("name").and_then(Value::as_str) == Some(name));
    found.with_context(|| format!("{place} has nothing named {name}"))
}

fn socket(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

/// Host and port of a URL.
#[derive(Debug)]
struct Address {
    host: String,
    port: u16,
    tls: bool,
}

impl Address {
    fn of(url: &str) -> Result<Self> {
        let (scheme, rest) = url
            .split_once("://")
            .with_context(|| format!("{url} is no URL"))?;
        let (tls, usual) = match scheme {
            "http" => (false, 80),
            "https" => (true, 443),
            "redis" => (false, 6379),
            _ => bail!("{url}: a URL of this kind cannot be used here"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme != "redis" && !path.is_empty() {
            bail!("{url}: only scheme, host and port can be given here, not a path");
        }
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse()
                    .with_context(|| format!("{url} has no port that is a number"))?,
            ),
            None => (authority, usual),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
        })
    }

    fn assignment(&self, cluster: &str) -> Value {
        let endpoint = json!({"endpoint": {"address": socket(&self.host, self.port)}});
        json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited_for(upstream: &str) -> Result<Value> {
        edited(&Edits {
            wasm: Path::new("/tmp/filter.wasm"),
            redis_url: "redis://user:secret@127.0.0.1:7000/0",
            providers: &Providers::Elsewhere(upstream.to_owned()),
            filter: &Map::from_iter([("admission_header".to_owned(), json!(true))]),
            governed: true,
            port: 0,
            admin_port: 0,
        })
    }

    #[test]
    fn the_calls_of_every_provider_go_to_the_one_that_was_named() {
        let bootstrap = edited_for("https://llm.example:8443").unwrap();
        let clusters = bootstrap["static_resources"]["clusters"]
            .as_array()
            .unwrap();
        let mut providers = 0;
        for cluster in clusters {
            let address = cluster.pointer(
                "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address",
            );
            match cluster["name"].as_str().unwrap() {
                REDIS => assert_eq!(
                    address.unwrap(),
                    &json!({"address": "127.0.0.1", "port_value": 7000})
                ),
                BRIDGE => assert!(address.is_none()),
                _ => {
                    providers += 1;
                    assert_eq!(
                        address.unwrap(),
                        &json!({"address": "llm.example", "port_value": 8443})
                    );
                    assert_eq!(
                        cluster["transport_socket"]["typed_config"]["sni"],
                        "llm.example"
                    );
                }
            }
        }
        assert!(providers >= 2);
        let text = bootstrap.to_string();
        assert!(!text.contains("\"host_rewrite_literal\":\"api."));
        // Both filters, with the field that was asked for beside the shipped ones.
        assert_eq!(text.matches("\\\"admission_header\\\":true").count(), 2);
        assert_eq!(text.matches("\\\"redis_timeout_ms\\\":200").count(), 2);
        assert_eq!(text.matches("/tmp/filter.wasm").count(), 2);
    }

    #[test]
    fn an_upstream_that_cannot_be_used_is_named() {
        for wrong in [
            "llm.example",
            "ftp://llm.example",
            "http://llm.example/v1",
            "http://llm.example:port",
        ] {
            let error = format!("{:#}", edited_for(wrong).unwrap_err());
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_providers_keys_are_those_of_the_shipped_bootstrap() {
        assert!(
            provider_keys()
                .unwrap()
                .contains(&"OPENAI_API_KEY".to_owned())
        );
    }

    #[test]
    fn docker_composes_envoy_has_the_module_redis_and_every_providers_key_where_the_bootstrap_looks()
     {
        let read = |file: &str| std::fs::read_to_string(setup::root().join(file)).unwrap();
        let compose: Value = serde_saphyr::from_str(&read("docker-compose.yml")).unwrap();
        let services = &compose["services"];
        let environment = services["envoy"]["environment"].as_object().unwrap();
        let mut given: Vec<&String> = environment.keys().collect();
        let mut read_by_envoy = provider_keys().unwrap();
        given.sort();
        read_by_envoy.sort();
        assert_eq!(given, read_by_envoy.iter().collect::<Vec<_>>());
        let shipped = shipped().unwrap().to_string();
        assert!(shipped.contains(r#""filename":"/etc/envoy/tollkeeper.wasm""#));
        assert!(read("Dockerfile").contains("tollkeeper_filter.wasm /etc/envoy/tollkeeper.wasm\n"));
        assert!(shipped.contains(r#""address":"redis""#) && services.get("redis").is_some());
        assert!(shipped.contains(r#""port_value":10000"#));
        assert_eq!(services["envoy"]["ports"], json!(["10000:10000"]));
    }
}

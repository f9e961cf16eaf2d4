//! The price list: the one embedded in the program, or a file in its format or in that of LiteLLM's cost map.

use std::collections::BTreeMap;

use contract::limits::Limits;
use contract::price::{ModelPrice, Rates};
use contract::records::ModelRecord;
use serde::Deserialize;
use serde_json::Value;

use super::{CatalogueError, known, rates};

static EMBEDDED: &[u8] = include_bytes!("../../data/model_prices.json");

/// Modes whose requests are billed by tokens; models of other modes are not served.
const SERVED_MODES: [&str; 4] = ["chat", "completion", "responses", "embedding"];

/// Prices by model name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    models: BTreeMap<String, Priced>,
    /// `provider/upstream` → name, for models whose name is not that.
    full_names: BTreeMap<String, String>,
}

/// One model of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Priced {
    /// The provider, one name for one way of calling it.
    pub(super) provider: String,
    /// The name the provider knows.
    pub(super) upstream: String,
    pub(super) mode: Option<String>,
    pub(super) max_input_tokens: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) price: ModelPrice,
}

#[derive(Deserialize)]
struct OwnFile {
    models: BTreeMap<String, OwnEntry>,
}

#[derive(Deserialize)]
struct OwnEntry {
    provider: String,
    mode: Option<String>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    price: Rates,
    #[serde(default)]
    above_input_tokens: BTreeMap<u64, Rates>,
    #[serde(default)]
    service_tier: BTreeMap<String, Rates>,
}

impl Priced {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.provider, self.upstream)
    }

    /// The record of this model under the name `name`.
    pub(super) fn record(&self, name: &str) -> ModelRecord {
        ModelRecord {
            name: name.to_owned(),
            upstream: self.upstream.clone(),
            provider: self.provider.clone(),
            mode: self.mode.clone(),
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
            price: known(self.price.clone()),
            limits: Limits::default(),
        }
    }
}

impl PriceList {
    /// The list that the program ships with.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::parse(EMBEDDED)
    }

    /// Reads a list: `{"models": {name: {provider, mode, price: {…}}}}` in picodollars, or LiteLLM's cost map in dollars.
    pub fn parse(json: &[u8]) -> Result<Self, CatalogueError> {
        let bad = |error: serde_json::Error| {
            CatalogueError::new(
                "model prices",
                format!("expected a list of model prices: {error}"),
            )
        };
        let value: Value = serde_json::from_slice(json).map_err(bad)?;
        let models = if value
            .get("models")
            .is_some_and(|models| models.get("mode").is_none())
        {
            let file: OwnFile = serde_json::from_value(value).map_err(bad)?;
            file.models
                .into_iter()
                .filter_map(|(name, entry)| own(name, entry))
                .collect()
        } else {
            cost_map(&value)?
        };
        Ok(Self::new(models))
    }

    fn new(models: BTreeMap<String, Priced>) -> Self {
        let full_names = models
            .iter()
            .map(|(name, priced)| (priced.full_name(), name.clone()))
            .filter(|(full, _)| !models.contains_key(full))
            .collect();
        Self { models, full_names }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Priced)> {
        self.models
            .iter()
            .map(|(name, priced)| (name.as_str(), priced))
    }

    /// Every text that names a model: its name, and `provider/upstream`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models
            .keys()
            .chain(self.full_names.keys())
            .map(String::as_str)
    }

    /// The model that a text of [`PriceList::names`] names.
    pub(super) fn get(&self, name: &str) -> Option<&Priced> {
        self.models
            .get(name)
            .or_else(|| self.models.get(self.full_names.get(name)?))
    }
}

fn own(name: String, entry: OwnEntry) -> Option<(String, Priced)> {
    let price = ModelPrice {
        base: entry.price,
        above_input_tokens: entry.above_input_tokens,
        service_tier: entry.service_tier,
    };
    let limits = (entry.max_input_tokens, entry.max_output_tokens);
    priced(name, &entry.provider, entry.mode, limits, price)
}

fn cost_map(value: &Value) -> Result<BTreeMap<String, Priced>, CatalogueError> {
    let entries = value
        .as_object()
        .ok_or_else(|| CatalogueError::new("model prices", "expected an object of models"))?;
    let mut models = BTreeMap::new();
    for (name, entry) in entries {
        // LiteLLM's map documents itself in an entry of this name.
        let (Some(fields), false) = (entry.as_object(), name == "sample_spec") else {
            continue;
        };
        let text = |field: &str| fields.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| fields.get(field).and_then(Value::as_u64);
        let mut price = ModelPrice::default();
        rates::read(fields, &format!("model prices.{name}"), &mut price)?;
        let provider = text("litellm_provider").unwrap_or_default();
        let most_output = number("max_output_tokens").or_else(|| number("max_tokens"));
        let limits = (number("max_input_tokens"), most_output);
        models.extend(priced(name.clone(), &provider, text("mode"), limits, price));
    }
    Ok(models)
}

fn priced(
    name: String,
    provider: &str,
    mode: Option<String>,
    (max_input_tokens, max_output_tokens): (Option<u64>, Option<u64>),
    price: ModelPrice,
) -> Option<(String, Priced)> {
    if !mode
        .as_deref()
        .is_some_and(|mode| SERVED_MODES.contains(&mode))
    {
        return None;
    }
    let provider = provider_name(provider).to_owned();
    let upstream = upstream_name(&name, &provider).to_owned();
    Some((
        name,
        Priced {
            provider,
            upstream,
            mode,
            max_input_tokens,
            max_output_tokens,
            price,
        },
    ))
}

/// LiteLLM's list splits some providers by the kind of model; Envoy's routes know each provider once.
pub(super) fn provider_name(listed: &str) -> &str {
    let listed = listed.strip_prefix("text-completion-").unwrap_or(listed);
    match listed {
        "azure_text" => "azure",
        "cohere_chat" => "cohere",
        "bedrock_converse" => "bedrock",
        _ if listed.starts_with("vertex_ai-") => "vertex_ai",
        _ if listed.starts_with("fireworks_ai-") => "fireworks_ai",
        _ => listed,
    }
}

fn upstream_name<'a>(name: &'a str, provider: &str) -> &'a str {
    match name.split_once('/') {
        Some((prefix, rest)) if provider_name(&prefix.replace('-', "_")) == provider => rest,
        Some((prefix, rest)) if prefix == provider => rest,
        _ => name,
    }
}

//! Which models are served, under which names, and what they cost.
//!
//! Decides: the names clients may use, the provider and upstream name behind each, its price. Leaves to others: who may call them (the
//! filter, from the key's record) and their way into Redis (`publish`).
//!
//! Without a `model_list` every model of the price list that is billed by tokens is served, under its own name and as `provider/name`.
//! With one, exactly its names are. A mistake in the list fails the start-up with the path and what was expected; nothing is guessed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contract::price::ModelPrice;
use contract::records::{ModelRecord, ProxySettings};
use serde_json::Value;
use sha2::{Digest, Sha256};

mod model_list;
mod prices;
mod rates;

pub use prices::PriceList;

/// Everything the filter needs to know about models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The served models, by name.
    pub models: Vec<ModelRecord>,
    /// Proxy-wide settings with the model names and access groups filled in.
    pub settings: ProxySettings,
    /// What the start-up log should say about the list.
    pub warnings: Vec<String>,
}

/// Why there is no catalogue: the place in the file, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    /// Where, such as `model_list[2].litellm_params.model`.
    pub path: String,
    /// What was expected, and what was found.
    pub expected: String,
}

impl std::fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.expected)
    }
}

impl std::error::Error for CatalogueError {}

impl CatalogueError {
    fn new(path: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            expected: expected.into(),
        }
    }
}

impl Catalogue {
    /// The models of `model_list` (`config.yaml`'s, as it is), or all that `prices` knows. `settings` gives the proxy-wide flags.
    pub fn build(
        prices: &PriceList,
        model_list: Option<&[Value]>,
        settings: ProxySettings,
    ) -> Result<Self, CatalogueError> {
        let mut catalogue = Self {
            settings,
            ..Self::default()
        };
        let served = match model_list {
            Some(list) => model_list::served(prices, list, &mut catalogue)?,
            None => everything(prices, &mut catalogue.settings),
        };
        catalogue.models = served.into_values().collect();
        Ok(catalogue)
    }

    /// SHA-256 of models and settings, hexadecimal: the same where the content is.
    pub fn digest(&self) -> String {
        let content = serde_json::to_vec(&(&self.models, &self.settings)).unwrap_or_default();
        let digest = Sha256::digest(&content);
        digest
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }
}

fn everything(prices: &PriceList, settings: &mut ProxySettings) -> BTreeMap<String, ModelRecord> {
    let mut served = BTreeMap::new();
    for (name, priced) in prices.iter() {
        served.insert(name.to_owned(), priced.record(name));
    }
    settings.models = served.keys().cloned().collect();
    for (_, priced) in prices.iter() {
        let name = priced.full_name();
        served
            .entry(name.clone())
            .or_insert_with(|| priced.record(&name));
    }
    served
}

/// A price that says something, or `None`: unknown is not free.
fn known(price: ModelPrice) -> Option<ModelPrice> {
    price.is_known().then_some(price)
}

#[cfg(test)]
mod tests;

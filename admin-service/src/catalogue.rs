//! Which models are served, under which names, and what they cost.
//!
//! Decides: the names clients may use, the provider and upstream name behind each, its price. Leaves to others: who may call them (the
//! filter, from the key's record) and their way into Redis (`publish`).
//!
//! Without a `model_list` every model of the price list that is billed by tokens is served, under its own name and as `provider/name`.
//! With one, exactly its names are. A mistake in the list fails the start-up with the path and what was expected; nothing is guessed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use contract::price::ModelPrice;
use contract::records::{ModelRecord, ProxySettings};
use serde_json::Value;
use sha2::{Digest, Sha256};

mod model_list;
mod overlay;
mod prices;
mod rates;

pub use overlay::Alias;
pub use prices::PriceList;
pub use rates::print as price_fields;

/// Everything the filter needs to know about models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The served models, by name.
    pub models: Vec<ModelRecord>,
    /// Proxy-wide settings with the model names and access groups filled in.
    pub settings: ProxySettings,
    /// Further names, each with the record of the model that it leads to.
    pub aliases: BTreeMap<String, ModelRecord>,
    /// What the start-up log should say about the list.
    pub warnings: Vec<String>,
    /// `model_list`; none: everything of the price list is served.
    pub list: Option<Vec<Value>>,
    /// Aliases that are wanted, whether or not their models are there.
    wanted: Vec<Alias>,
    prices: Arc<PriceList>,
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
            list: model_list.map(<[Value]>::to_vec),
            prices: Arc::new(prices.clone()),
            ..Self::default()
        };
        let served = match model_list {
            Some(list) => model_list::served(prices, list, &mut catalogue)?,
            None => everything(prices, &mut catalogue.settings),
        };
        catalogue.models = served.into_values().collect();
        Ok(catalogue)
    }

    /// The same with further names for its models.
    #[must_use]
    pub fn with_aliases(mut self, wanted: Vec<Alias>) -> Self {
        self.wanted = wanted;
        self
    }

    /// The served model that a client's `name` leads to.
    pub fn find(&self, name: &str) -> Option<&ModelRecord> {
        let own = self
            .models
            .binary_search_by(|model| model.name.as_str().cmp(name));
        own.ok()
            .and_then(|at| self.models.get(at))
            .or_else(|| self.aliases.get(name))
    }

    /// SHA-256 of models and settings, hexadecimal: the same where the content is.
    pub fn digest(&self) -> String {
        let content =
            serde_json::to_vec(&(&self.models, &self.aliases, &self.settings)).unwrap_or_default();
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

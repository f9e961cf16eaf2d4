//! `config.yaml`'s `model_list`: public name → deployment.
//!
//! One name leads to one deployment; where the list gives several, the first serves and the others are named in a warning. A name with a
//! `*` stands for every model of the price list that its `litellm_params.model` pattern matches.

use std::collections::BTreeMap;

use contract::id::TeamId;
use contract::records::ModelRecord;
use serde_json::{Map, Value};

use super::prices::{PriceList, Priced, provider_name};
use super::{Catalogue, CatalogueError, known, overlay, rates};

/// One entry, checked.
struct Deployment<'a> {
    path: String,
    name: &'a str,
    /// `litellm_params.model`.
    model: &'a str,
    params: &'a Map<String, Value>,
    info: Option<&'a Map<String, Value>>,
}

pub(super) fn served(
    prices: &PriceList,
    list: &[Value],
    catalogue: &mut Catalogue,
) -> Result<BTreeMap<String, ModelRecord>, CatalogueError> {
    let mut served: BTreeMap<String, ModelRecord> = BTreeMap::new();
    for (at, listed) in list.iter().enumerate() {
        let deployment = Deployment::read(format!("model_list[{at}]"), listed)?;
        for (name, model) in deployment.expand(prices)? {
            if served.contains_key(&name) {
                // A wildcard never replaces what an entry before it named.
                if !deployment.name.contains('*') {
                    catalogue.warnings.push(format!(
                        "{}: the model name {name} is already served; this deployment is not used",
                        deployment.path
                    ));
                }
                continue;
            }
            let record = deployment.record(prices, &name, &model)?;
            if record.price.is_none() {
                catalogue.warnings.push(format!(
                    "{}: the price of {name} is not known; keys with a budget cannot call it",
                    deployment.path
                ));
            }
            for group in deployment.access_groups()? {
                catalogue
                    .settings
                    .access_groups
                    .entry(group)
                    .or_default()
                    .push(name.clone());
            }
            if let Some(team) = deployment.team() {
                let own = &mut catalogue.settings.team_models;
                own.insert(name.clone(), team);
            }
            catalogue.settings.models.push(name.clone());
            served.insert(name, record);
        }
    }
    Ok(served)
}

/// A model that one entry serves.
pub(super) struct Served {
    pub(super) record: ModelRecord,
    /// The access groups that the entry names.
    pub(super) groups: Vec<String>,
    /// The team whose own it is.
    pub(super) team: Option<TeamId>,
}

/// The models that one entry serves; several where its name has a `*`.
pub(super) fn entry(
    prices: &PriceList,
    path: String,
    entry: &Value,
) -> Result<Vec<Served>, CatalogueError> {
    let deployment = Deployment::read(path, entry)?;
    let groups = deployment.access_groups()?;
    let names = deployment.expand(prices)?.into_iter();
    names
        .map(|(name, model)| {
            Ok(Served {
                record: deployment.record(prices, &name, &model)?,
                groups: groups.clone(),
                team: deployment.team(),
            })
        })
        .collect()
}

impl<'a> Deployment<'a> {
    fn read(path: String, entry: &'a Value) -> Result<Self, CatalogueError> {
        let text = |value: Option<&'a Value>, field: &str| {
            value
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| {
                    CatalogueError::new(format!("{path}.{field}"), "expected a name, found none")
                })
        };
        let name = text(entry.get("model_name"), "model_name")?;
        let params = entry
            .get("litellm_params")
            .and_then(Value::as_object)
            .ok_or_else(|| {
                CatalogueError::new(
                    format!("{path}.litellm_params"),
                    "expected a mapping with `model`",
                )
            })?;
        let model = text(params.get("model"), "litellm_params.model")?;
        let info = entry.get("model_info").and_then(Value::as_object);
        Ok(Self {
            path,
            name,
            model,
            params,
            info,
        })
    }

    /// Public names and the models behind them; one, unless the name has a `*`.
    fn expand(&self, prices: &PriceList) -> Result<Vec<(String, String)>, CatalogueError> {
        let Some((before, after)) = self.name.split_once('*') else {
            return Ok(vec![(self.name.to_owned(), self.model.to_owned())]);
        };
        let Some((model_before, model_after)) = self.model.split_once('*') else {
            return Err(CatalogueError::new(
                format!("{}.litellm_params.model", self.path),
                format!("expected a `*`, as model_name `{}` has one", self.name),
            ));
        };
        let names = prices.names().filter_map(|model| {
            let matched = model
                .strip_prefix(model_before)?
                .strip_suffix(model_after)?;
            Some((format!("{before}{matched}{after}"), model.to_owned()))
        });
        Ok(names.collect())
    }

    fn record(
        &self,
        prices: &PriceList,
        name: &str,
        model: &str,
    ) -> Result<ModelRecord, CatalogueError> {
        let param = |field: &str| self.params.get(field).and_then(Value::as_str);
        let listed = prices.get(model);
        let (provider, upstream) = match (
            param("custom_llm_provider"),
            listed,
            model.split_once('/'),
        ) {
            (Some(provider), _, Some((prefix, rest))) if prefix == provider => (provider, rest),
            (Some(provider), _, _) => (provider, model),
            (None, Some(found), _) => (found.provider.as_str(), found.upstream.as_str()),
            (None, None, Some((provider, rest))) => (provider, rest),
            (None, None, None) => {
                return Err(CatalogueError::new(
                    format!("{}.litellm_params.model", self.path),
                    format!(
                        "expected `provider/model` or a model of the price list, found `{model}`"
                    ),
                ));
            }
        };
        let base = self
            .info_field("base_model")
            .or(self.params.get("base_model"));
        let found = match base.and_then(Value::as_str) {
            Some(base) => Some(prices.get(base).ok_or_else(|| {
                CatalogueError::new(
                    format!("{}.model_info.base_model", self.path),
                    format!("expected a model of the price list, found `{base}`"),
                )
            })?),
            None => listed.or_else(|| prices.get(upstream)),
        };
        let text = |field: &str| {
            self.info_field(field)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let number = |field: &str| self.info_field(field).and_then(Value::as_u64);
        let provider = provider_name(provider).to_owned();
        Ok(ModelRecord {
            name: name.to_owned(),
            upstream: upstream.to_owned(),
            provider,
            mode: text("mode").or_else(|| found?.mode.clone()),
            max_input_tokens: number("max_input_tokens").or_else(|| found?.max_input_tokens),
            max_output_tokens: number("max_output_tokens")
                .or_else(|| number("max_tokens"))
                .or_else(|| found?.max_output_tokens),
            price: known(self.price(found)?),
            limits: overlay::limits_of(self.params),
        })
    }

    /// The listed price, with the rates that the entry states in their places. An entry that states any rate has a price of its own:
    /// thresholds and tiers of the list, which are multiples of another rate, no longer hold.
    fn price(&self, found: Option<&Priced>) -> Result<contract::price::ModelPrice, CatalogueError> {
        let listed = found.map(|found| found.price.clone()).unwrap_or_default();
        let mut stated = contract::price::ModelPrice {
            base: listed.base,
            ..Default::default()
        };
        let empty = Map::new();
        let info = self.info.unwrap_or(&empty);
        let by_info = rates::read(info, &format!("{}.model_info", self.path), &mut stated)?;
        let params_path = format!("{}.litellm_params", self.path);
        let by_params = rates::read(self.params, &params_path, &mut stated)?;
        Ok(if by_info || by_params { stated } else { listed })
    }

    fn info_field(&self, field: &str) -> Option<&'a Value> {
        self.info?.get(field).filter(|value| !value.is_null())
    }

    fn team(&self) -> Option<TeamId> {
        let id = self.info_field("team_id")?.as_str()?;
        Some(TeamId::new(id)).filter(|_| !id.is_empty())
    }

    fn access_groups(&self) -> Result<Vec<String>, CatalogueError> {
        let Some(value) = self.info_field("access_groups") else {
            return Ok(Vec::new());
        };
        serde_json::from_value(value.clone()).map_err(|_| {
            CatalogueError::new(
                format!("{}.model_info.access_groups", self.path),
                "expected a list of group names",
            )
        })
    }
}

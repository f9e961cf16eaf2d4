//! The catalogue of the file with what the database adds: models, access groups, tags, and limits for all.
//!
//! A model of the database replaces the file's of the same name. Failure stance: a row that is no model any more (its price list changed) is
//! logged and left out; it takes no other with it.

use std::collections::{BTreeMap, BTreeSet};

use contract::limits::{Budget, Limits};
use contract::records::ModelRecord;
use serde_json::Value;

use super::{Catalogue, CatalogueError, model_list};
use crate::domain::budget_window::BudgetDuration;
use crate::settings::Settings;
use crate::store::budgets::BudgetRow;
use crate::store::catalogue_rows::CatalogueRows;

/// Another name of a model: `router_settings.model_group_alias`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name that clients may use.
    pub name: String,
    /// The model it leads to.
    pub model: String,
    /// Whether lists leave it out.
    pub hidden: bool,
}

impl Catalogue {
    /// What is served and published at `now_us`.
    #[must_use]
    pub fn with(&self, rows: &CatalogueRows, settings: &Settings, now_us: u64) -> Self {
        let mut all = self.clone();
        settings.apply_to(&mut all.settings);
        all.add_models(rows);
        for group in &rows.groups {
            for name in [&group.name, &group.access_group_id] {
                let models = all.settings.access_groups.entry(name.clone()).or_default();
                let more = group.models.iter().filter(|model| !models.contains(model));
                let more: Vec<String> = more.cloned().collect();
                models.extend(more);
            }
        }
        all.add_aliases();
        let limits = |row: &BudgetRow| row.all_limits(now_us, &settings.windows);
        for tag in &rows.tags {
            let budget = tag.budget_id.as_ref().and_then(|id| rows.budgets.get(id));
            let limits = budget.map(limits).unwrap_or_default();
            all.settings.tags.insert(tag.name.clone(), limits);
        }
        let default = &settings.customer_default;
        let row = default
            .budget_id
            .as_ref()
            .and_then(|id| rows.budgets.get(id));
        all.settings.customer_default = row.map_or_else(|| default.limits(), limits);
        all.settings.budget = proxy_budget(settings, now_us);
        all
    }

    /// Whether an entry of a `model_list` can be served; the names that it serves.
    pub fn check(&self, entry: &Value) -> Result<Vec<String>, CatalogueError> {
        let served = model_list::entry(&self.prices, "model".to_owned(), entry)?;
        Ok(served
            .into_iter()
            .map(|served| served.record.name)
            .collect())
    }

    /// What an entry of a `model_list` serves.
    pub fn served_by(&self, entry: &Value) -> Vec<ModelRecord> {
        let served = model_list::entry(&self.prices, "model".to_owned(), entry);
        let served = served.unwrap_or_default().into_iter();
        served.map(|served| served.record).collect()
    }

    fn add_models(&mut self, rows: &CatalogueRows) {
        if rows.models.is_empty() {
            return;
        }
        let models = std::mem::take(&mut self.models).into_iter();
        let mut served: BTreeMap<String, ModelRecord> =
            models.map(|record| (record.name.clone(), record)).collect();
        let mut listed: BTreeSet<String> = self.settings.models.iter().cloned().collect();
        let mut own = BTreeSet::new();
        for row in rows.models.iter().filter(|row| !row.blocked) {
            let path = format!("model {}", row.model_id);
            let entry = match model_list::entry(&self.prices, path, &row.entry()) {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::error!(%error, "a model of the database cannot be served");
                    continue;
                }
            };
            for model in entry {
                let name = model.record.name.clone();
                if !own.insert(name.clone()) {
                    continue;
                }
                if listed.insert(name.clone()) {
                    self.settings.models.push(name.clone());
                }
                for group in model.groups {
                    let members = self.settings.access_groups.entry(group).or_default();
                    if !members.contains(&name) {
                        members.push(name.clone());
                    }
                }
                let own = &mut self.settings.team_models;
                match model.team {
                    Some(team) => own.insert(name.clone(), team),
                    None => own.remove(&name),
                };
                served.insert(name, model.record);
            }
        }
        self.models = served.into_values().collect();
    }

    fn add_aliases(&mut self) {
        let wanted = std::mem::take(&mut self.wanted);
        for alias in &wanted {
            let taken = self.models.iter().any(|model| model.name == alias.name);
            let target = self.models.iter().find(|model| model.name == alias.model);
            let Some(target) = target.filter(|_| !taken) else {
                continue;
            };
            self.aliases.insert(alias.name.clone(), target.clone());
            if let Some(team) = self.settings.team_models.get(&alias.model).cloned() {
                self.settings.team_models.insert(alias.name.clone(), team);
            }
            if !alias.hidden && !self.settings.models.contains(&alias.name) {
                self.settings.models.push(alias.name.clone());
            }
        }
        self.wanted = wanted;
    }
}

/// What everybody together may spend. Its window is counted from the beginning of 1970, so that every service and every start agree.
fn proxy_budget(settings: &Settings, now_us: u64) -> Option<Budget> {
    let budget = &settings.proxy_budget;
    let duration = budget.duration.as_deref().and_then(BudgetDuration::parse);
    let window = duration.map(|duration| duration.window(0, now_us, &settings.windows));
    budget.max.map(|max| Budget {
        max,
        window: window.unwrap_or_default(),
    })
}

/// Limits that a model's entry gives to all its requests: `rpm`, `tpm`, `max_parallel_requests` of its parameters.
pub(super) fn limits_of(params: &serde_json::Map<String, Value>) -> Limits {
    let number = |name: &str| {
        let value = params.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let small = |name: &str| number(name).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    Limits {
        rpm: small("rpm"),
        tpm: number("tpm"),
        parallel: small("max_parallel_requests"),
        ..Limits::default()
    }
}

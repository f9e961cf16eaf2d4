//! Sums as LiteLLM shows them: by day, and within a day by model, provider, key …

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sqlx::AnyConnection;

use crate::error::ApiError;
use crate::routes::shape::nano_dollars;
use crate::store::reports::{DailyRow, KeyName, entity_names, key_names};
use crate::store::spend::{DailySums, Dimension};

/// The sums of several days.
#[derive(Clone, Debug, Default)]
pub(super) struct Breakdown {
    days: BTreeMap<String, Day>,
}

#[derive(Clone, Debug, Default)]
struct Day {
    all: DailySums,
    models: BTreeMap<String, Part>,
    model_groups: BTreeMap<String, Part>,
    providers: BTreeMap<String, Part>,
    endpoints: BTreeMap<String, Part>,
    entities: BTreeMap<String, Part>,
    keys: BTreeMap<String, DailySums>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    sums: DailySums,
    keys: BTreeMap<String, DailySums>,
}

/// What keys and entities are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    keys: BTreeMap<String, KeyName>,
    entities: BTreeMap<String, String>,
    /// What an entity's name is called.
    label: &'static str,
}

impl Breakdown {
    /// Counts a row by key everywhere.
    pub(super) fn row(&mut self, row: &DailyRow, with_entities: bool) {
        let key = &row.key;
        let names = [
            &key.date,
            &key.model,
            &key.model_group,
            &key.provider,
            &key.endpoint,
        ];
        self.models(&names.map(Clone::clone), &row.sums);
        if with_entities {
            self.entity(&[key.date.clone(), key.entity.clone()], &row.sums);
        }
        self.key(row, with_entities);
    }

    /// Counts a sum by date, model, model group, provider and endpoint.
    pub(super) fn models(&mut self, names: &[String], sums: &DailySums) {
        let [date, model, group, provider, endpoint] = names else {
            return;
        };
        let day = self.days.entry(date.clone()).or_default();
        day.all.add(sums);
        for (parts, name) in [
            (&mut day.models, model),
            (&mut day.model_groups, group),
            (&mut day.providers, provider),
            (&mut day.endpoints, endpoint),
        ] {
            parts.entry(name.clone()).or_default().sums.add(sums);
        }
    }

    /// Counts a sum by date and entity, in the entity alone.
    pub(super) fn entity(&mut self, names: &[String], sums: &DailySums) {
        let [date, entity] = names else { return };
        let day = self.days.entry(date.clone()).or_default();
        let entity = day.entities.entry(entity.clone()).or_default();
        entity.sums.add(sums);
    }

    /// Counts a row in its key alone, and in the keys of its model …
    pub(super) fn key(&mut self, row: &DailyRow, with_entities: bool) {
        let key = &row.key;
        let day = self.days.entry(key.date.clone()).or_default();
        day.keys
            .entry(key.api_key.clone())
            .or_default()
            .add(&row.sums);
        let mut parts = vec![
            (&mut day.models, &key.model),
            (&mut day.model_groups, &key.model_group),
            (&mut day.providers, &key.provider),
            (&mut day.endpoints, &key.endpoint),
        ];
        if with_entities {
            parts.push((&mut day.entities, &key.entity));
        }
        for (parts, name) in parts {
            let part = parts.entry(name.clone()).or_default();
            part.keys
                .entry(key.api_key.clone())
                .or_default()
                .add(&row.sums);
        }
    }

    /// The days, the newest first.
    pub(super) fn results(&self, names: &Names) -> Value {
        let day = |(date, day): (&String, &Day)| {
            json!({
                "date": date,
                "metrics": metrics(&day.all),
                "breakdown": {
                    "mcp_servers": {},
                    "models": parts(&day.models, names, |_| json!({})),
                    "model_groups": parts(&day.model_groups, names, |_| json!({})),
                    "providers": parts(&day.providers, names, |_| json!({})),
                    "endpoints": parts(&day.endpoints, names, |_| json!({})),
                    "api_keys": keys(&day.keys, names),
                    "entities": parts(&day.entities, names, |id| names.entity(id)),
                    "guardrails": {},
                },
            })
        };
        self.days.iter().rev().map(day).collect()
    }

    /// The sums of all days.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        let mut all = DailySums::default();
        for day in self.days.values() {
            all.add(&day.all);
        }
        let Value::Object(metrics) = metrics(&all) else {
            return Map::new();
        };
        metrics
            .into_iter()
            .map(|(name, value)| {
                let prefixed = !name.starts_with("total_");
                (
                    if prefixed {
                        format!("total_{name}")
                    } else {
                        name
                    },
                    value,
                )
            })
            .collect()
    }
}

impl Names {
    /// Reads the names of every key and entity in it.
    pub(super) async fn read(
        connection: &mut AnyConnection,
        breakdown: &Breakdown,
        dimension: Dimension,
    ) -> Result<Self, ApiError> {
        let days = || breakdown.days.values();
        let tokens = days()
            .flat_map(|day| day.keys.keys())
            .collect::<BTreeSet<_>>();
        let entities = days()
            .flat_map(|day| day.entities.keys())
            .collect::<BTreeSet<_>>();
        let owned = |names: BTreeSet<&String>| names.into_iter().cloned().collect::<Vec<_>>();
        Ok(Self {
            keys: key_names(connection, &owned(tokens)).await?,
            entities: entity_names(connection, dimension, &owned(entities)).await?,
            label: match dimension {
                Dimension::Team => "team_alias",
                Dimension::Organization => "organization_alias",
                Dimension::User | Dimension::EndUser | Dimension::Tag => "alias",
            },
        })
    }

    fn entity(&self, id: &str) -> Value {
        match self.entities.get(id) {
            Some(alias) => json!({ self.label: alias }),
            None => json!({}),
        }
    }
}

fn parts(parts: &BTreeMap<String, Part>, names: &Names, metadata: impl Fn(&str) -> Value) -> Value {
    let part = |(name, part): (&String, &Part)| {
        let shown = json!({
            "metrics": metrics(&part.sums),
            "metadata": metadata(name),
            "api_key_breakdown": keys(&part.keys, names),
        });
        (name.clone(), shown)
    };
    Value::Object(parts.iter().map(part).collect())
}

fn keys(keys: &BTreeMap<String, DailySums>, names: &Names) -> Value {
    let key = |(token, sums): (&String, &DailySums)| {
        let name = names.keys.get(token);
        let shown = json!({
            "metrics": metrics(sums),
            "metadata": {
                "key_alias": name.and_then(|name| name.alias.clone()),
                "team_id": name.and_then(|name| name.team_id.clone()),
            },
        });
        (token.clone(), shown)
    };
    Value::Object(keys.iter().map(key).collect())
}

/// A sum under LiteLLM's names. What this product has no use for is zero.
pub(in crate::routes) fn metrics(sums: &DailySums) -> Value {
    json!({
        "spend": nano_dollars(sums.spend),
        "flat_cost": 0.0,
        "ptu_hours": 0.0,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cache_read_input_tokens": sums.cache_read,
        "cache_creation_input_tokens": sums.cache_creation,
        "compression_saved_tokens": 0,
        "compression_savings_spend": 0.0,
        "prompt_caching_savings_spend": 0.0,
        "gateway_injected_caching_savings_spend": 0.0,
        "autorouter_savings_spend": 0.0,
        "total_tokens": sums.prompt_tokens + sums.completion_tokens,
        "successful_requests": sums.successful_requests,
        "failed_requests": sums.failed_requests,
        "api_requests": sums.api_requests,
        "total_response_time_ms": sums.total_response_time_ms,
        "timed_requests": sums.timed_requests,
    })
}

//! Sums as LiteLLM shows them: by day, and within a day by model, provider, key …

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
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

    /// The sums of all days.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        let mut all = DailySums::default();
        for day in self.days.values() {
            all.add(&day.all);
        }
        let Ok(Value::Object(metrics)) = serde_json::to_value(Metrics(&all)) else {
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
}

/// A breakdown as it is answered: written without being made a [`Value`] first, because a hundred keys on ninety days are thousands of sums.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) breakdown: &'a Breakdown,
    pub(super) names: &'a Names,
    pub(super) metadata: Map<String, Value>,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        // The newest first.
        let days = Each(|| {
            let days = self.breakdown.days.iter().rev();
            days.map(|(date, day)| OneDay(date, day, self.names))
        });
        answer.serialize_entry("results", &days)?;
        answer.serialize_entry("metadata", &self.metadata)?;
        answer.end()
    }
}

/// A list that is made while it is written.
struct Each<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

struct OneDay<'a>(&'a str, &'a Day, &'a Names);

impl Serialize for OneDay<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(date, day, names) = self;
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("date", date)?;
        shown.serialize_entry("metrics", &Metrics(&day.all))?;
        shown.serialize_entry("breakdown", &OfDay(day, names))?;
        shown.end()
    }
}

struct OfDay<'a>(&'a Day, &'a Names);

impl Serialize for OfDay<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(day, names) = self;
        let nothing = BTreeMap::<&str, &str>::new();
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("mcp_servers", &nothing)?;
        for (name, parts) in [
            ("models", &day.models),
            ("model_groups", &day.model_groups),
            ("providers", &day.providers),
            ("endpoints", &day.endpoints),
        ] {
            shown.serialize_entry(name, &Parts(parts, names, false))?;
        }
        shown.serialize_entry("api_keys", &Keys(&day.keys, names))?;
        shown.serialize_entry("entities", &Parts(&day.entities, names, true))?;
        shown.serialize_entry("guardrails", &nothing)?;
        shown.end()
    }
}

/// Parts of a day; entities have names.
struct Parts<'a>(&'a BTreeMap<String, Part>, &'a Names, bool);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(parts, names, entities) = self;
        serializer.collect_map(parts.iter().map(|(name, part)| {
            let alias = entities.then(|| names.entities.get(name)).flatten();
            (name, OnePart(part, names, alias))
        }))
    }
}

struct OnePart<'a>(&'a Part, &'a Names, Option<&'a String>);

impl Serialize for OnePart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(part, names, alias) = self;
        let metadata: BTreeMap<_, _> = alias
            .map(|alias| (names.label, alias))
            .into_iter()
            .collect();
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("metrics", &Metrics(&part.sums))?;
        shown.serialize_entry("metadata", &metadata)?;
        shown.serialize_entry("api_key_breakdown", &Keys(&part.keys, names))?;
        shown.end()
    }
}

struct Keys<'a>(&'a BTreeMap<String, DailySums>, &'a Names);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(keys, names) = self;
        let key = |(token, sums)| (token, OneKey(sums, names.keys.get(token)));
        serializer.collect_map(keys.iter().map(key))
    }
}

struct OneKey<'a>(&'a DailySums, Option<&'a KeyName>);

impl Serialize for OneKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(sums, name) = self;
        let metadata = BTreeMap::from([
            ("key_alias", name.and_then(|name| name.alias.as_ref())),
            ("team_id", name.and_then(|name| name.team_id.as_ref())),
        ]);
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("metrics", &Metrics(sums))?;
        shown.serialize_entry("metadata", &metadata)?;
        shown.end()
    }
}

/// A sum under LiteLLM's names. What this product has no use for is zero.
pub(in crate::routes) struct Metrics<'a>(pub(in crate::routes) &'a DailySums);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(sums) = self;
        let mut shown = serializer.serialize_map(None)?;
        shown.serialize_entry("spend", &nano_dollars(sums.spend))?;
        for unused in ["flat_cost", "ptu_hours"] {
            shown.serialize_entry(unused, &0.0)?;
        }
        for (name, count) in [
            ("prompt_tokens", sums.prompt_tokens),
            ("completion_tokens", sums.completion_tokens),
            ("cache_read_input_tokens", sums.cache_read),
            ("cache_creation_input_tokens", sums.cache_creation),
            ("compression_saved_tokens", 0),
        ] {
            shown.serialize_entry(name, &count)?;
        }
        for unused in [
            "compression_savings_spend",
            "prompt_caching_savings_spend",
            "gateway_injected_caching_savings_spend",
            "autorouter_savings_spend",
        ] {
            shown.serialize_entry(unused, &0.0)?;
        }
        for (name, count) in [
            ("total_tokens", sums.prompt_tokens + sums.completion_tokens),
            ("successful_requests", sums.successful_requests),
            ("failed_requests", sums.failed_requests),
            ("api_requests", sums.api_requests),
            ("total_response_time_ms", sums.total_response_time_ms),
            ("timed_requests", sums.timed_requests),
        ] {
            shown.serialize_entry(name, &count)?;
        }
        shown.end()
    }
}

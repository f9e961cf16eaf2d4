//! A mapping of the file, read key by key: what is left over at the end is unknown.

use contract::money::NanoUsd;
use serde_json::{Map, Value};

use super::{ConfigError, Environment};
use crate::domain::budget_window::BudgetDuration;

/// One mapping of the file.
pub(crate) struct Section<'a> {
    path: String,
    map: Map<String, Value>,
    environment: &'a Environment,
}

impl<'a> Section<'a> {
    /// The mapping at `path`; `null` and absent are empty.
    pub(crate) fn new(
        path: impl Into<String>,
        value: Option<Value>,
        environment: &'a Environment,
    ) -> Result<Self, ConfigError> {
        let path = path.into();
        let map = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(expected(&path, "a mapping", &other)),
        };
        Ok(Self {
            path,
            map,
            environment,
        })
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A value as it is, `os.environ/…` resolved; `null` is absent.
    pub(crate) fn take(&mut self, key: &str) -> Result<Option<Value>, ConfigError> {
        let Some(value) = self.map.remove(key) else {
            return Ok(None);
        };
        let value = self.environment.resolve(&value)?;
        Ok(Some(value).filter(|value| !value.is_null()))
    }

    /// The whole mapping with every reference to the environment resolved, in what it holds too.
    pub(crate) fn resolved(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut map = Map::new();
        for (key, value) in &self.map {
            map.insert(key.clone(), self.environment.resolve_all(value)?);
        }
        Ok(map)
    }

    pub(crate) fn section(&mut self, key: &str) -> Result<Section<'a>, ConfigError> {
        let value = self.take(key)?;
        Section::new(self.path(key), value, self.environment)
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.read(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        })
    }

    pub(crate) fn whole(
        &mut self,
        key: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, ConfigError> {
        let what = format!("a whole number from {least} to {most}");
        self.read(key, &what, |value| {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            (least..=most).contains(&number).then_some(number)
        })
    }

    pub(crate) fn money(&mut self, key: &str) -> Result<Option<NanoUsd>, ConfigError> {
        self.read(key, "an amount of US dollars from 0 to 9000000", |value| {
            NanoUsd::parse(value.as_str().unwrap_or(&value.to_string())).ok()
        })
    }

    pub(crate) fn budget_duration(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        self.read(
            key,
            "a budget duration such as 1h, 24h, 7d, 30d or 1mo",
            |value| {
                let text = value.as_str()?;
                BudgetDuration::parse(text).map(|_| text.to_owned())
            },
        )
    }

    pub(crate) fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        self.read(key, "a list of texts", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
    }

    pub(crate) fn one_of(
        &mut self,
        key: &str,
        options: &[&str],
    ) -> Result<Option<String>, ConfigError> {
        let what = format!("one of {}", options.join(", "));
        self.read(key, &what, |value| {
            value
                .as_str()
                .filter(|text| options.contains(text))
                .map(str::to_owned)
        })
    }

    pub(crate) fn read<T>(
        &mut self,
        key: &str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let path = self.path(key);
        match self.take(key)? {
            None => Ok(None),
            Some(value) => read(&value)
                .map(Some)
                .ok_or_else(|| expected(&path, what, &value)),
        }
    }

    /// Names the keys that nobody took, all of which are known to somebody else.
    pub(super) fn without_effect(self, warnings: &mut Vec<String>) {
        let known: Vec<&str> = self.map.keys().map(String::as_str).collect();
        for key in known {
            warnings.push(format!("{} is known and has no effect", self.path(key)));
        }
    }

    /// Whether there is nothing (left) in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Names the keys that nobody took.
    pub(crate) fn finish(self, known: &[&str], warnings: &mut Vec<String>) {
        for key in self.map.keys() {
            let path = self.path(key);
            warnings.push(if known.contains(&key.as_str()) {
                format!("{path} is known and has no effect")
            } else {
                format!("{path} is unknown and ignored")
            });
        }
    }
}

fn expected(path: &str, what: &str, found: &Value) -> ConfigError {
    // What was found may be a secret in the wrong place: only its type is told.
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    ConfigError::new(path, format!("expected {what}, found {found} that is not"))
}

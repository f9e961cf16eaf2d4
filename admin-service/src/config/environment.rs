//! The environment, with `NAME_FILE` beside every `NAME`, and `os.environ/NAME` in the file's values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ConfigError;

/// Environment variables, as a parameter.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// These variables.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: pairs.into_iter().collect(),
        }
    }

    /// The file's `environment_variables`, which win as they do in LiteLLM.
    pub(super) fn overlay(&mut self, pairs: impl IntoIterator<Item = (String, String)>) {
        self.variables.extend(pairs);
    }

    /// `NAME`, else the content of the file that `NAME_FILE` names, without the newline at its end. Empty is unset.
    pub fn get(&self, name: &str) -> Result<Option<String>, ConfigError> {
        if let Some(value) = self.variables.get(name).filter(|value| !value.is_empty()) {
            return Ok(Some(value.clone()));
        }
        let file_variable = format!("{name}_FILE");
        let Some(path) = self
            .variables
            .get(&file_variable)
            .filter(|path| !path.is_empty())
        else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(
                file_variable,
                format!("expected a readable file, found {path} ({error})"),
            )
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// The same in everything that a value holds.
    pub(super) fn resolve_all(&self, value: &Value) -> Result<Value, ConfigError> {
        Ok(match value {
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.resolve_all(item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, value)| Ok((key.clone(), self.resolve_all(value)?)))
                    .collect::<Result<_, ConfigError>>()?,
            ),
            other => self.resolve(other)?,
        })
    }

    /// A value of the file: `os.environ/NAME` is the variable's value, `null` where it is unset.
    pub fn resolve(&self, value: &Value) -> Result<Value, ConfigError> {
        match value
            .as_str()
            .and_then(|text| text.strip_prefix("os.environ/"))
        {
            Some(name) => Ok(self.get(name)?.map_or(Value::Null, Value::String)),
            None => Ok(value.clone()),
        }
    }
}

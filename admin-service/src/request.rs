//! Bodies and queries: which fields there are, of which type, and what is wrong with what came.
//!
//! Decides: shape and type of every field that LiteLLM knows, with its messages and its lenient readings (`"5"` is 5). Leaves the values'
//! meaning to `domain` and the routes. Failure stance: every problem of a request is reported at once; a field that nobody knows is ignored
//! and named in a warning header, never acted on.

use std::collections::BTreeMap;

use axum::body::Bytes;
use contract::money::{MoneyError, NanoUsd};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, RequestRefusal};

mod fields;
mod query;
mod types;

pub use fields::organizations::*;
pub use fields::people::{
    BULK_UPDATE, CLAIM, INVITATION_DELETE, INVITATION_NEW, INVITATION_UPDATE, LOGIN,
    PASSWORD_CHANGE,
};
pub use fields::teams::*;
pub use fields::{
    BUDGET, BUDGET_ID, BUDGET_IDS, BULK_UPDATE_KEYS, CALCULATE, CHANGE_ASSIGNED_GROUP, END_USERS,
    GENERATE_KEY, KEY_NAME, KEY_NAMES, KEYS_ASKED, MODEL_ID, NEW_ASSIGNED_GROUP, NEW_CUSTOMER,
    NEW_GROUP, NEW_MODEL, NEW_USER, REGENERATE_KEY, RESET_SPEND, TAG, TAG_NAME, TAG_NAMES,
    TEAM_KEY_FIELDS, TEAM_KEYS_UPDATE, UPDATE_CUSTOMER, UPDATE_GROUP, UPDATE_KEY, UPDATE_MODEL,
    UPDATE_USER, USER_IDS, USER_ROLE,
};
pub use query::{Param, Query};
pub use types::{Field, Type};

/// One thing wrong with a request, as pydantic words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// pydantic's name of the rule.
    pub kind: &'static str,
    /// Where: `body` or `query`, then the path.
    pub loc: Vec<Step>,
    /// The sentence.
    pub msg: String,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field.
    Name(String),
    /// An item.
    Index(usize),
}

impl Problem {
    /// A problem of a field of the body.
    pub fn body(kind: &'static str, field: &str, msg: impl Into<String>) -> Self {
        let loc = vec![Step::Name("body".into()), Step::Name(field.into())];
        Self {
            kind,
            loc,
            msg: msg.into(),
        }
    }

    /// A problem of the body as a whole.
    pub fn whole_body(kind: &'static str, msg: impl Into<String>) -> Self {
        Self {
            kind,
            loc: vec![Step::Name("body".into())],
            msg: msg.into(),
        }
    }

    /// The problem of an item's field: `field` of the body, then the item, then where it was.
    #[must_use]
    pub fn inside(mut self, field: &str, item: usize) -> Self {
        let path = [Step::Name(field.into()), Step::Index(item)];
        self.loc.splice(1..1, path);
        self
    }

    /// The problem of an object's field: `field` of the body, then where it was.
    #[must_use]
    pub fn within(mut self, field: &str) -> Self {
        self.loc.insert(1, Step::Name(field.into()));
        self
    }

    /// As it is sent.
    pub fn to_json(&self) -> Value {
        let loc: Vec<Value> = self
            .loc
            .iter()
            .map(|step| match step {
                Step::Name(name) => json!(name),
                Step::Index(index) => json!(index),
            })
            .collect();
        json!({"type": self.kind, "loc": loc, "msg": self.msg})
    }
}

/// What a request says about one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing: it stays as it is.
    #[default]
    Absent,
    /// `null`: it is cleared.
    Null,
    /// A value.
    Set(T),
}

impl<T> Patch<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the request says anything.
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// Puts it into `place`.
    pub fn apply(self, place: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *place = None,
            Self::Set(value) => *place = Some(value),
        }
    }

    /// Puts it into `place`, `null` meaning `empty`.
    pub fn apply_or(self, place: &mut T, empty: T) {
        match self {
            Self::Absent => {}
            Self::Null => *place = empty,
            Self::Set(value) => *place = value,
        }
    }
}

/// A body whose fields have their types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    fields: BTreeMap<String, Value>,
    /// Fields that nobody knows.
    pub ignored: Vec<String>,
}

impl Body {
    /// Reads a JSON object with the fields of `table`.
    pub fn parse(bytes: &Bytes, table: &[Field]) -> Result<Self, ApiError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Problem::whole_body("missing", "Field required").into());
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| RequestRefusal::BadJson(error.to_string()))?;
        let Value::Object(map) = value else {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            return Err(Problem::whole_body("model_attributes_type", msg).into());
        };
        Self::from_map(map, table)
    }

    /// The same for an object that was read already.
    pub fn from_map(map: Map<String, Value>, table: &[Field]) -> Result<Self, ApiError> {
        let mut body = Self::default();
        let mut problems = Vec::new();
        for (name, value) in map {
            let Some(field) = table.iter().find(|field| field.name == name) else {
                body.ignored.push(name);
                continue;
            };
            match field.read(value) {
                Ok(value) => {
                    body.fields.insert(name, value);
                }
                Err(mut found) => problems.append(&mut found),
            }
        }
        let missing = table
            .iter()
            .filter(|field| field.required && !body.fields.contains_key(field.name));
        for field in missing {
            if !problems
                .iter()
                .any(|problem| problem.loc.get(1) == Some(&Step::Name(field.name.into())))
            {
                problems.push(Problem::body("missing", field.name, "Field required"));
            }
        }
        if problems.is_empty() {
            Ok(body)
        } else {
            Err(ApiError::Invalid(problems))
        }
    }

    /// Fields filled in from a configuration where the request says nothing.
    pub fn fill(&mut self, name: &str, value: Value) {
        self.fields.entry(name.to_owned()).or_insert(value);
    }

    /// Whether the request says nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Replaces a field.
    pub fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// A field as it came.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Whether a field has a value other than `null`.
    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field out.
    pub fn take(&mut self, name: &str) -> Patch<Value> {
        match self.fields.remove(name) {
            None => Patch::Absent,
            Some(Value::Null) => Patch::Null,
            Some(value) => Patch::Set(value),
        }
    }

    /// Takes a text out.
    pub fn text(&mut self, name: &str) -> Patch<String> {
        self.taken(name, |value| value.as_str().map(str::to_owned))
    }

    /// Takes a flag out.
    pub fn flag(&mut self, name: &str) -> Patch<bool> {
        self.taken(name, Value::as_bool)
    }

    /// Takes a whole number out.
    pub fn whole(&mut self, name: &str) -> Patch<u64> {
        self.taken(name, Value::as_u64)
    }

    /// Takes a list of texts out. Items of other types are printed.
    pub fn texts(&mut self, name: &str) -> Patch<Vec<String>> {
        self.taken(name, |value| {
            let items = value.as_array()?.iter();
            Some(
                items
                    .map(|item| {
                        item.as_str()
                            .map_or_else(|| item.to_string(), str::to_owned)
                    })
                    .collect(),
            )
        })
    }

    /// Takes an object out.
    pub fn object(&mut self, name: &str) -> Patch<Map<String, Value>> {
        self.taken(name, |value| value.as_object().cloned())
    }

    /// Takes an amount of money out.
    pub fn money(&mut self, name: &'static str) -> Result<Patch<NanoUsd>, ApiError> {
        match self.take(name) {
            Patch::Absent => Ok(Patch::Absent),
            Patch::Null => Ok(Patch::Null),
            Patch::Set(value) => parse_money(name, &value.to_string()).map(Patch::Set),
        }
    }

    /// What was not taken: known fields that are kept and echoed.
    pub fn rest(self) -> Map<String, Value> {
        self.fields.into_iter().collect()
    }

    // `from_map` has checked the type, so `read` finds it.
    fn taken<T>(&mut self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Patch<T> {
        match self.take(name) {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Set(value) => read(&value).map_or(Patch::Null, Patch::Set),
        }
    }
}

/// An amount that somebody sent, in dollars.
pub fn parse_money(field: &'static str, text: &str) -> Result<NanoUsd, ApiError> {
    NanoUsd::parse(text).map_err(|error| {
        let refusal = match error {
            MoneyError::TooLarge => RequestRefusal::BudgetTooLarge(field),
            MoneyError::Negative | MoneyError::NotANumber => {
                let whole = !text.contains(['.', 'e', 'E']);
                RequestRefusal::NegativeBudget {
                    field,
                    got: format!("{text}{}", if whole { ".0" } else { "" }),
                }
            }
        };
        refusal.into()
    })
}

#[cfg(test)]
mod tests;

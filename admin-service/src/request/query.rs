//! Query strings.

use serde_json::{Value, json};

use super::types::{Field, Type};
use super::{Problem, Step};
use crate::error::ApiError;

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    of: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Texts,
    Flag,
    Whole { default: u32, least: u32, most: u32 },
}

impl Param {
    /// A text; the last one counts where it is given several times.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    /// A text that must be there.
    pub const fn required(name: &'static str) -> Self {
        Self {
            name,
            required: true,
            of: Kind::Text,
        }
    }

    /// A text that may be given several times.
    pub const fn texts(name: &'static str) -> Self {
        Self::new(name, Kind::Texts)
    }

    /// A flag.
    pub const fn flag(name: &'static str) -> Self {
        Self::new(name, Kind::Flag)
    }

    /// A whole number from `least` to `most`, `default` where it is not given.
    pub const fn whole(name: &'static str, default: u32, least: u32, most: u32) -> Self {
        let of = Kind::Whole {
            default,
            least,
            most,
        };
        Self::new(name, of)
    }

    const fn new(name: &'static str, of: Kind) -> Self {
        Self {
            name,
            required: false,
            of,
        }
    }

    /// Its JSON schema.
    pub fn schema(&self) -> Value {
        match self.of {
            Kind::Text => json!({"type": "string"}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Whole {
                default,
                least,
                most,
            } => {
                json!({"type": "integer", "default": default, "minimum": least, "maximum": most})
            }
        }
    }
}

/// The parameters of a query, read one by one; problems are collected.
#[derive(Debug)]
pub struct Query {
    table: &'static [Param],
    pairs: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Query {
    /// Reads a query string; `None` is the empty one. What `table` does not name is not there.
    pub fn parse(query: Option<&str>, table: &'static [Param]) -> Self {
        let pairs = serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default();
        Self {
            table,
            pairs,
            problems: Vec::new(),
        }
    }

    /// A text; the last one counts where it is given several times.
    pub fn text(&self, name: &str) -> Option<String> {
        self.param(name)?;
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    /// The texts of a parameter that may be given several times.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let given = self.pairs.iter().filter(|(key, _)| key == name);
        match self.param(name) {
            Some(_) => given.map(|(_, value)| value.clone()).collect(),
            None => Vec::new(),
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.wrong(name, "missing", "Field required".to_owned());
            String::new()
        })
    }

    /// A whole number within the bounds of the table.
    pub fn whole(&mut self, name: &str) -> u32 {
        let Some(Kind::Whole {
            default,
            least,
            most,
        }) = self.param(name).map(|param| param.of)
        else {
            return 0;
        };
        let Some(text) = self.text(name) else {
            return default;
        };
        let Ok(number) = text.trim().parse::<i64>() else {
            let msg = "Input should be a valid integer, unable to parse string as an integer";
            self.wrong(name, "int_parsing", msg.to_owned());
            return default;
        };
        if number < i64::from(least) {
            let msg = format!("Input should be greater than or equal to {least}");
            self.wrong(name, "greater_than_equal", msg);
        } else if number > i64::from(most) {
            let msg = format!("Input should be less than or equal to {most}");
            self.wrong(name, "less_than_equal", msg);
        }
        u32::try_from(number).unwrap_or(default)
    }

    /// One of these texts.
    pub fn one_of(&mut self, name: &str, options: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if options.contains(&text.as_str()) {
            return Some(text);
        }
        let msg = format!("Input should be '{}'", options.join("' or '"));
        self.wrong(name, "literal_error", msg);
        None
    }

    /// A flag.
    pub fn flag(&mut self, name: &str) -> bool {
        let Some(text) = self.text(name) else {
            return false;
        };
        match Field::never_null("", Type::Flag).read(Value::String(text)) {
            Ok(value) => value.as_bool().unwrap_or(false),
            Err(problems) => {
                for problem in problems {
                    self.wrong(name, problem.kind, problem.msg);
                }
                false
            }
        }
    }

    /// Reports what was wrong with the parameters read so far.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.problems))
        }
    }

    fn param(&self, name: &str) -> Option<&'static Param> {
        let found = self.table.iter().find(|param| param.name == name);
        debug_assert!(found.is_some(), "{name} is not in the table of the query");
        found
    }

    fn wrong(&mut self, name: &str, kind: &'static str, msg: String) {
        let loc = vec![Step::Name("query".into()), Step::Name(name.into())];
        self.problems.push(Problem { kind, loc, msg });
    }
}

//! Query strings.

use serde_json::Value;

use super::types::{Field, Type};
use super::{Problem, Step};
use crate::error::ApiError;

/// The parameters of a query, read one by one; problems are collected.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Query {
    /// Reads a query string; `None` is the empty one.
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default();
        Self {
            pairs,
            problems: Vec::new(),
        }
    }

    /// A text; the last one counts where it is given several times.
    pub fn text(&self, name: &str) -> Option<String> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    /// A text that must be there.
    pub fn required(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.wrong(name, "missing", "Field required".to_owned());
            String::new()
        })
    }

    /// A whole number from `least` to `most`.
    pub fn whole(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
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

    fn wrong(&mut self, name: &str, kind: &'static str, msg: String) {
        let loc = vec![Step::Name("query".into()), Step::Name(name.into())];
        self.problems.push(Problem { kind, loc, msg });
    }
}

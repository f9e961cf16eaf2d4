//! The types of fields, with pydantic's lenient readings and its messages.

use serde_json::{Number, Value, json};

use super::{Problem, Step};
use crate::domain::further_limits::{FurtherLimits, WINDOWS};
use crate::openapi::schema::or_null;

/// A field that LiteLLM knows.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub of: Type,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may be `null`.
    pub nullable: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// A whole number of at least 0 and at most this.
    Limit(u64),
    /// A number.
    Number,
    /// A flag.
    Flag,
    /// A list of anything.
    List,
    /// A list of texts.
    Texts,
    /// An object.
    Object,
    /// A date, with or without time.
    Date,
    /// One of these texts; the second is pydantic's list of them.
    OneOf(&'static [&'static str], &'static str),
    /// Anything: its own rules are elsewhere.
    Any,
}

type Read = Result<Value, Vec<Problem>>;

impl Field {
    /// A field that may be left out and may be `null`.
    pub const fn new(name: &'static str, of: Type) -> Self {
        Self {
            name,
            of,
            required: false,
            nullable: true,
        }
    }

    /// A field that must be there.
    pub const fn required(name: &'static str, of: Type) -> Self {
        Self {
            name,
            of,
            required: true,
            nullable: false,
        }
    }

    /// A field that may be left out but not be `null`.
    pub const fn never_null(name: &'static str, of: Type) -> Self {
        Self {
            name,
            of,
            required: false,
            nullable: false,
        }
    }

    /// Its JSON schema. What is also read, such as a number in a text, is left to the parser to tell.
    pub fn schema(&self) -> Value {
        let plain = self.of.schema();
        if self.nullable && plain != json!({}) {
            or_null(plain)
        } else {
            plain
        }
    }

    /// Reads a value as the field's type.
    pub fn read(&self, value: Value) -> Read {
        if value.is_null() && self.nullable {
            return Ok(value);
        }
        let value = self.of.read(value).map_err(|(kind, msg, inner)| {
            let mut problem = Problem::body(kind, self.name, msg);
            problem.loc.extend(inner);
            vec![problem]
        })?;
        match FurtherLimits::check(self.name, &value) {
            Ok(()) => Ok(value),
            Err(wrong) => {
                let msg = format!("Value error, expected {}", wrong.expected);
                let mut problem = Problem::body("value_error", self.name, msg);
                problem.loc.extend(wrong.at.into_iter().map(|step| {
                    let index = step.parse().ok().filter(|_| self.name == WINDOWS);
                    index.map_or(Step::Name(step), Step::Index)
                }));
                Err(vec![problem])
            }
        }
    }
}

type Wrong = (&'static str, String, Vec<Step>);

impl Type {
    /// The JSON schema of its values.
    pub fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Int => json!({"type": "integer"}),
            Self::Limit(most) => json!({"type": "integer", "minimum": 0, "maximum": most}),
            Self::Number => json!({"type": "number"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::List => json!({"type": "array"}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Object => json!({"type": "object"}),
            Self::Date => json!({"type": "string", "description": "a date, with or without time"}),
            Self::OneOf(options, _) => json!({"type": "string", "enum": options}),
            Self::Any => json!({}),
        }
    }

    fn read(self, value: Value) -> Result<Value, Wrong> {
        match self {
            Self::Text if value.is_string() => Ok(value),
            Self::Text => wrong("string_type", "Input should be a valid string"),
            Self::Int => whole(&value).map(|number| Value::Number(number.into())),
            Self::Limit(most) => limit(&value, most),
            Self::Number => number(&value),
            Self::Flag => flag(&value).map(Value::Bool),
            Self::List if value.is_array() => Ok(value),
            Self::List => wrong("list_type", "Input should be a valid list"),
            Self::Texts => texts(value),
            Self::Object if value.is_object() => Ok(value),
            Self::Object => wrong("dict_type", "Input should be a valid dictionary"),
            Self::Date => date(value),
            Self::OneOf(options, shown) => match value.as_str() {
                Some(text) if options.contains(&text) => Ok(value),
                _ => wrong("literal_error", format!("Input should be {shown}")),
            },
            Self::Any => Ok(value),
        }
    }
}

fn wrong<T>(kind: &'static str, msg: impl Into<String>) -> Result<T, Wrong> {
    Err((kind, msg.into(), Vec::new()))
}

fn whole(value: &Value) -> Result<i64, Wrong> {
    const RANGE: &str = "Input should be a valid integer, the number is too large";
    match value {
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::String(text) => text.trim().parse().or_else(|_| {
            wrong(
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            )
        }),
        Value::Number(number) => {
            let text = number.to_string();
            if let Ok(whole) = text.parse() {
                return Ok(whole);
            }
            if text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
            {
                return wrong("int_parsing_size", RANGE);
            }
            match text.split_once('.') {
                Some((whole, fraction))
                    if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') =>
                {
                    whole.parse().or_else(|_| wrong("int_parsing_size", RANGE))
                }
                _ => wrong(
                    "int_from_float",
                    "Input should be a valid integer, got a number with a fractional part",
                ),
            }
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            wrong("int_type", "Input should be a valid integer")
        }
    }
}

fn limit(value: &Value, most: u64) -> Result<Value, Wrong> {
    let whole = whole(value)?;
    match u64::try_from(whole) {
        Err(_) => wrong(
            "greater_than_equal",
            "Input should be greater than or equal to 0",
        ),
        Ok(number) if number > most => wrong(
            "less_than_equal",
            format!("Input should be less than or equal to {most}"),
        ),
        Ok(number) => Ok(Value::Number(number.into())),
    }
}

fn number(value: &Value) -> Result<Value, Wrong> {
    match value {
        Value::Number(_) => Ok(value.clone()),
        Value::Bool(flag) => Ok(Value::Number(u8::from(*flag).into())),
        Value::String(text) => match text.trim().parse::<Number>() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => wrong(
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            ),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            wrong("float_type", "Input should be a valid number")
        }
    }
}

fn flag(value: &Value) -> Result<bool, Wrong> {
    let text = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_ascii_lowercase(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return wrong("bool_type", "Input should be a valid boolean");
        }
    };
    match text.as_str() {
        "1" | "1.0" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "0.0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => wrong(
            "bool_parsing",
            "Input should be a valid boolean, unable to interpret input",
        ),
    }
}

fn texts(value: Value) -> Result<Value, Wrong> {
    let Some(items) = value.as_array() else {
        return wrong("list_type", "Input should be a valid list");
    };
    match items.iter().position(|item| !item.is_string()) {
        None => Ok(value),
        Some(at) => Err((
            "string_type",
            "Input should be a valid string".to_owned(),
            vec![Step::Index(at)],
        )),
    }
}

fn date(value: Value) -> Result<Value, Wrong> {
    let Some(text) = value.as_str() else {
        return wrong("datetime_type", "Input should be a valid datetime");
    };
    if crate::domain::temporary_budget::parse_expiry(text).is_some() {
        return Ok(value);
    }
    let why = if text.len() < 10 {
        "input is too short"
    } else {
        "invalid character in year"
    };
    wrong(
        "datetime_from_date_parsing",
        format!("Input should be a valid datetime or date, {why}"),
    )
}

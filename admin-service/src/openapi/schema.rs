//! What answers look like: small tables that stand next to the code that prints them.
//!
//! A [`Record`] lists every field of an object, several names of one type in one text. Nothing may be printed that its record does not list:
//! the document closes objects, and the tests hold every answer against it.

use serde_json::{Map, Value, json};

/// A header by which an answer says more than its body: its name, and what it says.
pub type Told = (&'static str, &'static str);

/// An object with fixed fields.
#[derive(Debug)]
pub struct Record {
    /// Its name in the document; none where it is only a part of another one.
    pub name: &'static str,
    /// Records whose fields it has too.
    pub with: &'static [&'static Record],
    /// Names, separated by spaces, and what they hold.
    pub fields: &'static [(&'static str, Of)],
}

impl Record {
    /// A record of these fields.
    pub const fn new(name: &'static str, fields: &'static [(&'static str, Of)]) -> Self {
        Self {
            name,
            with: &[],
            fields,
        }
    }

    /// A record of these fields and those of others; its own win.
    pub const fn with(
        name: &'static str,
        with: &'static [&'static Record],
        fields: &'static [(&'static str, Of)],
    ) -> Self {
        Self { name, with, fields }
    }

    fn all(&self, into: &mut Map<String, Value>, optional: &mut Vec<&'static str>) {
        for other in self.with {
            other.all(into, optional);
        }
        for (names, of) in self.fields {
            for name in names.split_ascii_whitespace() {
                into.insert(name.to_owned(), of.schema());
                optional.retain(|other| *other != name);
                if of.absent {
                    optional.push(name);
                }
            }
        }
    }

    /// The JSON schema.
    pub fn schema(&self) -> Value {
        let (mut fields, mut optional) = (Map::new(), Vec::new());
        self.all(&mut fields, &mut optional);
        let required: Vec<&String> = fields
            .keys()
            .filter(|name| !optional.contains(&name.as_str()))
            .collect();
        json!({"type": "object", "required": required, "properties": fields, "additionalProperties": false})
    }

    /// Calls `found` with this record and every one inside it.
    pub fn visit(&'static self, found: &mut impl FnMut(&'static Record)) {
        found(self);
        self.visit_fields(found);
    }

    fn visit_fields(&self, found: &mut impl FnMut(&'static Record)) {
        for other in self.with {
            other.visit_fields(found);
        }
        for (_, of) in self.fields {
            of.visit(found);
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub struct Of {
    kind: Kind,
    null: bool,
    absent: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Whole,
    Number,
    Flag,
    Any,
    Null,
    Object,
    Word(&'static [&'static str]),
    List(&'static Of),
    Map(&'static Of),
    Record(&'static Record),
    Either(&'static [Of]),
}

/// A text, times and dates too.
pub const TEXT: Of = Of::new(Kind::Text);
/// A whole number.
pub const WHOLE: Of = Of::new(Kind::Whole);
/// A number; money is one.
pub const NUMBER: Of = Of::new(Kind::Number);
/// A flag.
pub const FLAG: Of = Of::new(Kind::Flag);
/// Anything: what a caller sent and gets back.
pub const ANY: Of = Of::new(Kind::Any);
/// `null`, always.
pub const NULL: Of = Of::new(Kind::Null);
/// An object of any fields.
pub const OBJECT: Of = Of::new(Kind::Object);
/// Texts.
pub const TEXTS: Of = list(&TEXT);
/// A text or `null`.
pub const TEXT_OR_NULL: Of = TEXT.or_null();
/// A whole number or `null`.
pub const WHOLE_OR_NULL: Of = WHOLE.or_null();
/// A number or `null`.
pub const NUMBER_OR_NULL: Of = NUMBER.or_null();

/// A list.
pub const fn list(of: &'static Of) -> Of {
    Of::new(Kind::List(of))
}

/// An object of any names whose values are all of one kind.
pub const fn map(of: &'static Of) -> Of {
    Of::new(Kind::Map(of))
}

/// One of these texts.
pub const fn word(words: &'static [&'static str]) -> Of {
    Of::new(Kind::Word(words))
}

/// One record.
pub const fn one(record: &'static Record) -> Of {
    Of::new(Kind::Record(record))
}

/// One of several kinds.
pub const fn either(all: &'static [Of]) -> Of {
    Of::new(Kind::Either(all))
}

impl Of {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            null: false,
            absent: false,
        }
    }

    /// Or `null`.
    #[must_use]
    pub const fn or_null(mut self) -> Self {
        self.null = true;
        self
    }

    /// Or not there.
    #[must_use]
    pub const fn or_absent(mut self) -> Self {
        self.absent = true;
        self
    }

    /// The JSON schema.
    pub fn schema(&self) -> Value {
        let plain = match self.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Whole => json!({"type": "integer"}),
            Kind::Number => json!({"type": "number"}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Any => return json!({}),
            Kind::Null => return json!({"type": "null"}),
            Kind::Object => json!({"type": "object"}),
            Kind::Word(words) => json!({"type": "string", "enum": words}),
            Kind::List(of) => json!({"type": "array", "items": of.schema()}),
            Kind::Map(of) => json!({"type": "object", "additionalProperties": of.schema()}),
            Kind::Record(record) if record.name.is_empty() => record.schema(),
            Kind::Record(record) => {
                json!({"$ref": format!("#/components/schemas/{}", record.name)})
            }
            Kind::Either(all) => {
                json!({"anyOf": all.iter().map(Self::schema).collect::<Vec<_>>()})
            }
        };
        if self.null { or_null(plain) } else { plain }
    }

    fn visit(&self, found: &mut impl FnMut(&'static Record)) {
        match self.kind {
            Kind::List(of) | Kind::Map(of) => of.visit(found),
            Kind::Record(record) => record.visit(found),
            Kind::Either(all) => all.iter().for_each(|of| of.visit(found)),
            Kind::Text
            | Kind::Whole
            | Kind::Number
            | Kind::Flag
            | Kind::Any
            | Kind::Null
            | Kind::Object
            | Kind::Word(_) => {}
        }
    }

    /// Calls `found` with every record of it.
    pub fn records(&self, mut found: impl FnMut(&'static Record)) {
        self.visit(&mut found);
    }
}

/// The same schema, `null` allowed.
pub fn or_null(schema: Value) -> Value {
    if schema.get("enum").is_none()
        && let Some(Value::String(kind)) = schema.get("type").cloned()
    {
        let mut schema = schema;
        schema["type"] = json!([kind, "null"]);
        return schema;
    }
    json!({"anyOf": [schema, {"type": "null"}]})
}

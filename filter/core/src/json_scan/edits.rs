//! The few changes that we make to a body, as edits of the original bytes. Applying them is left to the adapter.

use super::facts::{RequestFacts, Span, Spanned, StreamOptions};
use crate::effect::Edit;
use crate::route::Api;

/// A field in which a request states how much may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
    /// `max_output_tokens`
    MaxOutputTokens,
}

impl CapField {
    /// The field that `provider` honours on `api`; `None` where nothing is written.
    pub fn of(api: Api, provider: &str) -> Option<Self> {
        match api {
            // OpenAI's reasoning models refuse `max_tokens`; others often know nothing else.
            Api::ChatCompletions if matches!(provider, "openai" | "azure") => {
                Some(Self::MaxCompletionTokens)
            }
            Api::ChatCompletions | Api::Completions => Some(Self::MaxTokens),
            Api::Responses => Some(Self::MaxOutputTokens),
            Api::Embeddings => None,
        }
    }

    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }
}

impl RequestFacts {
    /// Whether a stream will end with usage as the body stands.
    pub fn asks_for_usage(&self) -> bool {
        matches!(
            self.stream_options,
            Some(StreamOptions::Object {
                include_usage: Some(Spanned {
                    value: Some(true),
                    ..
                }),
                ..
            })
        )
    }

    /// Makes a stream end with usage; `None` where it does so already.
    pub fn ask_for_usage(&self) -> Option<Edit> {
        match &self.stream_options {
            None => Some(self.insert("\"stream_options\":{\"include_usage\":true}")),
            Some(StreamOptions::Null(span)) => Some(replace(*span, "{\"include_usage\":true}")),
            Some(StreamOptions::Object {
                include_usage: Some(usage),
                ..
            }) => (usage.value != Some(true)).then(|| replace(usage.span, "true")),
            Some(StreamOptions::Object {
                open,
                empty,
                include_usage: None,
            }) => Some(insert(*open, *empty, "\"include_usage\":true")),
        }
    }

    /// Leaves out what concerns the gateway alone.
    pub fn leave_out_ours(&self) -> impl Iterator<Item = Edit> {
        self.ours.iter().map(|span| replace(*span, ""))
    }

    /// Gives the model the name that the provider knows; `None` where it has it already.
    pub fn rename_model(&self, upstream: &str) -> Option<Edit> {
        let model = self
            .model
            .as_ref()
            .filter(|model| model.value != upstream)?;
        Some(replace(model.span, &quoted(upstream)))
    }

    /// Writes an output cap.
    pub fn state_cap(&self, field: CapField, cap: u64) -> Edit {
        let stated = match field {
            CapField::MaxTokens => &self.max_tokens,
            CapField::MaxCompletionTokens => &self.max_completion_tokens,
            CapField::MaxOutputTokens => &self.max_output_tokens,
        };
        match stated {
            Some(stated) => replace(stated.span, &cap.to_string()),
            None => self.insert(&format!("\"{}\":{cap}", field.name())),
        }
    }

    fn insert(&self, member: &str) -> Edit {
        insert(self.object_open, self.object_empty, member)
    }
}

/// Edits in the order in which [`crate::effect::Effect::EditRequestBody`] wants them; several insertions at one place keep their order.
pub fn in_order(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.start, edit.end));
    edits
}

/// The body after `edits` (in order); bytes that no edit names stay as they are.
pub fn applied(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().saturating_add(64));
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(body.get(from..edit.start).unwrap_or_default());
        out.extend_from_slice(&edit.with);
        from = edit.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out
}

fn insert(open: usize, empty: bool, member: &str) -> Edit {
    let comma = if empty { "" } else { "," };
    Edit {
        start: open,
        end: open,
        with: format!("{member}{comma}").into_bytes(),
    }
}

fn replace(span: Span, with: &str) -> Edit {
    Edit {
        start: span.start,
        end: span.end,
        with: with.as_bytes().to_vec(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

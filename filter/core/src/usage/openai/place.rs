//! Where in an answer a token stands, and what a value there is to us.

use super::super::tally::Count;
use super::Shape;
use crate::json_scan::lexer::Nest;

/// What an open object or array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The document's object.
    Top,
    /// `response` in an event of the Responses API.
    Response,
    /// `usage`
    Usage,
    /// The details of its input, or of its output.
    Details(Side),
    /// `choices`
    Choices,
    /// One of them.
    Choice,
    /// Anything within a delta, a message or an output item: its strings are delivered text.
    Text,
    /// `audio` in there.
    Audio,
    /// Nothing in it matters.
    Skip,
}

/// Which details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What was read.
    Input,
    /// What was written.
    Output,
}

/// What a value is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The document itself.
    Root,
    /// Nothing.
    Skip,
    /// The answer's id.
    Id,
    /// `service_tier`
    Tier,
    /// `usage`
    Usage,
    /// A count in there.
    Count(Count),
    /// Details in there.
    Details(Side),
    /// `choices`
    Choices,
    /// One of them.
    Choice,
    /// `finish_reason`
    Finish,
    /// Delivered text, or a container of it.
    Text,
    /// `audio` in there.
    Audio,
    /// Base64 in there.
    AudioData,
    /// `error`
    Error,
    /// `response`
    Response,
    /// `output` of a whole response.
    Output,
    /// `type` of an event.
    Type,
    /// `delta` of an event.
    Delta,
    /// `status` of a response.
    Status,
}

impl Slot {
    /// What opens here.
    pub(super) const fn opens(self, nest: Nest, shape: Shape) -> Place {
        match (self, nest, shape) {
            (Self::Root, Nest::Object, _) => Place::Top,
            (Self::Response, Nest::Object, Shape::Responses) => Place::Response,
            (Self::Usage, Nest::Object, _) => Place::Usage,
            (Self::Details(side), Nest::Object, _) => Place::Details(side),
            (Self::Choices, Nest::Array, _) => Place::Choices,
            (Self::Choice, Nest::Object, _) => Place::Choice,
            (Self::Audio, Nest::Object, _) => Place::Audio,
            (Self::Text | Self::Output | Self::Delta, _, _) => Place::Text,
            _ => Place::Skip,
        }
    }
}

impl Place {
    /// What an element of an array here is.
    pub(super) const fn element(self) -> Slot {
        match self {
            Self::Choices => Slot::Choice,
            Self::Text => Slot::Text,
            Self::Top
            | Self::Response
            | Self::Usage
            | Self::Details(_)
            | Self::Choice
            | Self::Audio
            | Self::Skip => Slot::Skip,
        }
    }

    /// What the value under `key` is.
    pub(super) fn member(self, key: &[u8], shape: Shape) -> Slot {
        match self {
            Self::Top => match shape {
                Shape::Choices => top_of_choices(key),
                Shape::Responses => top_of_responses(key),
            },
            Self::Response => match key {
                b"output" => Slot::Skip,
                _ => top_of_responses(key),
            },
            Self::Usage => count(key, shape),
            Self::Details(side) => detail(key, side),
            Self::Choice => match key {
                b"delta" | b"message" | b"text" => Slot::Text,
                b"finish_reason" => Slot::Finish,
                _ => Slot::Skip,
            },
            Self::Text => text(key),
            Self::Audio => match key {
                b"data" => Slot::AudioData,
                b"transcript" => Slot::Text,
                _ => Slot::Skip,
            },
            Self::Choices | Self::Skip => Slot::Skip,
        }
    }
}

fn top_of_choices(key: &[u8]) -> Slot {
    match key {
        b"id" => Slot::Id,
        b"service_tier" => Slot::Tier,
        b"usage" => Slot::Usage,
        b"choices" => Slot::Choices,
        b"error" => Slot::Error,
        _ => Slot::Skip,
    }
}

fn top_of_responses(key: &[u8]) -> Slot {
    match key {
        b"id" => Slot::Id,
        b"service_tier" => Slot::Tier,
        b"usage" => Slot::Usage,
        b"error" => Slot::Error,
        b"response" => Slot::Response,
        b"output" => Slot::Output,
        b"type" => Slot::Type,
        b"delta" => Slot::Delta,
        b"status" => Slot::Status,
        _ => Slot::Skip,
    }
}

fn count(key: &[u8], shape: Shape) -> Slot {
    match (shape, key) {
        (Shape::Choices, b"prompt_tokens") | (Shape::Responses, b"input_tokens") => {
            Slot::Count(Count::Prompt)
        }
        (Shape::Choices, b"completion_tokens") | (Shape::Responses, b"output_tokens") => {
            Slot::Count(Count::Completion)
        }
        (_, b"total_tokens") => Slot::Count(Count::Total),
        // DeepSeek's name, beside the details or without them.
        (Shape::Choices, b"prompt_cache_hit_tokens") => Slot::Count(Count::Cached),
        (Shape::Choices, b"prompt_tokens_details")
        | (Shape::Responses, b"input_tokens_details") => Slot::Details(Side::Input),
        (Shape::Choices, b"completion_tokens_details")
        | (Shape::Responses, b"output_tokens_details") => Slot::Details(Side::Output),
        _ => Slot::Skip,
    }
}

fn detail(key: &[u8], side: Side) -> Slot {
    match (side, key) {
        (Side::Input, b"cached_tokens") => Slot::Count(Count::Cached),
        (Side::Input, b"cache_write_tokens" | b"cache_creation_tokens") => {
            Slot::Count(Count::CacheWritten)
        }
        (Side::Input, b"audio_tokens") => Slot::Count(Count::AudioIn),
        (Side::Input, b"image_tokens") => Slot::Count(Count::ImageIn),
        (Side::Output, b"reasoning_tokens") => Slot::Count(Count::Reasoning),
        (Side::Output, b"audio_tokens") => Slot::Count(Count::AudioOut),
        _ => Slot::Skip,
    }
}

/// Within delivered text everything is text but what only frames it, repeats it, or is not read by a person.
fn text(key: &[u8]) -> Slot {
    match key {
        b"audio" => Slot::Audio,
        b"annotations" | b"call_id" | b"encrypted_content" | b"id" | b"index" | b"logprobs"
        | b"object" | b"phase" | b"reasoning_details" | b"result" | b"role" | b"status"
        | b"type" => Slot::Skip,
        _ => Slot::Text,
    }
}

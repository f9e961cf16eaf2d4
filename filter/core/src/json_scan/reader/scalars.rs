//! Strings, numbers and literals.

use super::super::error::BodyError;
use super::super::facts::{Span, Spanned, StreamOptions};
use super::super::fields::Field;
use super::super::lexer::Literal;
use super::super::place::{Detail, Slot};
use super::{Collector, add, count};

/// Longest model name, in bytes.
const MAX_MODEL: usize = 256;
/// Longest user name, in bytes.
const MAX_USER: usize = 1024;
/// Longest tag, in bytes, and most of them.
const MAX_TAG: usize = 256;
const MAX_TAGS: usize = 64;
/// Longest value of a field with a fixed vocabulary.
const MAX_WORD: usize = 32;
/// How much of an address or of base64 tells what it is.
const MAX_PREFIX: usize = 5;
/// More digits than the largest count has.
pub(super) const MAX_DIGITS: usize = 16;
/// Largest number of tokens that a request can state.
const MAX_TOKENS: u64 = 2_147_483_647;
/// Most answers that a request can ask for.
const MAX_CHOICES: u64 = 1024;

/// `stream_options.include_usage` is something else.
pub(super) const fn include_usage_wrong() -> BodyError {
    BodyError::Wrong {
        field: "stream_options.include_usage",
        expected: Field::Stream.expected(),
    }
}

impl Slot {
    /// How many bytes of a string here are worth keeping.
    pub(super) const fn worth(self) -> usize {
        match self {
            Self::Top(Field::Model) => MAX_MODEL,
            Self::Top(Field::User | Field::SafetyIdentifier)
            | Self::MetadataUserId
            | Self::LitellmMetadataUser => MAX_USER,
            Self::Tag => MAX_TAG,
            Self::Top(Field::ServiceTier) | Self::PartType | Self::Detail | Self::ToolType => {
                MAX_WORD
            }
            Self::Image | Self::ImageUrl | Self::Audio | Self::AudioData => MAX_PREFIX,
            _ => 0,
        }
    }
}

impl Collector {
    pub(super) fn string(&mut self, slot: Slot, end: usize) -> Result<(), BodyError> {
        let length = self.length;
        match slot {
            Slot::Root => return Err(BodyError::NotAnObject),
            Slot::Top(field) => return self.string_field(field, end),
            Slot::Skip | Slot::Tool | Slot::MetadataTags => {}
            Slot::Hidden => self.facts.content.hidden = true,
            Slot::Other | Slot::Content | Slot::Message | Slot::Id => self.text_bytes(length),
            Slot::Input => {
                add(&mut self.facts.inputs, 1);
                add(&mut self.facts.messages, 1);
                self.text_bytes(length);
            }
            Slot::PartType => self.part_type(),
            Slot::Detail => self.detail(match self.value.as_slice() {
                b"low" => Detail::Low,
                b"original" => Detail::Original,
                _ => Detail::Other,
            }),
            Slot::Image | Slot::ImageUrl => {
                self.image();
                if !matches!(self.value.as_slice(), b"data:" | b"http:" | b"https") {
                    self.text_bytes(length);
                }
            }
            Slot::Audio | Slot::AudioData => {
                // "RIFF" in base64.
                let wav = self.value == b"UklGR";
                let content = &mut self.facts.content;
                add(
                    if wav {
                        &mut content.wav_bytes
                    } else {
                        &mut content.audio_bytes
                    },
                    length,
                );
            }
            Slot::ToolType => {
                let runs_at_client = matches!(self.value.as_slice(), b"function" | b"custom");
                self.facts.content.hidden |= !runs_at_client;
            }
            Slot::MetadataUserId => {
                self.facts.metadata_user_id = Some(self.kept(
                    MAX_USER,
                    BodyError::Wrong {
                        field: "metadata.user_id",
                        expected: "a string of at most 1024 bytes",
                    },
                )?);
            }
            Slot::LitellmMetadataUser => {
                self.facts.litellm_metadata_user = Some(self.kept(
                    MAX_USER,
                    BodyError::Wrong {
                        field: "litellm_metadata.user",
                        expected: "a string of at most 1024 bytes",
                    },
                )?);
            }
            Slot::Tag => {
                let tag = self.kept(MAX_TAG, Field::Tags.wrong())?;
                if self.facts.tags.len() >= MAX_TAGS {
                    return Err(Field::Tags.wrong());
                }
                self.facts.tags.push(tag);
            }
            Slot::IncludeUsage => return Err(include_usage_wrong()),
        }
        Ok(())
    }

    fn string_field(&mut self, field: Field, end: usize) -> Result<(), BodyError> {
        match field {
            Field::Model => {
                let value = self.kept(MAX_MODEL, field.wrong())?;
                if value.is_empty() {
                    return Err(field.wrong());
                }
                self.facts.model = Some(Spanned {
                    value,
                    span: self.span(end),
                });
            }
            Field::User => self.facts.user = Some(self.kept(MAX_USER, field.wrong())?),
            Field::SafetyIdentifier => {
                self.facts.safety_identifier = Some(self.kept(MAX_USER, field.wrong())?);
            }
            Field::ServiceTier => {
                self.facts.service_tier = Some(self.kept(MAX_WORD, field.wrong())?);
            }
            Field::Input | Field::Prompt => {
                add(&mut self.facts.inputs, 1);
                add(&mut self.facts.messages, 1);
                self.text_bytes(self.length);
            }
            Field::Instructions
            | Field::System
            | Field::Suffix
            | Field::Prediction
            | Field::Tools
            | Field::Functions => {
                self.text_bytes(self.length);
                self.field_ended();
            }
            Field::PreviousResponseId | Field::Conversation | Field::WebSearchOptions => {
                self.facts.content.hidden = true;
            }
            Field::Metadata | Field::LitellmMetadata | Field::Tags | Field::MockResponse => {}
            Field::Messages
            | Field::Stream
            | Field::StreamOptions
            | Field::MaxTokens
            | Field::MaxCompletionTokens
            | Field::MaxOutputTokens
            | Field::N
            | Field::BestOf
            | Field::Background
            | Field::ApiBase
            | Field::BaseUrl
            | Field::ApiKey
            | Field::UserConfig => return Err(field.wrong()),
        }
        Ok(())
    }

    pub(super) fn numeral(&mut self, slot: Slot, end: usize) -> Result<(), BodyError> {
        match slot {
            Slot::Root => return Err(BodyError::NotAnObject),
            Slot::Top(field) => return self.number_field(field, end),
            Slot::Input | Slot::Id => {
                add(&mut self.facts.content.token_ids, 1);
                if let Some(frame) = self.frames.last_mut() {
                    frame.ids = true;
                }
            }
            Slot::IncludeUsage => return Err(include_usage_wrong()),
            Slot::Content | Slot::Message | Slot::PartType | Slot::Detail => {
                self.text_bytes(self.length);
            }
            Slot::ToolType | Slot::Hidden => self.facts.content.hidden = true,
            _ => {}
        }
        Ok(())
    }

    fn number_field(&mut self, field: Field, end: usize) -> Result<(), BodyError> {
        let most = match field {
            Field::N | Field::BestOf => MAX_CHOICES,
            Field::MaxTokens | Field::MaxCompletionTokens | Field::MaxOutputTokens => MAX_TOKENS,
            Field::Model
            | Field::Messages
            | Field::Stream
            | Field::StreamOptions
            | Field::User
            | Field::SafetyIdentifier
            | Field::ServiceTier
            | Field::Background => return Err(field.wrong()),
            _ => return Ok(()),
        };
        let digits = std::str::from_utf8(&self.value).unwrap_or_default();
        let number = digits
            .parse::<u64>()
            .ok()
            .filter(|number| *number <= most && self.length < count(MAX_DIGITS))
            .ok_or(field.wrong())?;
        let cap = Some(Spanned {
            value: Some(number),
            span: self.span(end),
        });
        match field {
            Field::N | Field::BestOf if number == 0 => return Err(field.wrong()),
            Field::N => self.facts.n = Some(number),
            Field::BestOf => self.facts.best_of = Some(number),
            Field::MaxTokens => self.facts.max_tokens = cap,
            Field::MaxCompletionTokens => self.facts.max_completion_tokens = cap,
            _ => self.facts.max_output_tokens = cap,
        }
        Ok(())
    }

    pub(super) fn word(&mut self, slot: Slot, word: Literal, end: usize) -> Result<(), BodyError> {
        let span = self.span(end);
        let boolean = match word {
            Literal::Null => None,
            Literal::True => Some(true),
            Literal::False => Some(false),
        };
        match slot {
            Slot::Root => return Err(BodyError::NotAnObject),
            Slot::Top(field) => return self.word_field(field, boolean, span),
            Slot::IncludeUsage => {
                if let Some(StreamOptions::Object { include_usage, .. }) =
                    &mut self.facts.stream_options
                {
                    *include_usage = Some(Spanned {
                        value: boolean,
                        span,
                    });
                }
            }
            Slot::ToolType | Slot::Hidden => self.facts.content.hidden |= boolean.is_some(),
            _ => {}
        }
        Ok(())
    }

    /// `true` and `false` are right for `stream` alone; `null` is an absent field, except that there must be a model.
    fn word_field(
        &mut self,
        field: Field,
        word: Option<bool>,
        span: Span,
    ) -> Result<(), BodyError> {
        let cap = Some(Spanned { value: None, span });
        match (field, word) {
            (Field::Stream, _) => self.facts.stream = word == Some(true),
            (Field::Model, _)
            | (Field::Background, Some(true))
            | (
                Field::StreamOptions
                | Field::MaxTokens
                | Field::MaxCompletionTokens
                | Field::MaxOutputTokens
                | Field::N
                | Field::BestOf
                | Field::Messages
                | Field::User
                | Field::SafetyIdentifier
                | Field::ServiceTier,
                Some(_),
            ) => return Err(field.wrong()),
            (Field::StreamOptions, None) => {
                self.facts.stream_options = Some(StreamOptions::Null(span));
            }
            (Field::MaxTokens, None) => self.facts.max_tokens = cap,
            (Field::MaxCompletionTokens, None) => self.facts.max_completion_tokens = cap,
            (Field::MaxOutputTokens, None) => self.facts.max_output_tokens = cap,
            _ => self.field_ended(),
        }
        Ok(())
    }

    /// `type` of a content part or item. Some types say by themselves that there is an image, or content that is elsewhere.
    fn part_type(&mut self) {
        match self.value.as_slice() {
            b"image" | b"input_image" => self.image(),
            b"document" | b"file" | b"input_file" | b"item_reference" | b"video_url" => {
                self.facts.content.hidden = true;
            }
            _ if self.length > count(MAX_WORD) => self.text_bytes(self.length),
            _ => {}
        }
    }

    fn span(&self, end: usize) -> Span {
        Span {
            start: self.start,
            end,
        }
    }

    /// The string just read, where it is at most `most` bytes long.
    fn kept(&self, most: usize, error: BodyError) -> Result<String, BodyError> {
        std::str::from_utf8(&self.value)
            .ok()
            .filter(|_| self.length <= count(most))
            .map(str::to_owned)
            .ok_or(error)
    }
}

//! Objects and arrays: what opens where, and what is counted when it closes.

use super::super::error::BodyError;
use super::super::facts::StreamOptions;
use super::super::fields::Field;
use super::super::lexer::Nest;
use super::super::place::{Detail, Frame, Place, Slot};
use super::scalars::include_usage_wrong;
use super::{Collector, add, count};

impl Collector {
    pub(super) fn opened(&mut self, slot: Slot, nest: Nest, at: usize) -> Result<Place, BodyError> {
        let object = nest == Nest::Object;
        Ok(match slot {
            Slot::Root if object => {
                self.facts.object_open = at.saturating_add(1);
                self.facts.object_empty = true;
                self.top.opened(at.saturating_add(1));
                Place::Top
            }
            Slot::Root => return Err(BodyError::NotAnObject),
            Slot::Top(field) => return self.field_opened(field, object, at),
            Slot::Other => {
                self.raw_start = at;
                Place::Raw
            }
            Slot::Input => {
                add(&mut self.facts.inputs, 1);
                if object {
                    add(&mut self.facts.messages, 1);
                    Place::Content
                } else {
                    Place::Ids
                }
            }
            Slot::Image if object => Place::Image,
            Slot::Audio if object => Place::Audio,
            Slot::Tool if object => Place::Tool,
            Slot::ToolType => {
                self.facts.content.hidden = true;
                Place::Skip
            }
            Slot::Hidden => {
                self.facts.content.hidden = true;
                Place::Content
            }
            Slot::MetadataTags if !object => {
                self.metadata.mark();
                Place::Tags
            }
            Slot::IncludeUsage => return Err(include_usage_wrong()),
            Slot::Skip
            | Slot::Tool
            | Slot::MetadataUserId
            | Slot::LitellmMetadataUser
            | Slot::MetadataTags
            | Slot::Tag => Place::Skip,
            Slot::Content
            | Slot::Message
            | Slot::Id
            | Slot::PartType
            | Slot::Detail
            | Slot::Image
            | Slot::ImageUrl
            | Slot::Audio
            | Slot::AudioData => Place::Content,
        })
    }

    fn field_opened(&mut self, field: Field, object: bool, at: usize) -> Result<Place, BodyError> {
        Ok(match field {
            Field::Messages if !object => Place::Messages,
            Field::Input | Field::Prompt if !object => Place::Inputs,
            Field::Input => {
                add(&mut self.facts.inputs, 1);
                add(&mut self.facts.messages, 1);
                Place::Content
            }
            Field::Prompt => {
                // A prompt stored with the provider: its length is not in the body.
                self.facts.content.hidden = true;
                Place::Content
            }
            Field::Instructions | Field::System | Field::Suffix | Field::Prediction => {
                Place::Content
            }
            Field::Tools | Field::Functions => {
                self.raw_start = at;
                if object { Place::Raw } else { Place::Tools }
            }
            Field::StreamOptions if object => {
                let open = at.saturating_add(1);
                self.facts.stream_options = Some(StreamOptions::Object {
                    open,
                    empty: true,
                    include_usage: None,
                });
                Place::StreamOptions
            }
            Field::PreviousResponseId | Field::Conversation | Field::WebSearchOptions => {
                self.facts.content.hidden = true;
                Place::Skip
            }
            Field::Metadata if object => {
                self.metadata.opened(at.saturating_add(1));
                Place::Metadata
            }
            Field::LitellmMetadata if object => Place::LitellmMetadata,
            Field::Tags if !object => Place::Tags,
            Field::Metadata | Field::LitellmMetadata | Field::Tags | Field::MockResponse => {
                Place::Skip
            }
            Field::Messages
            | Field::Model
            | Field::Stream
            | Field::StreamOptions
            | Field::MaxTokens
            | Field::MaxCompletionTokens
            | Field::MaxOutputTokens
            | Field::N
            | Field::BestOf
            | Field::User
            | Field::SafetyIdentifier
            | Field::ServiceTier
            | Field::Background
            | Field::ApiBase
            | Field::BaseUrl
            | Field::ApiKey
            | Field::UserConfig => return Err(field.wrong()),
        })
    }

    pub(super) fn closed(&mut self, frame: Frame, end: usize) {
        if frame.image {
            let content = &mut self.facts.content;
            let images = match frame.detail {
                Detail::Low => &mut content.images_low,
                Detail::Original => &mut content.images_original,
                Detail::Unstated | Detail::Other => &mut content.images,
            };
            add(images, 1);
        }
        match frame.place {
            Place::Raw | Place::Tools => {
                self.text_bytes(count(end.saturating_sub(self.raw_start)));
            }
            // One array of token ids is one input.
            Place::Inputs if frame.ids => {
                add(&mut self.facts.inputs, 1);
                add(&mut self.facts.messages, 1);
            }
            Place::Metadata if self.metadata.closed() => self.top.mark(),
            Place::Metadata => self.facts.ours.extend(self.metadata.take()),
            Place::Top => {
                self.top.closed();
                self.facts.ours.extend(self.top.take());
            }
            _ => {}
        }
        if self.frames.len() == 1 {
            self.field_ended();
        }
    }

    /// A top-level field's value is complete.
    pub(super) fn field_ended(&mut self) {
        if let Some(from) = self.prediction_from.take() {
            let content = &mut self.facts.content;
            content.prediction_bytes = content.text_bytes.saturating_sub(from);
        }
    }
}

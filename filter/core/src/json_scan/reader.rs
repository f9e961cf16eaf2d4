//! Turns the tokens of a request body into [`RequestFacts`].

use super::cuts::Cuts;
use super::error::BodyError;
use super::facts::{RequestFacts, StreamOptions};
use super::fields::{Field, Seen, TopKey, differs_in_case};
use super::lexer::{Fault, Literal, Nest, Reader};
use super::place::{Detail, Frame, Place, Slot};

mod containers;
mod scalars;

/// Longest key that can be one we know, with room for a misspelling.
const MAX_KEY: usize = 64;

/// Collects what the tokens say.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) facts: RequestFacts,
    seen: Seen,
    seen_user_id: bool,
    seen_litellm_user: bool,
    seen_tags: bool,
    frames: Vec<Frame>,
    // The key before the coming value, its whole length, and what that value is.
    key: Vec<u8>,
    key_length: u64,
    under: Option<Slot>,
    // The scalar being read: what it is, where it began, its first bytes and its whole length.
    slot: Option<Slot>,
    start: usize,
    value: Vec<u8>,
    length: u64,
    // Where a container that counts whole began, and the text counted before `prediction` did.
    raw_start: usize,
    prediction_from: Option<u64>,
    // Which members of the body's object and of `metadata` go upstream.
    top: Cuts,
    metadata: Cuts,
}

impl From<Fault> for BodyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed { at, expected } => Self::Malformed { at, expected },
            Fault::TooDeep { at } => Self::TooDeep { at },
        }
    }
}

impl Reader for Collector {
    type Error = BodyError;

    fn open(&mut self, nest: Nest, at: usize) -> Result<(), BodyError> {
        let slot = self.begins();
        let place = self.opened(slot, nest, at)?;
        self.frames.push(Frame::new(place, nest == Nest::Object));
        Ok(())
    }

    fn close(&mut self, _: Nest, end: usize) -> Result<(), BodyError> {
        if let Some(frame) = self.frames.pop() {
            self.closed(frame, end);
        }
        self.member_ended(end);
        Ok(())
    }

    fn key_start(&mut self, at: usize) {
        match self.frames.last().map(|frame| frame.place) {
            Some(Place::Top) => self.top.member(at),
            Some(Place::Metadata) => self.metadata.member(at),
            _ => {}
        }
        self.key.clear();
        self.key_length = 0;
    }

    fn key(&mut self, piece: &[u8]) {
        add(&mut self.key_length, count(piece.len()));
        keep(&mut self.key, piece, MAX_KEY);
    }

    fn key_end(&mut self) -> Result<(), BodyError> {
        let Some(frame) = self.frames.last() else {
            return Ok(());
        };
        let place = frame.place;
        let known = self.key_length <= count(MAX_KEY);
        let key = if known { self.key.as_slice() } else { &[] };
        self.under = Some(match place {
            Place::Top => {
                self.facts.object_empty = false;
                match self.seen.take(key)? {
                    TopKey::Field(field) => Slot::Top(field),
                    TopKey::Unread => Slot::Skip,
                    TopKey::Other => Slot::Other,
                }
            }
            _ => place.member(key),
        });
        if !place.is_wire_key(key) {
            self.text_bytes(self.key_length);
        }
        self.nested_key(place)
    }

    fn text_start(&mut self, at: usize) -> Result<(), BodyError> {
        self.scalar(at);
        Ok(())
    }

    fn text(&mut self, piece: &[u8]) {
        add(&mut self.length, count(piece.len()));
        keep(&mut self.value, piece, self.slot.map_or(0, Slot::worth));
    }

    fn text_end(&mut self, end: usize) -> Result<(), BodyError> {
        self.member_ended(end);
        self.slot
            .take()
            .map_or(Ok(()), |slot| self.string(slot, end))
    }

    fn number_start(&mut self, at: usize) -> Result<(), BodyError> {
        self.scalar(at);
        Ok(())
    }

    fn number(&mut self, piece: &[u8]) {
        add(&mut self.length, count(piece.len()));
        keep(&mut self.value, piece, scalars::MAX_DIGITS);
    }

    fn number_end(&mut self, end: usize) -> Result<(), BodyError> {
        self.member_ended(end);
        self.slot
            .take()
            .map_or(Ok(()), |slot| self.numeral(slot, end))
    }

    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), BodyError> {
        self.scalar(at);
        self.member_ended(end);
        self.slot
            .take()
            .map_or(Ok(()), |slot| self.word(slot, literal, end))
    }
}

impl Collector {
    /// A value of whichever type begins. Says what it is, and counts what depends on its being there alone.
    fn begins(&mut self) -> Slot {
        let slot = match self.frames.last() {
            None => Slot::Root,
            Some(frame) if frame.object => self.under.take().unwrap_or(Slot::Skip),
            Some(frame) => frame.place.element(),
        };
        match slot {
            Slot::Message => add(&mut self.facts.messages, 1),
            Slot::Tool => add(&mut self.facts.tools, 1),
            Slot::Top(Field::LitellmMetadata | Field::Tags | Field::MockResponse) => {
                self.top.mark();
            }
            Slot::Top(Field::Prediction) => {
                self.prediction_from = Some(self.facts.content.text_bytes);
            }
            _ => {}
        }
        slot
    }

    /// A value is complete, perhaps that of a member which may not go upstream.
    fn member_ended(&mut self, end: usize) {
        match self.frames.last().map(|frame| frame.place) {
            Some(Place::Top) => self.top.ended(end),
            Some(Place::Metadata) => self.metadata.ended(end),
            _ => {}
        }
    }

    fn scalar(&mut self, at: usize) {
        self.slot = Some(self.begins());
        self.start = at;
        self.value.clear();
        self.length = 0;
    }

    /// A key below the top that we read: once, in its own spelling.
    fn nested_key(&mut self, place: Place) -> Result<(), BodyError> {
        let (seen, field) = match (place, self.under) {
            (Place::StreamOptions, Some(Slot::IncludeUsage)) => {
                let twice = self.usage_asked();
                self.mark_nonempty();
                (twice, "stream_options.include_usage")
            }
            (Place::StreamOptions, _) => {
                self.mark_nonempty();
                if differs_in_case(&self.key, "include_usage") {
                    return Err(BodyError::WrongCase {
                        field: "stream_options.include_usage",
                    });
                }
                return Ok(());
            }
            (Place::Metadata, Some(Slot::MetadataUserId)) => (
                std::mem::replace(&mut self.seen_user_id, true),
                "metadata.user_id",
            ),
            (Place::LitellmMetadata, Some(Slot::LitellmMetadataUser)) => (
                std::mem::replace(&mut self.seen_litellm_user, true),
                "litellm_metadata.user",
            ),
            (Place::Metadata, Some(Slot::MetadataTags)) => (
                std::mem::replace(&mut self.seen_tags, true),
                "metadata.tags",
            ),
            _ => return Ok(()),
        };
        if seen {
            Err(BodyError::Duplicate { field })
        } else {
            Ok(())
        }
    }

    fn usage_asked(&self) -> bool {
        matches!(
            self.facts.stream_options,
            Some(StreamOptions::Object {
                include_usage: Some(_),
                ..
            })
        )
    }

    fn mark_nonempty(&mut self) {
        if let Some(StreamOptions::Object { empty, .. }) = &mut self.facts.stream_options {
            *empty = false;
        }
    }

    fn text_bytes(&mut self, bytes: u64) {
        add(&mut self.facts.content.text_bytes, bytes);
    }

    /// The current object is, or holds, an image.
    fn image(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.image = true;
        }
    }

    fn detail(&mut self, stated: Detail) {
        if let Some(frame) = self.frames.last_mut() {
            frame.detail = match frame.detail {
                Detail::Unstated => stated,
                before if before == stated => stated,
                _ => Detail::Other,
            };
        }
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}

/// Appends as much of `piece` as `most` bytes altogether leave room for.
fn keep(kept: &mut Vec<u8>, piece: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

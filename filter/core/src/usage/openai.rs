//! Reads OpenAI's answers: chat completions, completions and embeddings (`choices`, `usage`), and responses (typed events around a
//! `response`). The same reader takes the whole answer and the events of a stream.

use super::tally::{Counts, Tally};
use crate::json_scan::lexer::{Fault, Literal, Nest, Reader};

mod place;

use place::{Place, Slot};

/// Longest key that is known.
const MAX_KEY: usize = 32;
/// Longest string kept: an id.
const MAX_VALUE: usize = 128;
/// Longest name of a service tier.
const MAX_TIER: usize = 32;
/// Base64 bytes of audio for each byte of text that they count as: PCM at 24 kHz is 64,000 a second, its words about 20 tokens.
const AUDIO_RATIO: u64 = 1024;

/// How an answer is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `choices` and `usage` at the top.
    Choices,
    /// The Responses API.
    Responses,
}

/// Not readable any further.
#[derive(Debug)]
pub(super) struct Unreadable;

impl From<Fault> for Unreadable {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// The reader.
#[derive(Debug)]
pub(super) struct OpenAi {
    pub(super) tally: Tally,
    shape: Shape,
    // Whether each is an object: values in it stand under keys.
    frames: Vec<(Place, bool)>,
    key: Vec<u8>,
    under: Slot,
    slot: Slot,
    value: Vec<u8>,
    length: u64,
    document: State,
}

/// What the current document has shown.
#[derive(Debug, Default)]
struct State {
    usage: Option<Counts>,
    choices: Choices,
    error: bool,
    // Nothing that matters can follow: the object is complete, or it is none.
    settled: bool,
    // Bytes of `delta`, and whether they are audio.
    delta: u64,
    audio: bool,
}

/// The document's `choices`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Choices {
    #[default]
    Absent,
    Empty,
    Some,
}

impl OpenAi {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            tally: Tally::default(),
            shape,
            frames: Vec::new(),
            key: Vec::new(),
            under: Slot::Skip,
            slot: Slot::Skip,
            value: Vec::new(),
            length: 0,
            document: State::default(),
        }
    }

    /// The document is over, another may follow.
    pub(super) fn next(&mut self) {
        if self.document.usage.is_some() {
            self.last();
        }
        let document = std::mem::take(&mut self.document);
        self.frames.clear();
        if document.audio {
            let text = document.delta / AUDIO_RATIO;
            let excess = document.delta.saturating_sub(text);
            self.tally.delivered = self.tally.delivered.saturating_sub(excess);
        }
    }

    /// Whether the count just seen is the last one: nothing was written along with it, or writing had ended.
    fn last(&mut self) {
        let nothing_written = self.document.choices == Choices::Empty;
        let last = nothing_written || self.tally.written || self.shape == Shape::Responses;
        self.tally.last |= last;
    }

    /// Whether the document is a chunk that reports usage beside an empty list of choices, and nothing else that a client waits for.
    pub(super) fn only_usage(&self) -> bool {
        let document = &self.document;
        self.shape == Shape::Choices
            && document.usage.is_some()
            && document.choices == Choices::Empty
            && !document.error
    }

    /// Whether `only_usage` holds or may come to hold.
    pub(super) fn may_only_report_usage(&self) -> bool {
        let document = &self.document;
        let open = !document.settled && !document.error && !self.has_choice();
        self.only_usage() || (open && self.shape == Shape::Choices)
    }

    /// Whether there is a choice in the document.
    fn has_choice(&self) -> bool {
        self.document.choices == Choices::Some
    }

    fn begins(&mut self) -> Slot {
        let slot = match self.frames.last() {
            None => Slot::Root,
            Some((_, true)) => self.under,
            Some((place, false)) => place.element(),
        };
        if slot == Slot::Choice {
            self.document.choices = Choices::Some;
        }
        slot
    }

    fn scalar(&mut self) {
        self.slot = self.begins();
        self.document.settled |= self.frames.is_empty();
        self.value.clear();
        self.length = 0;
    }

    fn error(&mut self) {
        self.document.error = true;
        self.tally.failed = true;
    }

    /// A count is no number, or details are no object.
    fn spoil(&mut self) {
        if let Some(counts) = &mut self.document.usage {
            counts.spoil();
        }
    }

    fn string(&mut self) {
        let fits = |most: usize| self.value.len() <= most && self.length <= MAX_VALUE as u64;
        let owned = || String::from_utf8(self.value.clone()).ok();
        match self.slot {
            Slot::Id if fits(MAX_VALUE) => self.tally.id = owned(),
            Slot::Tier if fits(MAX_TIER) => self.tally.tier = owned(),
            Slot::Count(_) | Slot::Details(_) => self.spoil(),
            Slot::Finish => self.tally.written = true,
            Slot::Error => self.error(),
            Slot::Type => match self.value.as_slice() {
                b"error" | b"response.failed" => self.error(),
                b"response.audio.delta" | b"response.output_audio.delta" => {
                    self.document.audio = true;
                }
                _ => {}
            },
            Slot::Status if self.value == b"failed" => self.error(),
            _ => {}
        }
    }
}

impl Reader for OpenAi {
    type Error = Unreadable;

    fn open(&mut self, nest: Nest, _: usize) -> Result<(), Unreadable> {
        let slot = self.begins();
        self.document.settled |= slot == Slot::Root && nest == Nest::Array;
        match slot {
            Slot::Error => self.error(),
            Slot::Count(_) => self.spoil(),
            Slot::Details(_) if nest == Nest::Array => self.spoil(),
            Slot::Usage if nest == Nest::Object => {
                self.document.usage = Some(Counts::default());
            }
            Slot::Choices if nest == Nest::Array && !self.has_choice() => {
                self.document.choices = Choices::Empty;
            }
            _ => {}
        }
        self.frames
            .push((slot.opens(nest, self.shape), nest == Nest::Object));
        Ok(())
    }

    fn close(&mut self, _: Nest, _: usize) -> Result<(), Unreadable> {
        if let Some((Place::Usage, _)) = self.frames.pop() {
            self.tally.count(&self.document.usage.unwrap_or_default());
            self.last();
        }
        self.document.settled |= self.frames.is_empty();
        Ok(())
    }

    fn key_start(&mut self, _: usize) {
        self.key.clear();
    }

    fn key(&mut self, piece: &[u8]) {
        // One byte beyond the longest known key is enough to match none.
        let room = MAX_KEY.saturating_add(1).saturating_sub(self.key.len());
        self.key
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    fn key_end(&mut self) -> Result<(), Unreadable> {
        let place = self.frames.last().map_or(Place::Skip, |(place, _)| *place);
        self.under = place.member(&self.key, self.shape);
        Ok(())
    }

    fn text_start(&mut self, _: usize) -> Result<(), Unreadable> {
        self.scalar();
        Ok(())
    }

    fn text(&mut self, piece: &[u8]) {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let before = self.length;
        self.length = before.saturating_add(length);
        match self.slot {
            Slot::Text => self.tally.delivered = self.tally.delivered.saturating_add(length),
            Slot::Delta => {
                self.tally.delivered = self.tally.delivered.saturating_add(length);
                self.document.delta = self.document.delta.saturating_add(length);
            }
            Slot::AudioData => {
                let text = (self.length / AUDIO_RATIO).saturating_sub(before / AUDIO_RATIO);
                self.tally.delivered = self.tally.delivered.saturating_add(text);
            }
            Slot::Id | Slot::Tier | Slot::Type | Slot::Status => {
                let room = MAX_VALUE.saturating_sub(self.value.len());
                self.value
                    .extend_from_slice(piece.get(..room).unwrap_or(piece));
            }
            _ => {}
        }
    }

    fn text_end(&mut self, _: usize) -> Result<(), Unreadable> {
        self.string();
        Ok(())
    }

    fn number_start(&mut self, _: usize) -> Result<(), Unreadable> {
        self.scalar();
        Ok(())
    }

    fn number(&mut self, piece: &[u8]) {
        if matches!(self.slot, Slot::Count(_)) {
            let room = MAX_VALUE.saturating_sub(self.value.len());
            self.value
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }

    fn number_end(&mut self, _: usize) -> Result<(), Unreadable> {
        match self.slot {
            Slot::Count(count) => {
                if let Some(counts) = &mut self.document.usage {
                    counts.take(count, &self.value);
                }
            }
            Slot::Details(_) => self.spoil(),
            Slot::Error => self.error(),
            _ => {}
        }
        Ok(())
    }

    fn literal(&mut self, literal: Literal, _: usize, _: usize) -> Result<(), Unreadable> {
        let slot = self.begins();
        self.document.settled |= slot == Slot::Root;
        match slot {
            Slot::Count(_) | Slot::Details(_) if literal != Literal::Null => {
                self.spoil();
            }
            Slot::Error if literal == Literal::True => self.error(),
            _ => {}
        }
        Ok(())
    }
}

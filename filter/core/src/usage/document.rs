//! One JSON document of an answer: the whole body, or the data of an event.

use super::openai::{OpenAi, Shape};
use super::tally::Tally;
use crate::json_scan::lexer::Lexer;
use crate::route::Api;

/// Deepest nesting that is read.
const MAX_DEPTH: u32 = 128;

/// A document being read, and what it and those before it added up to.
#[derive(Debug)]
pub(super) struct Document {
    lexer: Lexer,
    reader: OpenAi,
    // The bytes are no JSON: nothing more is read of this document.
    broken: bool,
}

impl Document {
    pub(super) fn new(api: Api) -> Self {
        let shape = match api {
            Api::Responses => Shape::Responses,
            Api::ChatCompletions | Api::Completions | Api::Embeddings => Shape::Choices,
        };
        Self {
            lexer: Lexer::new(MAX_DEPTH),
            reader: OpenAi::new(shape),
            broken: false,
        }
    }

    /// Reads a piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.broken = self.broken || self.lexer.push(piece, &mut self.reader).is_err();
    }

    /// The document is over; says whether it only reported usage (no choice in it). The next one begins.
    pub(super) fn next(&mut self) -> bool {
        let whole = !self.broken && self.lexer.finish(&mut self.reader).is_ok();
        let only_usage = whole && self.reader.only_usage();
        self.lexer = Lexer::new(MAX_DEPTH);
        self.broken = false;
        self.reader.next();
        only_usage
    }

    /// Whether this document, as far as it has come, does nothing but report usage or may still turn out so.
    pub(super) fn may_only_report_usage(&self) -> bool {
        !self.broken && self.reader.may_only_report_usage()
    }

    /// Nothing follows: a count seen so far is the last one.
    pub(super) fn ended(&mut self) {
        self.reader.tally.ended();
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.reader.tally
    }
}

//! A stream of events: each one's data is a document. Takes out the event that reports usage, where the client did not ask for it.
//!
//! While nothing is taken out, nothing is copied or held. Where an event may have to be taken out, it is held until that is clear, which for
//! an event with a choice is where its choice begins; more than [`MAX_HELD`] is never held.
//!
//! What is held is always the beginning of one event: fields before its data, an object that is not complete and shows no choice and no error,
//! or the report itself. Where a stream is cut there, or ends there with trailers, it is not passed on. A client loses nothing: an event without
//! its blank line is discarded, and one that goes by lines cannot read half an object. A `retry` among those fields is lost too; it tells when to
//! ask again for what a POST cannot ask for again.

use super::Passed;
use super::document::Document;
use super::sse::{Framer, Step};

/// Most bytes of one event that are held.
const MAX_HELD: usize = 1024 * 1024;

/// What ends OpenAI's streams in the place of a document.
const DONE: &[u8] = b"[DONE]";

/// A stream being metered.
#[derive(Debug)]
pub(super) struct Stream {
    framer: Framer,
    document: Document,
    // The current event: whether it has data, and the data's first bytes.
    data: bool,
    head: Vec<u8>,
    gate: Option<Gate>,
}

impl Stream {
    pub(super) fn new(document: Document, hide_usage: bool) -> Self {
        Self {
            framer: Framer::new(),
            document,
            data: false,
            head: Vec::new(),
            gate: hide_usage.then(Gate::default),
        }
    }

    pub(super) const fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn push(&mut self, chunk: &[u8], end: bool) -> Passed {
        let mut gate = self.gate.take();
        let mut cut = Cut::new(
            chunk,
            gate.as_ref().is_some_and(|gate| !gate.held.is_empty()),
        );
        let mut at: usize = 0;
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let (step, length) = self.framer.step(rest);
            at = at.saturating_add(length);
            match step {
                Step::DataLine if self.data => self.feed(b"\n"),
                Step::DataLine => self.data = true,
                Step::Data(piece) => self.feed(piece),
                Step::Framing | Step::Comment | Step::Event | Step::EventLf => {}
            }
            let hidden = step == Step::Event && self.event();
            let Some(gate) = &mut gate else { continue };
            match step {
                Step::Event => gate.event(&mut cut, at, hidden),
                Step::EventLf => gate.event_lf(&mut cut, at),
                Step::Comment => gate.pass(&mut cut, at),
                Step::Data(_) if !gate.passing && !self.document.may_only_report_usage() => {
                    gate.passing = true;
                    gate.pass(&mut cut, at);
                }
                Step::Data(_) | Step::DataLine | Step::Framing => {}
            }
        }
        let hidden = end && self.event();
        if end {
            self.document.ended();
        }
        let Some(mut gate) = gate else {
            return Passed::AsIs;
        };
        if end {
            gate.event(&mut cut, at, hidden);
        } else {
            gate.chunk_ends(&mut cut, at);
        }
        self.gate = Some(gate);
        cut.passed()
    }

    fn feed(&mut self, piece: &[u8]) {
        // One byte more than the end mark, so that something longer is not taken for it.
        let room = DONE.len().saturating_add(1).saturating_sub(self.head.len());
        self.head
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.document.feed(piece);
    }

    /// The event is complete; says whether it is one that the client did not ask for.
    fn event(&mut self) -> bool {
        if !std::mem::take(&mut self.data) {
            return false;
        }
        if self.head == DONE {
            self.document.ended();
        }
        self.head.clear();
        self.document.next()
    }
}

/// Holds what may have to be taken out.
#[derive(Debug, Default)]
struct Gate {
    held: Vec<u8>,
    // The current event is known to be wanted.
    passing: bool,
    // The event before was taken out.
    dropped: bool,
}

/// One chunk on its way: how much of it is decided, and what becomes of it where that is not the chunk itself.
struct Cut<'a> {
    chunk: &'a [u8],
    decided: usize,
    changed: Option<Vec<u8>>,
}

impl<'a> Cut<'a> {
    fn new(chunk: &'a [u8], changed: bool) -> Self {
        Self {
            chunk,
            decided: 0,
            changed: changed.then(Vec::new),
        }
    }

    fn until(&mut self, at: usize) -> &'a [u8] {
        let piece = self.chunk.get(self.decided..at).unwrap_or_default();
        self.decided = at;
        piece
    }

    /// From here on the chunk is not passed on as it is.
    fn change(&mut self) -> &mut Vec<u8> {
        let passed = self.chunk.get(..self.decided).unwrap_or_default();
        self.changed.get_or_insert_with(|| passed.to_vec())
    }

    fn passed(self) -> Passed {
        self.changed.map_or(Passed::AsIs, Passed::Replace)
    }
}

impl Gate {
    fn pass(&mut self, cut: &mut Cut, at: usize) {
        let piece = cut.until(at);
        if let Some(changed) = &mut cut.changed {
            changed.append(&mut self.held);
            changed.extend_from_slice(piece);
        }
    }

    fn drop(&mut self, cut: &mut Cut, at: usize) {
        cut.change();
        cut.until(at);
        self.held.clear();
    }

    fn event(&mut self, cut: &mut Cut, at: usize, hidden: bool) {
        // What has begun to pass goes on.
        let hidden = hidden && !self.passing;
        if hidden {
            self.drop(cut, at);
        } else {
            self.pass(cut, at);
        }
        self.passing = false;
        self.dropped = hidden;
    }

    fn event_lf(&mut self, cut: &mut Cut, at: usize) {
        if self.dropped {
            self.drop(cut, at);
        } else {
            self.pass(cut, at);
        }
    }

    /// The chunk is over: what is not decided is held.
    fn chunk_ends(&mut self, cut: &mut Cut, at: usize) {
        let undecided = at.saturating_sub(cut.decided);
        if self.passing || self.held.len().saturating_add(undecided) > MAX_HELD {
            self.passing = true;
            self.pass(cut, at);
        } else if undecided > 0 {
            cut.change();
            let piece = cut.until(at);
            self.held.extend_from_slice(piece);
        }
    }
}

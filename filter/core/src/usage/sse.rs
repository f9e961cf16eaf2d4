//! The framing of server-sent events, on bytes: lines end with CR, LF or CRLF, `data` lines belong together until a blank line.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use memchr::memchr2;

const BOM: &[u8] = b"\xef\xbb\xbf";
const DATA: &[u8] = b"data";

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Part of the framing.
    Framing,
    /// A `data` line begins.
    DataLine,
    /// A piece of it.
    Data(&'a [u8]),
    /// A comment line ended, and nothing else has been said in this event.
    Comment,
    /// A blank line: the event is complete.
    Event,
    /// The second half of that blank line's CRLF.
    EventLf,
}

/// Where in the framing the last chunk ended.
#[derive(Debug)]
pub(super) struct Framer {
    line: Line,
    // The last byte was a CR that ended a line, or an event.
    after_cr: Option<Ended>,
    // The event has a line that is no comment.
    said: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Line,
    Event,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// So many bytes of a byte order mark have come.
    Bom(usize),
    /// So many bytes of `data` have come; none at the start of a line.
    Name(usize),
    /// `data:` has come, a space may follow.
    Space,
    Data,
    Comment,
    Other,
}

impl Framer {
    pub(super) const fn new() -> Self {
        Self {
            line: Line::Bom(0),
            after_cr: None,
            said: false,
        }
    }

    /// Takes the next step in `bytes`, which are not empty; says how many of them it took.
    pub(super) fn step<'a>(&mut self, bytes: &'a [u8]) -> (Step<'a>, usize) {
        let Some(byte) = bytes.first().copied() else {
            return (Step::Framing, 0);
        };
        match (self.after_cr.take(), byte) {
            (Some(Ended::Line), b'\n') => return (Step::Framing, 1),
            (Some(Ended::Event), b'\n') => return (Step::EventLf, 1),
            _ => {}
        }
        match self.line {
            Line::Bom(matched) if BOM.get(matched) == Some(&byte) => {
                let matched = matched.saturating_add(1);
                self.line = if matched == BOM.len() {
                    Line::Name(0)
                } else {
                    Line::Bom(matched)
                };
                (Step::Framing, 1)
            }
            Line::Bom(0) => {
                self.line = Line::Name(0);
                self.name(0, byte)
            }
            Line::Name(matched) => self.name(matched, byte),
            Line::Space if byte == b' ' => {
                self.line = Line::Data;
                (Step::Framing, 1)
            }
            Line::Space | Line::Data => self.data(bytes),
            Line::Comment | Line::Other | Line::Bom(_) => self.rest(bytes),
        }
    }

    fn name(&mut self, matched: usize, byte: u8) -> (Step<'static>, usize) {
        let step = match byte {
            b'\r' | b'\n' if matched == 0 => {
                self.said = false;
                self.end(byte, Ended::Event);
                return (Step::Event, 1);
            }
            b'\r' | b'\n' => {
                self.said = true;
                self.end(byte, Ended::Line);
                // A field without a colon has an empty value.
                if matched == DATA.len() {
                    Step::DataLine
                } else {
                    Step::Framing
                }
            }
            b':' if matched == 0 => {
                self.line = Line::Comment;
                Step::Framing
            }
            b':' if matched == DATA.len() => {
                self.said = true;
                self.line = Line::Space;
                Step::DataLine
            }
            byte if DATA.get(matched) == Some(&byte) => {
                self.line = Line::Name(matched.saturating_add(1));
                Step::Framing
            }
            _ => {
                self.said = true;
                self.line = Line::Other;
                Step::Framing
            }
        };
        (step, 1)
    }

    fn data<'a>(&mut self, bytes: &'a [u8]) -> (Step<'a>, usize) {
        self.line = Line::Data;
        match memchr2(b'\r', b'\n', bytes) {
            Some(0) => {
                self.end(bytes.first().copied().unwrap_or(b'\n'), Ended::Line);
                (Step::Framing, 1)
            }
            Some(end) => (Step::Data(bytes.get(..end).unwrap_or_default()), end),
            None => (Step::Data(bytes), bytes.len()),
        }
    }

    /// A line that says nothing to us, up to its end.
    fn rest(&mut self, bytes: &[u8]) -> (Step<'static>, usize) {
        let Some(end) = memchr2(b'\r', b'\n', bytes) else {
            return (Step::Framing, bytes.len());
        };
        let comment = matches!(self.line, Line::Comment) && !self.said;
        self.end(bytes.get(end).copied().unwrap_or(b'\n'), Ended::Line);
        (
            if comment {
                Step::Comment
            } else {
                Step::Framing
            },
            end.saturating_add(1),
        )
    }

    fn end(&mut self, byte: u8, ended: Ended) {
        self.line = Line::Name(0);
        self.after_cr = (byte == b'\r').then_some(ended);
    }
}

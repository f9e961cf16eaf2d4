//! The HTTP side: one request after the other on one connection, each `POST /redis` with a body of known or chunked length.

use memchr::memchr;

use super::Unexpected;
use super::frames::Frames;

/// Longest head, in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// Longest body, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Most commands of one request.
const MAX_COMMANDS: usize = 1024;
/// Longest line before a chunk.
const MAX_CHUNK_LINE: usize = 16;

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Nothing that passes on.
    Framing,
    /// A request began; it expects so many replies.
    Begun { replies: usize },
    /// Commands.
    Body(&'a [u8]),
}

/// Where in a request the last piece ended.
#[derive(Debug)]
pub(super) struct Request {
    state: State,
    // The line or head being read.
    line: Vec<u8>,
    commands: Frames,
    // Commands that the current request lacks.
    missing: usize,
    // How much more its body may hold.
    room: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    /// A body of known length, of which so much is left.
    Sized(usize),
    ChunkLine,
    /// A chunk of which so much is left.
    Chunk(usize),
    /// The CRLF after a chunk.
    ChunkEnd,
    /// The CRLF after the last chunk.
    LastEnd,
}

enum Length {
    Known(usize),
    Chunked,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            state: State::Head,
            line: Vec::new(),
            commands: Frames::of_commands(),
            missing: 0,
            room: 0,
        }
    }
}

impl Request {
    /// Takes the next step in `bytes`, which are not empty; says how many of them it took.
    pub(super) fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<(Step<'a>, usize), Unexpected> {
        match self.state {
            State::Head => self.head(bytes),
            State::Sized(left) | State::Chunk(left) => {
                let (piece, _) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
                self.body(piece)?;
                let left = left.saturating_sub(piece.len());
                match (self.state, left) {
                    (State::Sized(_), 0) => self.ended()?,
                    (State::Sized(_), _) => self.state = State::Sized(left),
                    (_, 0) => self.state = State::ChunkEnd,
                    _ => self.state = State::Chunk(left),
                }
                Ok((Step::Body(piece), piece.len()))
            }
            State::ChunkLine | State::ChunkEnd | State::LastEnd => self.chunk_line(bytes),
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<(Step<'a>, usize), Unexpected> {
        let (taken, whole) = self.line(bytes, MAX_HEAD)?;
        if !whole || !self.line.ends_with(b"\r\n\r\n") {
            return Ok((Step::Framing, taken));
        }
        let head = std::mem::take(&mut self.line);
        let (length, replies) = parse(&head)?;
        self.missing = replies;
        self.room = MAX_BODY;
        self.state = match length {
            Length::Known(length) if (1..=MAX_BODY).contains(&length) => State::Sized(length),
            Length::Known(_) => return Err(Unexpected),
            Length::Chunked => State::ChunkLine,
        };
        Ok((Step::Begun { replies }, taken))
    }

    /// Adds bytes up to and with the next line feed.
    fn line(&mut self, bytes: &[u8], most: usize) -> Result<(usize, bool), Unexpected> {
        let end = memchr(b'\n', bytes).map(|at| at.saturating_add(1));
        let taken = end.unwrap_or(bytes.len());
        if self.line.len().saturating_add(taken) > most {
            return Err(Unexpected);
        }
        self.line
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok((taken, end.is_some()))
    }

    fn body(&mut self, mut piece: &[u8]) -> Result<(), Unexpected> {
        self.room = self.room.checked_sub(piece.len()).ok_or(Unexpected)?;
        while !piece.is_empty() {
            let (used, whole) = self.commands.step(piece)?;
            self.missing = self
                .missing
                .checked_sub(usize::from(whole))
                .ok_or(Unexpected)?;
            piece = piece.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// The body is over: it must have held exactly the commands that were announced, or replies would go to the wrong request.
    fn ended(&mut self) -> Result<(), Unexpected> {
        if self.missing > 0 || self.commands.is_mid_element() {
            return Err(Unexpected);
        }
        self.state = State::Head;
        Ok(())
    }

    fn chunk_line<'a>(&mut self, bytes: &'a [u8]) -> Result<(Step<'a>, usize), Unexpected> {
        let (taken, whole) = self.line(bytes, MAX_CHUNK_LINE)?;
        if whole {
            let line = std::mem::take(&mut self.line);
            let text = line.strip_suffix(b"\r\n").ok_or(Unexpected)?;
            match self.state {
                State::ChunkEnd if text.is_empty() => self.state = State::ChunkLine,
                State::LastEnd if text.is_empty() => self.ended()?,
                State::ChunkLine => {
                    self.state = match hexadecimal(text)? {
                        0 => State::LastEnd,
                        length => State::Chunk(length),
                    };
                }
                _ => return Err(Unexpected),
            }
        }
        Ok((Step::Framing, taken))
    }
}

/// Body length and number of replies that a head announces.
fn parse(head: &[u8]) -> Result<(Length, usize), Unexpected> {
    let head = std::str::from_utf8(head).map_err(|_| Unexpected)?;
    let mut lines = head
        .strip_suffix("\r\n\r\n")
        .ok_or(Unexpected)?
        .split("\r\n");
    if lines.next() != Some("POST /redis HTTP/1.1") {
        return Err(Unexpected);
    }
    let (mut length, mut replies) = (None, None);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Unexpected)?;
        let value = value.trim_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n']) {
            return Err(Unexpected);
        }
        let twice = if name.eq_ignore_ascii_case("content-length") {
            length.replace(Length::Known(decimal(value)?)).is_some()
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(Unexpected);
            }
            length.replace(Length::Chunked).is_some()
        } else if name.eq_ignore_ascii_case("x-tollkeeper-replies") {
            replies.replace(decimal(value)?).is_some()
        } else {
            false
        };
        if twice {
            return Err(Unexpected);
        }
    }
    let replies = replies.filter(|replies| (1..=MAX_COMMANDS).contains(replies));
    Ok((length.ok_or(Unexpected)?, replies.ok_or(Unexpected)?))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_'
                | b'.'
                | b'!'
                | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'^'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn decimal(text: &str) -> Result<usize, Unexpected> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(Unexpected)
}

fn hexadecimal(text: &[u8]) -> Result<usize, Unexpected> {
    let plain = (1..=7).contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).map_err(|_| Unexpected)?;
    usize::from_str_radix(text, 16)
        .ok()
        .filter(|_| plain)
        .ok_or(Unexpected)
}

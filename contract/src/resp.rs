//! RESP2, the Redis protocol: commands out, replies in. <https://redis.io/docs/latest/develop/reference/protocol-spec/>
//!
//! Decides where a reply ends and what it is; what a reply means is the caller's business. Replies come over a network, so their size,
//! depth and number of elements are bounded, and a decoder that met anything else than RESP2 stays failed: after a framing error no
//! later byte can be trusted.

use std::collections::VecDeque;

use crate::decimal;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR …`
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// `$3\r\nabc\r\n`; `None` for `$-1`.
    Bulk(Option<Vec<u8>>),
    /// `*2…`; `None` for `*-1`.
    Array(Option<Vec<Reply>>),
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RespError {
    /// Not RESP2, or not the number of replies that was expected.
    Malformed,
    /// Longer, deeper or with more elements than the decoder takes.
    TooLarge,
}

/// Appends one command.
pub fn encode_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    encode_head(out, args.len());
    for arg in args {
        encode_bulk(out, arg);
    }
}

/// Appends the head of a command of `args` arguments.
pub(crate) fn encode_head(out: &mut Vec<u8>, args: usize) {
    out.push(b'*');
    out.extend_from_slice(decimal::of_length(args).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends one argument.
pub(crate) fn encode_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(decimal::of_length(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Largest total size of one reply, in bytes.
pub const MAX_REPLY: usize = 4 * 1024 * 1024;
/// Deepest nesting of arrays in one reply.
pub const MAX_DEPTH: usize = 8;
/// Most elements of one reply, those of nested arrays included.
pub const MAX_ELEMENTS: usize = 16_384;

/// Decodes exactly `replies` replies that fill `bytes`.
pub fn decode_all(bytes: &[u8], replies: usize) -> Result<Vec<Reply>, RespError> {
    let mut decoder = Decoder::default();
    decoder.push(bytes)?;
    if decoder.is_mid_reply() || decoder.ready.len() != replies {
        return Err(RespError::Malformed);
    }
    Ok(decoder.ready.into())
}

/// Decodes replies from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes that came and are not yet part of a decoded element.
    pending: Vec<u8>,
    /// How many of `pending` are known to hold no end of line.
    searched: usize,
    /// Length of the bulk string whose head was read.
    bulk: Option<usize>,
    /// Arrays that are being filled, the outermost first.
    open: Vec<OpenArray>,
    /// Bytes and elements of the reply being read.
    size: usize,
    elements: usize,
    ready: VecDeque<Reply>,
    failed: Option<RespError>,
}

#[derive(Debug)]
struct OpenArray {
    missing: usize,
    items: Vec<Reply>,
}

/// An element of the protocol as its first line tells.
enum Head {
    Whole(Reply),
    Bulk(usize),
    Array(usize),
}

impl Decoder {
    /// Takes further bytes. An error is final: every later call repeats it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RespError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.pending.extend_from_slice(bytes);
        let outcome = self.advance();
        if let Err(error) = outcome {
            self.failed = Some(error);
            self.pending = Vec::new();
            self.open = Vec::new();
        }
        outcome
    }

    /// The next whole reply, in the order of arrival.
    pub fn next_reply(&mut self) -> Option<Reply> {
        self.ready.pop_front()
    }

    /// How many whole replies wait in [`Decoder::next_reply`].
    pub fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// Whether part of a further reply has arrived.
    pub fn is_mid_reply(&self) -> bool {
        !self.pending.is_empty() || self.bulk.is_some() || !self.open.is_empty()
    }

    fn advance(&mut self) -> Result<(), RespError> {
        let mut at = 0;
        while let Some((reply, used)) = self.element(at)? {
            at = used;
            if let Some(reply) = reply {
                self.place(reply);
            }
        }
        self.pending.drain(..at);
        self.searched = self.searched.saturating_sub(at);
        let unread = self.size.saturating_add(self.pending.len());
        if unread > MAX_REPLY {
            Err(RespError::TooLarge)
        } else {
            Ok(())
        }
    }

    /// Reads one line or bulk string at `at`: the reply it completes, if any, and where the next begins. `None`: more bytes are needed.
    fn element(&mut self, at: usize) -> Result<Option<(Option<Reply>, usize)>, RespError> {
        let rest = self.pending.get(at..).unwrap_or_default();
        if let Some(length) = self.bulk {
            let Some((bytes, after)) = rest.split_at_checked(length) else {
                return Ok(None);
            };
            let end = match after {
                [b'\r', b'\n', ..] => at.saturating_add(length).saturating_add(2),
                [] | [b'\r'] => return Ok(None),
                _ => return Err(RespError::Malformed),
            };
            let reply = Reply::Bulk(Some(bytes.to_vec()));
            self.bulk = None;
            self.count(length.saturating_add(2))?;
            return Ok(Some((Some(reply), end)));
        }
        let from = self.searched.max(at);
        let unsearched = self.pending.get(from..).unwrap_or_default();
        let Some(newline) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.pending.len();
            return Ok(None);
        };
        let end = from.saturating_add(newline).saturating_add(1);
        let line = self
            .pending
            .get(at..end)
            .and_then(|line| line.strip_suffix(b"\r\n"));
        let head = head(line.ok_or(RespError::Malformed)?)?;
        self.searched = end;
        self.elements = self.elements.saturating_add(1);
        self.count(end.saturating_sub(at))?;
        let reply = match head {
            Head::Whole(reply) => Some(reply),
            Head::Bulk(length) => {
                if length > MAX_REPLY {
                    return Err(RespError::TooLarge);
                }
                self.bulk = Some(length);
                None
            }
            Head::Array(0) => Some(Reply::Array(Some(Vec::new()))),
            Head::Array(length) => {
                if self.open.len() >= MAX_DEPTH || length > MAX_ELEMENTS {
                    return Err(RespError::TooLarge);
                }
                self.open.push(OpenArray {
                    missing: length,
                    items: Vec::new(),
                });
                None
            }
        };
        Ok(Some((reply, end)))
    }

    fn count(&mut self, bytes: usize) -> Result<(), RespError> {
        self.size = self.size.saturating_add(bytes);
        let fits = self.size <= MAX_REPLY && self.elements <= MAX_ELEMENTS;
        if fits {
            Ok(())
        } else {
            Err(RespError::TooLarge)
        }
    }

    /// Puts a whole reply into the array it belongs to, and that one into its own when it is full.
    fn place(&mut self, mut reply: Reply) {
        while let Some(mut array) = self.open.pop() {
            array.items.push(reply);
            array.missing = array.missing.saturating_sub(1);
            if array.missing > 0 {
                self.open.push(array);
                return;
            }
            reply = Reply::Array(Some(array.items));
        }
        self.size = 0;
        self.elements = 0;
        self.ready.push_back(reply);
    }
}

fn head(line: &[u8]) -> Result<Head, RespError> {
    let (kind, rest) = line.split_first().ok_or(RespError::Malformed)?;
    let length = |rest| match integer(rest)? {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| RespError::Malformed),
    };
    Ok(match kind {
        b'+' => Head::Whole(Reply::Simple(text(rest)?)),
        b'-' => Head::Whole(Reply::Error(text(rest)?)),
        b':' => Head::Whole(Reply::Integer(integer(rest)?)),
        b'$' => length(rest)?.map_or(Head::Whole(Reply::Bulk(None)), Head::Bulk),
        b'*' => length(rest)?.map_or(Head::Whole(Reply::Array(None)), Head::Array),
        _ => return Err(RespError::Malformed),
    })
}

fn text(line: &[u8]) -> Result<Vec<u8>, RespError> {
    if line.contains(&b'\r') {
        Err(RespError::Malformed)
    } else {
        Ok(line.to_vec())
    }
}

/// Decimal digits with an optional `-`; nothing else, so no `+`, blank or empty text.
fn integer(digits: &[u8]) -> Result<i64, RespError> {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return Err(RespError::Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| RespError::Malformed)?;
    text.parse().map_err(|_| RespError::Malformed)
}

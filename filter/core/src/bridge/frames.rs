//! Where RESP elements end, without decoding them. Serves commands and replies alike: a command is an array of bulk strings.

use memchr::memchr;

use super::Unexpected;

/// Deepest nesting of arrays.
const MAX_DEPTH: usize = 8;
/// Longest line (simple string, error, number), in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Longest bulk string, in bytes.
const MAX_BULK: usize = 8 * 1024 * 1024;
/// Most elements of one array.
const MAX_ELEMENTS: usize = 64 * 1024;

/// Where in an element the last piece ended.
#[derive(Debug, Default)]
pub(super) struct Frames {
    // The line being read.
    line: Vec<u8>,
    // Bytes of a bulk string that are still to come, its CRLF included.
    bulk: usize,
    // Elements that each open array still lacks, the outermost first.
    open: Vec<usize>,
    // Only commands may come.
    commands: bool,
}

impl Frames {
    /// Takes commands alone.
    pub(super) fn of_commands() -> Self {
        Self {
            commands: true,
            ..Self::default()
        }
    }

    /// Whether an element has begun and not ended.
    pub(super) fn is_mid_element(&self) -> bool {
        !self.line.is_empty() || self.bulk > 0 || !self.open.is_empty()
    }

    /// Takes as much of `bytes` as belongs to one top-level element: says how much, and whether it is whole now.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<(usize, bool), Unexpected> {
        let mut used: usize = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let (taken, whole) = if self.bulk > 0 {
                self.bulk(rest)?
            } else {
                self.line(rest)?
            };
            used = used.saturating_add(taken);
            if whole && self.ended() {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// An element ended; says whether it was, or completed, a top-level one.
    fn ended(&mut self) -> bool {
        while let Some(missing) = self.open.last_mut() {
            *missing = missing.saturating_sub(1);
            if *missing > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }

    fn bulk(&mut self, rest: &[u8]) -> Result<(usize, bool), Unexpected> {
        let taken = self.bulk.min(rest.len());
        for (at, byte) in rest
            .get(..taken)
            .unwrap_or_default()
            .iter()
            .enumerate()
            .rev()
            .take(2)
        {
            match (self.bulk.saturating_sub(at), byte) {
                (2, b'\r') | (1, b'\n') => {}
                (1 | 2, _) => return Err(Unexpected),
                _ => break,
            }
        }
        self.bulk = self.bulk.saturating_sub(taken);
        Ok((taken, self.bulk == 0))
    }

    fn line(&mut self, rest: &[u8]) -> Result<(usize, bool), Unexpected> {
        let end = memchr(b'\n', rest).map(|at| at.saturating_add(1));
        let taken = end.unwrap_or(rest.len());
        if self.line.len().saturating_add(taken) > MAX_LINE {
            return Err(Unexpected);
        }
        self.line
            .extend_from_slice(rest.get(..taken).unwrap_or_default());
        if end.is_none() {
            return Ok((taken, false));
        }
        let mut line = std::mem::take(&mut self.line);
        let whole = self.head(line.strip_suffix(b"\r\n").ok_or(Unexpected)?)?;
        // The buffer goes back for the next line.
        line.clear();
        self.line = line;
        Ok((taken, whole))
    }

    /// An element's first line; says whether the element is whole with it.
    fn head(&mut self, line: &[u8]) -> Result<bool, Unexpected> {
        let (kind, text) = line.split_first().ok_or(Unexpected)?;
        if text.contains(&b'\r') || (self.commands && !self.in_command(*kind, text)) {
            return Err(Unexpected);
        }
        match (kind, text) {
            (b'+' | b'-', _) | (b'$' | b'*', b"-1") | (b'*', b"0") => Ok(true),
            (b':', _) if is_integer(text) => Ok(true),
            (b'$', _) => {
                self.bulk = length(text, MAX_BULK)?.saturating_add(2);
                Ok(false)
            }
            (b'*', _) if self.open.len() < MAX_DEPTH => {
                self.open.push(length(text, MAX_ELEMENTS)?);
                Ok(false)
            }
            _ => Err(Unexpected),
        }
    }

    /// Whether this may stand in a command: an array that is not empty, of bulk strings. Redis does not answer an empty one, and then later
    /// replies would be taken for those of others.
    fn in_command(&self, kind: u8, text: &[u8]) -> bool {
        let expected = if self.open.is_empty() { b'*' } else { b'$' };
        kind == expected && text != b"-1" && (kind, text) != (b'*', b"0")
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

fn length(digits: &[u8], most: usize) -> Result<usize, Unexpected> {
    let plain = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)
        .and_then(|text| text.parse().ok());
    number.filter(|number| *number <= most).ok_or(Unexpected)
}

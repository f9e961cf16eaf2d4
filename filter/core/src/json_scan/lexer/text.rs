//! The insides of strings: runs passed on as they are, escapes decoded, UTF-8 checked across chunk ends.

use super::{Fault, Lexer, Reader, State};

/// The first bytes of a character whose rest is in the next chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    bytes: [u8; 4],
    pub(super) len: usize,
}

impl Lexer {
    /// The inside of a string up to an escape, its end, or the end of the chunk.
    pub(super) fn text<'a, R: Reader>(
        &mut self,
        bytes: &'a [u8],
        key: bool,
        reader: &mut R,
    ) -> Result<&'a [u8], R::Error> {
        if self.cut.len > 0 {
            return self.cut_character(bytes, key, reader);
        }
        let (length, ascii) = plain(bytes);
        let (run, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if ascii {
            piece(reader, key, run);
        } else {
            self.characters(run, rest.is_empty(), key, reader)?;
        }
        self.at = self.at.saturating_add(length);
        let Some((byte, after)) = rest.split_first() else {
            return Ok(rest);
        };
        match byte {
            b'"' if self.cut.len == 0 => {
                let end = self.at.saturating_add(1);
                if key {
                    self.state = State::Colon;
                    reader.key_end()?;
                } else {
                    self.after_value();
                    reader.text_end(end)?;
                }
            }
            b'\\' if self.cut.len == 0 => self.state = State::Escape { key },
            _ => return Err(self.malformed().into()),
        }
        self.at = self.at.saturating_add(1);
        Ok(after)
    }

    /// A run with characters outside ASCII; the last may be cut only where the chunk ends.
    fn characters<R: Reader>(
        &mut self,
        run: &[u8],
        may_be_cut: bool,
        key: bool,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        let Err(error) = std::str::from_utf8(run) else {
            piece(reader, key, run);
            return Ok(());
        };
        let (whole, left) = run
            .split_at_checked(error.valid_up_to())
            .unwrap_or((run, &[]));
        piece(reader, key, whole);
        if error.error_len().is_some() || !may_be_cut {
            self.at = self.at.saturating_add(whole.len());
            return Err(self.bad_utf8().into());
        }
        for byte in left {
            self.cut.take(*byte);
        }
        Ok(())
    }

    /// The rest of a character that the chunk before cut.
    fn cut_character<'a, R: Reader>(
        &mut self,
        bytes: &'a [u8],
        key: bool,
        reader: &mut R,
    ) -> Result<&'a [u8], R::Error> {
        let Some((byte, after)) = bytes.split_first() else {
            return Ok(bytes);
        };
        self.cut.take(*byte);
        match std::str::from_utf8(self.cut.get()) {
            Ok(character) => {
                piece(reader, key, character.as_bytes());
                self.cut = Cut::default();
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return Err(self.bad_utf8().into()),
        }
        self.at = self.at.saturating_add(1);
        Ok(after)
    }

    pub(super) fn escape<R: Reader>(
        &mut self,
        byte: u8,
        key: bool,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        let decoded = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.state = State::Hex {
                    key,
                    digits: 0,
                    unit: 0,
                    high: None,
                };
                return Ok(());
            }
            _ => return Err(self.malformed().into()),
        };
        piece(reader, key, &[decoded]);
        self.state = State::Text { key };
        Ok(())
    }

    /// A UTF-16 unit written as `\uXXXX`.
    pub(super) fn unit<R: Reader>(
        &mut self,
        unit: u16,
        high: Option<u16>,
        key: bool,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        if high.is_none() && (0xd800..0xdc00).contains(&unit) {
            self.state = State::LowBackslash { key, high: unit };
            return Ok(());
        }
        let mut units = char::decode_utf16(high.into_iter().chain([unit]));
        let (Some(Ok(character)), None) = (units.next(), units.next()) else {
            return Err(self.malformed().into());
        };
        piece(reader, key, character.encode_utf8(&mut [0; 4]).as_bytes());
        self.state = State::Text { key };
        Ok(())
    }

    fn bad_utf8(&self) -> Fault {
        Fault::Malformed {
            at: self.at,
            expected: "valid UTF-8",
        }
    }
}

impl Cut {
    fn take(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn piece<R: Reader>(reader: &mut R, key: bool, piece: &[u8]) {
    if piece.is_empty() {
        return;
    }
    if key {
        reader.key(piece);
    } else {
        reader.text(piece);
    }
}

/// Length of the longest prefix without quote, backslash and control characters, and whether it is ASCII. Eight bytes at a time: bodies
/// carry megabytes of base64.
fn plain(bytes: &[u8]) -> (usize, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of the lowest zero byte, maybe of others above it too, and of none where there is no zero byte.
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGH
    }
    let mut length: usize = 0;
    let mut seen: u64 = 0;
    let (blocks, _) = bytes.as_chunks::<8>();
    for block in blocks {
        let word = u64::from_le_bytes(*block);
        let quote = zero(word ^ 0x2222_2222_2222_2222);
        let backslash = zero(word ^ 0x5c5c_5c5c_5c5c_5c5c);
        let control = word.wrapping_sub(0x2020_2020_2020_2020) & !word & HIGH;
        if (quote | backslash | control) != 0 {
            break;
        }
        seen |= word;
        length = length.saturating_add(8);
    }
    let tail = bytes.get(length..).unwrap_or_default();
    for byte in tail {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        seen |= u64::from(*byte);
        length = length.saturating_add(1);
    }
    (length, seen & HIGH == 0)
}

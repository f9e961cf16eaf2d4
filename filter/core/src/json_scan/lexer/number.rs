//! The insides of numbers.

use super::{Lexer, Reader, State};

/// Where in a number the last chunk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Digits {
    /// The state after `byte`, or `None` where the number cannot go on with it.
    pub(super) const fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    pub(super) const fn complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Whole | Self::Fraction | Self::Exponent
        )
    }
}

impl Lexer {
    /// A number up to its end, or the end of the chunk.
    pub(super) fn number<'a, R: Reader>(
        &mut self,
        bytes: &'a [u8],
        mut digits: Digits,
        reader: &mut R,
    ) -> Result<&'a [u8], R::Error> {
        let length = bytes
            .iter()
            .position(|byte| match digits.then(*byte) {
                Some(next) => {
                    digits = next;
                    false
                }
                None => true,
            })
            .unwrap_or(bytes.len());
        let (piece, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        reader.number(piece);
        self.at = self.at.saturating_add(length);
        self.state = State::Number(digits);
        if !rest.is_empty() {
            if !digits.complete() {
                return Err(self.malformed().into());
            }
            self.after_value();
            reader.number_end(self.at)?;
        }
        Ok(rest)
    }
}

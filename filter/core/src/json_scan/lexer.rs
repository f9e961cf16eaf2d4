//! An incremental JSON tokenizer over bytes: checks everything RFC 8259 asks for and lone surrogates too, keeps nothing but its place.
//!
//! Decides what is JSON. What a token means is left to the [`Reader`], which is told of every token as it passes, strings in decoded pieces.
//! Chunks may end anywhere.

mod number;
mod text;

use number::Digits;
use text::Cut;

/// Why bytes are no acceptable JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON from this byte on.
    Malformed {
        /// Offset.
        at: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// Nested too deep.
    TooDeep {
        /// Offset of the bracket.
        at: usize,
    },
}

/// What is nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nest {
    /// `{`
    Object,
    /// `[`
    Array,
}

/// A literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

impl Literal {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Null => b"null",
            Self::True => b"true",
            Self::False => b"false",
        }
    }
}

/// Is told of every token. Offsets count from the first byte pushed; `end` is the first byte after the token.
pub(crate) trait Reader {
    /// Ends the reading.
    type Error: From<Fault>;

    /// An object or array begins.
    fn open(&mut self, nest: Nest, at: usize) -> Result<(), Self::Error>;
    /// It ends.
    fn close(&mut self, nest: Nest, end: usize) -> Result<(), Self::Error>;
    /// A member's key begins.
    fn key_start(&mut self, at: usize);
    /// A decoded piece of the key.
    fn key(&mut self, piece: &[u8]);
    /// The key is complete.
    fn key_end(&mut self) -> Result<(), Self::Error>;
    /// A string value begins.
    fn text_start(&mut self, at: usize) -> Result<(), Self::Error>;
    /// A decoded piece of it.
    fn text(&mut self, piece: &[u8]);
    /// It is complete.
    fn text_end(&mut self, end: usize) -> Result<(), Self::Error>;
    /// A number begins.
    fn number_start(&mut self, at: usize) -> Result<(), Self::Error>;
    /// A piece of its text.
    fn number(&mut self, piece: &[u8]);
    /// It is complete.
    fn number_end(&mut self, end: usize) -> Result<(), Self::Error>;
    /// A literal.
    fn literal(&mut self, literal: Literal, at: usize, end: usize) -> Result<(), Self::Error>;
}

/// Deepest nesting that a [`Lexer`] can be asked to take.
const DEEPEST: u32 = 128;

/// Where in a document the last chunk ended.
#[derive(Clone, Debug)]
pub(crate) struct Lexer {
    at: usize,
    state: State,
    // One bit a level, the innermost lowest; set for objects.
    objects: u128,
    depth: u32,
    max_depth: u32,
    // The first bytes of a character that the chunk cut.
    cut: Cut,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    AfterValue,
    End,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Hex {
        key: bool,
        digits: u8,
        unit: u16,
        high: Option<u16>,
    },
    LowBackslash {
        key: bool,
        high: u16,
    },
    LowU {
        key: bool,
        high: u16,
    },
    Number(Digits),
    Literal {
        literal: Literal,
        matched: usize,
    },
}

impl Lexer {
    /// Expects one document, nested at most `max_depth` (≤ 128) deep.
    pub(crate) fn new(max_depth: u32) -> Self {
        Self {
            at: 0,
            state: State::Value,
            objects: 0,
            depth: 0,
            max_depth: max_depth.min(DEEPEST),
            cut: Cut::default(),
        }
    }

    /// Reads the next piece. After an error the lexer must not be used again.
    pub(crate) fn push<R: Reader>(&mut self, chunk: &[u8], reader: &mut R) -> Result<(), R::Error> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Text { key } => self.text(rest, key, reader)?,
                State::Number(digits) => self.number(rest, digits, reader)?,
                _ => {
                    self.byte(*byte, reader)?;
                    self.at = self.at.saturating_add(1);
                    after
                }
            };
        }
        Ok(())
    }

    /// The input is over: it must have been one whole document.
    pub(crate) fn finish<R: Reader>(&mut self, reader: &mut R) -> Result<(), R::Error> {
        if let State::Number(digits) = self.state
            && digits.complete()
        {
            reader.number_end(self.at)?;
            self.after_value();
        }
        match self.state {
            State::End => Ok(()),
            _ => Err(self.malformed().into()),
        }
    }

    fn byte<R: Reader>(&mut self, byte: u8, reader: &mut R) -> Result<(), R::Error> {
        let blank = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match (self.state, byte) {
            (
                State::Value
                | State::FirstElement
                | State::FirstKey
                | State::Key
                | State::Colon
                | State::AfterValue
                | State::End,
                _,
            ) if blank => {}
            (State::FirstElement, b']') => self.close(Nest::Array, reader)?,
            (State::FirstKey, b'}') => self.close(Nest::Object, reader)?,
            (State::Value | State::FirstElement, _) => self.value(byte, reader)?,
            (State::FirstKey | State::Key, b'"') => {
                reader.key_start(self.at);
                self.state = State::Text { key: true };
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::AfterValue, b',') => {
                self.state = if self.in_object() {
                    State::Key
                } else {
                    State::Value
                };
            }
            (State::AfterValue, b'}') if self.in_object() => self.close(Nest::Object, reader)?,
            (State::AfterValue, b']') if !self.in_object() => self.close(Nest::Array, reader)?,
            (State::Escape { key }, _) => self.escape(byte, key, reader)?,
            (
                State::Hex {
                    key,
                    digits,
                    unit,
                    high,
                },
                _,
            ) => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .and_then(|digit| u16::try_from(digit).ok());
                let digit = digit.ok_or_else(|| self.malformed())?;
                let unit = unit.wrapping_shl(4) | digit;
                if digits < 3 {
                    self.state = State::Hex {
                        key,
                        digits: digits.saturating_add(1),
                        unit,
                        high,
                    };
                } else {
                    self.unit(unit, high, key, reader)?;
                }
            }
            (State::LowBackslash { key, high }, b'\\') => self.state = State::LowU { key, high },
            (State::LowU { key, high }, b'u') => {
                self.state = State::Hex {
                    key,
                    digits: 0,
                    unit: 0,
                    high: Some(high),
                };
            }
            (State::Literal { literal, matched }, _)
                if literal.word().get(matched) == Some(&byte) =>
            {
                let matched = matched.saturating_add(1);
                self.state = State::Literal { literal, matched };
                if matched == literal.word().len() {
                    let end = self.at.saturating_add(1);
                    reader.literal(literal, end.saturating_sub(matched), end)?;
                    self.after_value();
                }
            }
            _ => return Err(self.malformed().into()),
        }
        Ok(())
    }

    fn value<R: Reader>(&mut self, byte: u8, reader: &mut R) -> Result<(), R::Error> {
        self.state = match byte {
            b'{' => return self.open(Nest::Object, reader),
            b'[' => return self.open(Nest::Array, reader),
            b'"' => {
                reader.text_start(self.at)?;
                State::Text { key: false }
            }
            b'-' | b'0'..=b'9' => {
                reader.number_start(self.at)?;
                reader.number(&[byte]);
                State::Number(match byte {
                    b'-' => Digits::Minus,
                    b'0' => Digits::Zero,
                    _ => Digits::Whole,
                })
            }
            b'n' => State::Literal {
                literal: Literal::Null,
                matched: 1,
            },
            b't' => State::Literal {
                literal: Literal::True,
                matched: 1,
            },
            b'f' => State::Literal {
                literal: Literal::False,
                matched: 1,
            },
            _ => return Err(self.malformed().into()),
        };
        Ok(())
    }

    fn open<R: Reader>(&mut self, nest: Nest, reader: &mut R) -> Result<(), R::Error> {
        if self.depth >= self.max_depth {
            return Err(Fault::TooDeep { at: self.at }.into());
        }
        self.depth = self.depth.saturating_add(1);
        self.objects = self.objects.wrapping_shl(1) | u128::from(nest == Nest::Object);
        self.state = match nest {
            Nest::Object => State::FirstKey,
            Nest::Array => State::FirstElement,
        };
        reader.open(nest, self.at)
    }

    fn close<R: Reader>(&mut self, nest: Nest, reader: &mut R) -> Result<(), R::Error> {
        self.depth = self.depth.saturating_sub(1);
        self.objects = self.objects.wrapping_shr(1);
        self.after_value();
        reader.close(nest, self.at.saturating_add(1))
    }

    fn after_value(&mut self) {
        self.state = if self.depth == 0 {
            State::End
        } else {
            State::AfterValue
        };
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn malformed(&self) -> Fault {
        let expected = match self.state {
            State::Value => "a value",
            State::FirstElement => "a value or ']'",
            State::FirstKey => "a string as key or '}'",
            State::Key => "a string as key",
            State::Colon => "':'",
            State::AfterValue if self.in_object() => "',' or '}'",
            State::AfterValue => "',' or ']'",
            State::End => "nothing more",
            State::Text { .. } if self.cut.len > 0 => "valid UTF-8",
            State::Text { .. } => "the rest of a string, control characters escaped",
            State::Escape { .. } => "an escape such as \\n",
            State::Hex { high: None, .. } => "four hexadecimal digits",
            State::Hex { .. } | State::LowBackslash { .. } | State::LowU { .. } => {
                "the second half of a surrogate pair"
            }
            State::Number(_) => "a digit",
            State::Literal { .. } => "null, true or false",
        };
        Fault::Malformed {
            at: self.at,
            expected,
        }
    }
}

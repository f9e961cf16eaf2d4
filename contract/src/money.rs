//! Money as integers: what is spent in nano-dollars, what a unit costs in picodollars.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in nano-dollars (1e-9 USD), 0 to [`NanoUsd::MAX`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct NanoUsd(u64);

/// A price in picodollars (1e-12 USD) for one unit (token, image, second …).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PicoUsdPerUnit(pub u64);

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not a decimal number such as `0.5`, `10` or `1e-3`.
    NotANumber,
    /// Below zero.
    Negative,
    /// Above [`NanoUsd::MAX`] (nine million dollars).
    TooLarge,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "expected a decimal number of US dollars",
            Self::Negative => "expected an amount of at least 0",
            Self::TooLarge => "expected an amount of at most 9000000 US dollars",
        })
    }
}

impl std::error::Error for MoneyError {}

impl TryFrom<u64> for NanoUsd {
    type Error = MoneyError;

    fn try_from(nano: u64) -> Result<Self, MoneyError> {
        Self::new(nano).ok_or(MoneyError::TooLarge)
    }
}

impl From<NanoUsd> for u64 {
    fn from(amount: NanoUsd) -> Self {
        amount.0
    }
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Nine million dollars: below 2^53, so Lua's doubles stay exact.
    pub const MAX: Self = Self(9_000_000_000_000_000);

    /// An amount of at most [`NanoUsd::MAX`].
    pub const fn new(nano: u64) -> Option<Self> {
        if nano <= Self::MAX.0 {
            Some(Self(nano))
        } else {
            None
        }
    }

    /// The amount, at most [`NanoUsd::MAX`].
    #[must_use]
    pub const fn saturating(nano: u64) -> Self {
        if nano <= Self::MAX.0 {
            Self(nano)
        } else {
            Self::MAX
        }
    }

    /// Nano-dollars.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, `None` above [`NanoUsd::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// The difference, zero where `other` is larger.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Picodollars rounded up to a whole nano-dollar; `None` above [`NanoUsd::MAX`].
    pub fn from_pico_ceil(pico: u128) -> Option<Self> {
        u64::try_from(pico.div_ceil(1000)).ok().and_then(Self::new)
    }

    /// Reads a decimal number of dollars: digits, an optional fraction, an optional exponent. Digits below a nano-dollar are rounded
    /// half up, so that a double's noise (`0.30000000000000004`) reads as the amount that was meant.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let value = parse_scaled(digits)?;
        match (negative, value) {
            (true, 1..) => Err(MoneyError::Negative),
            (_, value) => Self::new(value).ok_or(MoneyError::TooLarge),
        }
    }
}

/// `digits[.digits][e[+-]digits]` as a number of nano-dollars.
fn parse_scaled(text: &str) -> Result<u64, MoneyError> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, rest) = text.split_at(at);
            let digits = rest.get(1..).ok_or(MoneyError::NotANumber)?;
            let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(MoneyError::NotANumber);
            }
            // An exponent beyond i32 is either zero or far too large; clamping keeps both answers.
            let sign = if digits.starts_with('-') { -400 } else { 400 };
            (
                mantissa,
                digits.parse::<i32>().unwrap_or(sign).clamp(-400, 400),
            )
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(MoneyError::NotANumber);
    }
    // The decimal point of the nano-dollar value sits this many digits into `whole ++ fraction`.
    let point = i64::try_from(whole.len())
        .map_err(|_| MoneyError::TooLarge)?
        .saturating_add(i64::from(exponent))
        .saturating_add(9);
    let mut value: u64 = 0;
    let mut position: i64 = 0;
    let mut round_up = false;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = u64::from(byte.saturating_sub(b'0'));
        if position < point {
            value = push_digit(value, digit)?;
        } else if position == point {
            round_up = digit >= 5;
        }
        position = position.saturating_add(1);
    }
    while position < point && value > 0 {
        value = push_digit(value, 0)?;
        position = position.saturating_add(1);
    }
    value
        .checked_add(u64::from(round_up))
        .ok_or(MoneyError::TooLarge)
}

fn push_digit(value: u64, digit: u64) -> Result<u64, MoneyError> {
    value
        .checked_mul(10)
        .and_then(|value| value.checked_add(digit))
        .filter(|value| *value <= NanoUsd::MAX.0)
        .ok_or(MoneyError::TooLarge)
}

impl fmt::Display for NanoUsd {
    /// A decimal number of dollars with at least one and at most nine digits after the point: `0.5`, `10.0`, `0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / 1_000_000_000;
        let fraction = format!("{:09}", self.0 % 1_000_000_000);
        let digits = fraction.trim_end_matches('0');
        write!(
            f,
            "{whole}.{}",
            if digits.is_empty() { "0" } else { digits }
        )
    }
}

//! Typed ids. Every id that a person or another system chose is opaque text; ids that Tollkeeper makes are 128 random bits.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as it is; any text is an id.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A virtual key's stable id: it outlives regeneration, so the key's budget does too. Not the key's hash.
    KeyId
);
text_id!(
    /// A user's id, LiteLLM's `user_id`.
    UserId
);
text_id!(
    /// A team's id, LiteLLM's `team_id`.
    TeamId
);
text_id!(
    /// An organization's id, LiteLLM's `organization_id`.
    OrganizationId
);
text_id!(
    /// A customer's id as requests name it: LiteLLM's `user_id` of an end user.
    CustomerId
);

/// The id of one exchange's reservation and of its spend event: 128 random bits made by the filter before the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId([u8; 16]);

impl ReservationId {
    /// An id from 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Parses the 32 lower-case hexadecimal digits that [`fmt::Display`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        decode_hex::<16>(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex::<16, 32>(f, &self.0)
    }
}

/// Writes `M = 2 * N` lower-case hexadecimal digits at once: every request prints several of these, and the formatting machinery costs more a
/// byte than the digits do.
pub(crate) fn write_hex<const N: usize, const M: usize>(
    f: &mut fmt::Formatter<'_>,
    bytes: &[u8; N],
) -> fmt::Result {
    const { assert!(M == 2 * N, "two digits a byte") };
    let mut digits = [0; M];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
    f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0'.saturating_add(value),
        _ => b'a'.saturating_add(value.saturating_sub(10)),
    }
}

/// Decodes exactly `2 * N` lower-case hexadecimal digits.
pub(crate) fn decode_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut pairs = text.chunks_exact(2);
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    for byte in &mut bytes {
        let [high, low] = pairs.next()? else {
            return None;
        };
        *byte = hex_digit(*high)?
            .checked_mul(16)?
            .checked_add(hex_digit(*low)?)?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        _ => None,
    }
}

/// A version of a record: microseconds since the epoch at which it was written, always above the one before.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rev(u64);

impl TryFrom<u64> for Rev {
    type Error = &'static str;

    fn try_from(rev: u64) -> Result<Self, Self::Error> {
        Self::new(rev).ok_or("expected a revision of at most sixteen digits")
    }
}

impl From<Rev> for u64 {
    fn from(rev: Rev) -> Self {
        rev.0
    }
}

impl Rev {
    /// The largest revision: sixteen decimal digits.
    pub const MAX: u64 = 9_999_999_999_999_999;

    /// A revision, at most [`Rev::MAX`].
    pub const fn new(rev: u64) -> Option<Self> {
        if rev <= Self::MAX {
            Some(Self(rev))
        } else {
            None
        }
    }

    /// The revision after `self` for a write at `now_us`: `max(self + 1, now)`, so a database restored from a backup never loses.
    #[must_use]
    pub fn next(self, now_us: u64) -> Self {
        Self(self.0.saturating_add(1).max(now_us).min(Self::MAX))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Rev {
    /// Sixteen digits, zero-padded, as records carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}", self.0)
    }
}

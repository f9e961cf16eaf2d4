//! A virtual key: the secret that a client sends, and the hash under which everything else knows it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::id::{decode_hex, write_hex};

/// A virtual key in clear. It has no `Debug` or `Display`, so it cannot be logged by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct VirtualKey(String);

impl VirtualKey {
    /// Longest secret after `sk-`, in bytes.
    pub const MAX_SECRET: usize = 256;

    /// Takes `sk-` followed by 1 to 256 visible ASCII characters, without comma; anything else is no virtual key.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let secret = bytes.strip_prefix(b"sk-")?;
        let visible = secret
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b',');
        if !visible || secret.is_empty() || secret.len() > Self::MAX_SECRET {
            return None;
        }
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }

    /// The secret itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the whole key.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// How the key may be shown later: `sk-...` and its last four characters.
    pub fn display(&self) -> String {
        let tail = self
            .0
            .get(self.0.len().saturating_sub(4)..)
            .unwrap_or_default();
        format!("sk-...{tail}")
    }
}

/// SHA-256 of a virtual key; LiteLLM's `token`. Printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// In place of a hash where there is no key: nothing is known whose SHA-256 this is.
    pub const NOBODYS: Self = Self([0; 32]);

    /// The raw digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        decode_hex::<32>(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex::<32, 64>(f, &self.0)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("expected 64 lower-case hexadecimal digits"))
    }
}

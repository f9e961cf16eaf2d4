//! Secrets of the configuration, and the keys that are derived from the master key, one for each purpose.

use std::fmt;

use contract::virtual_key::VirtualKey;
use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A secret text. It has no content in `Debug`, so it cannot be logged by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes it.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, where it is compared or hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A key of 32 bytes for one purpose.
#[derive(Clone)]
pub struct Derived([u8; 32]);

impl Derived {
    /// The key for the purpose that `label` names.
    pub fn of(master: &VirtualKey, label: &'static str) -> Self {
        let mut key = [0_u8; 32];
        // 32 bytes are less than the most that HKDF gives, so this cannot fail.
        let given = Hkdf::<Sha256>::new(None, master.expose().as_bytes())
            .expand(label.as_bytes(), &mut key);
        debug_assert!(given.is_ok());
        Self(key)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived")
    }
}

/// The keys of signing in.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Signs what an invitation's page is given.
    pub onboarding: Derived,
    /// Signs what a page is told about who signed in.
    pub page: Derived,
    /// Names the credentials of the environment that a session came from.
    pub environment: Derived,
}

impl Keys {
    /// Derives them.
    pub fn of(master: &VirtualKey) -> Self {
        Self {
            onboarding: Derived::of(master, "tollkeeper onboarding token v1"),
            page: Derived::of(master, "tollkeeper page token v1"),
            environment: Derived::of(master, "tollkeeper environment credentials v1"),
        }
    }
}

//! Secrets of settings, sealed before they are stored.
//!
//! Decides: the key, derived for this one purpose, and the form. Failure stance: what was sealed with another key, for another name, or
//! changed since, does not open.

use std::fmt::Write as _;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

/// What the derived key is for; another text is another key.
const PURPOSE: &[u8] = b"tollkeeper settings 1";

/// Seals and opens secrets. Shows nothing of its key.
#[derive(Clone)]
pub struct Secrets(LessSafeKey);

impl Secrets {
    /// The key that follows from `material`: the salt key where one is given, else the master key.
    pub fn new(material: &[u8]) -> Option<Self> {
        let derived = Salt::new(HKDF_SHA256, b"").extract(material);
        let purpose = [PURPOSE];
        let key = derived.expand(&purpose, &CHACHA20_POLY1305).ok()?;
        Some(Self(LessSafeKey::new(UnboundKey::from(key))))
    }

    /// Seals `secret` for `name`: hexadecimal of a random nonce and what follows from it.
    pub fn seal(&self, name: &str, secret: &str) -> Result<String, String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        let mut sealed = secret.as_bytes().to_vec();
        let for_name = Aad::from(name.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), for_name, &mut sealed)
            .map_err(|_| "a secret could not be sealed".to_owned())?;
        Ok(hex(&nonce) + &hex(&sealed))
    }

    /// What was sealed for `name`.
    pub fn open(&self, name: &str, sealed: &str) -> Option<String> {
        let mut bytes = unhex(sealed)?;
        if bytes.len() < NONCE_LEN {
            return None;
        }
        let mut secret = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut secret)
            .ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_name_with_its_key_only() {
        let secrets = Secrets::new(b"sk-material").unwrap();
        let sealed = secrets.seal("google_client_secret", "hush").unwrap();
        assert!(!sealed.contains("hush") && !sealed.contains(&hex(b"hush")));
        assert_ne!(
            sealed,
            secrets.seal("google_client_secret", "hush").unwrap()
        );
        let open = |secrets: &Secrets, name| secrets.open(name, &sealed);
        assert_eq!(
            open(&secrets, "google_client_secret").as_deref(),
            Some("hush")
        );
        assert_eq!(open(&secrets, "generic_client_secret"), None);
        let other = Secrets::new(b"sk-other").unwrap();
        assert_eq!(open(&other, "google_client_secret"), None);
        let changed = format!("{}0", &sealed[..sealed.len() - 1]);
        assert!(changed == sealed || secrets.open("google_client_secret", &changed).is_none());
        assert_eq!(secrets.open("x", "zz"), None);
    }
}

//! New keys: 32 random bytes.

use contract::virtual_key::VirtualKey;

use crate::store::StoreError;

/// A random key: `sk-` and 32 bytes in base64url.
pub fn random_key() -> Result<VirtualKey, StoreError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    let text = format!("sk-{}", base64url(&bytes));
    VirtualKey::parse(text.as_bytes())
        .ok_or_else(|| StoreError::Corrupt("a generated key".to_owned()))
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            let six = usize::try_from((number >> (18 - 6 * at)) & 63).unwrap_or(0);
            text.push(char::from(LETTERS[six]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_the_alphabet_of_urls_without_padding() {
        assert_eq!(base64url(b""), "");
        assert_eq!(base64url(b"f"), "Zg");
        assert_eq!(base64url(b"fo"), "Zm8");
        assert_eq!(base64url(b"foo"), "Zm9v");
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn no_two_keys_are_alike() {
        let (one, two) = (random_key().unwrap(), random_key().unwrap());
        assert_eq!(one.expose().len(), 46);
        assert!(one != two);
    }
}

//! Virtual keys: what is one, and what may be known of it.

use contract::virtual_key::{KeyHash, VirtualKey};
use proptest::prelude::*;

#[test]
fn a_virtual_key_is_sk_and_visible_ascii() {
    for key in [
        "sk-1",
        "sk-1234",
        "sk-~!@#$%^&*()",
        &format!("sk-{}", "x".repeat(256)),
    ] {
        assert_eq!(
            VirtualKey::parse(key.as_bytes())
                .map(|key| key.expose().to_owned())
                .as_deref(),
            Some(key)
        );
    }
    for key in [
        "",
        "sk",
        "sk-",
        "SK-1",
        "pk-1",
        "sk-a b",
        "sk-a,b",
        "sk-a\n",
        "sk-ü",
        &format!("sk-{}", "x".repeat(257)),
    ] {
        assert!(VirtualKey::parse(key.as_bytes()).is_none(), "{key:?}");
    }
    assert!(VirtualKey::parse(b"sk-\xff\xfe").is_none());
}

#[test]
fn a_key_is_shown_by_its_last_four_characters() {
    let display = |key: &[u8]| VirtualKey::parse(key).unwrap().display();
    assert_eq!(display(b"sk-0123456789abcd"), "sk-...abcd");
    assert_eq!(display(b"sk-1"), "sk-...sk-1");
}

#[test]
fn a_hash_is_the_sha_256_of_the_whole_key() {
    let hash = VirtualKey::parse(b"sk-1234").unwrap().hash();
    let text = hash.to_string();
    assert_eq!(KeyHash::parse(&text), Some(hash));
    assert_eq!(serde_json::to_string(&hash).unwrap(), format!("\"{text}\""));
    assert_eq!(
        serde_json::from_str::<KeyHash>(&format!("\"{text}\"")).unwrap(),
        hash
    );
    assert_eq!(format!("{hash:?}"), text);
    for bad in [
        &text[1..],
        &text.to_uppercase(),
        &format!("{text}0"),
        &"g".repeat(64),
    ] {
        assert_eq!(KeyHash::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let prefixed = [b"sk-", &bytes[..]].concat();
        for bytes in [bytes, prefixed] {
            if let Some(key) = VirtualKey::parse(&bytes) {
                prop_assert_eq!(key.expose().as_bytes(), &bytes[..]);
                prop_assert!(key.display().starts_with("sk-..."));
            }
        }
    }
}

//! JSON Web Tokens for one purpose and a short time. Only HS256 exists here: the header is compared as a whole, so a token cannot choose how
//! it is checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::secrets::Derived;

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Signs claims.
pub fn sign(key: &Derived, claims: &Map<String, Value>) -> String {
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
    let mac = mac(key, &signed).map(|mac| mac.finalize().into_bytes());
    let mac = mac.map_or_else(String::new, |mac| URL_SAFE_NO_PAD.encode(mac));
    format!("{signed}.{mac}")
}

/// The claims of a token that this key signed and whose `exp` (seconds) is not over.
pub fn open(key: &Derived, token: &str, now_us: u64) -> Option<Map<String, Value>> {
    let (signed, given) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let given = URL_SAFE_NO_PAD.decode(given).ok()?;
    mac(key, signed)?.verify_slice(&given).ok()?;
    if header != HEADER {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    let over = claims.get("exp")?.as_u64()?.saturating_mul(1_000_000);
    (now_us < over).then_some(claims)
}

fn mac(key: &Derived, signed: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).ok()?;
    mac.update(signed.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use contract::virtual_key::VirtualKey;
    use serde_json::json;

    use super::*;

    fn key(label: &'static str) -> Derived {
        Derived::of(&VirtualKey::parse(b"sk-master").unwrap(), label)
    }

    fn claims(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_header_is_that_of_hs256() {
        let header = URL_SAFE_NO_PAD.decode(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn a_token_opens_with_its_key_until_its_time_is_over() {
        let claims = claims(&json!({"user_id": "u", "exp": 100}));
        let token = sign(&key("a"), &claims);
        assert_eq!(open(&key("a"), &token, 99_999_999), Some(claims));
        assert_eq!(open(&key("a"), &token, 100_000_000), None, "over");
        assert_eq!(open(&key("b"), &token, 0), None, "another purpose");
    }

    #[test]
    fn a_token_that_was_tampered_with_opens_nothing() {
        let token = sign(&key("a"), &claims(&json!({"user_id": "u", "exp": 100})));
        let parts = token.split('.').collect::<Vec<_>>();
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
        let other = URL_SAFE_NO_PAD.encode(br#"{"user_id":"x","exp":100}"#);
        for forged in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
            "...".to_owned(),
        ] {
            assert_eq!(open(&key("a"), &forged, 0), None, "{forged}");
        }
        let unlimited = sign(&key("a"), &claims(&json!({"user_id": "u"})));
        assert_eq!(open(&key("a"), &unlimited, 0), None, "no exp");
        // A header that is not ours, signed rightly: only HS256 is ever meant.
        let mut mac = Hmac::<Sha256>::new_from_slice(key("a").bytes()).unwrap();
        let signed = format!("{none}.{}", parts[1]);
        mac.update(signed.as_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        assert_eq!(open(&key("a"), &format!("{signed}.{mac}"), 0), None);
    }
}

//! The forms in which a key may come.

use axum::http::HeaderValue;

use super::*;

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &[u8])| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn found(pairs: &[(&'static str, &[u8])]) -> Result<String, AccessRefusal> {
    credential(&headers(pairs), None).map(|secret| String::from_utf8_lossy(&secret).into_owned())
}

#[test]
fn every_recorded_form_carries_the_key() {
    for (name, value) in [
        ("authorization", "Bearer sk-a"),
        ("authorization", "bearer sk-a"),
        ("authorization", "BEARER  sk-a"),
        ("authorization", "Basic sk-a"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=Bearer sk-a/2026/x, SignedHeaders=host",
        ),
        ("x-litellm-api-key", "Bearer sk-a"),
        ("x-litellm-api-key", "sk-a"),
        ("api-key", "sk-a"),
        ("x-api-key", "sk-a"),
        ("x-goog-api-key", "sk-a"),
        ("ocp-apim-subscription-key", "sk-a"),
    ] {
        assert_eq!(
            found(&[(name, value.as_bytes())]),
            Ok("sk-a".to_owned()),
            "{name}: {value}"
        );
    }
}

#[test]
fn a_missing_malformed_or_second_different_credential_is_refused() {
    assert_eq!(found(&[]), Err(AccessRefusal::NoCredential));
    assert_eq!(
        found(&[("authorization", b"")]),
        Err(AccessRefusal::MalformedCredential)
    );
    assert_eq!(
        found(&[("authorization", b"sk-a")]),
        Err(AccessRefusal::MalformedCredential)
    );
    assert_eq!(
        found(&[("authorization", b"Digest sk-a")]),
        Err(AccessRefusal::MalformedCredential)
    );
    let same: &[(&str, &[u8])] = &[("authorization", b"Bearer sk-a"), ("x-api-key", b"sk-a")];
    assert_eq!(found(same), Ok("sk-a".to_owned()));
    let other: &[(&str, &[u8])] = &[("authorization", b"Bearer sk-a"), ("x-api-key", b"sk-b")];
    assert_eq!(found(other), Err(AccessRefusal::CredentialsDisagree));
}

#[test]
fn a_configured_header_is_the_only_one() {
    let both = headers(&[
        ("authorization", b"Bearer sk-a"),
        ("x-mine", b"Bearer sk-b"),
    ]);
    assert_eq!(credential(&both, Some("x-mine")), Ok(b"sk-b".to_vec()));
    assert_eq!(
        credential(&headers(&[("api-key", b"sk-a")]), Some("x-mine")),
        Err(AccessRefusal::NoCredential)
    );
}

#[test]
fn masks_leave_the_ends_that_litellm_leaves() {
    assert_eq!(masked("abcdefghijkl", 4, 4), "abcd****ijkl");
    assert_eq!(
        masked("a9643f6e-08a7-4f0a-b55a-02ed242c43cb", 6, 2),
        "a9643f****************************cb"
    );
    assert_eq!(masked("ab", 4, 4), "****");
}

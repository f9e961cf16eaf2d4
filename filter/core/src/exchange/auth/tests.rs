use super::*;

fn key_of(headers: &[(&str, &[u8])]) -> Result<String, Refusal> {
    query_key_of(headers, None)
}

fn query_key_of(headers: &[(&str, &[u8])], query: Option<&str>) -> Result<String, Refusal> {
    let key = key(&owned(headers), query.map(str::as_bytes), None);
    key.map(|key| key.expose().to_owned())
}

fn only_key_of(only: &str, headers: &[(&str, &[u8])]) -> Result<String, Refusal> {
    let key = key(&owned(headers), Some(b"key=sk-query"), Some(only));
    key.map(|key| key.expose().to_owned())
}

fn owned(headers: &[(&str, &[u8])]) -> Headers {
    let owned = |(name, value): &(&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    headers.iter().map(owned).collect()
}

#[test]
fn every_form_of_credential_is_read() {
    let forms: [(&str, &str); 14] = [
        ("authorization", "Bearer sk-a"),
        ("authorization", "bearer sk-a"),
        ("authorization", "BEARER   sk-a "),
        ("authorization", "Basic sk-a"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=Bearer sk-a/2026/us/s3/aws4_request, SignedHeaders=host, Signature=1",
        ),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=Bearer sk-a, SignedHeaders=host",
        ),
        ("x-litellm-api-key", "sk-a"),
        ("x-litellm-api-key", "Bearer sk-a"),
        ("api-key", "sk-a"),
        ("x-api-key", "sk-a"),
        ("x-api-key", "bearer sk-a"),
        ("x-goog-api-key", "sk-a"),
        ("ocp-apim-subscription-key", "sk-a"),
        ("authorization", "Bearer sk-a,Bearer sk-a"),
    ];
    for (name, value) in forms {
        assert_eq!(
            key_of(&[(name, value.as_bytes())]),
            Ok("sk-a".to_owned()),
            "{name}: {value}"
        );
    }
    assert_eq!(
        query_key_of(&[], Some("a=1&key=sk-a&b")),
        Ok("sk-a".to_owned())
    );
    assert_eq!(
        query_key_of(&[], Some("%6bey=sk%2Da")),
        Ok("sk-a".to_owned())
    );
}

#[test]
fn forms_that_disagree_are_refused() {
    let pairs: [&[(&str, &[u8])]; 4] = [
        &[("authorization", b"Bearer sk-a"), ("x-api-key", b"sk-b")],
        &[
            ("authorization", b"Bearer sk-a"),
            ("authorization", b"Bearer sk-b"),
        ],
        &[("authorization", b"Bearer sk-a,Bearer sk-b")],
        &[("x-api-key", b"sk-a,sk-b")],
    ];
    for pair in pairs {
        assert_eq!(key_of(pair), Err(Refusal::ConflictingKeys));
    }
    let header: &[(&str, &[u8])] = &[("authorization", b"Bearer sk-a")];
    assert_eq!(
        query_key_of(header, Some("key=sk-b")),
        Err(Refusal::ConflictingKeys)
    );
    assert_eq!(
        query_key_of(header, Some("key=sk-a")),
        Ok("sk-a".to_owned())
    );
}

#[test]
fn what_is_no_credential_is_said_to_be_none() {
    assert_eq!(key_of(&[]), Err(Refusal::NoKey));
    assert_eq!(key_of(&[("authorization", b"")]), Err(Refusal::NoKey));
    assert_eq!(
        key_of(&[("authorization", b"Bearer ")]),
        Err(Refusal::NoKey)
    );
    assert_eq!(key_of(&[("x-api-key", b" ")]), Err(Refusal::NoKey));
    assert_eq!(
        query_key_of(&[], Some("key=&monkey=sk-a")),
        Err(Refusal::NoKey)
    );
    assert_eq!(key_of(&[("cookie", b"sk-a")]), Err(Refusal::NoKey));
}

#[test]
fn a_key_without_scheme_is_malformed_in_authorization() {
    assert_eq!(
        key_of(&[("authorization", b"sk-a")]),
        Err(Refusal::MalformedKey)
    );
    assert_eq!(
        key_of(&[("authorization", b"Digest sk-a")]),
        Err(Refusal::MalformedKey)
    );
    assert_eq!(
        key_of(&[("authorization", b"AWS4-HMAC-SHA256 sk-a")]),
        Err(Refusal::MalformedKey)
    );
}

#[test]
fn bytes_that_are_no_key_are_unknown_and_never_a_panic() {
    let long = [b"Bearer sk-".as_slice(), &[b'x'; 5_000]].concat();
    for value in [
        b"Bearer sk-\xff\xfe".as_slice(),
        b"Bearer sk-",
        b"Bearer sk-a b",
        b"Bearer sk-\x00",
        &long,
    ] {
        assert_eq!(
            key_of(&[("authorization", value)]),
            Err(Refusal::UnknownKey)
        );
    }
}

#[test]
fn another_kind_of_key_is_shown_masked_and_only_where_it_stays_secret() {
    let shown = |key: &[u8]| match key_of(&[("x-api-key", key)]) {
        Err(Refusal::NotAVirtualKey { shown }) => shown,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(b"abcdefghmnopijkl"), "abcd****ijkl");
    assert_eq!(shown(b"abcdefgh"), "****");
    assert_eq!(
        shown(b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe"),
        "****"
    );
}

#[test]
fn the_key_leaves_the_query() {
    assert_eq!(without_key(b"a=1&b=2"), None);
    assert_eq!(
        without_key(b"a=1&key=sk-a&b=2").as_deref(),
        Some(b"a=1&b=2".as_slice())
    );
    assert_eq!(without_key(b"%6Bey=sk-a").as_deref(), Some(b"".as_slice()));
    assert_eq!(without_key(b"key"), Some(Vec::new()));
}

#[test]
fn a_percent_sign_decodes_only_what_is_encoded() {
    assert_eq!(percent_decoded(b"a%2"), b"a%2");
    assert_eq!(percent_decoded(b"%zz%41%"), b"%zzA%");
    assert_eq!(percent_decoded(b"%+1"), b"%+1");
}

#[test]
fn where_one_header_is_configured_no_other_counts() {
    let other: (&str, &[u8]) = ("authorization", b"Bearer sk-b");
    for value in [
        b"sk-a".as_slice(),
        b"Bearer sk-a",
        b"bearer  sk-a ",
        b"sk-a, sk-a",
    ] {
        let header = ("x-my-key", value);
        assert_eq!(
            only_key_of("x-my-key", &[other, header]),
            Ok("sk-a".to_owned())
        );
    }
    assert_eq!(only_key_of("x-my-key", &[other]), Err(Refusal::NoKey));
    assert_eq!(
        only_key_of("x-my-key", &[("x-my-key", b"sk-a"), ("x-my-key", b"sk-b")]),
        Err(Refusal::ConflictingKeys)
    );
    assert_eq!(
        only_key_of("authorization", &[other, ("x-api-key", b"sk-a")]),
        Ok("sk-b".to_owned())
    );
}

#[test]
fn a_header_shows_the_key_only_as_a_whole_word() {
    let key = VirtualKey::parse(b"sk-a").unwrap();
    for value in [
        b"sk-a".as_slice(),
        b"Bearer sk-a",
        b"x,sk-a",
        b"token\tsk-a ",
    ] {
        assert!(shows(value, &key));
    }
    for value in [b"".as_slice(), b"sk-ab", b"task-a", b"Bearer sk-b", b"sk-A"] {
        assert!(!shows(value, &key));
    }
}

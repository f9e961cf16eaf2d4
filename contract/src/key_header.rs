//! The one header in which virtual keys are looked for, where there is one. Decides which names it may have.

/// Headers that mean something to HTTP, to Envoy or to the spend log: no key may stand in them.
const TAKEN: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-litellm-customer-id",
    "x-litellm-end-user-id",
    "x-litellm-tags",
    "x-request-id",
];
/// Likewise.
const TAKEN_PREFIXES: [&str; 3] = ["x-envoy-", "x-forwarded-", "x-tollkeeper-"];

/// Whether `name` is a header's in the form in which Envoy shows it, and the header may be taken away from a request that goes upstream.
pub fn is_free(name: &str) -> bool {
    // RFC 9110, 5.6.2.
    let letter = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty()
        && name.bytes().all(letter)
        && !TAKEN.contains(&name)
        && !TAKEN_PREFIXES.iter().any(|taken| name.starts_with(taken))
}

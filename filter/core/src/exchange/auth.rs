//! Finds the virtual key that a request presents. Decides only what was presented: whether the key exists is the index's to say. All forms
//! present must name the same key, because whoever reads another one than we do would bill another owner; where one header is configured, that
//! header alone counts. Works on bytes; any byte may come.

use contract::virtual_key::VirtualKey;

use super::refusal::Refusal;
use crate::event::Headers;

/// Headers that carry a credential. They never go upstream.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "x-litellm-api-key",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
];

/// Whether a header carries a credential.
pub(crate) fn is_credential(name: &[u8]) -> bool {
    CREDENTIALS.iter().any(|known| known.as_bytes() == name)
}

/// The key that a request presents: in the header `only` where there is one, else in any header or in the query.
pub(crate) fn key(
    headers: &Headers,
    query: Option<&[u8]>,
    only: Option<&str>,
) -> Result<VirtualKey, Refusal> {
    let mut presented = Presented::default();
    if let Some(only) = only {
        for (_, value) in headers.iter().filter(|(name, _)| name == only.as_bytes()) {
            presented.plain(value)?;
        }
    } else {
        presented.anywhere(headers, query)?;
    }
    let key = presented.0.ok_or(Refusal::NoKey)?;
    if !key.starts_with(b"sk-") {
        return Err(Refusal::NotAVirtualKey {
            shown: masked(&key),
        });
    }
    VirtualKey::parse(&key).ok_or(Refusal::UnknownKey)
}

/// Whether a header's value is the key, with or without a scheme, alone or in a list. A key holds neither space nor comma.
pub(crate) fn shows(value: &[u8], key: &VirtualKey) -> bool {
    let key = key.expose().as_bytes();
    value
        .split(|byte| matches!(byte, b',' | b' ' | b'\t'))
        .any(|word| word == key)
}

/// The query without `key`; `None` where it has none.
pub(crate) fn without_key(query: &[u8]) -> Option<Vec<u8>> {
    if !parameters(query).any(|(name, _)| is_key(name)) {
        return None;
    }
    let kept = query
        .split(|byte| *byte == b'&')
        .filter(|part| !is_key(split_at_equals(part).0));
    Some(kept.collect::<Vec<_>>().join(&b'&'))
}

#[derive(Default)]
struct Presented(Option<Vec<u8>>);

impl Presented {
    fn take(&mut self, key: &[u8]) -> Result<(), Refusal> {
        match &self.0 {
            _ if key.is_empty() => Ok(()),
            Some(known) if known == key => Ok(()),
            Some(_) => Err(Refusal::ConflictingKeys),
            None => {
                self.0 = Some(key.to_vec());
                Ok(())
            }
        }
    }

    fn anywhere(&mut self, headers: &Headers, query: Option<&[u8]>) -> Result<(), Refusal> {
        for (name, value) in headers.iter().filter(|(name, _)| is_credential(name)) {
            if name == b"authorization" {
                self.authorization(value)?;
            } else {
                self.plain(value)?;
            }
        }
        for (_, value) in query
            .into_iter()
            .flat_map(parameters)
            .filter(|(name, _)| is_key(name))
        {
            self.take(&percent_decoded(value))?;
        }
        Ok(())
    }

    fn plain(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for part in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.take(after_scheme(part, &["bearer"]).unwrap_or(part))?;
        }
        Ok(())
    }

    fn authorization(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // A signature of AWS's form holds commas of its own.
        if let Some(rest) = after_scheme(value.trim_ascii(), &["aws4-hmac-sha256"]) {
            let key = rest
                .strip_prefix(b"Credential=Bearer ")
                .ok_or(Refusal::MalformedKey)?;
            let end = key
                .iter()
                .position(|byte| matches!(byte, b'/' | b','))
                .unwrap_or(key.len());
            return self.take(key.get(..end).unwrap_or_default().trim_ascii());
        }
        for part in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            match after_scheme(part, &["bearer", "basic"]) {
                Some(key) => self.take(key)?,
                None if part.is_empty() => {}
                None => return Err(Refusal::MalformedKey),
            }
        }
        Ok(())
    }
}

/// What follows one of `schemes`, in any case; a bare scheme is followed by nothing.
fn after_scheme<'a>(value: &'a [u8], schemes: &[&str]) -> Option<&'a [u8]> {
    let end = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    let known = schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    known.then(|| rest.trim_ascii())
}

fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').map(split_at_equals)
}

fn split_at_equals(part: &[u8]) -> (&[u8], &[u8]) {
    let at = part
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(part.len());
    let (name, value) = part.split_at_checked(at).unwrap_or_default();
    (name, value.get(1..).unwrap_or_default())
}

fn is_key(name: &[u8]) -> bool {
    percent_decoded(name) == b"key"
}

/// Bytes with `%41` decoded; a `%` that begins no such triple stays.
fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let pair = digit(after.first()).zip(digit(after.get(1)));
        let value = pair.and_then(|(high, low)| u8::try_from((high << 4) | low).ok());
        match value {
            Some(value) if *first == b'%' => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => decoded.push(*first),
        }
    }
    decoded
}

/// A credential's first and last four characters, where it is long enough to stay secret.
fn masked(key: &[u8]) -> String {
    let text = std::str::from_utf8(key)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let parts = text
        .filter(|text| text.len() >= 16)
        .and_then(|text| Some((text.get(..4)?, text.get(text.len().checked_sub(4)?..)?)));
    parts.map_or_else(
        || "****".to_owned(),
        |(head, tail)| format!("{head}****{tail}"),
    )
}

#[cfg(test)]
mod tests;

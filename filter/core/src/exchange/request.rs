//! Reads a request's headers: route, credential, and what must not go upstream. Decides nothing about the key. Bytes throughout: any header may
//! hold anything.

use contract::records::ProxySettings;
use contract::virtual_key::{KeyHash, VirtualKey};

use crate::config::Config;
use crate::event::Headers;
use crate::key_place::KeyPlace;
use crate::route::{Route, split_query};

use super::auth;
use super::named;
use super::refusal::Refusal;
use super::state::{Request, Target, ToForward};

/// Our own names and LiteLLM's: a client may not speak in them to the upstream. Envoy's: a client may not tell Envoy to retry
/// or to wait longer, since one admission is one upstream call.
const OWN: [&[u8]; 6] = [
    b"x-tollkeeper-",
    b"x-litellm-",
    b"x-envoy-retr",
    b"x-envoy-max-retries",
    b"x-envoy-hedge-",
    b"x-envoy-upstream-",
];
/// Most bytes of a tag list that are read.
const LONGEST_TAGS: usize = 4_096;

/// The request that the headers begin, or why it goes no further.
pub(super) fn read(
    headers: &Headers,
    peer: Option<&[u8]>,
    config: &Config,
    settings: Option<&ProxySettings>,
    (place, certain): (Option<&KeyPlace>, bool),
) -> Result<Request, Refusal> {
    let value = |wanted: &[u8]| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_slice())
    };
    let path = value(b":path").unwrap_or_default();
    let (bare, query) = split_query(path);
    let (route, target) = match Route::of(value(b":method").unwrap_or_default(), bare) {
        Route::Metered { path, api } => (path, Target::Metered(api)),
        Route::ListModels { path } => (path, Target::ListModels),
        Route::WrongMethod(expected) => return Err(Refusal::WrongMethod { expected }),
        Route::Unknown => return Err(Refusal::UnknownRoute),
    };
    // Where the place is not known yet, what stands everywhere is most likely the key; it is looked at again when the place is known.
    let key = match auth::key(headers, query, place.and_then(KeyPlace::header)) {
        Err(refusal) if certain => return Err(refusal),
        key => key.ok(),
    };
    let is_read = place.is_some() && key.is_some();
    let plain = |encoding: &[u8]| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    if headers
        .iter()
        .any(|(name, value)| name == b"content-encoding" && !plain(value.trim_ascii()))
    {
        return Err(Refusal::ContentEncoding);
    }
    let length = value(b"content-length");
    let stated = length.and_then(|length| std::str::from_utf8(length).ok()?.parse::<usize>().ok());
    if stated.is_some_and(|stated| stated > config.max_body_bytes) {
        return Err(Refusal::BodyTooLarge {
            limit: config.max_body_bytes,
        });
    }
    let text = |name: &[u8]| {
        let text = std::str::from_utf8(value(name)?).ok()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let end_user = text(b"x-litellm-customer-id").or_else(|| text(b"x-litellm-end-user-id"));
    let listed = value(b"x-litellm-tags")
        .filter(|tags| tags.len() <= LONGEST_TAGS)
        .and_then(|tags| std::str::from_utf8(tags).ok());
    Ok(Request {
        target,
        route,
        hash: key.as_ref().map_or(KeyHash::NOBODYS, VirtualKey::hash),
        key_place: place.cloned().unwrap_or(KeyPlace::Anywhere),
        unread: (!is_read).then(|| headers.clone()),
        headers: ToForward {
            remove: match (&key, place) {
                (Some(key), Some(place)) => removed(headers, key, place.header()),
                _ => Vec::new(),
            },
            path: upstream_path(path, route, query),
            has_length: length.is_some(),
        },
        client_ip: peer.and_then(address),
        other_headers: if end_user.is_none() {
            named::kept_headers(headers, settings)
        } else {
            Headers::new()
        },
        end_user,
        tags: listed
            .into_iter()
            .flat_map(|tags| tags.split(','))
            .map(|tag| tag.trim().to_owned())
            .collect(),
        fresh: false,
        customer_fresh: false,
        calls: 0,
        waited_ms: 0,
        id: None,
        lagging: None,
    })
}

/// Takes the key of a request from `place`, which was not known when the request began. Answers whether it is another than was thought.
pub(super) fn identify(
    request: &mut Request,
    headers: &Headers,
    place: &KeyPlace,
) -> Result<bool, Refusal> {
    let mut paths = headers.iter().filter(|(name, _)| name == b":path");
    let path = paths.next().map_or(&[][..], |(_, value)| value);
    let (_, query) = split_query(path);
    let key = auth::key(headers, query, place.header())?;
    request.headers.remove = removed(headers, &key, place.header());
    request.key_place = place.clone();
    let thought = std::mem::replace(&mut request.hash, key.hash());
    Ok(thought != request.hash)
}

/// What stays behind: every credential, counted or not, our own names, and whatever else shows the key.
fn removed(headers: &Headers, key: &VirtualKey, key_header: Option<&str>) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for (name, value) in headers {
        // HTTP/2's own fields cannot be taken away.
        let shows_key = || !name.starts_with(b":") && auth::shows(value, key);
        let goes = auth::is_credential(name)
            || key_header.is_some_and(|header| name == header.as_bytes())
            || OWN.iter().any(|prefix| name.starts_with(prefix))
            || shows_key();
        if goes && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The path that providers know, without the key; `None` where the client sent just that.
fn upstream_path(sent: &[u8], route: &str, query: Option<&[u8]>) -> Option<Vec<u8>> {
    let stripped = query.and_then(auth::without_key);
    let query = stripped
        .as_deref()
        .or(query)
        .filter(|query| !query.is_empty());
    let mut path = Vec::with_capacity(sent.len().saturating_add(3));
    if !route.starts_with("/v1/") {
        path.extend_from_slice(b"/v1");
    }
    path.extend_from_slice(route.as_bytes());
    if let Some(query) = query {
        path.push(b'?');
        path.extend_from_slice(query);
    }
    (path != sent).then_some(path)
}

/// `ip:port` or `[ip]:port` without the port.
fn address(peer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(peer).ok()?;
    let ip = match text.rsplit_once(':') {
        Some((ip, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            ip
        }
        _ => text,
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    (!ip.is_empty() && ip.len() <= 64).then(|| ip.to_owned())
}

//! `Idempotency-Key` on requests that create: the same key and the same request get the same answer, for 24 hours.
//!
//! Decides: what belongs to a key (caller, method, path; keys of others never meet), when a repeat is the same request (query and body to the byte),
//! and what it gets. Leaves to `store::idempotency` that of several one is done. Failure stance: only requests that changed something are kept: a
//! refusal is decided anew. Where the answer is not there (yet), a repeat is 409; nothing is made twice.
//!
//! A creating answer may hold a new key. It is kept sealed, under a key that only the master key gives.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::MAX_BODY;
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, RequestRefusal};
use crate::policy::{Action, permit};
use crate::store::idempotency::{self, Claim, Kept};

/// The header.
pub const HEADER: &str = "idempotency-key";
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, in bytes.
const LONGEST: usize = 255;
/// What the sealing key is for: one secret, one purpose.
const PURPOSE: &[u8] = b"tollkeeper: answers kept for an Idempotency-Key";

/// Answers a request that carries the header; others pass.
pub async fn answer(
    State((app, action)): State<(App, Action)>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    match Box::pin(once(&app, action, request, next)).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn once(
    app: &App,
    action: Action,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let key = the_key(&parts.headers)?;
    let caller = Caller::prove(&parts, app).await?;
    // Who may no longer do it is not shown what it once did.
    permit(action.rule(), &caller, parts.uri.path())?;
    let body = to_bytes(body, MAX_BODY).await;
    let body = body.map_err(|_| RequestRefusal::BodyTooLarge(MAX_BODY))?;
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let user = caller.user_id.as_deref().unwrap_or_default();
    let id = hash(&[method, path, caller.audit_key(), user, &key].map(str::as_bytes));
    let query = parts.uri.query().unwrap_or_default();
    let fingerprint = hash(&[query.as_bytes(), &body]);
    if let Some(kept) = idempotency::find(&app.store, &id).await? {
        return again(app, &id, &fingerprint, &kept);
    }
    let claim = Claim::new(id.clone(), fingerprint.clone());
    let request = Request::from_parts(parts, Body::from(body));
    let (response, made) = claim.over(next.run(request)).await;
    if made && response.status().is_success() {
        return keep(app, &id, response).await;
    }
    if !made
        && !response.status().is_success()
        && let Some(kept) = idempotency::find(&app.store, &id).await?
    {
        // Another one of the same key was first, and this one met what it made.
        return again(app, &id, &fingerprint, &kept);
    }
    Ok(response)
}

fn the_key(headers: &HeaderMap) -> Result<String, RequestRefusal> {
    let mut all = headers.get_all(HEADER).iter();
    let key = all.next().and_then(|key| key.to_str().ok());
    match (key, all.next()) {
        (Some(key), None) if !key.is_empty() && key.len() <= LONGEST => Ok(key.to_owned()),
        _ => Err(RequestRefusal::IdempotencyKey),
    }
}

/// The answer that was given before.
fn again(app: &App, id: &str, fingerprint: &str, kept: &Kept) -> Result<Response, ApiError> {
    if kept.fingerprint != fingerprint {
        return Err(RequestRefusal::IdempotencyMismatch.into());
    }
    let opened = kept
        .answer
        .as_deref()
        .and_then(|sealed| open(app, id, sealed));
    let Some(answer) = opened else {
        let mut response = ApiError::from(RequestRefusal::IdempotencyPending).into_response();
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Ok(response);
    };
    let mut headers = HeaderMap::new();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    let body = answer["body"].as_str().unwrap_or_default().to_owned();
    Ok((StatusCode::OK, headers, body).into_response())
}

/// Keeps an answer, and gives it.
async fn keep(app: &App, id: &str, response: Response) -> Result<Response, ApiError> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await;
    let body = body.map_err(|error| ApiError::Broken(format!("an answer's body: {error}")))?;
    if let Some(sealed) = seal(app, id, &parts.headers, &body)
        && let Err(error) = idempotency::keep(&app.store, id, &sealed).await
    {
        tracing::warn!(%error, "the answer to a request with an Idempotency-Key is not kept; a repeat gets 409");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The key that seals the answer of `id`.
fn sealing_key(app: &App) -> Option<LessSafeKey> {
    let secret = app.config.master_key.expose().as_bytes();
    let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let info = [PURPOSE];
    let derived = derived.expand(&info, &CHACHA20_POLY1305).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(derived)))
}

fn seal(app: &App, id: &str, headers: &HeaderMap, body: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))))
        .collect();
    let mut sealed = json!({"headers": headers, "body": text})
        .to_string()
        .into_bytes();
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).ok()?;
    let aad = Aad::from(id.as_bytes());
    let key = sealing_key(app)?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .ok()?;
    Some(format!("{}{}", hex(&nonce), hex(&sealed)))
}

fn open(app: &App, id: &str, sealed: &str) -> Option<Value> {
    let mut bytes = from_hex(sealed)?;
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let aad = Aad::from(id.as_bytes());
    let opened = sealing_key(app)?.open_in_place(nonce, aad, sealed).ok()?;
    serde_json::from_slice(opened).ok()
}

/// SHA-256 of parts that cannot run into each other.
fn hash(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_string());
        digest.update(b":");
        digest.update(part);
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

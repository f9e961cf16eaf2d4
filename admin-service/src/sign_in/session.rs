//! The cookie of a session, and which requests it may make.
//!
//! The cookie holds 32 random bytes, nothing that a script could read or a gateway could take for a key; the database holds their hash.

use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::secrets::hexadecimal;
use crate::config::SignIn;
use crate::store::StoreError;

/// Unused for this long, a session is over.
pub const IDLE_US: u64 = 8 * 3_600 * 1_000_000;
/// Use is noted this often at most.
pub const SEEN_US: u64 = 5 * 60 * 1_000_000;

/// What a cookie holds. It has no `Debug`, so it cannot be logged by accident.
pub struct SessionSecret(String);

impl SessionSecret {
    /// A new one.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The hash that the database knows.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }

    /// The header that gives it to a browser.
    pub fn set_cookie(&self, settings: &SignIn) -> Option<HeaderValue> {
        let age = settings.session_us / 1_000_000;
        cookie(settings, &self.0, age)
    }
}

/// The header that takes the cookie away.
pub fn clear_cookie(settings: &SignIn) -> Option<HeaderValue> {
    cookie(settings, "", 0)
}

/// The hash of the session that a request's cookie names.
pub fn named(headers: &HeaderMap, settings: &SignIn) -> Option<String> {
    let name = cookie_name(settings);
    for value in headers.get_all(header::COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let pair = std::str::from_utf8(pair.trim_ascii()).ok();
            match pair.and_then(|pair| pair.split_once('=')) {
                Some((found, secret)) if found == name && !secret.is_empty() => {
                    return Some(hash(secret));
                }
                _ => {}
            }
        }
    }
    None
}

/// Whether a browser says that the request comes from a page of this service. One that says nothing did not come from a browser's page of
/// today, and a cookie without a browser is nothing that this service gave away.
pub fn is_own_page(headers: &HeaderMap, settings: &SignIn) -> bool {
    says_own_page(headers, settings).unwrap_or(false)
}

/// What the browser says about where the request comes from; `None` where nothing does.
pub fn says_own_page(headers: &HeaderMap, settings: &SignIn) -> Option<bool> {
    // A redirect or a form of another site is `cross-site` or `same-site`; only `same-origin` is a page of ours.
    if let Some(site) = headers.get("sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = headers.get(header::ORIGIN)?;
    Some(
        own_origins(headers, settings)
            .iter()
            .any(|own| origin == own.as_str()),
    )
}

/// Whether a method changes nothing.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The origin of `PROXY_BASE_URL`; where there is none, the host that the browser asked for, which no page can choose for another.
fn own_origins(headers: &HeaderMap, settings: &SignIn) -> Vec<String> {
    if let Ok(base) = settings.base_url.parse::<Uri>()
        && let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority())
    {
        return vec![format!("{scheme}://{authority}")];
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.map_or_else(Vec::new, |host| {
        vec![format!("http://{host}"), format!("https://{host}")]
    })
}

/// `__Host-` makes browsers refuse the cookie from anywhere but this host over an encrypted connection.
fn cookie_name(settings: &SignIn) -> &'static str {
    if settings.secure() {
        "__Host-tk_session"
    } else {
        "tk_session"
    }
}

fn cookie(settings: &SignIn, value: &str, age: u64) -> Option<HeaderValue> {
    let name = cookie_name(settings);
    let secure = if settings.secure() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

fn hash(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret.as_bytes()))
}

//! Signing in and out, and what pages must know before.

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::caller::{CallerKey, source};
use crate::error::{AccessRefusal, ApiError, SignInRefusal};
use crate::openapi::schema::{Record, TEXT};
use crate::policy::{Authorized, SessionLogout};
use crate::request::{Body, LOGIN};
use crate::routes::answer::Answer;
use crate::sign_in::secrets::Secret;
use crate::sign_in::session;
use crate::store::{Change, StoreError, Tx, sessions};

mod begin;
mod claims;
mod pages;
mod password;

pub(super) use begin::{Begin, Begun};
pub(super) use claims::{page_token, user_token};
pub use pages::{READINESS, UI_CONFIG, UI_SETTINGS, readiness, ui_config, ui_settings};
pub(super) use password::check;
pub use password::{CHANGED, change};

/// The answer of a session that began.
pub static BEGUN: Record = Record::new("SignedIn", &[("redirect_url token", TEXT)]);

/// The answer of a session that ended.
pub static ENDED: Record = Record::new("SignedOut", &[("message", TEXT)]);

/// Where somebody comes from who is nobody yet.
#[derive(Debug)]
pub struct Visitor {
    /// Head of the request.
    pub(super) parts: Parts,
    /// The address.
    pub(super) source: std::net::IpAddr,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let source = source(parts, app);
        let source = source.ok_or_else(|| ApiError::Broken("no address of the peer".to_owned()))?;
        Ok(Self {
            parts: parts.clone(),
            source,
        })
    }
}

impl Visitor {
    /// No page of another site signs anybody in here, as whomever.
    pub(super) fn check_page(&self, app: &App) -> Result<(), AccessRefusal> {
        match session::says_own_page(&self.parts.headers, &app.config.sign_in) {
            Some(false) => Err(AccessRefusal::OtherSite),
            Some(true) | None => Ok(()),
        }
    }
}

/// Where signing in leads.
pub(super) fn begun_url(app: &App) -> String {
    format!("{}/ui?login=success", app.config.sign_in.base_url)
}

/// `POST /login`: the form.
pub async fn login_form(
    State(app): State<App>,
    visitor: Visitor,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).unwrap_or_default();
    let field = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    let begun = begin::with_password(
        &app,
        &visitor,
        &field("username"),
        Secret::new(field("password")),
    )
    .await?;
    let location = HeaderValue::from_str(&begun_url(&app))
        .map_err(|error| ApiError::Broken(format!("PROXY_BASE_URL: {error}")))?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::SEE_OTHER, begun.cookie(&app), headers).into_response())
}

/// `POST /v2/login`: the same in JSON.
pub async fn login(
    State(app): State<App>,
    visitor: Visitor,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let mut body = Body::parse(&bytes, LOGIN)?;
    let username = body.text("username").value().unwrap_or_default();
    let password = Secret::new(body.text("password").value().unwrap_or_default());
    let begun = begin::with_password(&app, &visitor, &username, password).await?;
    let token = page_token(&app, &begun, serde_json::Value::Null);
    let answer = Answer::new(json!({"redirect_url": begun_url(&app), "token": token}))
        .ignoring(&body.ignored)
        .secret();
    Ok((begun.cookie(&app), answer).into_response())
}

/// `POST /session/logout`: ends the session that asks.
pub async fn logout(
    State(app): State<App>,
    by: Authorized<SessionLogout>,
) -> Result<Response, ApiError> {
    let CallerKey::Session { id_hash, .. } = &by.caller.key else {
        return Err(SignInRefusal::NotASession.into());
    };
    app.store.write(&End(id_hash)).await?;
    let answer = Answer::new(json!({"message": "Session revoked."}));
    Ok((cleared(&app), answer).into_response())
}

/// `GET /logout`: ends the session that the browser holds, if any, and leads away.
pub async fn leave(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let settings = &app.config.sign_in;
    if let Some(id_hash) = session::named(&visitor.parts.headers, settings) {
        app.store.write(&End(&id_hash)).await?;
    }
    let url = match &settings.logout_url {
        Some(url) => url.clone(),
        None => format!("{}/ui/login", settings.base_url),
    };
    let location = HeaderValue::from_str(&url)
        .map_err(|error| ApiError::Broken(format!("PROXY_LOGOUT_URL: {error}")))?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::SEE_OTHER, cleared(&app), headers).into_response())
}

fn cleared(app: &App) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    let cookie = session::clear_cookie(&app.config.sign_in);
    AppendHeaders(cookie.map(|cookie| (header::SET_COOKIE, cookie)))
}

struct End<'a>(&'a str);

impl Change for End<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        sessions::end(tx, self.0).await
    }
}

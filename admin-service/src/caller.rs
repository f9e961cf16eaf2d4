//! Who asks: the credential of a request, and what it proves.
//!
//! Decides: where a credential may stand, whether it is the master key or a virtual key that may be used at this moment. Leaves to `policy`
//! what its owner may do. Failure stance: several credentials must agree; a key that cannot be looked up is 503, never anybody.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use contract::virtual_key::{KeyHash, VirtualKey};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::clock::date;
use crate::error::{AccessRefusal, ApiError};
use crate::store::keys::{self, Standing};
use crate::store::sessions::Method;

mod session;

use session::Cookie;

/// The user that the master key acts as.
pub const MASTER_USER: &str = "default_user_id";

/// Headers that carry a key as it is.
const PLAIN: [HeaderName; 4] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];
/// The header that carries a key with or without `Bearer`.
const LITELLM: HeaderName = HeaderName::from_static("x-litellm-api-key");

/// A global role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `proxy_admin`.
    ProxyAdmin,
    /// `proxy_admin_viewer`.
    ProxyAdminViewer,
    /// `internal_user`.
    InternalUser,
    /// `internal_user_viewer`.
    InternalUserViewer,
    /// A key without user, a user without row or role.
    Unknown,
}

impl Role {
    /// The role of a user's row.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("proxy_admin") => Self::ProxyAdmin,
            Some("proxy_admin_viewer") => Self::ProxyAdminViewer,
            Some("internal_user") => Self::InternalUser,
            Some("internal_user_viewer") => Self::InternalUserViewer,
            _ => Self::Unknown,
        }
    }

    /// LiteLLM's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProxyAdmin => "proxy_admin",
            Self::ProxyAdminViewer => "proxy_admin_viewer",
            Self::InternalUser => "internal_user",
            Self::InternalUserViewer => "internal_user_viewer",
            Self::Unknown => "unknown",
        }
    }
}

/// With which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerKey {
    /// The master key.
    Master,
    /// None: the service itself, or somebody who signs in.
    Service,
    /// None: a browser's session.
    Session {
        /// The hash of its id.
        id_hash: String,
        /// How its user signed in.
        method: Method,
    },
    /// A virtual key.
    Virtual {
        /// Its hash, hexadecimal.
        token: String,
        /// Its team.
        team_id: Option<String>,
        /// Routes it may call; empty: all.
        allowed_routes: Vec<String>,
        /// Whether its `permissions` let it read what everybody spent.
        get_spend_routes: bool,
    },
}

/// A proven caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The role.
    pub role: Role,
    /// The user, if the key has one.
    pub user_id: Option<String>,
    /// The key.
    pub key: CallerKey,
    /// The address the request came from.
    pub from: String,
}

impl Caller {
    pub(crate) fn service() -> Self {
        Self {
            role: Role::ProxyAdmin,
            user_id: Some("tollkeeper".to_owned()),
            key: CallerKey::Service,
            from: String::new(),
        }
    }

    /// Somebody who signs in, having proven that they are `user_id`.
    pub(crate) fn signing_in(user_id: &str, from: String) -> Self {
        Self {
            role: Role::Unknown,
            user_id: Some(user_id.to_owned()),
            key: CallerKey::Service,
            from,
        }
    }

    /// Proves the caller of a request: by a key, by a browser's session, or by both if they are of one user.
    pub async fn prove(parts: &Parts, app: &App) -> Result<Self, ApiError> {
        let from = source(parts, app).map_or_else(String::new, |address| address.to_string());
        let cookie = session::cookie(&parts.headers, app, &from).await?;
        let settings = app.settings();
        let secret = match credential(&parts.headers, settings.proxy.key_header.as_deref()) {
            Err(AccessRefusal::NoCredential) => match cookie {
                Cookie::Absent => return Err(AccessRefusal::NoCredential.into()),
                Cookie::Over(why) => return Err(why.into()),
                Cookie::Of(caller) => {
                    session::check_page(parts, app)?;
                    return Ok(*caller);
                }
            },
            secret => secret?,
        };
        let caller = Self::of_secret(&secret, app, from).await?;
        match cookie {
            Cookie::Of(person) if person.user_id != caller.user_id => {
                Err(AccessRefusal::CredentialsDisagree.into())
            }
            // A cookie that proves nobody takes nothing away from the key.
            Cookie::Of(_) | Cookie::Over(_) | Cookie::Absent => Ok(caller),
        }
    }

    async fn of_secret(secret: &[u8], app: &App, from: String) -> Result<Self, ApiError> {
        let Some(key) = VirtualKey::parse(secret) else {
            return Err(match secret.strip_prefix(b"sk-") {
                Some(_) => AccessRefusal::UnknownKey,
                None => {
                    AccessRefusal::NotAVirtualKey(masked(&String::from_utf8_lossy(secret), 4, 4))
                }
            }
            .into());
        };
        let hash = key.hash();
        if bool::from(hash.as_bytes().ct_eq(app.master_hash().as_bytes())) {
            return Ok(Self {
                role: Role::ProxyAdmin,
                user_id: Some(MASTER_USER.to_owned()),
                key: CallerKey::Master,
                from,
            });
        }
        Self::of_key(&hash, &key.display(), app, from).await
    }

    async fn of_key(
        hash: &KeyHash,
        display: &str,
        app: &App,
        from: String,
    ) -> Result<Self, ApiError> {
        let standing = keys::standing(&app.store, &hash.to_string()).await?;
        let Standing {
            token,
            user_id,
            team_id,
            allowed_routes,
            get_spend_routes,
            role,
            ..
        } = match standing {
            None => return Err(AccessRefusal::UnknownKey.into()),
            Some(standing) => check(standing, display, app.store.clock().now_us())?,
        };
        let role = Role::parse(role.as_deref());
        Ok(Self {
            role,
            user_id,
            key: CallerKey::Virtual {
                token,
                team_id,
                allowed_routes,
                get_spend_routes,
            },
            from,
        })
    }

    /// The user for messages; LiteLLM prints Python's `None`.
    pub fn user(&self) -> &str {
        self.user_id.as_deref().unwrap_or("None")
    }

    /// The user with its middle masked; all of it, as LiteLLM does, where a key names a user who is nobody.
    pub fn masked_user(&self) -> String {
        match self.user_id.as_deref() {
            Some(user) if user.len() > 8 && self.role != Role::Unknown => masked(user, 6, 2),
            _ => "*******".to_owned(),
        }
    }

    /// The caller's key's hash; none for the master key.
    pub fn token(&self) -> Option<&str> {
        match &self.key {
            CallerKey::Virtual { token, .. } => Some(token),
            CallerKey::Master | CallerKey::Service | CallerKey::Session { .. } => None,
        }
    }

    /// The key's name in the audit log.
    pub fn audit_key(&self) -> &str {
        match &self.key {
            CallerKey::Virtual { token, .. } => token,
            CallerKey::Master => "litellm_proxy_master_key",
            CallerKey::Service | CallerKey::Session { .. } => "",
        }
    }
}

/// The address a request came from, behind the proxies that are trusted to say so.
pub fn source(parts: &Parts, app: &App) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let hops = parts.headers.get_all("x-forwarded-for").iter();
    let hops = hops.filter_map(|hop| hop.to_str().ok()).collect::<Vec<_>>();
    let peer = peer.ip().to_canonical();
    Some(app.config.sign_in.source(peer, &hops.join(",")))
}

fn check(standing: Standing, display: &str, now_us: u64) -> Result<Standing, AccessRefusal> {
    if standing.key_blocked {
        return Err(AccessRefusal::KeyBlocked);
    }
    if let Some(expires) = standing.expires.filter(|expires| *expires <= now_us) {
        let shown = |us| {
            date(us).map_or_else(String::new, |at| {
                at.format("%Y-%m-%d %H:%M:%S%.6f%:z").to_string()
            })
        };
        let (expired, now) = (shown(expires), shown(now_us));
        return Err(AccessRefusal::KeyExpired {
            display: display.to_owned(),
            expired,
            now,
        });
    }
    if standing.user_blocked {
        return Err(AccessRefusal::UserBlocked(
            standing.user_id.unwrap_or_default(),
        ));
    }
    if standing.team_blocked {
        return Err(AccessRefusal::TeamBlocked(
            standing.team_id.unwrap_or_default(),
        ));
    }
    Ok(standing)
}

/// The one credential of a request.
fn credential(headers: &HeaderMap, only: Option<&str>) -> Result<Vec<u8>, AccessRefusal> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    if let Some(only) = only {
        let values = headers.get_all(only).iter();
        found.extend(values.map(|value| strip_bearer(value.as_bytes()).to_vec()));
    } else {
        for value in headers.get_all(LITELLM) {
            found.push(strip_bearer(value.as_bytes()).to_vec());
        }
        for value in headers.get_all(header::AUTHORIZATION) {
            let bytes = value.as_bytes();
            found.push(
                authorization(bytes)
                    .ok_or(AccessRefusal::MalformedCredential)?
                    .to_vec(),
            );
        }
        for name in PLAIN {
            found.extend(
                headers
                    .get_all(name)
                    .iter()
                    .map(|value| value.as_bytes().to_vec()),
            );
        }
    }
    found.retain(|secret| !secret.is_empty());
    let mut all = found.into_iter();
    let first = all.next().ok_or(AccessRefusal::NoCredential)?;
    if all.any(|other| other != first) {
        return Err(AccessRefusal::CredentialsDisagree);
    }
    Ok(first)
}

/// `Bearer x`, `Basic x`, `AWS4-HMAC-SHA256 Credential=Bearer x, …`.
fn authorization(value: &[u8]) -> Option<&[u8]> {
    const AWS: &[u8] = b"AWS4-HMAC-SHA256 Credential=Bearer ";
    if let Some(rest) = value.strip_prefix(AWS) {
        return rest.split(|byte| matches!(byte, b',' | b'/' | b' ')).next();
    }
    let at = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(at)?;
    let known = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic");
    known.then(|| rest.trim_ascii())
}

fn strip_bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest.trim_ascii(),
        _ => value.trim_ascii(),
    }
}

/// The ends of a text, stars between.
fn masked(text: &str, first: usize, last: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= first + last {
        return "*".repeat(letters.len().max(4));
    }
    let head: String = letters.iter().take(first).collect();
    let tail: String = letters.iter().skip(letters.len() - last).collect();
    format!("{head}{}{tail}", "*".repeat(letters.len() - first - last))
}

#[cfg(test)]
mod tests;

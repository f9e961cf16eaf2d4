//! Callers that a browser's session proves.
//!
//! What the session's user may do is read at each request, so a changed role, a block or a deletion counts from the next one. A session is not
//! a key: no gateway knows it.

use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::{Caller, CallerKey, Role};
use crate::app::App;
use crate::error::{AccessRefusal, ApiError};
use crate::sign_in::{environment, session};
use crate::store::sessions::{self, Method, Standing};
use crate::store::{Change, StoreError, Tx};

/// What a request's cookie says.
pub(super) enum Cookie {
    /// There is none.
    Absent,
    /// It proves nobody any more, and why.
    Over(AccessRefusal),
    /// It proves somebody.
    Of(Box<Caller>),
}

/// Reads the cookie of a request.
pub(super) async fn cookie(headers: &HeaderMap, app: &App, from: &str) -> Result<Cookie, ApiError> {
    let Some(id_hash) = session::named(headers, &app.config.sign_in) else {
        return Ok(Cookie::Absent);
    };
    let found = sessions::standing(&mut *app.store.read().await?, &id_hash).await?;
    let now_us = app.store.clock().now_us();
    let role = match found.as_ref().map(|standing| role(standing, app, now_us)) {
        Some(Ok(role)) => role,
        Some(Err(refusal)) => return Ok(Cookie::Over(refusal)),
        None => return Ok(Cookie::Over(AccessRefusal::SessionOver)),
    };
    let Some(standing) = found else {
        return Ok(Cookie::Over(AccessRefusal::SessionOver));
    };
    if now_us.saturating_sub(standing.seen_at) >= session::SEEN_US {
        app.store.write(&Seen(&id_hash)).await?;
    }
    Ok(Cookie::Of(Box::new(Caller {
        role,
        user_id: Some(standing.user_id),
        key: CallerKey::Session {
            id_hash,
            method: standing.method,
        },
        from: from.to_owned(),
    })))
}

/// A request that a session makes changes something only if a page of this service makes it.
pub(super) fn check_page(parts: &Parts, app: &App) -> Result<(), AccessRefusal> {
    if session::is_safe(&parts.method) || session::is_own_page(&parts.headers, &app.config.sign_in)
    {
        Ok(())
    } else {
        Err(AccessRefusal::OtherSite)
    }
}

/// The role of a session that is not over.
fn role(standing: &Standing, app: &App, now_us: u64) -> Result<Role, AccessRefusal> {
    let idle = now_us.saturating_sub(standing.seen_at) >= session::IDLE_US;
    if standing.revoked || idle || standing.expires_at <= now_us {
        return Err(AccessRefusal::SessionOver);
    }
    if standing.blocked {
        return Err(AccessRefusal::UserBlocked(standing.user_id.clone()));
    }
    match standing.method {
        Method::Password => Ok(Role::parse(standing.role.as_deref())),
        Method::Environment => {
            let current = environment::name_of_credentials(app);
            if current.is_some() && current == standing.bound_to {
                Ok(Role::ProxyAdmin)
            } else {
                Err(AccessRefusal::SessionOver)
            }
        }
    }
}

struct Seen<'a>(&'a str);

impl Change for Seen<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        sessions::seen(tx, self.0).await
    }
}

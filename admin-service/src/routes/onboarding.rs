//! Onboarding: what an invitation's link leads to.
//!
//! 1. The page trades the link for a token of 15 minutes. Nothing is written by that.
//! 2. The person sends a password with that token, and is signed in; the link is used.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{ApiError, InvitationRefusal};
use crate::openapi::schema::{Record, TEXT, TEXT_OR_NULL, one};
use crate::policy::{Authorized, SigningIn};
use crate::request::{Body, CLAIM, Param, Query};
use crate::routes::answer::Answer;
use crate::routes::session::{Begin, Begun, Visitor, begun_url, check, page_token, user_token};
use crate::routes::users;
use crate::sign_in::secrets::Secret;
use crate::sign_in::session::SessionSecret;
use crate::sign_in::throttle::Attempt;
use crate::sign_in::token;
use crate::store::invitations::{self, InvitationRow};
use crate::store::sessions::{self, Method};
use crate::store::users::{UserRow, Which, find, lock};
use crate::store::{Change, Tx, passwords};

/// The query of `/onboarding/get_token`.
pub const LINK_QUERY: &[Param] = &[Param::required("invite_link")];

/// What a link is traded for.
pub static TRADED: Record = Record::new(
    "OnboardingToken",
    &[("login_url token", TEXT), ("user_email", TEXT_OR_NULL)],
);

/// The answer of somebody's claim.
pub static CLAIMED: Record = Record::new(
    "OnboardingClaim",
    &[
        ("login_url token", TEXT),
        ("user_email", TEXT_OR_NULL),
        ("user", one(&users::USER)),
    ],
);

/// LiteLLM's `token_type` of an onboarding token.
const TOKEN_TYPE: &str = "litellm_onboarding";
/// How long it lasts, microseconds.
const TOKEN_US: u64 = 15 * 60 * 1_000_000;

/// `GET /onboarding/get_token`.
pub async fn get_token(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LINK_QUERY);
    let link = query.required("invite_link");
    query.finish()?;
    let rules = &app.config.sign_in.throttle;
    let attempt = Attempt::begin(&app.store, rules, visitor.source, None).await?;
    let (invitation, user) = match invited(&app, &link).await {
        Ok(found) => {
            attempt.succeeded(&app.store).await?;
            found
        }
        Err(why) => {
            attempt.failed(&app.store).await?;
            return Err(why);
        }
    };
    let token = user_token(
        &app,
        &user,
        Value::String(onboarding_token(&app, &invitation)),
    );
    let email = user.user_email;
    let shown = email.clone().unwrap_or_default();
    let encoded = serde_urlencoded::to_string([("token", &token), ("user_email", &shown)]);
    let encoded = encoded.map_err(|error| ApiError::Broken(error.to_string()))?;
    let base = &app.config.sign_in.base_url;
    Ok(Answer::new(json!({
        "login_url": format!("{base}/ui/onboarding?{encoded}"),
        "token": token,
        "user_email": email,
    }))
    .secret())
}

/// `POST /onboarding/claim_token`.
pub async fn claim_token(
    State(app): State<App>,
    visitor: Visitor,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let mut body = Body::parse(&bytes, CLAIM)?;
    let text = |body: &mut Body, name| body.text(name).value().unwrap_or_default();
    let link = text(&mut body, "invitation_link");
    let user_id = text(&mut body, "user_id");
    let password = Secret::new(text(&mut body, "password"));
    visitor.check_page(&app)?;
    let rules = &app.config.sign_in.throttle;
    let attempt = Attempt::begin(&app.store, rules, visitor.source, None).await?;
    let user = match claimant(&app, &visitor.parts.headers, &link, user_id).await {
        Ok(user) => {
            attempt.succeeded(&app.store).await?;
            user
        }
        Err(why) => {
            attempt.failed(&app.store).await?;
            return Err(why);
        }
    };
    check(&app, &user, &password)?;
    let hash = app.passwords.hash(password).await?;
    let secret = SessionSecret::random()?;
    let claim = Claim {
        by: Authorized::of_person(&user.user_id, visitor.source.to_string()),
        begin: Begin::new(&app, &user.user_id, Method::Password, &secret),
        link,
        hash,
    };
    let user = app.store.write(&claim).await?.value;
    let begun = Begun::new(user, secret);
    let shown = users::shown(&mut *app.store.read().await?, &app, &begun.user).await?;
    let answer = Answer::new(json!({
        "login_url": begun_url(&app),
        "token": page_token(&app, &begun, Value::Null),
        "user_email": begun.user.user_email,
        "user": shown,
    }))
    .ignoring(&body.ignored)
    .secret();
    Ok((begun.cookie(&app), answer).into_response())
}

/// The invitation that a link names, if it is open, and its user.
async fn invited(app: &App, link: &str) -> Result<(InvitationRow, UserRow), ApiError> {
    let mut connection = app.store.read().await?;
    let found = invitations::find(&mut connection, link).await?;
    let invitation = found.ok_or(InvitationRefusal::LinkMissing)?;
    open(&invitation, app.store.clock().now_us())?;
    let user = find(&mut connection, Which::Id(&invitation.user_id)).await?;
    Ok((invitation, user.ok_or(InvitationRefusal::LinkMissing)?))
}

fn open(invitation: &InvitationRow, now_us: u64) -> Result<(), InvitationRefusal> {
    if invitation.is_accepted {
        return Err(InvitationRefusal::LinkUsed);
    }
    if invitation.expires_at <= now_us {
        return Err(InvitationRefusal::LinkExpired);
    }
    Ok(())
}

/// The user who may claim: whose link it is, by the token that the link was traded for.
async fn claimant(
    app: &App,
    headers: &HeaderMap,
    link: &str,
    user_id: String,
) -> Result<UserRow, ApiError> {
    let (invitation, user) = invited(app, link).await?;
    let bearer = headers.get(header::AUTHORIZATION);
    let bearer = bearer.ok_or(InvitationRefusal::OnboardingMissing)?;
    let given = bearer.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let now_us = app.store.clock().now_us();
    let claims = given.and_then(|token| token::open(&app.keys.onboarding, token, now_us));
    let claims = claims.ok_or(InvitationRefusal::OnboardingInvalid)?;
    let is = |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
    if !is("token_type", TOKEN_TYPE)
        || !is("invitation_link", &invitation.id)
        || !is("user_id", &invitation.user_id)
    {
        return Err(InvitationRefusal::OnboardingInvalid.into());
    }
    if user_id != invitation.user_id {
        return Err(InvitationRefusal::OnboardingOther {
            got: user_id,
            expected: invitation.user_id,
        }
        .into());
    }
    Ok(user)
}

fn onboarding_token(app: &App, invitation: &InvitationRow) -> String {
    let expires_us = app.store.clock().now_us().saturating_add(TOKEN_US);
    let mut claims = Map::new();
    for (name, value) in [
        ("token_type", json!(TOKEN_TYPE)),
        ("invitation_link", json!(invitation.id)),
        ("user_id", json!(invitation.user_id)),
        ("exp", json!(expires_us / 1_000_000)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    token::sign(&app.keys.onboarding, &claims)
}

struct Claim {
    by: Authorized<SigningIn>,
    begin: Begin,
    link: String,
    hash: String,
}

impl Change for Claim {
    type Answer = UserRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<UserRow, ApiError> {
        // The user first, as everywhere: whoever makes a newer invitation waits here.
        let named = invitations::find(tx.connection(), &self.link).await?;
        let named = named.ok_or(InvitationRefusal::LinkMissing)?;
        let user = lock(tx, Which::Id(&named.user_id)).await?;
        let user = user.ok_or(InvitationRefusal::LinkMissing)?;
        let found = invitations::lock(tx, &self.link).await?;
        let mut invitation = found.ok_or(InvitationRefusal::LinkMissing)?;
        open(&invitation, tx.now_us())?;
        passwords::put(tx, &self.by, &user.user_id, &self.hash).await?;
        invitations::accept(tx, &self.by, &mut invitation, true).await?;
        // Whoever signed in with the former password is out.
        sessions::end_of_user(tx, &self.by, &user.user_id, None).await?;
        self.begin.apply(tx, &self.by, &user).await?;
        Ok(user)
    }
}

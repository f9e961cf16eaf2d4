//! `POST /user/password/change`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::Visitor;
use crate::app::App;
use crate::caller::CallerKey;
use crate::error::{AccessRefusal, ApiError, SignInRefusal};
use crate::openapi::schema::{Record, TEXT};
use crate::policy::{Authorized, PasswordChange};
use crate::request::{Body, PASSWORD_CHANGE};
use crate::routes::answer::Answer;
use crate::sign_in::password::Verified;
use crate::sign_in::secrets::Secret;
use crate::sign_in::throttle::Attempt;
use crate::store::sessions::{self, Method};
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx, passwords};

/// The answer.
pub static CHANGED: Record = Record::new("PasswordChanged", &[("user_id message", TEXT)]);

/// Changes the password of whoever signed in with the current one; their other sessions end.
pub async fn change(
    State(app): State<App>,
    by: Authorized<PasswordChange>,
    visitor: Visitor,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let (
        Some(user_id),
        CallerKey::Session {
            id_hash,
            method: Method::Password,
        },
    ) = (&by.caller.user_id, &by.caller.key)
    else {
        return Err(SignInRefusal::NotAPasswordSession.into());
    };
    let mut body = Body::parse(&bytes, PASSWORD_CHANGE)?;
    let mut secret = |name| Secret::new(body.text(name).value().unwrap_or_default());
    let (current, new) = (secret("current_password"), secret("new_password"));
    let (user, former) = {
        let mut connection = app.store.read().await?;
        let user = users::find(&mut connection, users::Which::Id(user_id)).await?;
        let former = passwords::find(&mut connection, user_id).await?;
        (user.ok_or(AccessRefusal::SessionOver)?, former)
    };
    // A session that was stolen must not become a way to guess the password.
    let rules = &app.config.sign_in.throttle;
    let attempt = Attempt::begin(&app.store, rules, visitor.source, Some(user_id)).await?;
    if app.passwords.verify(former.clone(), current).await? == Verified::No {
        attempt.failed(&app.store).await?;
        return Err(SignInRefusal::WrongPassword.into());
    }
    attempt.succeeded(&app.store).await?;
    check(&app, &user, &new)?;
    let hash = app.passwords.hash(new).await?;
    let change = Set {
        by: &by,
        user_id,
        former,
        hash,
        id_hash,
    };
    app.store.write(&change).await?;
    Ok(
        Answer::new(json!({"user_id": user_id, "message": "Password updated successfully."}))
            .ignoring(&body.ignored),
    )
}

/// Whether the policy lets this user have this password.
pub(in crate::routes) fn check(
    app: &App,
    user: &UserRow,
    password: &Secret,
) -> Result<(), SignInRefusal> {
    let known = [&user.user_email, &user.user_alias];
    let mut known = known
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect::<Vec<_>>();
    known.push(&user.user_id);
    let policy = &app.config.sign_in.passwords;
    policy
        .check(password.expose(), &known)
        .map_err(SignInRefusal::WeakPassword)
}

struct Set<'a> {
    by: &'a Authorized<PasswordChange>,
    user_id: &'a str,
    former: Option<String>,
    hash: String,
    id_hash: &'a str,
}

impl Change for Set<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let id = users::Which::Id(self.user_id);
        users::lock(tx, id)
            .await?
            .ok_or(AccessRefusal::SessionOver)?;
        // Somebody else may have changed it since the current one was verified.
        if passwords::find(tx.connection(), self.user_id).await? != self.former {
            return Err(SignInRefusal::WrongPassword.into());
        }
        passwords::put(tx, self.by, self.user_id, &self.hash).await?;
        Ok(sessions::end_of_user(tx, self.by, self.user_id, Some(self.id_hash)).await?)
    }
}

//! `POST /user/update`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::defaults::fill_empty;
use super::{USER, fields, shown};
use crate::app::App;
use crate::error::{AccessRefusal, ApiError, UserRefusal};
use crate::openapi::schema::{Record, TEXT, one};
use crate::policy::{Authorized, UserUpdate, Writes};
use crate::request::{Body, Problem, UPDATE_USER};
use crate::routes::answer::Answer;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx};

/// The answer.
pub static UPDATED: Record = Record::new("UpdatedUser", &[("user_id", TEXT), ("data", one(&USER))]);

/// Changes what the request says of a user, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<UserUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_USER)?;
    let ignored = std::mem::take(&mut body.ignored);
    fields::no_password(&mut body, "/user/update")?;
    let unenforced = keys::unenforced(&body);
    let named = named(&mut body)?;
    let own = matches!(&named, Named::Id(id) if Some(id) == by.caller.user_id.as_ref());
    let may = by.is_admin() || (own && only_email(&body));
    if !may {
        let (role, route) = (by.caller.role.as_str(), "/user/update".to_owned());
        return Err(AccessRefusal::ViewerMayNot { role, route }.into());
    }
    let done = app
        .store
        .write(&Update {
            app: &app,
            by: &by,
            named,
            body,
        })
        .await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let user = done.value;
    let data = shown(&mut *app.store.read().await?, &app, &user).await?;
    Ok(Answer::new(json!({"user_id": user.user_id, "data": data}))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

/// What a proxy admin viewer may change of itself.
fn only_email(body: &Body) -> bool {
    body.clone().rest().keys().all(|name| name == "user_email")
}

/// How a request names the user that it changes.
pub(super) enum Named {
    /// By id.
    Id(String),
    /// By address.
    Email(String),
}

/// Who is meant; an address beside an id is a change.
pub(super) fn named(body: &mut Body) -> Result<Named, ApiError> {
    let user_id = body.text("user_id").value();
    match (user_id, body.get("user_email").and_then(Value::as_str)) {
        (Some(id), _) => Ok(Named::Id(id)),
        (None, Some(email)) => {
            let email = email.to_owned();
            body.take("user_email");
            Ok(Named::Email(email))
        }
        (None, None) => {
            let msg = "Value error, Either user id or user email must be provided";
            Err(Problem::whole_body("value_error", msg).into())
        }
    }
}

/// Changes what `body` says of a user.
pub(super) async fn apply<R: Writes>(
    tx: &mut Tx,
    app: &App,
    by: &Authorized<R>,
    named: &Named,
    body: &Body,
) -> Result<UserRow, ApiError> {
    let (which, shown) = match named {
        Named::Id(id) => (users::Which::Id(id), id),
        Named::Email(email) => (users::Which::Email(email), email),
    };
    let found = users::lock(tx, which).await?;
    let before = found.ok_or_else(|| UserRefusal::UserUpdateMissing(shown.clone()))?;
    let mut user = before.clone();
    let now_us = tx.now_us();
    let settings = app.settings();
    let mut body = body.clone();
    fill_empty(&mut body, &before, &settings.user_defaults);
    fields::apply(&mut user, body, now_us, &settings.windows)?;
    if let Some(email) = &user.user_email {
        let other = users::find(tx.connection(), users::Which::Email(email)).await?;
        if other.is_some_and(|other| other.user_id != user.user_id) {
            return Err(UserRefusal::EmailExists(email.clone()).into());
        }
    }
    users::update(tx, by, &before, &mut user).await?;
    Ok(user)
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<UserUpdate>,
    named: Named,
    body: Body,
}

impl Change for Update<'_> {
    type Answer = UserRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<UserRow, ApiError> {
        apply(tx, self.app, self.by, &self.named, &self.body).await
    }
}

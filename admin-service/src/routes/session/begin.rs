//! How a session begins.

use axum::http::{HeaderValue, header};
use axum::response::AppendHeaders;

use super::Visitor;
use crate::app::App;
use crate::caller::Role;
use crate::error::{AccessRefusal, ApiError, SignInRefusal};
use crate::policy::{Authorized, SigningIn};
use crate::settings::UiAccess;
use crate::sign_in::environment;
use crate::sign_in::password::Verified;
use crate::sign_in::secrets::Secret;
use crate::sign_in::session::SessionSecret;
use crate::sign_in::throttle::Attempt;
use crate::store::sessions::{self, Method, NewSession};
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx, passwords, sign_in_attempts};

/// A session that began.
pub(in crate::routes) struct Begun {
    /// Whose.
    pub(in crate::routes) user: UserRow,
    secret: SessionSecret,
}

impl Begun {
    /// A session whose row was written by [`Begin`].
    pub(in crate::routes) fn new(user: UserRow, secret: SessionSecret) -> Self {
        Self { user, secret }
    }

    /// The header that gives the browser its cookie.
    pub(in crate::routes) fn cookie(
        &self,
        app: &App,
    ) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
        let cookie = self.secret.set_cookie(&app.config.sign_in);
        AppendHeaders(cookie.map(|cookie| (header::SET_COOKIE, cookie)))
    }
}

/// Who a name and a password are.
enum Who {
    /// The administrator of the environment.
    Environment,
    /// A user; with a better hash of the same password, if there is one.
    User(Box<UserRow>, Option<Rehash>),
}

struct Rehash {
    former: String,
    hash: String,
}

/// Signs somebody in.
pub(super) async fn with_password(
    app: &App,
    visitor: &Visitor,
    username: &str,
    password: Secret,
) -> Result<Begun, ApiError> {
    visitor.check_page(app)?;
    let settings = &app.config.sign_in;
    if settings.only_sso() {
        return Err(SignInRefusal::OnlySso.into());
    }
    let rules = &settings.throttle;
    let attempt = Attempt::begin(&app.store, rules, visitor.source, Some(username)).await?;
    let Some(who) = who(app, username, password).await? else {
        attempt.failed(&app.store).await?;
        return Err(SignInRefusal::BadCredentials.into());
    };
    attempt.succeeded(&app.store).await?;
    let (user, method, rehash) = match who {
        Who::Environment => {
            let mut user = UserRow::new(settings.admin_id.clone());
            user.user_role = Some(Role::ProxyAdmin.as_str().to_owned());
            (user, Method::Environment, None)
        }
        Who::User(user, rehash) => (*user, Method::Password, rehash),
    };
    let secret = SessionSecret::random()?;
    let change = SignIn {
        begin: Begin::new(app, &user.user_id, method, &secret),
        by: Authorized::of_person(&user.user_id, visitor.source.to_string()),
        user: &user,
        rehash,
    };
    let user = app.store.write(&change).await?.value;
    Ok(Begun { user, secret })
}

/// Who they are, if the password is theirs. The same work is done whether there is such a user or not.
async fn who(app: &App, username: &str, password: Secret) -> Result<Option<Who>, ApiError> {
    if environment::is_admin(app, username, password.expose()) {
        return Ok(Some(Who::Environment));
    }
    let (user, stored) = {
        let mut connection = app.store.read().await?;
        let mut user = users::find(&mut connection, users::Which::Email(username)).await?;
        if user.is_none() {
            user = users::find(&mut connection, users::Which::Id(username)).await?;
        }
        let stored = match &user {
            Some(user) => passwords::find(&mut connection, &user.user_id).await?,
            None => None,
        };
        (user, stored)
    };
    let verified = app
        .passwords
        .verify(stored.clone(), password.clone())
        .await?;
    let (Some(user), Some(former)) = (user, stored) else {
        return Ok(None);
    };
    Ok(match verified {
        Verified::No => None,
        Verified::Yes => Some(Who::User(Box::new(user), None)),
        Verified::Outdated => {
            let hash = app.passwords.hash(password).await?;
            Some(Who::User(Box::new(user), Some(Rehash { former, hash })))
        }
    })
}

/// What begins a session, in the transaction of what proved its user.
pub(in crate::routes) struct Begin {
    id_hash: String,
    user_id: String,
    method: Method,
    bound_to: Option<String>,
    lasts_us: u64,
    admins_only: bool,
}

impl Begin {
    /// A session of `user_id` whose cookie holds `secret`.
    pub(in crate::routes) fn new(
        app: &App,
        user_id: &str,
        method: Method,
        secret: &SessionSecret,
    ) -> Self {
        let bound_to = match method {
            Method::Environment => environment::name_of_credentials(app),
            Method::Password => None,
        };
        Self {
            id_hash: secret.hash(),
            user_id: user_id.to_owned(),
            method,
            bound_to,
            lasts_us: app.config.sign_in.session_us,
            // Who is in a group of single sign-on, a password does not say.
            admins_only: app.settings().ui_access != UiAccess::All,
        }
    }

    /// Writes it for a user who may sign in.
    pub(in crate::routes) async fn apply(
        &self,
        tx: &mut Tx,
        by: &Authorized<SigningIn>,
        user: &UserRow,
    ) -> Result<(), ApiError> {
        if user.blocked == Some(true) {
            return Err(AccessRefusal::UserBlocked(user.user_id.clone()).into());
        }
        let role = match self.method {
            Method::Environment => Role::ProxyAdmin,
            Method::Password => Role::parse(user.user_role.as_deref()),
        };
        if self.admins_only && !matches!(role, Role::ProxyAdmin | Role::ProxyAdminViewer) {
            return Err(SignInRefusal::PagesForAdmins(role.as_str().to_owned()).into());
        }
        let new = NewSession {
            id_hash: &self.id_hash,
            user_id: &self.user_id,
            method: self.method,
            bound_to: self.bound_to.as_deref(),
            lasts_us: self.lasts_us,
        };
        sign_in_attempts::forget(tx).await?;
        Ok(sessions::insert(tx, by, &new).await?)
    }
}

struct SignIn<'a> {
    begin: Begin,
    by: Authorized<SigningIn>,
    user: &'a UserRow,
    rehash: Option<Rehash>,
}

impl Change for SignIn<'_> {
    type Answer = UserRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<UserRow, ApiError> {
        let id = users::Which::Id(&self.user.user_id);
        let user = match users::lock(tx, id).await? {
            Some(user) => user,
            None if self.begin.method == Method::Environment => {
                let mut user = self.user.clone();
                users::insert(tx, &self.by, &mut user).await?;
                user
            }
            // Deleted since its password was read.
            None => return Err(SignInRefusal::BadCredentials.into()),
        };
        if let Some(Rehash { former, hash }) = &self.rehash {
            passwords::rehash(tx, &user.user_id, former, hash).await?;
        }
        self.begin.apply(tx, &self.by, &user).await?;
        Ok(user)
    }
}

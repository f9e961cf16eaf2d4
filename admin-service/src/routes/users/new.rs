//! `POST /user/new`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::{Map, Value, json};

use super::defaults::fill;
use super::fields;
use crate::app::App;
use crate::error::{ApiError, UserRefusal};
use crate::openapi::schema::{Record, TEXT_OR_NULL, TEXTS};
use crate::policy::{Authorized, UserNew};
use crate::request::{Body, GENERATE_KEY, NEW_USER, Problem, parse_money};
use crate::routes::answer::Answer;
use crate::routes::invitations;
use crate::routes::keys::{self, PUBLISH_WAIT};
use crate::routes::shape::{Times, dollars};
use crate::routes::teams::{Joining, join};
use crate::store::keys::{KeyRow, random_key};
use crate::store::organization_members::{self, OrgMemberRow};
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx, organizations, teams};

mod scope;

/// Fields that go to the key made along with the user, too or alone.
const TO_KEY: [&str; 11] = [
    "key_alias",
    "duration",
    "team_id",
    "aliases",
    "config",
    "permissions",
    "tpm_limit",
    "rpm_limit",
    "max_parallel_requests",
    "metadata",
    "blocked",
];
/// Of those, what the user's row has no place for.
const ONLY_KEY: [&str; 6] = [
    "key_alias",
    "duration",
    "team_id",
    "aliases",
    "config",
    "permissions",
];

/// The answer: the fields of the key that was made along with the user, and the user's over them.
pub static CREATED: Record = Record::with(
    "CreatedUser",
    &[&keys::CREATED],
    &[
        ("user_email user_alias user_role", TEXT_OR_NULL),
        ("teams", TEXTS.or_null()),
    ],
);

/// Makes a user and, unless told not to, a key for it.
pub async fn new(
    State(app): State<App>,
    by: Authorized<UserNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, NEW_USER)?;
    let ignored = std::mem::take(&mut body.ignored);
    fields::no_password(&mut body, "/user/new")?;
    let unenforced = keys::unenforced(&body);
    let defaults = &app.settings().user_defaults;
    fill(&mut body, defaults);
    let sent_teams = body.get("teams").is_some();
    let mut teams = teams_to_join(&mut body)?;
    let mut default_teams = Vec::new();
    if !sent_teams
        && body
            .get("user_role")
            .is_none_or(|role| role != "proxy_admin")
    {
        for team in defaults.teams.iter().flatten() {
            let joining = team_to_join(team)?;
            if teams.iter().all(|sent| sent.team_id != joining.team_id) {
                default_teams.push(joining);
            }
        }
    }
    teams.sort_by(|one, other| one.team_id.cmp(&other.team_id));
    let auto_create_key = body.flag("auto_create_key").value().unwrap_or(true);
    let invited = body.flag("send_invite_email").value().unwrap_or(false);
    let organizations = body.texts("organizations").value().unwrap_or_default();
    let now_us = app.store.clock().now_us();
    let rules = &app.settings().windows;

    let mut for_key = Map::new();
    for name in TO_KEY {
        if let Some(value) = body.get(name) {
            for_key.insert(name.to_owned(), value.clone());
        }
    }
    for name in ONLY_KEY {
        body.take(name);
    }
    let user_id = body.text("user_id").value().filter(|id| !id.is_empty());
    let mut user = UserRow::new(user_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
    fields::apply(&mut user, body, now_us, rules)?;
    let secret = random_key()?;
    let mut key = keys::blank(&secret);
    keys::apply(
        &mut key,
        Body::from_map(for_key, GENERATE_KEY)?,
        now_us,
        rules,
    )?;
    key.user_id = Some(user.user_id.clone());
    let change = New {
        app: &app,
        by: &by,
        user,
        key: auto_create_key.then_some(key),
        teams,
        default_teams,
        organizations,
        invited,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (user, key, teams) = done.value;
    let body = created(&app, &user, key.as_ref(), secret.expose(), &teams);
    Ok(Answer::new(body)
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published)
        .secret())
}

/// The key's answer with the user's fields over it.
fn created(
    app: &App,
    user: &UserRow,
    key: Option<&KeyRow>,
    secret: &str,
    teams: &[String],
) -> Value {
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let mut object = if let Some(key) = key {
        keys::shape::created(key, secret, None, now_us, rules)
    } else {
        let none = crate::store::keys::KeyRow::default();
        let mut object = keys::shape::created(&none, "", None, now_us, rules);
        for only_of_keys in ["created_at", "updated_at", "key_name"] {
            object.insert(only_of_keys.into(), Value::Null);
        }
        object
    };
    // LiteLLM answers the key here without its hash; `/key/info` has it.
    for (name, value) in [
        ("token", Value::Null),
        ("token_id", Value::Null),
        ("user_id", json!(user.user_id)),
        ("user_email", json!(user.user_email)),
        ("user_alias", json!(user.user_alias)),
        ("user_role", json!(user.user_role)),
        (
            "teams",
            if teams.is_empty() {
                Value::Null
            } else {
                json!(teams)
            },
        ),
        ("models", json!(user.models)),
        (
            "max_budget",
            user.limits.max_budget.map_or(Value::Null, dollars),
        ),
        ("budget_duration", json!(user.limits.budget_duration)),
        ("tpm_limit", json!(user.limits.tpm_limit)),
        ("rpm_limit", json!(user.limits.rpm_limit)),
        (
            "max_parallel_requests",
            json!(user.limits.max_parallel_requests),
        ),
        ("metadata", json!(user.metadata)),
    ] {
        object.insert(name.to_owned(), value);
    }
    if let Some(key) = key {
        object.insert("created_at".into(), Times::Z.print(key.created_at));
    }
    Value::Object(object)
}

/// `teams`: ids, or objects with the member's role and budget; `team_id` is one more.
fn teams_to_join(body: &mut Body) -> Result<Vec<Joining>, ApiError> {
    let mut all = Vec::new();
    for team in body
        .take("teams")
        .value()
        .and_then(|value| value.as_array().cloned())
        .unwrap_or_default()
    {
        all.push(team_to_join(&team)?);
    }
    if let Some(team_id) = body.get("team_id").and_then(Value::as_str)
        && all.iter().all(|joining| joining.team_id != team_id)
    {
        all.push(Joining {
            team_id: team_id.to_owned(),
            ..Joining::default()
        });
    }
    Ok(all)
}

fn team_to_join(team: &Value) -> Result<Joining, ApiError> {
    match team {
        Value::String(team_id) => Ok(Joining {
            team_id: team_id.clone(),
            ..Joining::default()
        }),
        Value::Object(object) => joining(object),
        _ => {
            let msg = "Input should be a valid string";
            Err(Problem::body("string_type", "teams", msg).into())
        }
    }
}

fn joining(object: &Map<String, Value>) -> Result<Joining, ApiError> {
    let Some(team_id) = object.get("team_id").and_then(Value::as_str) else {
        return Err(Problem::body("missing", "teams", "Field required").into());
    };
    let max_budget: Option<NanoUsd> = match object.get("max_budget_in_team") {
        None | Some(Value::Null) => None,
        Some(value) => Some(parse_money("max_budget_in_team", &value.to_string())?),
    };
    let admin = object.get("user_role").and_then(Value::as_str) == Some("admin");
    Ok(Joining {
        team_id: team_id.to_owned(),
        admin,
        max_budget,
        ..Joining::default()
    })
}

struct New<'a> {
    app: &'a App,
    by: &'a Authorized<UserNew>,
    user: UserRow,
    key: Option<KeyRow>,
    teams: Vec<Joining>,
    default_teams: Vec<Joining>,
    organizations: Vec<String>,
    invited: bool,
}

impl Change for New<'_> {
    type Answer = (UserRow, Option<KeyRow>, Vec<String>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let mut user = self.user.clone();
        let (key, teams) = (self.key.as_ref(), &self.teams);
        if !self.by.is_admin() {
            scope::check(tx, self.by, &mut user, key, &self.organizations, teams).await?;
        }
        insert_new(tx, self.by, &mut user).await?;
        self.join_organizations(tx, &user).await?;
        let mut joined = Vec::new();
        for joining in &self.teams {
            let Some(team) = teams::lock(tx, &joining.team_id).await? else {
                return Err(UserRefusal::UserTeamMissing(joining.team_id.clone()).into());
            };
            join(tx, self.app, self.by, &team, &user, joining).await?;
            joined.push(joining.team_id.clone());
        }
        for joining in &self.default_teams {
            // A default names a team that may be gone; nobody who makes a user can help that.
            let Some(team) = teams::lock(tx, &joining.team_id).await? else {
                tracing::warn!(team = joining.team_id, "a default team does not exist");
                continue;
            };
            join(tx, self.app, self.by, &team, &user, joining).await?;
            joined.push(joining.team_id.clone());
        }
        if self.invited {
            let invitation = invitations::invite(tx, self.by, &user).await?;
            invitations::tell(tx, &user, &invitation).await?;
        }
        let mut key = self.key.clone();
        if let Some(key) = &mut key {
            keys::insert_new(tx, self.by, key, self.app).await?;
        }
        Ok((user, key, joined))
    }
}

impl New<'_> {
    async fn join_organizations(&self, tx: &mut Tx, user: &UserRow) -> Result<(), ApiError> {
        let mut all = self.organizations.clone();
        all.sort();
        all.dedup();
        for id in all {
            if organizations::lock(tx, &id).await?.is_none() {
                return Err(UserRefusal::UserOrganizationMissing(id).into());
            }
            let role = user.user_role.as_deref().unwrap_or("internal_user");
            let mut member = OrgMemberRow::new(&id, &user.user_id, role);
            organization_members::insert(tx, self.by, &mut member).await?;
        }
        Ok(())
    }
}

/// Writes a user whose id and address are nobody else's.
pub(in crate::routes) async fn insert_new<R: crate::policy::Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    user: &mut UserRow,
) -> Result<(), ApiError> {
    if users::find(tx.connection(), users::Which::Id(&user.user_id))
        .await?
        .is_some()
    {
        return Err(UserRefusal::UserExists(user.user_id.clone()).into());
    }
    if let Some(email) = &user.user_email {
        let other = users::find(tx.connection(), users::Which::Email(email)).await?;
        if let Some(other) = other {
            let email = other.user_email.unwrap_or_default();
            return Err(UserRefusal::EmailExists(email).into());
        }
    }
    if let Some(id) = &user.sso_user_id {
        let other = users::find(tx.connection(), users::Which::Sso(id)).await?;
        if other.is_some() {
            return Err(UserRefusal::SsoUserExists(id.clone()).into());
        }
    }
    Ok(users::insert(tx, by, user).await?)
}

//! `POST /key/generate`, `/key/service-account/generate`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use contract::virtual_key::{KeyHash, VirtualKey};
use serde_json::{Value, json};

use super::ownership::Permission;
use super::{
    PUBLISH_WAIT, alias, apply, bounds, fields, grant, lifetime, ownership, shape, who_may,
};
use crate::app::App;
use crate::caller::MASTER_USER;
use crate::error::{ApiError, BudgetRefusal, GrantRefusal};
use crate::policy::{Authorized, KeyGenerate, KeyServiceAccount, Writes};
use crate::request::{Body, GENERATE_KEY, Patch};
use crate::routes::answer::Answer;
use crate::store::budgets::{self, BudgetRow};
use crate::store::keys::{self, KeyRow, random_key};
use crate::store::mail_events::{self, MailKind};
use crate::store::row::Object;
use crate::store::{Change, Tx};

/// Makes a key.
pub async fn generate(
    State(app): State<App>,
    by: Authorized<KeyGenerate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, GENERATE_KEY)?;
    make(&app, &by, body, &GENERATE).await
}

/// Makes a key of a team that belongs to no user: for a program.
pub async fn service_account(
    State(app): State<App>,
    by: Authorized<KeyServiceAccount>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, GENERATE_KEY)?;
    if !body.has("team_id") {
        return Err(GrantRefusal::ServiceAccountWithoutTeam.into());
    }
    body.set("user_id", Value::Null);
    let alias = body.get("key_alias").filter(|alias| !alias.is_null());
    let id = alias
        .cloned()
        .unwrap_or_else(|| Value::String(uuid::Uuid::new_v4().to_string()));
    let mut metadata = match body.take("metadata").value() {
        Some(Value::Object(metadata)) => metadata,
        _ => Object::new(),
    };
    metadata.insert("service_account_id".into(), id);
    body.set("metadata", Value::Object(metadata));
    make(&app, &by, body, &SERVICE_ACCOUNT).await
}

/// One of the two ways to make a key.
struct Way {
    permission: Permission,
    /// Whether the key is the caller's where the request names nobody.
    is_personal: bool,
}

const GENERATE: Way = Way {
    permission: Permission {
        route: "/key/generate",
        name: "KEY_GENERATE",
    },
    is_personal: true,
};
const SERVICE_ACCOUNT: Way = Way {
    permission: Permission {
        route: "/key/service-account/generate",
        name: "KEY_GENERATE_SERVICE_ACCOUNT",
    },
    is_personal: false,
};

async fn make<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    mut body: Body,
    way: &Way,
) -> Result<Answer, ApiError> {
    let ignored = std::mem::take(&mut body.ignored);
    let sent = body.clone();
    bounds::fill_defaults(&mut body, &app.settings().key_defaults);
    fields::lift_temporary(&mut body)?;
    let ends = body.has("duration");
    bounds::hold(&mut body, &app.settings().key_bounds, true)?;
    who_may::check(app, by, &sent, &body)?;
    let unenforced = fields::unenforced(&body);
    let duration = body.get("duration").cloned().unwrap_or(Value::Null);
    let secret = chosen_or_random(app, body.text("key"))?;
    let soft_budget = body.money("soft_budget")?;
    let notify = body.flag("send_invite_email").value() == Some(true);
    if !body.has("key_type") {
        body.set("key_type", Value::String("default".into()));
    }
    let mut key = blank(&secret);
    apply(
        &mut key,
        body,
        app.store.clock().now_us(),
        &app.settings().windows,
    )?;
    if !by.is_admin() {
        for_oneself(by, &mut key, way)?;
    }
    let change = Generate {
        app,
        by,
        way,
        key,
        duration: ends.then(|| duration.as_str().unwrap_or_default().to_owned()),
        soft_budget,
        notify,
    };
    let done = app.store.write(&change).await?;
    let (key, budget, of_team) = &done.value;
    let duration = of_team.clone().map_or(duration, Value::String);
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let mut object = shape::created(key, secret.expose(), budget.as_ref(), now_us, rules);
    object.insert("duration".into(), duration);
    Ok(Answer::new(Value::Object(object))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter().chain(fields::rotates_never(key)))
        .published(published)
        .secret())
}

/// A key that nobody has set anything of.
pub(in crate::routes) fn blank(secret: &VirtualKey) -> KeyRow {
    KeyRow {
        key_id: uuid::Uuid::new_v4().to_string(),
        token: secret.hash().to_string(),
        key_name: secret.display(),
        ..KeyRow::default()
    }
}

/// The value that a request chose, if values may be chosen, or 32 random bytes.
pub(super) fn chosen_or_random(app: &App, chosen: Patch<String>) -> Result<VirtualKey, ApiError> {
    let Some(chosen) = chosen.value() else {
        return Ok(random_key()?);
    };
    if app.settings().only_random_keys() {
        return Err(GrantRefusal::KeyIsChosen.into());
    }
    if !chosen.starts_with("sk-") {
        return Err(GrantRefusal::KeyFormat.into());
    }
    if chosen.len() < 16 {
        return Err(GrantRefusal::KeyTooShort.into());
    }
    VirtualKey::parse(chosen.as_bytes()).ok_or_else(|| GrantRefusal::KeyCharacters.into())
}

/// Somebody who is no admin makes keys for themselves only, or for a program of their team.
fn for_oneself<R>(by: &Authorized<R>, key: &mut KeyRow, way: &Way) -> Result<(), ApiError> {
    ownership::no_admin_fields(key, None)?;
    match (&key.user_id, &by.caller.user_id) {
        (Some(asked), own) if Some(asked) != own.as_ref() => {
            let (asked, own) = (asked.clone(), by.caller.user().to_owned());
            Err(GrantRefusal::KeyForOther { asked, own }.into())
        }
        (_, own) if way.is_personal => {
            key.user_id.clone_from(own);
            Ok(())
        }
        _ => Ok(()),
    }
}

struct Generate<'a, R> {
    app: &'a App,
    by: &'a Authorized<R>,
    way: &'a Way,
    key: KeyRow,
    /// As the request says it.
    duration: Option<String>,
    soft_budget: Patch<NanoUsd>,
    notify: bool,
}

impl<R: Writes> Change for Generate<'_, R> {
    /// The key, its budget row, and the duration that its team gave it.
    type Answer = (KeyRow, Option<BudgetRow>, Option<String>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let mut key = self.key.clone();
        let now_us = tx.now_us();
        if !self.by.is_admin() {
            let rules = &self.app.settings().windows;
            grant::within_caller(tx, &self.by.caller, &mut key, None, rules).await?;
        }
        keys::hold_owners(tx, &key).await?;
        if !self.by.is_admin() {
            if let Some(team) = &key.team_id {
                let (caller, permission) = (&self.by.caller, self.way.permission);
                who_may::check_in_team(tx.connection(), self.app, caller, team).await?;
                ownership::may_in_team(tx.connection(), caller, team, permission).await?;
            }
            ownership::may_organize(tx.connection(), &self.by.caller, &key, None).await?;
            grant::within_own(tx.connection(), &key, now_us).await?;
        }
        let connection = tx.connection();
        let of_team = match &self.duration {
            None => lifetime::fill(connection, &mut key, now_us).await?,
            Some(asked) => {
                if !self.by.is_admin() {
                    let caller = &self.by.caller;
                    lifetime::hold(connection, caller, &key, Some(asked), now_us).await?;
                }
                None
            }
        };
        let most = grant::most_budget(tx.connection(), &key, now_us).await?;
        bounds::hold_budget(most, &self.app.settings().key_bounds)?;
        let budget = budget_of(tx, self.by, &mut key, self.soft_budget.clone()).await?;
        key.created_by = Some(
            self.by
                .caller
                .user_id
                .clone()
                .unwrap_or_else(|| MASTER_USER.to_owned()),
        );
        key.updated_by.clone_from(&key.created_by);
        insert_new(tx, self.by, &mut key, self.app).await?;
        if self.notify && key.user_id.is_some() {
            let payload = json!({"user_id": key.user_id, "key_alias": key.key_alias, "key_name": key.key_name,
                "created_by": key.created_by});
            mail_events::add(tx, MailKind::KeyCreated, &key.key_id, &payload).await?;
        }
        Ok((key, budget, of_team))
    }
}

/// The budget row that a key names, or the one that its `soft_budget` needs. Others share a row: who is no admin names only one of their own
/// making, and changes none.
pub(super) async fn budget_of<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    key: &mut KeyRow,
    soft_budget: Patch<NanoUsd>,
) -> Result<Option<BudgetRow>, ApiError> {
    let mut budget = match &key.budget_id {
        Some(id) => {
            let found = budgets::lock(tx, id).await?;
            if !by.is_admin() {
                // The same answer for a row of others and for none, so that ids cannot be tried.
                let own = by.caller.user_id.as_deref();
                if found
                    .as_ref()
                    .is_none_or(|row| Some(row.created_by.as_str()) != own)
                {
                    return Err(GrantRefusal::AdminOnlyField("budget_id").into());
                }
                if soft_budget.is_present() {
                    return Err(GrantRefusal::AdminOnlyField("soft_budget").into());
                }
            }
            Some(found.ok_or_else(|| BudgetRefusal::BudgetMissing(id.clone()))?)
        }
        None => None,
    };
    match (&mut budget, soft_budget) {
        (_, Patch::Absent) | (None, Patch::Null) => {}
        (Some(row), soft) => budgets::set_soft(tx, by, row, soft.value()).await?,
        (None, Patch::Set(soft)) => {
            let mut row = BudgetRow {
                budget_id: uuid::Uuid::new_v4().to_string(),
                soft_budget: Some(soft),
                ..BudgetRow::default()
            };
            budgets::put(tx, by, &mut row).await?;
            key.budget_id = Some(row.budget_id.clone());
            budget = Some(row);
        }
    }
    Ok(budget)
}

/// Writes a key whose value and alias are nobody else's.
pub(in crate::routes) async fn insert_new<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    key: &mut KeyRow,
    app: &App,
) -> Result<(), ApiError> {
    refuse_taken(tx, &key.token, app).await?;
    alias::check(&app.settings(), None, key)?;
    free_alias(tx, key).await?;
    Ok(keys::insert(tx, by, key).await?)
}

/// Refuses a value that a key has or had: nobody who knows an old one gets another one's key by it.
pub(super) async fn free_value(tx: &mut Tx, hash: &KeyHash, app: &App) -> Result<(), ApiError> {
    refuse_taken(tx, &hash.to_string(), app).await
}

async fn refuse_taken(tx: &mut Tx, token: &str, app: &App) -> Result<(), ApiError> {
    let is_master = token == app.master_hash().to_string();
    if is_master || keys::former::is_taken(tx.connection(), token).await? {
        return Err(GrantRefusal::KeyExists.into());
    }
    Ok(())
}

/// Refuses an alias that another key has.
pub(in crate::routes) async fn free_alias(tx: &mut Tx, key: &KeyRow) -> Result<(), ApiError> {
    let Some(alias) = &key.key_alias else {
        return Ok(());
    };
    match keys::find(tx.connection(), keys::Which::Alias(alias)).await? {
        Some(other) if other.key_id != key.key_id => {
            Err(GrantRefusal::AliasExists(alias.clone()).into())
        }
        _ => Ok(()),
    }
}

//! `POST /key/generate`.

use axum::body::Bytes;
use axum::extract::State;
use contract::id::Rev;
use contract::money::NanoUsd;
use contract::virtual_key::VirtualKey;
use serde_json::Value;

use super::{PUBLISH_WAIT, apply, bounds, fields, grant, ownership, shape};
use crate::app::App;
use crate::caller::MASTER_USER;
use crate::error::{ApiError, Refusal};
use crate::policy::{Authorized, KeyGenerate, Writes};
use crate::request::{Body, GENERATE_KEY, Patch};
use crate::routes::answer::Answer;
use crate::store::budgets::{self, BudgetRow};
use crate::store::keys::{self, KeyRow, random_key};
use crate::store::row::{LimitColumns, Object};
use crate::store::{Change, Tx};

/// Makes a key.
pub async fn generate(
    State(app): State<App>,
    by: Authorized<KeyGenerate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, GENERATE_KEY)?;
    let ignored = std::mem::take(&mut body.ignored);
    bounds::fill_defaults(&mut body, &app.settings().key_defaults);
    fields::lift_temporary(&mut body)?;
    bounds::hold(&mut body, &app.settings().key_bounds, true)?;
    let unenforced = fields::unenforced(&body);
    let duration = body.get("duration").cloned().unwrap_or(Value::Null);
    let secret = chosen_or_random(body.text("key"))?;
    let soft_budget = body.money("soft_budget")?.value();
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
        for_oneself(&by, &mut key)?;
    }
    let change = Generate {
        app: &app,
        by: &by,
        key,
        soft_budget,
    };
    let done = app.store.write(&change).await?;
    let (key, budget) = &done.value;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let mut object = shape::created(key, secret.expose(), budget.as_ref(), now_us, rules);
    object.insert("duration".into(), duration);
    Ok(Answer::new(Value::Object(object))
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published)
        .secret())
}

/// A key that nobody has set anything of.
pub(in crate::routes) fn blank(secret: &VirtualKey) -> KeyRow {
    KeyRow {
        key_id: uuid::Uuid::new_v4().to_string(),
        token: secret.hash().to_string(),
        key_name: secret.display(),
        ..blank_without_secret()
    }
}

/// The same without the key itself: what an answer shows where none was made.
pub(in crate::routes) fn blank_without_secret() -> KeyRow {
    KeyRow {
        key_id: String::new(),
        rev: Rev::default(),
        token: String::new(),
        key_name: String::new(),
        key_alias: None,
        user_id: None,
        team_id: None,
        organization_id: None,
        key_type: None,
        models: Vec::new(),
        aliases: Object::new(),
        allowed_routes: Vec::new(),
        blocked: None,
        expires: None,
        limits: LimitColumns::default(),
        budget_id: None,
        refresh_at: None,
        permissions: Object::new(),
        metadata: Object::new(),
        extra: Object::new(),
        created_at: 0,
        created_by: None,
        updated_at: 0,
        updated_by: None,
        settings_updated_at: None,
    }
}

fn chosen_or_random(chosen: Patch<String>) -> Result<VirtualKey, ApiError> {
    let Some(chosen) = chosen.value() else {
        return Ok(random_key()?);
    };
    if !chosen.starts_with("sk-") {
        return Err(Refusal::KeyFormat.into());
    }
    if chosen.len() < 16 {
        return Err(Refusal::KeyTooShort.into());
    }
    VirtualKey::parse(chosen.as_bytes()).ok_or_else(|| Refusal::KeyCharacters.into())
}

/// Somebody who is no admin makes keys for themselves only.
fn for_oneself(by: &Authorized<KeyGenerate>, key: &mut KeyRow) -> Result<(), ApiError> {
    ownership::no_admin_fields(key, None)?;
    match (&key.user_id, &by.caller.user_id) {
        (Some(asked), own) if Some(asked) != own.as_ref() => {
            let (asked, own) = (asked.clone(), by.caller.user().to_owned());
            Err(Refusal::KeyForOther { asked, own }.into())
        }
        _ => {
            key.user_id.clone_from(&by.caller.user_id);
            Ok(())
        }
    }
}

struct Generate<'a> {
    app: &'a App,
    by: &'a Authorized<KeyGenerate>,
    key: KeyRow,
    soft_budget: Option<NanoUsd>,
}

impl Change for Generate<'_> {
    type Answer = (KeyRow, Option<BudgetRow>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let mut key = self.key.clone();
        let now_us = tx.now_us();
        if !self.by.is_admin() {
            let rules = &self.app.settings().windows;
            grant::within_caller(tx, &self.by.caller, &mut key, None, rules).await?;
            if let Some(team) = &key.team_id {
                let permission = ownership::Permission {
                    route: "/key/generate",
                    name: "KEY_GENERATE",
                };
                ownership::may_in_team(tx.connection(), &self.by.caller, team, permission).await?;
            }
            ownership::may_organize(tx.connection(), &self.by.caller, &key, None).await?;
            grant::within_own(tx.connection(), &key, now_us).await?;
        }
        let most = grant::most_budget(tx.connection(), &key, now_us).await?;
        bounds::hold_budget(most, &self.app.settings().key_bounds)?;
        let budget = budget_of(tx, self.by, &mut key, self.soft_budget).await?;
        key.created_by = Some(
            self.by
                .caller
                .user_id
                .clone()
                .unwrap_or_else(|| MASTER_USER.to_owned()),
        );
        key.updated_by.clone_from(&key.created_by);
        insert_new(tx, self.by, &mut key, self.app).await?;
        Ok((key, budget))
    }
}

/// The budget row that a key names, or the one that its `soft_budget` needs. Others share a row: who is no admin names only one of their own
/// making, and changes none.
pub(super) async fn budget_of<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    key: &mut KeyRow,
    soft_budget: Option<NanoUsd>,
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
                    return Err(Refusal::AdminOnlyField("budget_id").into());
                }
                if soft_budget.is_some() {
                    return Err(Refusal::AdminOnlyField("soft_budget").into());
                }
            }
            Some(found.ok_or_else(|| Refusal::BudgetMissing(id.clone()))?)
        }
        None => None,
    };
    if let Some(soft) = soft_budget {
        if let Some(row) = &mut budget {
            budgets::set_soft(tx, by, row, soft).await?;
        } else {
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
    let is_master = key.token == app.master_hash().to_string();
    if is_master
        || keys::find(tx.connection(), keys::Which::Token(&key.token))
            .await?
            .is_some()
    {
        return Err(Refusal::KeyExists.into());
    }
    free_alias(tx, key).await?;
    Ok(keys::insert(tx, by, key).await?)
}

/// Refuses an alias that another key has.
pub(in crate::routes) async fn free_alias(tx: &mut Tx, key: &KeyRow) -> Result<(), ApiError> {
    let Some(alias) = &key.key_alias else {
        return Ok(());
    };
    match keys::find(tx.connection(), keys::Which::Alias(alias)).await? {
        Some(other) if other.key_id != key.key_id => {
            Err(Refusal::AliasExists(alias.clone()).into())
        }
        _ => Ok(()),
    }
}

//! `POST /key/regenerate`, `/key/{key}/regenerate`: a key's value is replaced; its row, id, budgets and spend stay.
//!
//! Decides: until when the former value is valid beside the new one. What the request changes otherwise is `change`'s. Failure stance: the new
//! value is in the answer and nowhere else; an answer that is lost costs another regeneration.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use contract::virtual_key::VirtualKey;
use serde_json::{Value, json};

use super::change::Asked;
use super::fields::rotates_never;
use super::generate::{chosen_or_random, free_value};
use super::{PUBLISH_WAIT, grant, ownership, shape, spent_by};
use crate::app::App;
use crate::domain::budget_window::duration_us;
use crate::error::{ApiError, KeyRefusal};
use crate::policy::{Authorized, KeyRegenerate};
use crate::request::{Body, Param, Patch, Query, REGENERATE_KEY};
use crate::routes::answer::Answer;
use crate::routes::shape::dollars;
use crate::store::budgets::{self, BudgetRow};
use crate::store::keys::{self, KeyRow, former, token_of};
use crate::store::mail_events::{self, MailKind};
use crate::store::{Change, Tx};

/// The query.
pub const REGENERATE_QUERY: &[Param] = &[Param::text("key")];

/// Replaces the value of the key that the query or the body names.
pub async fn regenerate(
    State(app): State<App>,
    by: Authorized<KeyRegenerate>,
    RawQuery(query): RawQuery,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = parse(&bytes)?;
    let in_body = body.text("key").value();
    let named = Query::parse(query.as_deref(), REGENERATE_QUERY)
        .text("key")
        .or(in_body);
    replace(&app, &by, named, body).await
}

/// Replaces the value of the key that the path names.
pub async fn regenerate_named(
    State(app): State<App>,
    by: Authorized<KeyRegenerate>,
    Path(named): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = parse(&bytes)?;
    body.take("key");
    replace(&app, &by, Some(named), body).await
}

/// The body may be left out.
fn parse(bytes: &Bytes) -> Result<Body, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Body::default());
    }
    Body::parse(bytes, REGENERATE_KEY)
}

async fn replace(
    app: &App,
    by: &Authorized<KeyRegenerate>,
    named: Option<String>,
    mut body: Body,
) -> Result<Answer, ApiError> {
    let ignored = std::mem::take(&mut body.ignored);
    let names_master = named
        .as_ref()
        .is_some_and(|named| token_of(named) == app.master_hash().to_string());
    if body.take("new_master_key").is_present() || names_master {
        return Err(KeyRefusal::MasterKeyIsConfigured.into());
    }
    let token = token_of(&named.ok_or(KeyRefusal::NoKeyToRegenerate)?);
    let secret = chosen_or_random(app, body.text("new_key"))?;
    let grace_us = match body.text("grace_period") {
        Patch::Set(text) if !text.is_empty() => {
            Some(duration_us(&text).ok_or(KeyRefusal::BadGracePeriod(text))?)
        }
        Patch::Absent | Patch::Null | Patch::Set(_) => None,
    };
    let notify = body.flag("send_invite_email").value() != Some(false);
    let duration = body.get("duration").cloned().unwrap_or(Value::Null);
    let change = Regenerate {
        app,
        by,
        token,
        asked: Asked::read(app, body)?,
        secret,
        grace_us,
        notify,
    };
    let done = app.store.write(&change).await?;
    let (key, budget) = &done.value;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let all = spent_by(
        &mut *app.store.read().await?,
        app,
        std::slice::from_ref(key),
    )
    .await?;
    let settings = app.settings();
    let (now_us, rules) = (app.store.clock().now_us(), &settings.windows);
    let secret = change.secret.expose();
    let mut object = shape::created(key, secret, budget.as_ref(), now_us, rules);
    let spent = all.get(&key.key_id).copied().unwrap_or_default();
    object.insert("spend".into(), dollars(spent.spend));
    object.insert("duration".into(), duration);
    Ok(Answer::new(Value::Object(object))
        .ignoring(&ignored)
        .unenforced(
            change
                .asked
                .unenforced
                .into_iter()
                .chain(rotates_never(key)),
        )
        .published(published)
        .secret())
}

struct Regenerate<'a> {
    app: &'a App,
    by: &'a Authorized<KeyRegenerate>,
    token: String,
    asked: Asked,
    secret: VirtualKey,
    grace_us: Option<u64>,
    notify: bool,
}

impl Change for Regenerate<'_> {
    type Answer = (KeyRow, Option<BudgetRow>);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let found = keys::lock(tx, keys::Which::Token(&self.token)).await?;
        let before = found.ok_or(KeyRefusal::KeyMissing)?;
        if !self.by.is_admin() {
            ownership::may_regenerate(tx.connection(), &self.by.caller, &before).await?;
            grant::value_within_caller(tx, &self.by.caller, &before).await?;
        }
        let mut key = if self.asked.is_empty() {
            before.clone()
        } else {
            self.asked.applied(tx, self.app, self.by, &before).await?
        };
        free_value(tx, &self.secret.hash(), self.app).await?;
        let now_us = tx.now_us();
        let default = self.app.config.rotation.grace_us.unwrap_or(0);
        let until_us = now_us.saturating_add(self.grace_us.unwrap_or(default));
        // Whoever takes up a value that the service made by itself leaves the former one its time; every other regeneration says how long former
        // values live from now on.
        if !before.rotation.unclaimed || self.grace_us.is_some() {
            former::end_by(tx, self.by, &before.key_id, until_us).await?;
        }
        former::retire(tx, self.by, &before, until_us).await?;
        key.replace_value(&self.secret, now_us);
        keys::update(tx, self.by, "rotated", &before, &mut key).await?;
        if self.notify && key.user_id.is_some() {
            let payload = json!({"user_id": key.user_id, "key_alias": key.key_alias, "key_name": key.key_name,
                "former_key_name": before.key_name, "former_valid_until": until_us.max(now_us) / 1_000,
                "rotated_by": self.by.caller.user_id, "value_is_known": true});
            mail_events::add(tx, MailKind::KeyRotated, &key.key_id, &payload).await?;
        }
        let budget = match &key.budget_id {
            Some(id) => budgets::find(tx.connection(), id).await?,
            None => None,
        };
        Ok((key, budget))
    }
}

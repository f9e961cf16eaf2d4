//! `POST /key/update`.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::Value;

use super::generate::{budget_of, free_alias};
use super::{PUBLISH_WAIT, apply, bounds, fields, grant, ownership, shown};
use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::policy::{Authorized, KeyUpdate};
use crate::request::{Body, Problem, UPDATE_KEY};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::keys::{self, KeyRow, token_of};
use crate::store::{Change, Tx};

/// Fields that change what may be spent, as a temporary increase does.
const MONEY: [&str; 6] = [
    "max_budget",
    "spend",
    "budget_duration",
    "budget_id",
    "budget_limits",
    "soft_budget",
];

/// Changes what the request says of a key, and nothing else.
pub async fn update(
    State(app): State<App>,
    by: Authorized<KeyUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, UPDATE_KEY)?;
    let ignored = std::mem::take(&mut body.ignored);
    let named = body.text("key").value();
    if named.is_none() && !body.has("key_alias") {
        let msg = "Value error, either key or key_alias must be provided";
        return Err(Problem::whole_body("value_error", msg).into());
    }
    fields::lift_temporary(&mut body)?;
    bounds::hold(&mut body, &app.settings().key_bounds, false)?;
    let unenforced = fields::unenforced(&body);
    let soft_budget = body.money("soft_budget")?.value();
    let money = soft_budget.is_some() || MONEY.iter().any(|field| body.get(field).is_some());
    let named = match named {
        Some(named) => Named::Key(named),
        // Without a key the alias names it, and is not changed.
        None => Named::Alias(body.text("key_alias").value().unwrap_or_default()),
    };
    let change = Update {
        app: &app,
        by: &by,
        body,
        named,
        soft_budget,
        money,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let key = done.value;
    let mut connection = app.store.read().await?;
    let mut all = shown(
        &mut connection,
        &app,
        std::slice::from_ref(&key),
        Times::Offset,
    )
    .await?;
    let mut body = all.pop().unwrap_or_default();
    if let Value::Object(object) = &mut body {
        let shown = match change.named {
            Named::Key(named) => named,
            Named::Alias(_) => key.token,
        };
        object.insert("key".into(), Value::String(shown));
    }
    Ok(Answer::new(body)
        .ignoring(&ignored)
        .unenforced(unenforced.into_iter())
        .published(published))
}

enum Named {
    Key(String),
    Alias(String),
}

struct Update<'a> {
    app: &'a App,
    by: &'a Authorized<KeyUpdate>,
    body: Body,
    named: Named,
    soft_budget: Option<NanoUsd>,
    money: bool,
}

impl Change for Update<'_> {
    type Answer = KeyRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<KeyRow, ApiError> {
        let token;
        let which = match &self.named {
            Named::Key(named) => {
                token = token_of(named);
                keys::Which::Token(&token)
            }
            Named::Alias(alias) => keys::Which::Alias(alias),
        };
        let before = keys::lock(tx, which).await?.ok_or(Refusal::KeyMissing)?;
        let caller = &self.by.caller;
        if !self.by.is_admin() {
            let money = self.money || fields::changes_temporary(&self.body, &before.metadata)?;
            ownership::may_update(tx.connection(), caller, &before, money).await?;
        }
        let mut key = before.clone();
        let now_us = tx.now_us();
        apply(
            &mut key,
            self.body.clone(),
            now_us,
            &self.app.settings().windows,
        )?;
        if !self.by.is_admin() {
            self.stays_within(tx, &before, &mut key).await?;
        }
        let most = grant::most_budget(tx.connection(), &key, now_us).await?;
        if most != grant::most_budget(tx.connection(), &before, now_us).await? {
            bounds::hold_budget(most, &self.app.settings().key_bounds)?;
        }
        if key.budget_id != before.budget_id || self.soft_budget.is_some() {
            budget_of(tx, self.by, &mut key, self.soft_budget).await?;
        }
        free_alias(tx, &key).await?;
        key.settings_updated_at = Some(now_us);
        keys::update(tx, self.by, "updated", &before, &mut key).await?;
        Ok(key)
    }
}

impl Update<'_> {
    /// What somebody who is no admin made of a key: still theirs or their team's, with no more than they have.
    async fn stays_within(
        &self,
        tx: &mut Tx,
        before: &KeyRow,
        key: &mut KeyRow,
    ) -> Result<(), ApiError> {
        let caller = &self.by.caller;
        ownership::no_admin_fields(key, Some(before))?;
        let blocked = key.blocked.unwrap_or(false);
        if blocked != before.blocked.unwrap_or(false) {
            let route = if blocked {
                "/key/block"
            } else {
                "/key/unblock"
            };
            ownership::may_block(tx.connection(), caller, before, route, true).await?;
        }
        if key.user_id != before.user_id && key.user_id != caller.user_id {
            let asked = key.user_id.clone().unwrap_or_else(|| "None".to_owned());
            return Err(Refusal::KeyForOther {
                asked,
                own: caller.user().to_owned(),
            }
            .into());
        }
        let leaves = before.team_id.is_some() && key.team_id != before.team_id;
        let their_own = key.team_id.is_none() && key.user_id == caller.user_id;
        if leaves && !their_own {
            return Err(Refusal::AdminOnlyField("team_id").into());
        }
        if let (true, Some(team)) = (key.team_id != before.team_id, &key.team_id) {
            let permission = ownership::Permission {
                route: "/key/update",
                name: "KEY_UPDATE",
            };
            ownership::may_in_team(tx.connection(), caller, team, permission).await?;
        }
        ownership::may_organize(tx.connection(), caller, key, Some(before)).await?;
        let rules = &self.app.settings().windows;
        grant::within_caller(tx, caller, key, Some(before), rules).await?;
        let now_us = tx.now_us();
        grant::within_own(tx.connection(), key, now_us).await
    }
}

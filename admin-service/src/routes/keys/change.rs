//! What a request changes of a key that exists, beside its value: the same for `/key/update`, `/key/bulk_update` and `/key/regenerate`.
//!
//! Decides: in which order a change is held to ownership, to what the caller has, and to the configured bounds. Leaves the rules themselves to
//! `ownership`, `grant` and `bounds`. Failure stance: one rule that says no undoes the whole change.

use contract::money::NanoUsd;

use super::generate::{budget_of, free_alias};
use super::{alias, apply, bounds, fields, grant, lifetime, ownership};
use crate::app::App;
use crate::error::{ApiError, GrantRefusal};
use crate::policy::{Authorized, Writes};
use crate::request::{Body, Patch};
use crate::settings::Settings;
use crate::store::Tx;
use crate::store::keys::{self, KeyRow};

/// Fields that change what may be spent, as a temporary increase does.
const MONEY: [&str; 6] = [
    "max_budget",
    "spend",
    "budget_duration",
    "budget_id",
    "budget_limits",
    "soft_budget",
];
/// Those that `self_serve_budget_policy` may leave to a key's owner.
const SELF_SERVE: [&str; 2] = ["max_budget", "budget_limits"];

/// What a request asks to change.
pub(super) struct Asked {
    body: Body,
    soft_budget: Patch<NanoUsd>,
    money: Money,
    /// Fields that are kept and bind nobody.
    pub(super) unenforced: Vec<&'static str>,
}

/// What a change says about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    /// Nothing.
    Untouched,
    /// Only what owners may be left to decide.
    SelfServe,
    /// More than that.
    Admins,
}

impl Asked {
    /// Reads a body whose key has been taken out.
    pub(super) fn read(app: &App, mut body: Body) -> Result<Self, ApiError> {
        fields::lift_temporary(&mut body)?;
        bounds::hold(&mut body, &app.settings().key_bounds, false)?;
        let sent = |names: &[&str]| names.iter().any(|name| body.get(name).is_some());
        let others = MONEY.iter().filter(|name| !SELF_SERVE.contains(name));
        let money = if sent(&others.copied().collect::<Vec<_>>()) {
            Money::Admins
        } else if sent(&SELF_SERVE) {
            Money::SelfServe
        } else {
            Money::Untouched
        };
        let unenforced = fields::unenforced(&body);
        Ok(Self {
            soft_budget: body.money("soft_budget")?,
            body,
            money,
            unenforced,
        })
    }

    /// Whether nothing is to be changed.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty() && !self.soft_budget.is_present()
    }

    /// The key as it is after the change, which is allowed; `before` is locked.
    pub(super) async fn applied<R: Writes>(
        &self,
        tx: &mut Tx,
        app: &App,
        by: &Authorized<R>,
        before: &KeyRow,
    ) -> Result<KeyRow, ApiError> {
        let settings = app.settings();
        let money = if fields::changes_temporary(&self.body, &before.metadata)? {
            Money::Admins
        } else {
            self.money
        };
        if !by.is_admin() {
            ownership::may_update(tx.connection(), &settings, &by.caller, before, money).await?;
        }
        let mut key = before.clone();
        let now_us = tx.now_us();
        apply(&mut key, self.body.clone(), now_us, &settings.windows)?;
        let owners = |key: &KeyRow| {
            let KeyRow {
                user_id,
                team_id,
                organization_id,
                ..
            } = key.clone();
            (user_id, team_id, organization_id)
        };
        if owners(&key) != owners(before) {
            keys::hold_owners(tx, &key).await?;
        }
        if !by.is_admin() {
            if money == Money::SelfServe {
                let is_admin =
                    ownership::is_team_admin(tx.connection(), &by.caller, before).await?;
                if !is_admin {
                    grant::self_served(settings.self_serve_budgets, before, &key)?;
                }
            }
            stays_within(tx, &settings, by, before, &mut key).await?;
            if key.expires != before.expires {
                let asked = self.body.get("duration").and_then(|asked| asked.as_str());
                lifetime::hold(tx.connection(), &by.caller, &key, asked, now_us).await?;
            }
        }
        let most = grant::most_budget(tx.connection(), &key, now_us).await?;
        if most != grant::most_budget(tx.connection(), before, now_us).await? {
            bounds::hold_budget(most, &settings.key_bounds)?;
        }
        if key.budget_id != before.budget_id || self.soft_budget.is_present() {
            budget_of(tx, by, &mut key, self.soft_budget.clone()).await?;
        }
        alias::check(&settings, before.key_alias.as_deref(), &key)?;
        free_alias(tx, &key).await?;
        key.settings_updated_at = Some(now_us);
        Ok(key)
    }
}

/// What somebody who is no admin made of a key: still theirs or their team's, with no more than they have.
async fn stays_within<R: Writes>(
    tx: &mut Tx,
    settings: &Settings,
    by: &Authorized<R>,
    before: &KeyRow,
    key: &mut KeyRow,
) -> Result<(), ApiError> {
    let caller = &by.caller;
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
        return Err(GrantRefusal::KeyForOther {
            asked,
            own: caller.user().to_owned(),
        }
        .into());
    }
    ownership::may_organize(tx.connection(), caller, key, Some(before)).await?;
    let leaves = before.team_id.is_some() && key.team_id != before.team_id;
    let their_own = key.team_id.is_none() && key.user_id == caller.user_id;
    if leaves && !their_own {
        return Err(GrantRefusal::AdminOnlyField("team_id").into());
    }
    if let (true, Some(team)) = (key.team_id != before.team_id, &key.team_id) {
        ownership::may_in_team(tx.connection(), caller, team, ownership::UPDATE).await?;
    }
    grant::within_caller(tx, caller, key, Some(before), &settings.windows).await?;
    let now_us = tx.now_us();
    grant::within_own(tx.connection(), key, now_us).await
}

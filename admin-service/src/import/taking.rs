//! One batch of rows, taken in one transaction.

use std::collections::BTreeMap;

use contract::money::NanoUsd;
use contract::redis_key::Partition;
use serde_json::{Map, Value};

use super::{Counted, Import, ImportError, Table, micros, money};
use crate::domain::budget_window::BudgetDuration;
use crate::error::ApiError;
use crate::policy::{Authorized, Upkeep};
use crate::routes::imported;
use crate::store::budgets::BudgetRow;
use crate::store::customers::CustomerRow;
use crate::store::members::MemberRow;
use crate::store::organization_members::OrgMemberRow;
use crate::store::organizations::OrganizationRow;
use crate::store::outbox::{Kind, member_object};
use crate::store::row::LimitColumns;
use crate::store::spend::{ScopeKey, ScopeState, begin_with};
use crate::store::{
    Change, Passing, StoreError, Tx, budgets, customers, keys, members, organization_members,
    organizations, teams, users,
};

type Object = Map<String, Value>;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) counted: Counted,
    pub(super) notes: Vec<String>,
}

/// Some rows of one table.
pub(super) struct Batch<'a> {
    pub(super) import: &'a Import<'a>,
    pub(super) table: Table,
    pub(super) rows: &'a [Object],
    /// Rows of LiteLLM's memberships, with team members only.
    pub(super) memberships: &'a [Object],
}

/// A dry run is a transaction that is not committed.
pub(super) enum Ended {
    DryRun(Taken),
    Failed(ApiError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl Passing for Ended {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Failed(ApiError::Store(error)) if error.is_passing())
    }
}

impl Batch<'_> {
    pub(super) async fn take(&self) -> Result<Taken, ImportError> {
        match self.import.store.write(self).await {
            Ok(done) => Ok(done.value),
            Err(Ended::DryRun(taken)) => Ok(taken),
            Err(Ended::Failed(error)) => Err(error.into()),
        }
    }
}

impl Change for Batch<'_> {
    type Answer = Taken;
    type Error = Ended;

    async fn apply(&self, tx: &mut Tx) -> Result<Taken, Ended> {
        let mut work = Work {
            import: self.import,
            by: Authorized::of_service(),
            taken: Taken::default(),
            spend: BTreeMap::new(),
        };
        for row in self.rows {
            match self.table {
                Table::Budgets => work.budget(tx, row).await?,
                Table::Organizations => work.organization(tx, row).await?,
                Table::Users => work.user(tx, row).await?,
                Table::OrganizationMembers => work.organization_member(tx, row).await?,
                Table::Teams => work.team(tx, row).await?,
                Table::TeamMembers => work.members(tx, row, self.memberships).await?,
                Table::Customers => work.customer(tx, row).await?,
                Table::Keys => work.key(tx, row).await?,
            }
        }
        begin_with(tx, &work.spend).await?;
        if self.import.apply {
            Ok(work.taken)
        } else {
            Err(Ended::DryRun(work.taken))
        }
    }
}

struct Work<'a> {
    import: &'a Import<'a>,
    by: Authorized<Upkeep>,
    taken: Taken,
    spend: BTreeMap<ScopeKey, ScopeState>,
}

fn text(row: &Object, name: &str) -> Option<String> {
    let text = row.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(row: &Object, name: &str) -> Vec<String> {
    let list = row
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn whole(row: &Object, name: &str) -> Option<u64> {
    row.get(name).and_then(Value::as_u64)
}

fn object(row: &Object, name: &str) -> Object {
    let object = row.get(name).and_then(Value::as_object);
    object.cloned().unwrap_or_default()
}

impl Work<'_> {
    /// Counts a row that has a name and is not there; answers whether to take it.
    fn is_new(&mut self, there: bool) -> bool {
        if there {
            self.taken.counted.there += 1;
        } else {
            self.taken.counted.taken += 1;
        }
        !there
    }

    fn leave(&mut self, note: String) {
        self.taken.counted.left += 1;
        self.taken.notes.push(note);
    }

    fn notes(&mut self, what: &str, notes: Vec<String>) {
        let notes = notes.into_iter().map(|note| format!("{what}: {note}"));
        self.taken.notes.extend(notes);
    }

    /// What a scope has spent in the window that it is in, and in all.
    fn spent(
        &mut self,
        tx: &Tx,
        kind: Kind,
        id: &str,
        row: &Object,
        limits: &LimitColumns,
        resets: Option<u64>,
    ) {
        let now_us = tx.now_us();
        let spend = money(row.get("spend")).unwrap_or(NanoUsd::ZERO);
        let total = money(row.get("total_spend"))
            .unwrap_or(NanoUsd::ZERO)
            .max(spend);
        let over = resets.is_some_and(|at| at <= now_us);
        let duration = limits
            .budget_duration
            .as_deref()
            .and_then(BudgetDuration::parse_stored);
        let start = duration.and_then(|duration| {
            let anchor = limits.budget_anchor.unwrap_or(now_us);
            duration.start_ms(anchor, now_us / 1_000, self.import.rules)
        });
        if total == NanoUsd::ZERO {
            return;
        }
        if kind == Kind::Customer {
            // The ledger keeps no scope that could begin with it.
            let note = format!("what customer {id} has spent in LiteLLM is not taken");
            self.taken.notes.push(note);
            return;
        }
        let scope = ScopeKey {
            kind,
            object_id: id.to_owned(),
            partition: Partition(0),
        };
        let state = ScopeState {
            window_start_ms: start.unwrap_or(0),
            spent: if over && duration.is_some() {
                NanoUsd::ZERO
            } else {
                spend
            },
            total,
            last_ms: micros(row.get("last_active")).unwrap_or(now_us) / 1_000,
            // Its window is its row's.
            window_end_ms: 0,
        };
        self.spend.insert(scope, state);
    }

    async fn budget(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = text(row, "budget_id") else {
            return Ok(());
        };
        let there = budgets::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut limits = LimitColumns {
            max_budget: money(row.get("max_budget")),
            max_parallel_requests: whole(row, "max_parallel_requests"),
            tpm_limit: whole(row, "tpm_limit"),
            rpm_limit: whole(row, "rpm_limit"),
            budget_duration: text(row, "budget_duration"),
            budget_anchor: None,
        };
        if limits
            .budget_duration
            .as_deref()
            .is_some_and(|text| BudgetDuration::parse(text).is_none())
        {
            let note = "its budget_duration is none: the budget never starts anew".to_owned();
            self.notes(&format!("budget {id}"), vec![note]);
            limits.budget_duration = None;
        }
        imported::anchor(&mut limits, row, tx.now_us());
        let models = object(row, "model_max_budget");
        let mut budget = BudgetRow {
            budget_id: id,
            limits,
            soft_budget: money(row.get("soft_budget")),
            tpd_limit: row.get("tpd_limit").and_then(Value::as_i64),
            model_max_budget: Some(models).filter(|models| !models.is_empty()),
            allowed_models: texts(row, "allowed_models"),
            ..BudgetRow::default()
        };
        Ok(budgets::put(tx, &self.by, &mut budget).await?)
    }

    /// The limits of a budget row, and when LiteLLM would start it anew: now it is a row of this service.
    async fn limits_of(
        &self,
        tx: &mut Tx,
        id: Option<&String>,
    ) -> Result<(LimitColumns, Option<u64>, Option<u64>), Ended> {
        let Some(id) = id else {
            return Ok((LimitColumns::default(), None, None));
        };
        let found = budgets::find(tx.connection(), id).await?;
        let now_us = tx.now_us();
        Ok(found.map_or((LimitColumns::default(), None, None), |row| {
            let refresh_at = row.refresh_at(now_us, self.import.rules);
            (row.limits, None, refresh_at)
        }))
    }

    async fn organization(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = text(row, "organization_id") else {
            return Ok(());
        };
        let there = organizations::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let budget_id = text(row, "budget_id");
        let (limits, resets, refresh_at) = self.limits_of(tx, budget_id.as_ref()).await?;
        self.spent(tx, Kind::Organization, &id, row, &limits, resets);
        let mut organization = OrganizationRow::new(id);
        organization.organization_alias = text(row, "organization_alias").unwrap_or_default();
        organization.budget_id = budget_id.unwrap_or_default();
        organization.models = texts(row, "models");
        organization.metadata = object(row, "metadata");
        organization.refresh_at = refresh_at;
        Ok(organizations::insert(tx, &self.by, &mut organization).await?)
    }

    async fn user(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = text(row, "user_id") else {
            return Ok(());
        };
        let there = users::find(tx.connection(), users::Which::Id(&id))
            .await?
            .is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut user = imported::user(row, tx.now_us(), self.import.rules, &mut notes)?;
        if let Some(email) = &user.user_email {
            let other = users::find(tx.connection(), users::Which::Email(email)).await?;
            if let Some(other) = other {
                notes.push(format!(
                    "its address is that of {} and is left out",
                    other.user_id
                ));
                user.user_email = None;
            }
        }
        self.spent(
            tx,
            Kind::User,
            &id,
            row,
            &user.limits,
            micros(row.get("budget_reset_at")),
        );
        self.notes(&format!("user {id}"), notes);
        Ok(users::insert(tx, &self.by, &mut user).await?)
    }

    async fn organization_member(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let (Some(organization), Some(user)) = (text(row, "organization_id"), text(row, "user_id"))
        else {
            return Ok(());
        };
        let found = organization_members::find(tx.connection(), &organization, &user).await?;
        if !self.is_new(found.is_some()) {
            return Ok(());
        }
        let role = text(row, "user_role").unwrap_or_else(|| "internal_user".to_owned());
        let mut member = OrgMemberRow::new(&organization, &user, &role);
        member.budget_id = text(row, "budget_id");
        Ok(organization_members::insert(tx, &self.by, &mut member).await?)
    }

    async fn team(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = text(row, "team_id") else {
            return Ok(());
        };
        let there = teams::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut team = imported::team(row, tx.now_us(), self.import.rules, &mut notes)?;
        self.spent(
            tx,
            Kind::Team,
            &id,
            row,
            &team.limits,
            micros(row.get("budget_reset_at")),
        );
        self.notes(&format!("team {id}"), notes);
        Ok(teams::insert(tx, &self.by, &mut team).await?)
    }

    /// The members that a team lists, with what LiteLLM's membership says of each.
    async fn members(
        &mut self,
        tx: &mut Tx,
        row: &Object,
        memberships: &[Object],
    ) -> Result<(), Ended> {
        let Some(team_id) = text(row, "team_id") else {
            return Ok(());
        };
        let listed = row.get("members_with_roles").and_then(Value::as_array);
        for listed in listed.into_iter().flatten().filter_map(Value::as_object) {
            let Some(user_id) = text(listed, "user_id") else {
                self.leave(format!("a member of team {team_id} has no user_id"));
                continue;
            };
            let found = members::find(tx.connection(), &team_id, &user_id).await?;
            if !self.is_new(found.is_some()) {
                continue;
            }
            let role = text(listed, "role").filter(|role| role == "admin");
            let role = role.unwrap_or_else(|| "user".to_owned());
            let mut member = MemberRow::new(&team_id, &user_id, &role);
            member.user_email = text(listed, "user_email");
            let own = memberships.iter().find(|own| {
                text(own, "team_id").as_ref() == Some(&team_id)
                    && text(own, "user_id").as_ref() == Some(&user_id)
            });
            if let Some(own) = own {
                member.budget_id = text(own, "budget_id");
                let (limits, resets, refresh_at) =
                    self.limits_of(tx, member.budget_id.as_ref()).await?;
                member.refresh_at = refresh_at;
                let object = member_object(&team_id, &user_id);
                self.spent(tx, Kind::Member, &object, own, &limits, resets);
            }
            members::insert(tx, &self.by, &mut member).await?;
        }
        Ok(())
    }

    async fn customer(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = text(row, "user_id") else {
            return Ok(());
        };
        let there = customers::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut customer = CustomerRow::new(id);
        customer.alias = text(row, "alias");
        customer.blocked = row.get("blocked") == Some(&Value::Bool(true));
        customer.allowed_model_region = text(row, "allowed_model_region");
        customer.default_model = text(row, "default_model");
        customer.models = texts(row, "models");
        customer.budget_id = text(row, "budget_id");
        let (limits, resets, refresh_at) = self.limits_of(tx, customer.budget_id.as_ref()).await?;
        customer.refresh_at = refresh_at;
        self.spent(tx, Kind::Customer, &customer.user_id, row, &limits, resets);
        Ok(customers::insert(tx, &self.by, &mut customer).await?)
    }

    async fn key(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(token) = text(row, "token") else {
            return Ok(());
        };
        let shown = text(row, "key_name").unwrap_or_else(|| token.chars().take(8).collect());
        if text(row, "team_id").as_deref() == Some("litellm-dashboard") {
            self.leave(format!("key {shown} is a session of LiteLLM's interface"));
            return Ok(());
        }
        if token == self.import.master || contract::virtual_key::KeyHash::parse(&token).is_none() {
            self.leave(format!(
                "key {shown} is the master key, or its name is no SHA-256"
            ));
            return Ok(());
        }
        let there = keys::find(tx.connection(), keys::Which::Token(&token))
            .await?
            .is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut key = imported::key(row, tx.now_us(), self.import.rules, &mut notes)?;
        if let Some(alias) = &key.key_alias
            && keys::find(tx.connection(), keys::Which::Alias(alias))
                .await?
                .is_some()
        {
            notes.push(format!(
                "its alias {alias} is another key's and is left out"
            ));
            key.key_alias = None;
        }
        let (budget, ..) = self.limits_of(tx, key.budget_id.as_ref()).await?;
        let limits = key.limits.clone().or(budget);
        let id = key.key_id.clone();
        self.spent(
            tx,
            Kind::Key,
            &id,
            row,
            &limits,
            micros(row.get("budget_reset_at")),
        );
        self.notes(&format!("key {shown}"), notes);
        Ok(keys::insert(tx, &self.by, &mut key).await?)
    }
}

//! Budget rows: limits that keys, memberships, customers and tags share.
//!
//! Decides: what a row holds, and that everybody it limits is published again in the transaction of its change, by one statement a table
//! however many they are. Failure stance: an owner of limits whose row is deleted loses those limits, never keeps old ones in Redis.

use contract::limits::{Limits, Raise};
use contract::money::NanoUsd;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{placeholders, signed};
use super::row::{self, LimitColumns, Object};
use super::{StoreError, Tx, catalogue_rows};
use crate::domain::budget_window::WindowRules;
use crate::domain::further_limits::{FurtherLimits, MODEL_BUDGETS};
use crate::policy::{Authorized, Writes};

mod linked;

pub use linked::{links, publish_linked};

/// A budget row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetRow {
    /// The id.
    pub budget_id: String,
    /// The limits.
    pub limits: LimitColumns,
    /// An amount that only marks.
    pub soft_budget: Option<NanoUsd>,
    /// What is added to the budget of members, until when.
    pub temporary: Option<Temporary>,
    /// Tokens a day; kept and echoed.
    pub tpd_limit: Option<i64>,
    /// Budgets by model.
    pub model_max_budget: Option<Object>,
    /// Models that whoever is limited by the row may call; empty: all.
    pub allowed_models: Vec<String>,
    /// When it was made.
    pub created_at: u64,
    /// By which user.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: u64,
    /// By which user.
    pub updated_by: String,
}

/// What a member may spend more for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temporary {
    /// How much.
    pub increase: NanoUsd,
    /// Until when, microseconds since the epoch.
    pub until_us: u64,
}

impl Temporary {
    /// What a row with the columns of [`BudgetRow`] says.
    pub(in crate::store) fn read(row: &AnyRow) -> Result<Option<Self>, StoreError> {
        let increase = row::number(row, "temp_budget_increase")?.map(NanoUsd::saturating);
        let until_us = row::number(row, "temp_budget_expiry")?;
        let both = increase.zip(until_us);
        Ok(both.map(|(increase, until_us)| Self { increase, until_us }))
    }

    /// What it raises a budget by at `now_us`, with its end.
    pub(in crate::store) fn raise(&self, now_us: u64) -> Option<Raise> {
        let until_ms = self.until_us / 1_000;
        (self.until_us > now_us).then_some(Raise {
            by: self.increase,
            until_ms,
        })
    }

    /// What is added to a budget at `now_us`.
    pub fn at(&self, now_us: u64) -> NanoUsd {
        if self.until_us > now_us {
            self.increase
        } else {
            NanoUsd::ZERO
        }
    }
}

const COLUMNS: [&str; 17] = [
    "soft_budget",
    "temp_budget_increase",
    "temp_budget_expiry",
    "tpd_limit",
    "model_max_budget",
    "allowed_models",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    LimitColumns::NAMES[0],
    LimitColumns::NAMES[1],
    LimitColumns::NAMES[2],
    LimitColumns::NAMES[3],
    LimitColumns::NAMES[4],
    LimitColumns::NAMES[5],
    "budget_id",
];

impl BudgetRow {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let model_max_budget: Option<String> = row.try_get("model_max_budget")?;
        let parse = |text: String| {
            serde_json::from_str(&text)
                .map_err(|error| StoreError::Corrupt(format!("model_max_budget: {error}")))
        };
        Ok(Self {
            budget_id: row.try_get("budget_id")?,
            limits: LimitColumns::read(row)?,
            soft_budget: row::number(row, "soft_budget")?.map(NanoUsd::saturating),
            temporary: Temporary::read(row)?,
            tpd_limit: row.try_get("tpd_limit")?,
            model_max_budget: model_max_budget.map(parse).transpose()?,
            allowed_models: row::json(row, "allowed_models")?,
            created_at: row::time(row, "created_at")?,
            created_by: row.try_get("created_by")?,
            updated_at: row::time(row, "updated_at")?,
            updated_by: row.try_get("updated_by")?,
        })
    }

    /// The most that a member may spend now: the budget with its temporary increase. None: no limit.
    pub fn most_budget(&self, now_us: u64) -> Option<NanoUsd> {
        let more = self.temporary.map_or(0, |more| more.at(now_us).get());
        let max = self.limits.max_budget?.get();
        Some(NanoUsd::saturating(max.saturating_add(more)))
    }

    /// When the windows of whoever the row limits run short.
    pub fn refresh_at(&self, now_us: u64, rules: &WindowRules) -> Option<u64> {
        let end = self.temporary.map(|temporary| temporary.until_us);
        let end = end.filter(|end| *end > now_us);
        let own = [self.limits.refresh_at(now_us, rules), end];
        let own = own.into_iter().flatten().min();
        let mut further = Object::new();
        if let Some(models) = &self.model_max_budget {
            further.insert(MODEL_BUDGETS.to_owned(), json!(models));
        }
        FurtherLimits::refresh(own, &[&further], self.created_at, now_us, rules)
    }

    /// What the filter holds whoever the row limits to.
    pub fn all_limits(&self, now_us: u64, rules: &WindowRules) -> Limits {
        let mut limits = self.limits.limits(now_us, rules);
        let mut further = Object::new();
        if let Some(models) = &self.model_max_budget {
            further.insert(MODEL_BUDGETS.to_owned(), json!(models));
        }
        match FurtherLimits::read(&[&further]) {
            Ok(further) => further.put(&mut limits, self.created_at, now_us, rules),
            Err(wrong) => {
                tracing::error!(
                    ?wrong,
                    row = self.budget_id,
                    "a budget by model cannot be read"
                );
            }
        }
        limits
    }

    fn snapshot(&self) -> Value {
        json!({"max_budget": self.limits.max_budget.map(NanoUsd::get),
            "soft_budget": self.soft_budget.map(NanoUsd::get),
            "temp_budget_increase": self.temporary.map(|temporary| temporary.increase.get()),
            "temp_budget_expiry": self.temporary.map(|temporary| temporary.until_us),
            "max_parallel_requests": self.limits.max_parallel_requests,
            "tpm_limit": self.limits.tpm_limit, "rpm_limit": self.limits.rpm_limit,
            "tpd_limit": self.tpd_limit, "model_max_budget": self.model_max_budget,
            "allowed_models": self.allowed_models,
            "budget_duration": self.limits.budget_duration})
    }
}

/// Reads a row.
pub async fn find(
    connection: &mut AnyConnection,
    budget_id: &str,
) -> Result<Option<BudgetRow>, StoreError> {
    let rows = find_all(connection, std::slice::from_ref(&budget_id.to_owned())).await?;
    Ok(rows.into_iter().next())
}

/// Reads the rows of these ids that exist, in the order of their ids.
pub async fn find_all(
    connection: &mut AnyConnection,
    budget_ids: &[String],
) -> Result<Vec<BudgetRow>, StoreError> {
    let mut found = Vec::with_capacity(budget_ids.len());
    for ids in budget_ids.chunks(200) {
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "SELECT {} FROM budgets WHERE budget_id IN ({}) ORDER BY budget_id",
            COLUMNS.join(", "),
            placeholders(1, ids.len())
        )));
        for id in ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.push(BudgetRow::read(&row)?);
        }
    }
    Ok(found)
}

/// A page of all rows, oldest first.
pub async fn list(
    connection: &mut AnyConnection,
    limit: u32,
    offset: u64,
) -> Result<Vec<BudgetRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "SELECT {} FROM budgets ORDER BY created_at, budget_id LIMIT $1 OFFSET $2",
        COLUMNS.join(", ")
    )))
    .bind(i64::from(limit))
    .bind(signed(offset))
    .fetch_all(connection)
    .await?
    .iter()
    .map(BudgetRow::read)
    .collect()
}

/// Reads a row and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, budget_id: &str) -> Result<Option<BudgetRow>, StoreError> {
    sqlx::query("UPDATE budgets SET updated_at = updated_at WHERE budget_id = $1")
        .bind(budget_id.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), budget_id).await
}

/// Changes the soft budget of a row that is locked, and nothing else of it. It only marks, so nobody is published again.
pub async fn set_soft<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut BudgetRow,
    soft_budget: Option<NanoUsd>,
) -> Result<(), StoreError> {
    row.soft_budget = soft_budget;
    put(tx, by, row).await
}

/// Writes a row, new, or changed after [`lock`]. Publishing those it limits is the caller's to do: [`publish_linked`].
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut BudgetRow,
) -> Result<(), StoreError> {
    let before = find(tx.connection(), &row.budget_id).await?;
    let user = by.caller.user_id.clone().unwrap_or_default();
    row.updated_at = tx.now_us();
    row.updated_by.clone_from(&user);
    row.created_at = before
        .as_ref()
        .map_or(row.updated_at, |before| before.created_at);
    row.created_by = before
        .as_ref()
        .map_or(user, |before| before.created_by.clone());
    write(tx, by, before, row).await
}

/// Writes a new row; one of its id that is there already is a duplicate, whenever it came there.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut BudgetRow,
) -> Result<(), StoreError> {
    row.created_at = tx.now_us();
    row.created_by = by.caller.user_id.clone().unwrap_or_default();
    row.updated_at = row.created_at;
    row.updated_by.clone_from(&row.created_by);
    write(tx, by, None, row).await
}

/// Writes a new row that was made elsewhere, when and by whom it says.
pub async fn bring<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut BudgetRow,
) -> Result<(), StoreError> {
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    write(tx, by, None, row).await
}

async fn write<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: Option<BudgetRow>,
    row: &BudgetRow,
) -> Result<(), StoreError> {
    let statement = match before {
        Some(_) => row::update("budgets", &COLUMNS[..COLUMNS.len() - 1], "budget_id"),
        None => row::insert_into("budgets", &COLUMNS),
    };
    let statement = sqlx::query(AssertSqlSafe(statement))
        .bind(row.soft_budget.map(|budget| signed(budget.get())))
        .bind(
            row.temporary
                .map(|temporary| signed(temporary.increase.get())),
        )
        .bind(row.temporary.map(|temporary| signed(temporary.until_us)))
        .bind(row.tpd_limit)
        .bind(row.model_max_budget.as_ref().map(row::text))
        .bind(row::text(&row.allowed_models))
        .bind(signed(row.created_at))
        .bind(row.created_by.clone())
        .bind(signed(row.updated_at))
        .bind(row.updated_by.clone());
    row.limits
        .bind(statement)
        .bind(row.budget_id.clone())
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: if before.is_some() {
            "updated"
        } else {
            "created"
        },
        table: audit::BUDGETS,
        object_id: &row.budget_id,
        before: before.as_ref().map(BudgetRow::snapshot),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await
}

/// Deletes a row that is locked. Whoever it limited is left without it: nobody names it any more, and all of them are published again.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &BudgetRow,
) -> Result<(), StoreError> {
    linked::unlink(tx, &row.budget_id).await?;
    catalogue_rows::follow_budget(tx, &row.budget_id).await?;
    sqlx::query("UPDATE tags SET budget_id = NULL WHERE budget_id = $1")
        .bind(row.budget_id.clone())
        .execute(tx.connection())
        .await?;
    sqlx::query("DELETE FROM budgets WHERE budget_id = $1")
        .bind(row.budget_id.clone())
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::BUDGETS,
        object_id: &row.budget_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

//! Records that must be made anew without anybody changing them: a calendar of budget windows runs short, a temporary budget ended.
//!
//! Decides: which rows are due, and when the next ones are. Failure stance: a row that is due stays due until it was published again, so a
//! failure costs time only; a record carries eight windows more than it needs.

use std::time::Duration;

use contract::id::Rev;
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::watch;

use super::outbox::{Kind, member_object, rev, signed, unsigned};
use super::publish_view::further;
use super::row::{LimitColumns, json, number};
use super::{Change, Store, StoreError, Tx, budgets, idempotency, organization_members};
use crate::domain::budget_window::WindowRules;
use crate::domain::temporary_budget;
use crate::settings::Live;

/// Rows in one transaction.
const BATCH: i64 = 200;
/// Longest sleep: another process may have made rows that are due earlier.
const LONGEST: Duration = Duration::from_mins(1);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The limits that a row has, wherever they are kept.
const KEYS: &str = "SELECT k.key_id AS first, '' AS second, k.rev, k.metadata, COALESCE(k.max_budget, b.max_budget) AS max_budget, \
     k.max_parallel_requests, k.tpm_limit, k.rpm_limit, COALESCE(k.budget_duration, b.budget_duration) AS budget_duration, \
     COALESCE(k.budget_anchor, b.budget_anchor) AS budget_anchor, k.extra, k.created_at, b.model_max_budget AS budget_models, \
     NULL AS ends FROM virtual_keys k LEFT JOIN budgets b ON b.budget_id = k.budget_id WHERE k.refresh_at <= $1 \
     ORDER BY k.key_id LIMIT $2";
const USERS: &str = "SELECT user_id AS first, '' AS second, rev, metadata, max_budget, max_parallel_requests, tpm_limit, \
     rpm_limit, budget_duration, budget_anchor, extra, created_at, NULL AS budget_models, NULL AS ends FROM users WHERE refresh_at <= $1 ORDER BY user_id LIMIT $2";
const TEAMS: &str = "SELECT team_id AS first, '' AS second, rev, metadata, max_budget, max_parallel_requests, tpm_limit, \
     rpm_limit, budget_duration, budget_anchor, extra, created_at, NULL AS budget_models, NULL AS ends FROM teams WHERE refresh_at <= $1 ORDER BY team_id LIMIT $2";
const MEMBERS: &str = "SELECT m.team_id AS first, m.user_id AS second, m.rev, '{}' AS metadata, b.max_budget, \
     b.max_parallel_requests, b.tpm_limit, b.rpm_limit, b.budget_duration, b.budget_anchor, '{}' AS extra, \
     COALESCE(b.created_at, m.created_at) AS created_at, b.model_max_budget AS budget_models, b.temp_budget_expiry AS ends \
     FROM team_members m LEFT JOIN budgets b ON b.budget_id = m.budget_id WHERE m.refresh_at <= $1 \
     ORDER BY m.team_id, m.user_id LIMIT $2";

const ORGANIZATIONS: &str = "SELECT o.organization_id AS first, '' AS second, o.rev, o.metadata, b.max_budget, \
     b.max_parallel_requests, b.tpm_limit, b.rpm_limit, b.budget_duration, b.budget_anchor, o.extra, o.created_at, \
     b.model_max_budget AS budget_models, NULL AS ends FROM organizations o LEFT JOIN budgets b ON b.budget_id = o.budget_id WHERE o.refresh_at <= $1 \
     ORDER BY o.organization_id LIMIT $2";

const CUSTOMERS: &str = "SELECT c.user_id AS first, '' AS second, c.rev, '{}' AS metadata, b.max_budget, \
     b.max_parallel_requests, b.tpm_limit, b.rpm_limit, b.budget_duration, b.budget_anchor, '{}' AS extra, \
     b.created_at, b.model_max_budget AS budget_models, NULL AS ends FROM customers c LEFT JOIN budgets b ON b.budget_id = c.budget_id WHERE c.refresh_at <= $1 \
     ORDER BY c.user_id LIMIT $2";

/// A table: what is due in it, and how a row is moved on. The revision that was read must still be there.
const TABLES: [(Kind, &str, &str); 6] = [
    (
        Kind::Customer,
        CUSTOMERS,
        "UPDATE customers SET rev = $1, refresh_at = $2 WHERE user_id = $3 AND '' = $4 AND rev = $5",
    ),
    (
        Kind::Key,
        KEYS,
        "UPDATE virtual_keys SET rev = $1, refresh_at = $2 WHERE key_id = $3 AND '' = $4 AND rev = $5",
    ),
    (
        Kind::User,
        USERS,
        "UPDATE users SET rev = $1, refresh_at = $2 WHERE user_id = $3 AND '' = $4 AND rev = $5",
    ),
    (
        Kind::Team,
        TEAMS,
        "UPDATE teams SET rev = $1, refresh_at = $2 WHERE team_id = $3 AND '' = $4 AND rev = $5",
    ),
    (
        Kind::Member,
        MEMBERS,
        "UPDATE team_members SET rev = $1, refresh_at = $2 WHERE team_id = $3 AND user_id = $4 AND rev = $5",
    ),
    (
        Kind::Organization,
        ORGANIZATIONS,
        "UPDATE organizations SET rev = $1, refresh_at = $2 WHERE organization_id = $3 AND '' = $4 AND rev = $5",
    ),
];

/// Every table with `refresh_at`: the word after `UPDATE`, and the memberships whose limits are in the records of keys.
fn tables() -> impl Iterator<Item = &'static str> {
    TABLES
        .iter()
        .filter_map(|(_, _, touch)| touch.split_ascii_whitespace().nth(1))
        .chain(["organization_members"])
}

/// Keeps records fresh until told to stop.
pub async fn run(store: &Store, live: &Live, mut stop: watch::Receiver<bool>) {
    let mut changes = live.changes();
    loop {
        changes.borrow_and_update();
        if let Err(error) = idempotency::forget_old(store).await {
            tracing::warn!(%error, "answers kept for a day could not be forgotten; they are next time");
        }
        let pause = match refresh(store, &live.now().windows).await {
            Ok(()) => until_next(store).await.unwrap_or(PAUSE),
            Err(error) => {
                tracing::warn!(%error, "records could not be refreshed; they stay valid for now");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Other windows: everything is due.
            _ = changes.changed() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Has everything that is due published again.
pub async fn refresh(store: &Store, rules: &WindowRules) -> Result<(), StoreError> {
    for (kind, due, touch) in TABLES {
        while store
            .write(&Refresh {
                kind,
                due,
                touch,
                rules,
            })
            .await?
            .value
        {}
    }
    while store.write(&RefreshOrganizationMembers(rules)).await?.value {}
    Ok(())
}

/// Has every record made anew, the sooner the better: how windows are computed changed.
pub(super) async fn all_due(tx: &mut Tx) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    for table in tables() {
        sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET refresh_at = $1")))
            .bind(signed(now_us))
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

async fn until_next(store: &Store) -> Result<Duration, StoreError> {
    let due = tables().map(|table| format!("SELECT MIN(refresh_at) AS at FROM {table}"));
    let due = due.collect::<Vec<_>>().join(" UNION ALL ");
    let row = sqlx::query(AssertSqlSafe(format!(
        "SELECT MIN(at) AS at FROM ({due}) AS due"
    )))
    .fetch_one(&mut *store.read().await?)
    .await?;
    let now_us = store.clock().now_us();
    let at = row.try_get::<Option<i64>, _>("at")?.map(unsigned);
    Ok(at
        .map_or(LONGEST, |at| {
            Duration::from_micros(at.saturating_sub(now_us))
        })
        .min(LONGEST))
}

struct Refresh<'a> {
    kind: Kind,
    due: &'static str,
    touch: &'static str,
    rules: &'a WindowRules,
}

impl Change for Refresh<'_> {
    /// Whether there may be more.
    type Answer = bool;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let now_us = tx.now_us();
        let rows = sqlx::query(AssertSqlSafe(self.due.to_owned()))
            .bind(signed(now_us))
            .bind(BATCH)
            .fetch_all(tx.connection())
            .await?;
        for row in &rows {
            let (first, second): (String, String) = (row.try_get("first")?, row.try_get("second")?);
            let old: Rev = rev(row.try_get("rev")?)?;
            let rev = old.next(now_us);
            let end = temporary_budget::expiry_us(&json(row, "metadata")?)
                .or(number(row, "ends")?)
                .filter(|end| *end > now_us);
            let window = LimitColumns::read(row)?.refresh_at(now_us, self.rules);
            let created_us = number(row, "created_at")?.unwrap_or(now_us);
            // Limits that cannot be read are the publisher's to report; other rows are not held up for them.
            let further = further(row).unwrap_or_default();
            let further = further.refresh_at(created_us, now_us, self.rules);
            let next = [window, further, end].into_iter().flatten().min();
            let touched = sqlx::query(AssertSqlSafe(self.touch.to_owned()))
                .bind(signed(rev.get()))
                .bind(next.map(signed))
                .bind(first.clone())
                .bind(second.clone())
                .bind(signed(old.get()))
                .execute(tx.connection())
                .await?;
            if touched.rows_affected() > 0 {
                let object = match self.kind {
                    Kind::Member => member_object(&first, &second),
                    Kind::Key
                    | Kind::User
                    | Kind::Team
                    | Kind::Organization
                    | Kind::Customer
                    | Kind::Catalogue
                    | Kind::Correction
                    | Kind::Scope => first,
                };
                tx.publish(self.kind, &object, rev).await?;
            }
        }
        Ok(i64::try_from(rows.len()).unwrap_or(0) >= BATCH)
    }
}

struct RefreshOrganizationMembers<'a>(&'a WindowRules);

impl Change for RefreshOrganizationMembers<'_> {
    /// Whether there may be more.
    type Answer = bool;
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let now_us = tx.now_us();
        let members = organization_members::due(tx.connection(), now_us, BATCH).await?;
        for member in &members {
            let budget = match &member.budget_id {
                Some(id) => budgets::find(tx.connection(), id).await?,
                None => None,
            };
            let next = budget.and_then(|row| row.refresh_at(now_us, self.0));
            organization_members::refreshed(tx, member, next).await?;
        }
        Ok(i64::try_from(members.len()).unwrap_or(0) >= BATCH)
    }
}

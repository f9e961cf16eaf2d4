//! Customers (end users). The statements; what a change means is the routes' business. A customer's limits are those of their budget row.

use std::collections::BTreeMap;

use contract::id::{CustomerId, Rev};
use contract::money::NanoUsd;
use contract::redis_key::RecordId;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::conditions::Conditions;
use super::outbox::{Kind, placeholders, rev, signed};
use super::publish_view::{Grave, bury, first_rev};
use super::row::{self, Object, Statement};
use super::spend::{Tally, forgotten};
use super::{Change, StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// A customer's row.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerRow {
    /// The id, as requests name it.
    pub user_id: String,
    /// The revision.
    pub rev: Rev,
    /// A name to show.
    pub alias: Option<String>,
    /// Whether requests that name the customer are refused.
    pub blocked: bool,
    /// Where the customer's models may run; kept and echoed.
    pub allowed_model_region: Option<String>,
    /// The model of requests that name none; kept and echoed.
    pub default_model: Option<String>,
    /// Models that requests naming the customer may call; empty: all.
    pub models: Vec<String>,
    /// The budget row.
    pub budget_id: Option<String>,
    /// When the record must be made anew.
    pub refresh_at: Option<u64>,
    /// What requests that named the customer have spent, ever. Counted by the ledger alone.
    pub spend: NanoUsd,
    /// Fields kept and echoed.
    pub extra: Object,
    /// When the row was made.
    pub created_at: u64,
    /// When it was last changed.
    pub updated_at: u64,
}

const COLUMNS: [&str; 13] = [
    "rev",
    "record",
    "alias",
    "blocked",
    "allowed_model_region",
    "default_model",
    "models",
    "budget_id",
    "refresh_at",
    "extra",
    "created_at",
    "updated_at",
    "user_id",
];

/// Rows of one statement.
const AT_ONCE: usize = 200;

impl CustomerRow {
    /// A customer without anything but an id.
    pub fn new(user_id: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            rev: Rev::default(),
            alias: None,
            blocked: false,
            allowed_model_region: None,
            default_model: None,
            models: Vec::new(),
            budget_id: None,
            refresh_at: None,
            spend: NanoUsd::ZERO,
            extra: Object::new(),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            rev: rev(row.try_get("rev")?)?,
            alias: row.try_get("alias")?,
            blocked: row::flag(row, "blocked")?.unwrap_or(false),
            allowed_model_region: row.try_get("allowed_model_region")?,
            default_model: row.try_get("default_model")?,
            models: row::json(row, "models")?,
            budget_id: row.try_get("budget_id")?,
            refresh_at: row::number(row, "refresh_at")?,
            spend: row::number(row, "spend")?.map_or(NanoUsd::ZERO, NanoUsd::saturating),
            extra: row::json(row, "extra")?,
            created_at: row::time(row, "created_at")?,
            updated_at: row::time(row, "updated_at")?,
        })
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(signed(self.rev.get()))
            .bind(record_name(&self.user_id))
            .bind(self.alias.clone())
            .bind(row::bit(Some(self.blocked)))
            .bind(self.allowed_model_region.clone())
            .bind(self.default_model.clone())
            .bind(row::text(&self.models))
            .bind(self.budget_id.clone())
            .bind(self.refresh_at.map(signed))
            .bind(row::text(&self.extra))
            .bind(signed(self.created_at))
            .bind(signed(self.updated_at))
            .bind(self.user_id.clone())
    }

    fn snapshot(&self) -> Value {
        json!({"alias": self.alias, "blocked": self.blocked, "models": self.models, "budget_id": self.budget_id,
            "allowed_model_region": self.allowed_model_region, "default_model": self.default_model, "extra": self.extra})
    }
}

/// The name of a customer's record in Redis.
fn record_name(user_id: &str) -> String {
    let id = RecordId::customer(&CustomerId::new(user_id));
    id.as_str().to_owned()
}

/// Reads a row.
pub async fn find(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Option<CustomerRow>, StoreError> {
    let rows = find_all(connection, std::slice::from_ref(&user_id.to_owned())).await?;
    Ok(rows.into_iter().next())
}

/// Reads the rows of these ids that exist, in the order of their ids.
pub async fn find_all(
    connection: &mut AnyConnection,
    user_ids: &[String],
) -> Result<Vec<CustomerRow>, StoreError> {
    let mut found = Vec::with_capacity(user_ids.len());
    for ids in user_ids.chunks(AT_ONCE) {
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "SELECT {}, spend FROM customers WHERE user_id IN ({}) ORDER BY user_id",
            COLUMNS.join(", "),
            placeholders(1, ids.len())
        )));
        for id in ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.push(CustomerRow::read(&row)?);
        }
    }
    Ok(found)
}

/// The customer whose record has this name.
pub async fn of_record(
    connection: &mut AnyConnection,
    record: &str,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT user_id FROM customers WHERE record = $1")
        .bind(record.to_owned())
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(row.try_get("user_id")?)).transpose()
}

/// A page of customers by id; `search` is part of an id or alias, whatever its case.
pub async fn list(
    connection: &mut AnyConnection,
    search: Option<&str>,
    limit: u32,
    offset: u64,
) -> Result<Vec<CustomerRow>, StoreError> {
    let mut conditions = Conditions::default();
    if let Some(search) = search {
        let columns = ["user_id", "COALESCE(alias, '')"];
        let any = columns.map(|column| conditions.like(column, search, true));
        conditions.add(any.join(" OR "));
    }
    let which = conditions.clause();
    let (limit, offset) = (
        conditions.number(limit.into()),
        conditions.number(signed(offset)),
    );
    let statement = format!(
        "SELECT {}, spend FROM customers {which} ORDER BY user_id LIMIT {limit} OFFSET {offset}",
        COLUMNS.join(", ")
    );
    let rows = conditions.fetch(connection, statement).await?;
    rows.iter().map(CustomerRow::read).collect()
}

/// Ids of blocked customers, at most `limit`.
pub async fn blocked(
    connection: &mut AnyConnection,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT user_id FROM customers WHERE blocked = 1 ORDER BY user_id LIMIT $1")
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("user_id")?))
        .collect()
}

/// Reads a row and keeps others from changing it until the transaction ends.
pub async fn lock(tx: &mut Tx, user_id: &str) -> Result<Option<CustomerRow>, StoreError> {
    sqlx::query("UPDATE customers SET rev = rev WHERE user_id = $1")
        .bind(user_id.to_owned())
        .execute(tx.connection())
        .await?;
    find(tx.connection(), user_id).await
}

/// Writes a new customer with audit and outbox rows; revision and times are set here.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut CustomerRow,
) -> Result<(), StoreError> {
    row.rev = first_rev(tx, Kind::Customer, &row.user_id).await?;
    row.created_at = tx.now_us();
    row.updated_at = row.created_at;
    let statement = AssertSqlSafe(row::insert_into("customers", &COLUMNS));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action: "created",
        table: audit::CUSTOMERS,
        object_id: &row.user_id,
        before: None,
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Customer, &row.user_id, row.rev).await
}

/// Writes a changed customer; `before` is what [`lock`] answered.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    action: &'static str,
    before: &CustomerRow,
    row: &mut CustomerRow,
) -> Result<(), StoreError> {
    row.rev = before.rev.next(tx.now_us());
    row.updated_at = tx.now_us();
    let columns = &COLUMNS[..COLUMNS.len() - 1];
    let statement = AssertSqlSafe(row::update("customers", columns, "user_id"));
    row.bind(sqlx::query(statement))
        .execute(tx.connection())
        .await?;
    let change = audit::Change {
        action,
        table: audit::CUSTOMERS,
        object_id: &row.user_id,
        before: Some(before.snapshot()),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Customer, &row.user_id, row.rev).await
}

/// Deletes a customer. What was spent stays in the ledger, and a request that names the customer makes a row again.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &CustomerRow,
) -> Result<(), StoreError> {
    forgotten(tx, Tally::Customers, &row.user_id).await?;
    sqlx::query("DELETE FROM customers WHERE user_id = $1")
        .bind(row.user_id.clone())
        .execute(tx.connection())
        .await?;
    let name = record_name(&row.user_id);
    let grave = Grave {
        kind: Kind::Customer,
        object_id: &row.user_id,
        old: row.rev,
        token: Some(&name),
        user_id: None,
        team_id: None,
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: audit::CUSTOMERS,
        object_id: &row.user_id,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

/// Counts what requests have spent by the customers that they named, nano-dollars; a customer without a row gets one. Redis need not know:
/// without a record a customer has the default limits.
pub async fn count(tx: &mut Tx, spent: &BTreeMap<String, i64>) -> Result<(), StoreError> {
    const COLUMNS: usize = 9;
    let now = signed(tx.now_us());
    let spent: Vec<(&String, &i64)> = spent.iter().collect();
    for spent in spent.chunks(25) {
        let tuples = (0..spent.len())
            .map(|row| format!("({})", placeholders(row * COLUMNS + 1, COLUMNS)))
            .collect::<Vec<_>>()
            .join(", ");
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO customers (user_id, rev, record, blocked, models, extra, spend, created_at, updated_at) \
             VALUES {tuples} ON CONFLICT (user_id) DO UPDATE SET spend = customers.spend + excluded.spend"
        )));
        for (id, spent) in spent {
            query = query
                .bind((*id).clone())
                .bind(now)
                .bind(record_name(id))
                .bind(0_i16)
                .bind("[]")
                .bind("{}")
                .bind(**spent)
                .bind(now)
                .bind(now);
        }
        query.execute(tx.connection()).await?;
    }
    Ok(())
}

/// Has every customer published again whose record carries the default limits: those with a record and without a budget row.
pub async fn publish_defaulted(tx: &mut Tx) -> Result<(), StoreError> {
    const WHICH: &str = "budget_id IS NULL AND (blocked = 1 OR models <> '[]')";
    sqlx::query(AssertSqlSafe(format!(
        "UPDATE customers SET rev = CASE WHEN rev >= $1 THEN rev + 1 ELSE $1 END WHERE {WHICH}"
    )))
    .bind(signed(tx.now_us()))
    .execute(tx.connection())
    .await?;
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT user_id, rev FROM customers WHERE {WHICH}"
    )))
    .fetch_all(tx.connection())
    .await?;
    let objects = rows
        .iter()
        .map(|row| Ok((row.try_get("user_id")?, rev(row.try_get("rev")?)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    tx.publish_all(Kind::Customer, &objects).await
}

/// [`publish_defaulted`] as a change of its own.
#[derive(Clone, Copy, Debug)]
pub struct PublishDefaulted;

impl Change for PublishDefaulted {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        publish_defaulted(tx).await
    }
}

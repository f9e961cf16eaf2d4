//! Settings that live in the database. A row of `settings` is named after its place in the file, `litellm_settings.max_budget`, or after its
//! endpoint; its value is JSON, `null` where it was taken back. The row `revision` is raised by every change, and locked by it, so that
//! changes come one after another and no service misses one.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AnyConnection, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed, unsigned};
use super::{Change, Store, StoreError, Tx, customers, refresh};
use crate::domain::budget_window::WindowRules;
use crate::policy::{Authorized, Writes};
use crate::settings::{FileSettings, Settings};

/// The row whose `rev` counts changes.
const REVISION: &str = "revision";
/// The row that says how budget windows are computed.
const WINDOWS: &str = "windows_in_force";

/// All rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The revision.
    pub rev: u64,
    /// Values by name.
    pub values: BTreeMap<String, Value>,
}

/// The revision of the database's settings.
pub async fn revision(store: &Store) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT rev FROM settings WHERE name = $1")
        .bind(REVISION)
        .fetch_optional(&mut *store.read().await?)
        .await?;
    row.map_or(Ok(0), |row| Ok(unsigned(row.try_get("rev")?)))
}

/// Everything that is stored.
pub async fn all(store: &Store) -> Result<Rows, StoreError> {
    read(&mut *store.read().await?).await
}

/// One row's value.
pub(super) async fn value(
    connection: &mut AnyConnection,
    name: &'static str,
) -> Result<Option<Value>, StoreError> {
    let found = sqlx::query("SELECT value FROM settings WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = found else { return Ok(None) };
    let text: String = row.try_get("value")?;
    let value = serde_json::from_str(&text)
        .map_err(|error| StoreError::Corrupt(format!("settings.{name}: {error}")))?;
    Ok(Some(value))
}

/// How windows are computed, if that was recorded.
pub fn window_rules(rows: &Rows) -> Option<WindowRules> {
    WindowRules::from_json(rows.values.get(WINDOWS)?)
}

async fn read(connection: &mut AnyConnection) -> Result<Rows, StoreError> {
    let mut rows = Rows::default();
    let found = sqlx::query("SELECT name, value, rev FROM settings")
        .fetch_all(connection)
        .await?;
    for row in found {
        let name: String = row.try_get("name")?;
        if name == REVISION {
            rows.rev = unsigned(row.try_get("rev")?);
            continue;
        }
        let text: String = row.try_get("value")?;
        let value = serde_json::from_str(&text)
            .map_err(|error| StoreError::Corrupt(format!("settings.{name}: {error}")))?;
        rows.values.insert(name, value);
    }
    Ok(rows)
}

/// Raises the revision, and so keeps other changes waiting until this one is committed; then reads everything.
pub async fn lock(tx: &mut Tx) -> Result<Rows, StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO settings (name, value, rev, updated_at) VALUES ($1, 'null', $2, $2) \
         ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at, \
         rev = CASE WHEN settings.rev >= excluded.rev THEN settings.rev + 1 ELSE excluded.rev END",
    )
    .bind(REVISION)
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    read(tx.connection()).await
}

/// Writes a row of what [`lock`] answered, with its audit row.
pub async fn put<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    rows: &mut Rows,
    name: &str,
    value: Value,
) -> Result<(), StoreError> {
    let before = rows.values.insert(name.to_owned(), value.clone());
    if before.as_ref() == Some(&value) {
        return Ok(());
    }
    write(tx, rows.rev, name, &value).await?;
    let change = audit::Change {
        action: if before.as_ref().is_none_or(Value::is_null) {
            "created"
        } else {
            "updated"
        },
        table: audit::SETTINGS,
        object_id: name,
        before: before.filter(|value| !value.is_null()).map(without_secrets),
        after: Some(without_secrets(value)),
    };
    record(tx, by, change).await
}

/// A value for the audit log: what is sealed is not even shown so.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("sealed") => {
            Value::String("*****".to_owned())
        }
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| (name, without_secrets(value)))
            .collect(),
        other => other,
    }
}

async fn write(tx: &mut Tx, at: u64, name: &str, value: &Value) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO settings (name, value, rev, updated_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, rev = excluded.rev, updated_at = excluded.updated_at",
    )
    .bind(name.to_owned())
    .bind(value.to_string())
    .bind(signed(at))
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has published what follows from `after` in place of `before`: the proxy's settings at once, every record with a budget window by and by.
pub async fn publish(
    tx: &mut Tx,
    rows: &mut Rows,
    before: &Settings,
    after: &Settings,
    windows: WindowRules,
) -> Result<(), StoreError> {
    if !before.publishes_as(after) {
        let at = rev(signed(rows.rev))?;
        tx.publish(Kind::Catalogue, "settings", at).await?;
        customers::publish_defaulted(tx).await?;
    }
    hold_windows(tx, rows, windows).await
}

/// Records how windows are computed from now on, and has every record made anew.
async fn hold_windows(
    tx: &mut Tx,
    rows: &mut Rows,
    desired: WindowRules,
) -> Result<(), StoreError> {
    let now_us = tx.now_us();
    let known = window_rules(rows);
    if known.as_ref().is_some_and(|known| known.same(&desired)) {
        return Ok(());
    }
    let rules = match &known {
        Some(known) => desired.after(known, now_us),
        None => desired.clone(),
    };
    let value = rules.to_json();
    write(tx, rows.rev, WINDOWS, &value).await?;
    rows.values.insert(WINDOWS.to_owned(), value);
    if known.is_some() || !desired.same(&WindowRules::default()) {
        refresh::all_due(tx).await?;
    }
    Ok(())
}

/// Records the windows that a service's file and the database ask for.
pub async fn settle_windows(store: &Store, file: &FileSettings) -> Result<(), StoreError> {
    let rows = all(store).await?;
    let Some(desired) = desired_windows(file, &rows) else {
        return Ok(());
    };
    if window_rules(&rows).is_some_and(|known| known.same(&desired)) {
        return Ok(());
    }
    store.write(&SettleWindows { file }).await?;
    Ok(())
}

/// The windows that file and rows ask for, whatever is in force; `None` where a value is wrong.
pub fn desired_windows(file: &FileSettings, rows: &Rows) -> Option<WindowRules> {
    let mut rows = rows.clone();
    rows.values.remove(WINDOWS);
    Settings::read(file, &rows)
        .ok()
        .map(|settings| settings.windows)
}

/// Has the proxy's settings published again: the file changed.
pub async fn publish_proxy(store: &Store) -> Result<(), StoreError> {
    store.write(&PublishProxy).await?;
    Ok(())
}

struct PublishProxy;

impl Change for PublishProxy {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let at = rev(signed(tx.now_us()))?;
        customers::publish_defaulted(tx).await?;
        tx.publish(Kind::Catalogue, "settings", at).await
    }
}

struct SettleWindows<'a> {
    file: &'a FileSettings,
}

impl Change for SettleWindows<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut rows = lock(tx).await?;
        match desired_windows(self.file, &rows) {
            Some(desired) => hold_windows(tx, &mut rows, desired).await,
            None => Ok(()),
        }
    }
}

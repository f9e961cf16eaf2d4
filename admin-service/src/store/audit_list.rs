//! The audit log, read: paged, filtered and sorted in SQL.

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::conditions::Conditions;
use super::outbox::{signed, unsigned};
use super::{Store, StoreError};

/// Columns that may be filtered by, in the order of [`ListAudit::equal`].
pub const FILTERS: [&str; 5] = [
    "changed_by",
    "changed_by_api_key",
    "action",
    "table_name",
    "object_id",
];
/// Columns that may be sorted by.
pub const SORT_COLUMNS: &str =
    "updated_at, changed_by, changed_by_api_key, action, table_name, object_id";

/// The column of this name, if entries may be sorted by it.
pub fn sort_column(name: &str) -> Option<&'static str> {
    SORT_COLUMNS.split(", ").find(|column| *column == name)
}

/// What to list.
#[derive(Clone, Debug)]
pub struct ListAudit {
    /// Values of [`FILTERS`].
    pub equal: [Option<String>; 5],
    /// From this moment on.
    pub from_us: Option<u64>,
    /// Before this moment.
    pub until_us: Option<u64>,
    /// A column of [`SORT_COLUMNS`].
    pub sort: &'static str,
    /// The order.
    pub descending: bool,
    /// Page, from 1.
    pub page: u32,
    /// Entries on a page.
    pub size: u32,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id; ids grow with time.
    pub id: String,
    /// When.
    pub updated_at: u64,
    /// Who: a user.
    pub changed_by: String,
    /// With which key.
    pub changed_by_api_key: String,
    /// From which address.
    pub changed_from: String,
    /// What was done.
    pub action: String,
    /// To what kind of object.
    pub table_name: String,
    /// To which.
    pub object_id: String,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many there are in all.
    pub total: u64,
}

const COLUMNS: &str = "SELECT id, updated_at, changed_by, changed_by_api_key, changed_from, action, table_name, \
     object_id, before_value, updated_values FROM audit_log";

fn read(row: &AnyRow) -> Result<Entry, StoreError> {
    let json = |column: &str| -> Result<Value, StoreError> {
        let text: Option<String> = row.try_get(column)?;
        // A value that is no JSON is shown as it is: the log is to be read above all.
        Ok(text.map_or(Value::Null, |text| {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }))
    };
    Ok(Entry {
        id: row.try_get("id")?,
        updated_at: unsigned(row.try_get("updated_at")?),
        changed_by: row.try_get("changed_by")?,
        changed_by_api_key: row.try_get("changed_by_api_key")?,
        changed_from: row.try_get("changed_from")?,
        action: row.try_get("action")?,
        table_name: row.try_get("table_name")?,
        object_id: row.try_get("object_id")?,
        before: json("before_value")?,
        after: json("updated_values")?,
    })
}

/// Reads a page.
pub async fn list(store: &Store, what: &ListAudit) -> Result<Listed, StoreError> {
    let mut conditions = Conditions::default();
    for (column, value) in FILTERS.iter().zip(&what.equal) {
        conditions.equals(column, value.as_deref());
    }
    for (comparison, moment) in [(">=", what.from_us), ("<", what.until_us)] {
        if let Some(moment) = moment {
            let place = conditions.number(signed(moment));
            conditions.add(format!("updated_at {comparison} {place}"));
        }
    }
    let which = conditions.clause();
    let direction = if what.descending { "DESC" } else { "ASC" };
    let count = format!("SELECT COUNT(*) AS total FROM audit_log {which}");
    let page = |limit: &str| {
        format!(
            "{COLUMNS} {which} ORDER BY {} {direction}, id {direction} {limit}",
            what.sort
        )
    };
    let mut connection = store.read().await?;
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(&mut connection, asked, count, page).await?;
    Ok(Listed {
        entries: rows.iter().map(read).collect::<Result<_, _>>()?,
        total,
    })
}

/// The entry of an id.
pub async fn find(store: &Store, id: &str) -> Result<Option<Entry>, StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")))
        .bind(id.to_owned())
        .fetch_optional(&mut *store.read().await?)
        .await?;
    row.as_ref().map(read).transpose()
}

//! `/key/aliases`: paged and filtered in SQL.

use sqlx::{AssertSqlSafe, Row};

use super::NOT_MASTER;
use crate::store::outbox::{placeholders, unsigned};
use crate::store::{Store, StoreError, row};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListAliases {
    /// Only aliases that contain this.
    pub search: Option<String>,
    /// Only of keys of this team.
    pub team_id: Option<String>,
    /// Only of keys of this user, or of [`ListAliases::of_teams`].
    pub of_user: Option<String>,
    /// With [`ListAliases::of_user`]: also of keys of these teams.
    pub of_teams: Vec<String>,
    /// Page, from 1.
    pub page: u32,
    /// Aliases on a page.
    pub size: u32,
}

/// Reads a page in alphabetical order; also how many there are in all.
pub async fn list_aliases(
    store: &Store,
    what: &ListAliases,
) -> Result<(Vec<String>, u64), StoreError> {
    let mut values = Vec::new();
    let mut parts = vec!["key_alias IS NOT NULL".to_owned(), NOT_MASTER.to_owned()];
    let mut place = |value: String| {
        values.push(value);
        values.len()
    };
    if let Some(search) = &what.search {
        let at = place(format!("%{}%", row::escaped(search)));
        parts.push(format!("LOWER(key_alias) LIKE LOWER(${at}) ESCAPE '!'"));
    }
    if let Some(team) = &what.team_id {
        parts.push(format!("team_id = ${}", place(team.clone())));
    }
    if let Some(user) = &what.of_user {
        let mut whose = vec![format!("user_id = ${}", place(user.clone()))];
        if let Some((first, rest)) = what.of_teams.split_first() {
            let at = place(first.clone());
            for team in rest {
                place(team.clone());
            }
            let places = placeholders(at, what.of_teams.len());
            whose.push(format!("team_id IN ({places})"));
        }
        parts.push(format!("({})", whose.join(" OR ")));
    }
    let which = format!("FROM virtual_keys WHERE {}", parts.join(" AND "));
    let mut count = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) AS total {which}")));
    let mut page = sqlx::query(AssertSqlSafe(format!(
        "SELECT key_alias {which} ORDER BY key_alias LIMIT ${} OFFSET ${}",
        values.len() + 1,
        values.len() + 2
    )));
    for value in values {
        count = count.bind(value.clone());
        page = page.bind(value);
    }
    let skipped = i64::from(what.page.saturating_sub(1)).saturating_mul(i64::from(what.size));
    let mut connection = store.read().await?;
    let total = unsigned(count.fetch_one(&mut *connection).await?.try_get("total")?);
    let rows = page.bind(i64::from(what.size)).bind(skipped);
    let rows = rows.fetch_all(&mut *connection).await?;
    let aliases = rows.iter().map(|row| Ok(row.try_get("key_alias")?));
    Ok((aliases.collect::<Result<_, StoreError>>()?, total))
}

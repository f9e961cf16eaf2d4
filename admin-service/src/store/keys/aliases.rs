//! `/key/aliases`: paged and filtered in SQL.

use sqlx::Row;

use super::NOT_MASTER;
use crate::store::conditions::Conditions;
use crate::store::{Store, StoreError};

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
    let mut conditions = Conditions::default();
    conditions.add("key_alias IS NOT NULL");
    conditions.add(NOT_MASTER);
    if let Some(search) = &what.search {
        let part = conditions.like("key_alias", search, true);
        conditions.add(part);
    }
    conditions.equals("team_id", what.team_id.as_deref());
    if let Some(user) = &what.of_user {
        let own = conditions.like("user_id", user, false);
        let of_teams = conditions.among("team_id", &what.of_teams);
        conditions.add(format!("({own} OR {of_teams})"));
    }
    let which = conditions.clause();
    let count = format!("SELECT COUNT(*) AS total FROM virtual_keys {which}");
    let page = |limit: &str| {
        format!("SELECT key_alias FROM virtual_keys {which} ORDER BY key_alias {limit}")
    };
    let mut connection = store.read().await?;
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(&mut connection, asked, count, page).await?;
    let aliases = rows.iter().map(|row| Ok(row.try_get("key_alias")?));
    Ok((aliases.collect::<Result<_, StoreError>>()?, total))
}

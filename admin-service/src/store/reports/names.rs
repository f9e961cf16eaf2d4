//! What the keys, teams, users and organisations of a report are called now.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row};

use crate::store::StoreError;
use crate::store::conditions::Conditions;
use crate::store::spend::Dimension;

/// What a key is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyName {
    /// Its alias.
    pub alias: Option<String>,
    /// `sk-...abcd`.
    pub name: Option<String>,
    /// Its team.
    pub team_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
}

/// Names asked for in one statement.
const PART: usize = 100;

/// Keys by hash; those that are no more are left out.
pub async fn key_names(
    connection: &mut AnyConnection,
    tokens: &[String],
) -> Result<BTreeMap<String, KeyName>, StoreError> {
    let mut names = BTreeMap::new();
    for tokens in tokens.chunks(PART) {
        let mut conditions = Conditions::default();
        conditions.any_of("token", tokens);
        let statement = format!(
            "SELECT token, key_alias, key_name, team_id, user_id FROM virtual_keys {}",
            conditions.clause()
        );
        for row in conditions.fetch(connection, statement).await? {
            let name = KeyName {
                alias: row.try_get("key_alias")?,
                name: row.try_get("key_name")?,
                team_id: row.try_get("team_id")?,
                user_id: row.try_get("user_id")?,
            };
            names.insert(row.try_get("token")?, name);
        }
    }
    Ok(names)
}

/// Aliases of entities by id; entities that have none are left out. Customers and tags are known by their ids alone.
pub async fn entity_names(
    connection: &mut AnyConnection,
    dimension: Dimension,
    ids: &[String],
) -> Result<BTreeMap<String, String>, StoreError> {
    let (table, id, alias) = match dimension {
        Dimension::User => ("users", "user_id", "COALESCE(user_alias, user_email)"),
        Dimension::Team => ("teams", "team_id", "team_alias"),
        Dimension::Organization => ("organizations", "organization_id", "organization_alias"),
        Dimension::EndUser | Dimension::Tag => return Ok(BTreeMap::new()),
    };
    let mut names = BTreeMap::new();
    for ids in ids.chunks(PART) {
        let mut conditions = Conditions::default();
        conditions.any_of(id, ids);
        let statement = format!(
            "SELECT {id} AS id, {alias} AS alias FROM {table} {}",
            conditions.clause()
        );
        for row in conditions.fetch(connection, statement).await? {
            if let Some(alias) = row.try_get("alias")? {
                names.insert(row.try_get("id")?, alias);
            }
        }
    }
    Ok(names)
}

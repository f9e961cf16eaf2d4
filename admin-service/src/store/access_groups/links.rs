//! Which keys and teams have a group: those whose `access_group_ids` name it.
//!
//! The field itself is the key's or team's own; the table of links follows it in the transaction that writes it, so that a group knows whom it
//! is assigned to.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::store::outbox::{Kind, placeholders};
use crate::store::row::Object;
use crate::store::{StoreError, Tx};

/// The field of keys and teams.
pub const FIELD: &str = "access_group_ids";

/// The groups that a row's kept fields name.
pub fn ids_of(extra: &Object) -> Vec<String> {
    let listed = extra.get(FIELD).and_then(Value::as_array);
    let texts = listed.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// What a row lets call: its list of models, and with it the models of its groups. An empty list lets call all, whatever the groups are.
pub fn models_with(models: &[String], extra: &Object) -> Vec<String> {
    let mut all = models.to_vec();
    if !all.is_empty() {
        all.extend(ids_of(extra));
    }
    all
}

/// A key or team that has a group: its id (a key's hash), and what people call it.
pub type Assigned = (String, Option<String>);

/// Whom a group is assigned to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Teams.
    pub teams: Vec<Assigned>,
    /// Keys.
    pub keys: Vec<Assigned>,
}

const TEAMS: &str = "SELECT l.access_group_id, t.team_id AS id, t.team_alias AS name FROM access_group_links l \
     JOIN teams t ON t.team_id = l.object_id WHERE l.kind = 'team' AND l.access_group_id IN";
const KEYS: &str = "SELECT l.access_group_id, k.token AS id, COALESCE(k.key_alias, k.key_name) AS name FROM access_group_links l \
     JOIN virtual_keys k ON k.key_id = l.object_id WHERE l.kind = 'key' AND l.access_group_id IN";

/// Whom these groups are assigned to.
pub async fn links(
    connection: &mut AnyConnection,
    group_ids: &[String],
) -> Result<BTreeMap<String, Links>, StoreError> {
    let mut all: BTreeMap<String, Links> = BTreeMap::new();
    for ids in group_ids.chunks(200) {
        let places = placeholders(1, ids.len());
        for (select, of_teams) in [(TEAMS, true), (KEYS, false)] {
            let statement = format!("{select} ({places}) ORDER BY id");
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for id in ids {
                query = query.bind(id.clone());
            }
            for row in query.fetch_all(&mut *connection).await? {
                let links = all.entry(row.try_get("access_group_id")?).or_default();
                let list = if of_teams {
                    &mut links.teams
                } else {
                    &mut links.keys
                };
                list.push((row.try_get("id")?, row.try_get("name")?));
            }
        }
    }
    Ok(all)
}

/// Has the links of a key or team follow its kept fields; `None` for a row that is not there before or afterwards.
pub(in crate::store) async fn follow(
    tx: &mut Tx,
    kind: Kind,
    object_id: &str,
    before: Option<&Object>,
    after: Option<&Object>,
) -> Result<(), StoreError> {
    let mut ids = after.map(ids_of).unwrap_or_default();
    if before.map(ids_of).unwrap_or_default() == ids {
        return Ok(());
    }
    ids.sort_unstable();
    ids.dedup();
    sqlx::query("DELETE FROM access_group_links WHERE kind = $1 AND object_id = $2")
        .bind(kind.as_str())
        .bind(object_id.to_owned())
        .execute(tx.connection())
        .await?;
    for id in ids {
        sqlx::query(
            "INSERT INTO access_group_links (kind, object_id, access_group_id) VALUES ($1, $2, $3)",
        )
        .bind(kind.as_str())
        .bind(object_id.to_owned())
        .bind(id)
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_add_to_a_list_of_models_and_nothing_to_all_models() {
        let extra = json!({FIELD: ["g", 7, "h"]});
        let extra = extra.as_object().unwrap();
        assert_eq!(models_with(&["m".to_owned()], extra), ["m", "g", "h"]);
        assert!(models_with(&[], extra).is_empty());
        assert_eq!(models_with(&["m".to_owned()], &Object::new()), ["m"]);
    }
}

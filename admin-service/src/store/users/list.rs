//! `/user/list` and its like: paged, filtered and sorted in SQL.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{COLUMNS, UserRow};
use crate::store::StoreError;
use crate::store::conditions::Conditions;
use crate::store::outbox::{placeholders, unsigned};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListUsers {
    /// Users of these ids.
    pub user_ids: Vec<String>,
    /// Users of these ids at the identity provider.
    pub sso_user_ids: Vec<String>,
    /// Users of this role.
    pub role: Option<String>,
    /// Users whose id contains this.
    pub id_part: Option<String>,
    /// Users whose address contains this.
    pub email_part: Option<String>,
    /// Users whose id, address or alias contains this.
    pub search: Option<String>,
    /// Members of this team.
    pub team: Option<String>,
    /// Members of one of these organizations.
    pub organizations: Option<Vec<String>>,
    /// The order.
    pub sort: Sort,
    /// Whether the order is descending.
    pub descending: bool,
    /// Page, from 1.
    pub page: u32,
    /// Users on a page.
    pub size: u32,
}

/// By what to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The id.
    UserId,
    /// The address.
    UserEmail,
    /// When made.
    #[default]
    CreatedAt,
    /// What was spent.
    Spend,
    /// The name shown.
    UserAlias,
    /// The role.
    UserRole,
    /// The budget; none is the largest.
    MaxBudget,
    /// When changed.
    UpdatedAt,
    /// The id at the identity provider.
    SsoUserId,
    /// Whether blocked.
    Status,
    /// How many keys.
    KeyCount,
}

/// Keys of a user of the page: the master key's row is the service's own.
const KEYS: &str = "(SELECT COUNT(*) FROM virtual_keys k WHERE k.user_id = users.user_id \
                    AND (k.key_type IS NULL OR k.key_type <> 'master'))";

/// What a sum over other tables is sorted by: one pass over them, not one look for every user.
const COUNTED: &str = "LEFT JOIN (SELECT k.user_id AS owner, COUNT(*) AS sorted FROM virtual_keys k \
                       WHERE k.key_type IS NULL OR k.key_type <> 'master' GROUP BY k.user_id) AS counted ON owner = users.user_id";
const SPENT: &str = "LEFT JOIN (SELECT s.object_id AS owner, SUM(s.spent) AS sorted FROM spend_scopes s \
                     WHERE s.kind = 'user' GROUP BY s.object_id) AS counted ON owner = users.user_id";

impl Sort {
    /// The columns, as LiteLLM names them.
    pub const NAMES: &'static str = "user_id, user_email, created_at, spend, user_alias, user_role, max_budget, updated_at, sso_user_id, \
         status, key_count";

    /// Reads a column's name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "user_id" => Self::UserId,
            "user_email" => Self::UserEmail,
            "created_at" => Self::CreatedAt,
            "spend" => Self::Spend,
            "user_alias" => Self::UserAlias,
            "user_role" => Self::UserRole,
            "max_budget" => Self::MaxBudget,
            "updated_at" => Self::UpdatedAt,
            "sso_user_id" => Self::SsoUserId,
            "status" => Self::Status,
            "key_count" => Self::KeyCount,
            _ => return None,
        })
    }

    fn expression(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::UserEmail => "COALESCE(user_email_folded, '')",
            Self::CreatedAt => "created_at",
            Self::UserAlias => "COALESCE(user_alias, '')",
            Self::UserRole => "COALESCE(user_role, '')",
            Self::MaxBudget => "COALESCE(max_budget, 9223372036854775807)",
            Self::UpdatedAt => "updated_at",
            Self::SsoUserId => "COALESCE(sso_user_id, '')",
            Self::Status => "COALESCE(blocked, 0)",
            Self::Spend | Self::KeyCount => "COALESCE(sorted, 0)",
        }
    }

    fn joined(self) -> &'static str {
        match self {
            Self::Spend => SPENT,
            Self::KeyCount => COUNTED,
            _ => "",
        }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The users, each with how many keys it has.
    pub users: Vec<(UserRow, u64)>,
    /// How many there are in all.
    pub total: u64,
}

impl ListUsers {
    fn conditions(&self) -> Conditions {
        let mut all = Conditions::default();
        for (column, ids) in [
            ("user_id", &self.user_ids),
            ("sso_user_id", &self.sso_user_ids),
        ] {
            if !ids.is_empty() {
                all.any_of(column, ids);
            }
        }
        all.equals("user_role", self.role.as_deref());
        for (column, part) in [("user_id", &self.id_part), ("user_email", &self.email_part)] {
            if let Some(part) = part {
                let part = all.like(column, part, true);
                all.add(part);
            }
        }
        if let Some(search) = &self.search {
            let columns = ["user_id", "user_email", "user_alias"];
            let any = columns.map(|column| all.like(column, search, true));
            all.add(format!("({})", any.join(" OR ")));
        }
        if let Some(team) = &self.team {
            let place = all.text(team);
            all.add(format!(
                "user_id IN (SELECT m.user_id FROM team_members m WHERE m.team_id = {place})"
            ));
        }
        if let Some(organizations) = &self.organizations {
            let named = all.among("m.organization_id", organizations);
            all.add(format!(
                "user_id IN (SELECT m.user_id FROM organization_members m WHERE {named})"
            ));
        }
        all
    }
}

/// Reads a page.
pub async fn list(connection: &mut AnyConnection, what: &ListUsers) -> Result<Listed, StoreError> {
    let conditions = what.conditions();
    let which = conditions.clause();
    let direction = if what.descending { "DESC" } else { "ASC" };
    let (place, joined) = (what.sort.expression(), what.sort.joined());
    let count = format!("SELECT COUNT(*) AS total FROM users {which}");
    // The inner statement picks the page without reading rows that are skipped.
    let page = |limit: &str| {
        format!(
            "SELECT {}, {KEYS} AS key_count FROM users JOIN \
             (SELECT user_id AS paged, {place} AS place FROM users {joined} {which} \
             ORDER BY place {direction}, user_id {direction} {limit}) AS page ON paged = users.user_id \
             ORDER BY place {direction}, user_id {direction}",
            COLUMNS.join(", ")
        )
    };
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(connection, asked, count, page).await?;
    let read = |row: &AnyRow| Ok((UserRow::read(row)?, unsigned(row.try_get("key_count")?)));
    let users = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
    Ok(Listed { users, total })
}

/// Teams of many users, each user's in the order of joining.
pub async fn teams_of_all(
    connection: &mut AnyConnection,
    user_ids: &[String],
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if user_ids.is_empty() {
        return Ok(all);
    }
    let places = placeholders(1, user_ids.len());
    let mut query = sqlx::query(AssertSqlSafe(format!(
        "SELECT user_id, team_id FROM team_members WHERE user_id IN ({places}) ORDER BY created_at, team_id"
    )));
    for user_id in user_ids {
        query = query.bind(user_id.clone());
    }
    for row in query.fetch_all(connection).await? {
        let user_id: String = row.try_get("user_id")?;
        all.entry(user_id)
            .or_default()
            .push(row.try_get("team_id")?);
    }
    Ok(all)
}

/// Ids after `after`, at most `limit`, in order.
pub async fn ids_after(
    connection: &mut AnyConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT user_id FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2")
        .bind(after.to_owned())
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("user_id")?))
        .collect()
}

/// The newest teams.
pub async fn newest_teams(
    connection: &mut AnyConnection,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query("SELECT team_id FROM teams ORDER BY created_at DESC, team_id LIMIT $1")
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("team_id")?))
        .collect()
}

/// How many users and teams there are.
pub async fn counts(connection: &mut AnyConnection) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM users) AS users, (SELECT COUNT(*) FROM teams) AS teams",
    )
    .fetch_one(connection)
    .await?;
    Ok((
        unsigned(row.try_get("users")?),
        unsigned(row.try_get("teams")?),
    ))
}

//! `/key/list`: paged, filtered and sorted in SQL.

use super::{COLUMNS, KeyRow, NOT_MASTER, snapshot};
use crate::store::conditions::{Bound, Conditions};
use crate::store::outbox::signed;
use crate::store::row::{self, Object};
use crate::store::{Store, StoreError};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListKeys {
    /// Keys of this user.
    pub user_id: Option<String>,
    /// Also the keys that this user made.
    pub or_created_by: Option<String>,
    /// Also the keys of these teams.
    pub or_teams: Vec<String>,
    /// Keys of this team.
    pub team_id: Option<String>,
    /// Keys of this organization, or of its teams.
    pub organization_id: Option<String>,
    /// Keys that keep this text in this field: LiteLLM's `agent_id` and `project_id`.
    pub kept: Vec<(&'static str, String)>,
    /// Keys that have this group of models.
    pub access_group_id: Option<String>,
    /// The key with this hash.
    pub token: Option<String>,
    /// Keys with this alias.
    pub key_alias: Option<String>,
    /// Keys whose alias, hash or user contains this.
    pub search: Option<String>,
    /// Whether `key_alias` and `user_id` need only be contained.
    pub substring: bool,
    /// Keys of this status.
    pub status: Option<Status>,
    /// Keys whose time is over, or is not.
    pub expired: Option<bool>,
    /// The order.
    pub sort: Sort,
    /// Whether the order is descending.
    pub descending: bool,
    /// Page, from 1.
    pub page: u32,
    /// Keys on a page.
    pub size: u32,
}

/// A key's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can be used.
    Active,
    /// Its time is over.
    Expired,
    /// It is blocked.
    Revoked,
    /// It was deleted.
    Deleted,
}

/// By what to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When made.
    #[default]
    CreatedAt,
    /// When changed.
    UpdatedAt,
    /// When it expires.
    Expires,
    /// The alias.
    KeyAlias,
    /// The shown name.
    KeyName,
    /// The user.
    UserId,
    /// The team.
    TeamId,
    /// The budget.
    MaxBudget,
    /// What was spent in the window.
    Spend,
    /// The hash.
    Token,
}

impl Sort {
    /// The columns, as LiteLLM names them.
    pub const NAMES: &'static str = "created_at, updated_at, expires, key_alias, key_name, user_id, team_id, max_budget, spend, token";

    /// Reads a column's name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            "expires" => Self::Expires,
            "key_alias" => Self::KeyAlias,
            "key_name" => Self::KeyName,
            "user_id" => Self::UserId,
            "team_id" => Self::TeamId,
            "max_budget" => Self::MaxBudget,
            "spend" => Self::Spend,
            "token" => Self::Token,
            _ => return None,
        })
    }

    const fn expression(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::Expires => "COALESCE(expires, 9223372036854775807)",
            Self::KeyAlias => "COALESCE(key_alias, '')",
            Self::KeyName => "key_name",
            Self::UserId => "COALESCE(user_id, '')",
            Self::TeamId => "COALESCE(team_id, '')",
            Self::MaxBudget => "COALESCE(max_budget, 9223372036854775807)",
            Self::Spend => {
                "COALESCE((SELECT SUM(s.spent) FROM spend_scopes s \
                 WHERE s.kind = 'key' AND s.object_id = virtual_keys.key_id), 0)"
            }
            Self::Token => "token",
        }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The keys.
    pub keys: Vec<KeyRow>,
    /// How many there are in all.
    pub total: u64,
}

impl ListKeys {
    fn conditions(&self, now_us: u64) -> Conditions {
        let mut all = Conditions::default();
        all.add(NOT_MASTER.to_owned());
        let mut whose = Vec::new();
        if let Some(user) = &self.user_id {
            whose.push(all.like("user_id", user, self.substring));
        }
        if let Some(creator) = &self.or_created_by {
            whose.push(all.like("created_by", creator, false));
        }
        for team in &self.or_teams {
            whose.push(all.like("team_id", team, false));
        }
        if !whose.is_empty() {
            all.add(format!("({})", whose.join(" OR ")));
        }
        if let Some(team) = &self.team_id {
            let part = all.like("team_id", team, false);
            all.add(part);
        }
        if let Some(organization) = &self.organization_id {
            let place = all.text(organization);
            all.add(format!(
                "(organization_id = {place} OR team_id IN (SELECT team_id FROM teams WHERE organization_id = {place}))"
            ));
        }
        for (field, value) in &self.kept {
            // As it is written: `"field":"value"`. Both databases find a text in another one exactly by replacing it.
            let kept = serde_json::json!({ *field: value }).to_string();
            let place = all.text(kept.trim_start_matches('{').trim_end_matches('}'));
            all.add(format!("REPLACE(extra, {place}, '') <> extra"));
        }
        if let Some(group) = &self.access_group_id {
            let place = all.text(group);
            all.add(format!(
                "key_id IN (SELECT object_id FROM access_group_links WHERE kind = 'key' AND access_group_id = {place})"
            ));
        }
        if let Some(token) = &self.token {
            let part = all.like("token", token, false);
            all.add(part);
        }
        if let Some(alias) = &self.key_alias {
            let part = all.like("key_alias", alias, self.substring);
            all.add(part);
        }
        if let Some(search) = &self.search {
            let columns = ["key_alias", "token", "user_id"];
            let parts = columns.map(|column| all.like(column, search, true));
            all.add(format!("({})", parts.join(" OR ")));
        }
        let now = Bound::Number(signed(now_us));
        match self.status {
            // Deleted keys are in another table: `deleted`.
            None | Some(Status::Deleted) => {}
            Some(Status::Active) => {
                let place = all.bind(now);
                let part = format!(
                    "(blocked IS NULL OR blocked = 0) AND (expires IS NULL OR expires > {place})"
                );
                all.add(part);
            }
            Some(Status::Expired) => {
                let place = all.bind(now);
                all.add(format!("expires <= {place}"));
            }
            Some(Status::Revoked) => all.add("blocked = 1".to_owned()),
        }
        if let Some(expired) = self.expired {
            let place = all.bind(Bound::Number(signed(now_us)));
            all.add(if expired {
                format!("expires <= {place}")
            } else {
                format!("(expires IS NULL OR expires > {place})")
            });
        }
        all
    }
}

/// Reads a page.
pub async fn list(store: &Store, what: &ListKeys) -> Result<Listed, StoreError> {
    if what.status == Some(Status::Deleted) {
        return deleted(store, what).await;
    }
    let conditions = what.conditions(store.clock().now_us());
    let which = conditions.clause();
    let direction = if what.descending { "DESC" } else { "ASC" };
    let order = format!(
        "ORDER BY {} {direction}, key_id {direction}",
        what.sort.expression()
    );
    let count = format!("SELECT COUNT(*) AS total FROM virtual_keys {which}");
    // The inner statement picks the page without reading rows that are skipped.
    let page = |limit: &str| {
        format!(
            "SELECT {} FROM virtual_keys WHERE key_id IN (SELECT key_id FROM virtual_keys {which} {order} {limit}) {order}",
            COLUMNS.join(", ")
        )
    };
    let mut connection = store.read().await?;
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(&mut connection, asked, count, page).await?;
    let keys = rows.iter().map(KeyRow::read).collect::<Result<_, _>>()?;
    Ok(Listed { keys, total })
}

/// A page of deleted keys, the newest first: by hash, user and team only.
async fn deleted(store: &Store, what: &ListKeys) -> Result<Listed, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equals("user_id", what.user_id.as_deref());
    conditions.equals("team_id", what.team_id.as_deref());
    conditions.equals("token", what.token.as_deref());
    let which = conditions.clause();
    let count = format!("SELECT COUNT(*) AS total FROM deleted_keys {which}");
    let page = |limit: &str| {
        format!(
            "SELECT snapshot FROM deleted_keys {which} ORDER BY deleted_at DESC, id DESC {limit}"
        )
    };
    let mut connection = store.read().await?;
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(&mut connection, asked, count, page).await?;
    let read = |row: &sqlx::any::AnyRow| snapshot::read(&row::json::<Object>(row, "snapshot")?);
    let keys = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Listed { keys, total })
}

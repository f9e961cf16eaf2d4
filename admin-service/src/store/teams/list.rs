//! Lists of teams: paged, filtered and sorted in SQL; and what is left of deleted ones.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{COLUMNS, TeamRow};
use crate::store::conditions::Conditions;
use crate::store::outbox::{placeholders, unsigned};
use crate::store::row::{self, Object};
use crate::store::{Store, StoreError};

/// Ids in one statement.
const CHUNK: usize = 500;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListTeams {
    /// Teams of which this user is a member, or that belong to these organizations; none: every team.
    pub visible: Option<(String, Vec<String>)>,
    /// Teams of this member.
    pub member: Option<String>,
    /// Teams of this organization.
    pub organization_id: Option<String>,
    /// The team with this id.
    pub team_id: Option<String>,
    /// Teams whose alias contains this.
    pub alias: Option<String>,
    /// Teams whose alias contains this, or whose id is this.
    pub search: Option<String>,
    /// Whether `search` may be the beginning of an id.
    pub search_prefix: bool,
    /// The order.
    pub sort: Sort,
    /// Whether the order is descending.
    pub descending: bool,
    /// Page, from 1.
    pub page: u32,
    /// Teams on a page.
    pub size: u32,
}

/// By what to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When made.
    #[default]
    CreatedAt,
    /// When changed.
    UpdatedAt,
    /// The id.
    TeamId,
    /// The alias.
    TeamAlias,
    /// The organization.
    OrganizationId,
    /// The budget.
    MaxBudget,
    /// What was spent in the window.
    Spend,
}

impl Sort {
    /// The columns, as LiteLLM names them.
    pub const NAMES: &'static str =
        "created_at, updated_at, team_id, team_alias, organization_id, max_budget, spend";

    /// Reads a column's name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            "team_id" => Self::TeamId,
            "team_alias" => Self::TeamAlias,
            "organization_id" => Self::OrganizationId,
            "max_budget" => Self::MaxBudget,
            "spend" => Self::Spend,
            _ => return None,
        })
    }

    const fn expression(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::TeamId => "team_id",
            Self::TeamAlias => "COALESCE(team_alias, '')",
            Self::OrganizationId => "COALESCE(organization_id, '')",
            Self::MaxBudget => "COALESCE(max_budget, 9223372036854775807)",
            Self::Spend => {
                "COALESCE((SELECT SUM(s.spent) FROM spend_scopes s \
                 WHERE s.kind = 'team' AND s.object_id = teams.team_id), 0)"
            }
        }
    }
}

impl ListTeams {
    fn conditions(&self) -> Conditions {
        const OF_MEMBER: &str = "team_id IN (SELECT m.team_id FROM team_members m WHERE m.user_id";
        let mut all = Conditions::default();
        if let Some((user, organizations)) = &self.visible {
            let place = all.text(user);
            let inside = all.among("organization_id", organizations);
            all.add(format!("({OF_MEMBER} = {place}) OR {inside})"));
        }
        if let Some(member) = &self.member {
            let place = all.text(member);
            all.add(format!("{OF_MEMBER} = {place})"));
        }
        if let Some(organization) = &self.organization_id {
            let part = all.like("organization_id", organization, false);
            all.add(part);
        }
        if let Some(team) = &self.team_id {
            let part = all.like("team_id", team, false);
            all.add(part);
        }
        if let Some(alias) = &self.alias {
            let part = all.like("team_alias", alias, true);
            all.add(part);
        }
        if let Some(search) = &self.search {
            let alias = all.like("team_alias", search, true);
            let id = if self.search_prefix {
                let place = all.text(&format!("{}%", row::escaped(search)));
                format!("team_id LIKE {place} ESCAPE '!'")
            } else {
                all.like("team_id", search, false)
            };
            all.add(format!("({alias} OR {id})"));
        }
        all
    }

    fn order(&self) -> String {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let expression = self.sort.expression();
        format!("ORDER BY {expression} {direction}, team_id {direction}")
    }
}

/// A page of teams, and how many there are in all.
pub async fn list(store: &Store, what: &ListTeams) -> Result<(Vec<TeamRow>, u64), StoreError> {
    let conditions = what.conditions();
    let (which, order) = (conditions.clause(), what.order());
    let count = format!("SELECT COUNT(*) AS total FROM teams {which}");
    // The inner statement picks the page without reading rows that are skipped.
    let page = |limit: &str| {
        format!(
            "SELECT {} FROM teams WHERE team_id IN (SELECT team_id FROM teams {which} {order} {limit}) {order}",
            COLUMNS.join(", ")
        )
    };
    let mut connection = store.read().await?;
    let asked = (what.page, what.size);
    let (rows, total) = conditions.page(&mut connection, asked, count, page).await?;
    let teams = rows.iter().map(TeamRow::read).collect::<Result<_, _>>()?;
    Ok((teams, total))
}

/// All teams that match, whatever the page.
pub async fn every(
    connection: &mut AnyConnection,
    what: &ListTeams,
) -> Result<Vec<TeamRow>, StoreError> {
    let conditions = what.conditions();
    let statement = format!(
        "SELECT {} FROM teams {} {}",
        COLUMNS.join(", "),
        conditions.clause(),
        what.order()
    );
    conditions
        .query(statement)
        .fetch_all(connection)
        .await?
        .iter()
        .map(TeamRow::read)
        .collect()
}

/// How many keys each of these teams has.
pub async fn count_keys(
    connection: &mut AnyConnection,
    team_ids: &[String],
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut all = BTreeMap::new();
    for ids in team_ids.chunks(CHUNK) {
        let places = placeholders(1, ids.len());
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "SELECT team_id, COUNT(*) AS keys FROM virtual_keys WHERE team_id IN ({places}) GROUP BY team_id"
        )));
        for id in ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            all.insert(row.try_get("team_id")?, unsigned(row.try_get("keys")?));
        }
    }
    Ok(all)
}

/// A team that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletedTeam {
    /// What it was, as the audit log has it.
    pub snapshot: Object,
    /// Its id.
    pub team_id: String,
    /// When it was deleted.
    pub deleted_at: u64,
    /// By which user.
    pub deleted_by: Option<String>,
}

/// A page of deleted teams, the newest first, and how many there are in all.
pub async fn deleted(
    store: &Store,
    organizations: Option<&[String]>,
    page: u32,
    size: u32,
) -> Result<(Vec<DeletedTeam>, u64), StoreError> {
    let mut conditions = Conditions::default();
    if let Some(organizations) = organizations {
        let part = conditions.among("organization_id", organizations);
        conditions.add(part);
    }
    let which = conditions.clause();
    let count = format!("SELECT COUNT(*) AS total FROM deleted_teams {which}");
    let of_page = |limit: &str| {
        format!(
            "SELECT team_id, snapshot, deleted_at, deleted_by FROM deleted_teams {which} \
             ORDER BY deleted_at DESC, id DESC {limit}"
        )
    };
    let mut connection = store.read().await?;
    let (rows, total) = conditions
        .page(&mut connection, (page, size), count, of_page)
        .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok::<_, StoreError>(DeletedTeam {
            snapshot: row::json(row, "snapshot")?,
            team_id: row.try_get("team_id")?,
            deleted_at: row::time(row, "deleted_at")?,
            deleted_by: row.try_get("deleted_by")?,
        })
    };
    let teams = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok((teams, total))
}

impl DeletedTeam {
    /// The row that it was.
    pub fn team(&self) -> TeamRow {
        let text = |name: &str| {
            self.snapshot
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let number = |name: &str| self.snapshot.get(name).and_then(Value::as_u64);
        let texts = |name: &str| {
            let list = self.snapshot.get(name).and_then(Value::as_array);
            let items = list.into_iter().flatten();
            items
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let object = |name: &str| {
            let object = self.snapshot.get(name).and_then(Value::as_object);
            object.cloned().unwrap_or_default()
        };
        let mut team = TeamRow::new(&self.team_id);
        team.team_alias = text("team_alias");
        team.organization_id = text("organization_id");
        team.blocked = self
            .snapshot
            .get("blocked")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        team.models = texts("models");
        team.model_aliases = object("model_aliases");
        team.limits.max_budget = number("max_budget").map(contract::money::NanoUsd::saturating);
        team.limits.max_parallel_requests = number("max_parallel_requests");
        team.limits.tpm_limit = number("tpm_limit");
        team.limits.rpm_limit = number("rpm_limit");
        team.limits.budget_duration = text("budget_duration");
        team.soft_budget = number("soft_budget").map(contract::money::NanoUsd::saturating);
        team.team_member_permissions = texts("team_member_permissions");
        team.metadata = object("metadata");
        team.extra = object("extra");
        team.created_at = number("created_at").unwrap_or(0);
        team.updated_at = number("updated_at").unwrap_or(0);
        team
    }
}

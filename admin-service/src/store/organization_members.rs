//! Memberships of organizations: who administers one, who belongs to it, and what a member's keys may spend in it.
//!
//! A membership has no record of its own: the limits of its budget row are in the records of the keys that the user has in the organization.
//! Whatever changes a membership raises the revisions of these keys in the same transaction ([`publish_keys`]).

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, rev, signed};
use super::row;
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// LiteLLM's name of the table of memberships.
const TABLE: &str = "LiteLLM_OrganizationMembership";
/// The role that administers an organization.
pub const ORG_ADMIN: &str = "org_admin";

/// A membership of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgMemberRow {
    /// The organization.
    pub organization_id: String,
    /// The user.
    pub user_id: String,
    /// The role inside it.
    pub user_role: Option<String>,
    /// A budget row of the member's own.
    pub budget_id: Option<String>,
    /// When the records of its keys must be made anew for that row's windows.
    pub refresh_at: Option<u64>,
    /// When it joined.
    pub created_at: u64,
    /// When it was last changed.
    pub updated_at: u64,
}

const SELECT: &str = "SELECT organization_id, user_id, user_role, budget_id, refresh_at, created_at, updated_at \
                      FROM organization_members";

impl OrgMemberRow {
    /// A member that has not been written yet.
    pub fn new(organization_id: &str, user_id: &str, user_role: &str) -> Self {
        Self {
            organization_id: organization_id.to_owned(),
            user_id: user_id.to_owned(),
            user_role: Some(user_role.to_owned()),
            budget_id: None,
            refresh_at: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    /// Whether the member administers the organization.
    pub fn is_admin(&self) -> bool {
        self.user_role.as_deref() == Some(ORG_ADMIN)
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            organization_id: row.try_get("organization_id")?,
            user_id: row.try_get("user_id")?,
            user_role: row.try_get("user_role")?,
            budget_id: row.try_get("budget_id")?,
            refresh_at: row::number(row, "refresh_at")?,
            created_at: row::time(row, "created_at")?,
            updated_at: row::time(row, "updated_at")?,
        })
    }

    fn object(&self) -> String {
        json!([self.organization_id, self.user_id]).to_string()
    }

    fn snapshot(&self) -> Value {
        json!({"organization_id": self.organization_id, "user_id": self.user_id,
            "user_role": self.user_role, "budget_id": self.budget_id})
    }
}

async fn all(
    connection: &mut AnyConnection,
    which: &str,
    value: &str,
) -> Result<Vec<OrgMemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!("{SELECT} {which}")))
        .bind(value.to_owned())
        .fetch_all(connection)
        .await?
        .iter()
        .map(OrgMemberRow::read)
        .collect()
}

/// Members of an organization, in the order of joining.
pub async fn of_organization(
    connection: &mut AnyConnection,
    organization_id: &str,
) -> Result<Vec<OrgMemberRow>, StoreError> {
    let which = "WHERE organization_id = $1 ORDER BY created_at, user_id";
    all(connection, which, organization_id).await
}

/// Memberships of a user.
pub async fn of_user(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Vec<OrgMemberRow>, StoreError> {
    let which = "WHERE user_id = $1 ORDER BY created_at, organization_id";
    all(connection, which, user_id).await
}

/// Organizations that a user administers; none for a caller without user.
pub async fn administered(
    connection: &mut AnyConnection,
    user_id: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    let Some(user_id) = user_id else {
        return Ok(Vec::new());
    };
    let mine = of_user(connection, user_id).await?;
    let administered = mine.into_iter().filter(OrgMemberRow::is_admin);
    Ok(administered.map(|member| member.organization_id).collect())
}

/// One membership.
pub async fn find(
    connection: &mut AnyConnection,
    organization_id: &str,
    user_id: &str,
) -> Result<Option<OrgMemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE organization_id = $1 AND user_id = $2"
    )))
    .bind(organization_id.to_owned())
    .bind(user_id.to_owned())
    .fetch_optional(connection)
    .await?
    .map(|row| OrgMemberRow::read(&row))
    .transpose()
}

/// Writes a new membership with its audit row. The organization's row is locked by the caller.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut OrgMemberRow,
) -> Result<(), StoreError> {
    row.updated_at = tx.now_us();
    row.created_at = row::made_at(row.created_at, tx.now_us());
    sqlx::query(
        "INSERT INTO organization_members (organization_id, user_id, user_role, budget_id, refresh_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(row.organization_id.clone())
    .bind(row.user_id.clone())
    .bind(row.user_role.clone())
    .bind(row.budget_id.clone())
    .bind(row.refresh_at.map(signed))
    .bind(signed(row.created_at))
    .bind(signed(row.updated_at))
    .execute(tx.connection())
    .await?;
    if row.budget_id.is_some() {
        publish_keys(tx, &row.organization_id, &row.user_id).await?;
    }
    note(tx, by, "created", None, Some(row)).await
}

/// Writes a changed membership.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: &OrgMemberRow,
    row: &mut OrgMemberRow,
) -> Result<(), StoreError> {
    row.updated_at = tx.now_us();
    sqlx::query(
        "UPDATE organization_members SET user_role = $1, budget_id = $2, refresh_at = $3, updated_at = $4 \
         WHERE organization_id = $5 AND user_id = $6",
    )
    .bind(row.user_role.clone())
    .bind(row.budget_id.clone())
    .bind(row.refresh_at.map(signed))
    .bind(signed(row.updated_at))
    .bind(row.organization_id.clone())
    .bind(row.user_id.clone())
    .execute(tx.connection())
    .await?;
    if before.budget_id != row.budget_id {
        publish_keys(tx, &row.organization_id, &row.user_id).await?;
    }
    note(tx, by, "updated", Some(before), Some(row)).await
}

/// Deletes a membership.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &OrgMemberRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2")
        .bind(row.organization_id.clone())
        .bind(row.user_id.clone())
        .execute(tx.connection())
        .await?;
    if row.budget_id.is_some() {
        publish_keys(tx, &row.organization_id, &row.user_id).await?;
    }
    note(tx, by, "deleted", Some(row), None).await
}

/// Has everybody's keys published again whose membership the budget row limits, and looked after at `refresh_at`.
pub(super) async fn follow_budget(
    tx: &mut Tx,
    budget_id: &str,
    refresh_at: Option<u64>,
) -> Result<(), StoreError> {
    let which = "WHERE budget_id = $1 ORDER BY organization_id, user_id";
    for member in all(tx.connection(), which, budget_id).await? {
        refreshed(tx, &member, refresh_at).await?;
    }
    Ok(())
}

/// Has a member's keys published again, and looked after at `refresh_at`.
pub(super) async fn refreshed(
    tx: &mut Tx,
    member: &OrgMemberRow,
    refresh_at: Option<u64>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE organization_members SET refresh_at = $1 WHERE organization_id = $2 AND user_id = $3",
    )
    .bind(refresh_at.map(signed))
    .bind(member.organization_id.clone())
    .bind(member.user_id.clone())
    .execute(tx.connection())
    .await?;
    publish_keys(tx, &member.organization_id, &member.user_id).await
}

/// Memberships whose keys must be published again.
pub(super) async fn due(
    connection: &mut AnyConnection,
    now_us: u64,
    most: i64,
) -> Result<Vec<OrgMemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE refresh_at <= $1 ORDER BY organization_id, user_id LIMIT $2"
    )))
    .bind(signed(now_us))
    .bind(most)
    .fetch_all(connection)
    .await?
    .iter()
    .map(OrgMemberRow::read)
    .collect()
}

/// The keys of user `$1` in organization `$2`: their own organization, else their team's.
const KEYS: &str = "user_id = $1 AND COALESCE(organization_id, \
     (SELECT t.organization_id FROM teams t WHERE t.team_id = virtual_keys.team_id)) = $2";

/// Raises the revisions of a user's keys in an organization, as [`contract::id::Rev::next`] does.
async fn publish_keys(tx: &mut Tx, organization_id: &str, user_id: &str) -> Result<(), StoreError> {
    // A key that is made meanwhile waits, and is published with what is true afterwards.
    hold(tx, Some(organization_id), None).await?;
    let now_us = tx.now_us();
    sqlx::query(AssertSqlSafe(format!(
        "UPDATE virtual_keys SET rev = CASE WHEN rev >= $3 THEN rev + 1 ELSE $3 END WHERE {KEYS}"
    )))
    .bind(user_id.to_owned())
    .bind(organization_id.to_owned())
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT key_id, rev FROM virtual_keys WHERE {KEYS}"
    )))
    .bind(user_id.to_owned())
    .bind(organization_id.to_owned())
    .fetch_all(tx.connection())
    .await?;
    let keys = rows
        .iter()
        .map(|row| Ok((row.try_get("key_id")?, rev(row.try_get("rev")?)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    tx.publish_all(Kind::Key, &keys).await
}

/// Keeps the memberships of an organization, else of a team's, from being changed until the transaction ends.
pub(super) async fn hold(
    tx: &mut Tx,
    organization_id: Option<&str>,
    team_id: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE organizations SET updated_at = updated_at WHERE organization_id = \
         COALESCE($1, (SELECT organization_id FROM teams WHERE team_id = $2))",
    )
    .bind(organization_id.map(str::to_owned))
    .bind(team_id.map(str::to_owned))
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn note<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    action: &'static str,
    before: Option<&OrgMemberRow>,
    after: Option<&OrgMemberRow>,
) -> Result<(), StoreError> {
    let object = before.or(after).map(OrgMemberRow::object);
    let change = audit::Change {
        action,
        table: TABLE,
        object_id: &object.unwrap_or_default(),
        before: before.map(OrgMemberRow::snapshot),
        after: after.map(OrgMemberRow::snapshot),
    };
    record(tx, by, change).await
}

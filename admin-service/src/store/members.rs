//! Memberships. Their limits are those of their budget rows.

use contract::id::Rev;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::audit::{self, record};
use super::outbox::{Kind, member_object, placeholders, rev, signed, unsigned};
use super::publish_view::{Grave, bury, first_rev};
use super::row;
use super::{StoreError, Tx};
use crate::policy::{Authorized, Writes};

/// LiteLLM's name of the table of memberships.
pub const TABLE: &str = "LiteLLM_TeamMembership";

/// A membership.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRow {
    /// The team.
    pub team_id: String,
    /// The user.
    pub user_id: String,
    /// The revision.
    pub rev: Rev,
    /// `admin` or `user`.
    pub role: String,
    /// The user's address when it joined.
    pub user_email: Option<String>,
    /// The budget row.
    pub budget_id: Option<String>,
    /// When its record must be made anew.
    pub refresh_at: Option<u64>,
    /// When it joined.
    pub created_at: u64,
}

impl MemberRow {
    /// A member that has not been written yet.
    pub fn new(team_id: &str, user_id: &str, role: &str) -> Self {
        Self {
            team_id: team_id.to_owned(),
            user_id: user_id.to_owned(),
            rev: Rev::default(),
            role: role.to_owned(),
            user_email: None,
            budget_id: None,
            refresh_at: None,
            created_at: 0,
        }
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            team_id: row.try_get("team_id")?,
            user_id: row.try_get("user_id")?,
            rev: rev(row.try_get("rev")?)?,
            role: row.try_get("role")?,
            user_email: row.try_get("user_email")?,
            budget_id: row.try_get("budget_id")?,
            refresh_at: row::number(row, "refresh_at")?,
            created_at: row::time(row, "created_at")?,
        })
    }

    fn object(&self) -> String {
        member_object(&self.team_id, &self.user_id)
    }

    fn snapshot(&self) -> Value {
        json!({"team_id": self.team_id, "user_id": self.user_id, "role": self.role,
            "user_email": self.user_email, "budget_id": self.budget_id})
    }
}

const SELECT: &str = "SELECT team_id, user_id, rev, role, user_email, budget_id, refresh_at, created_at \
                      FROM team_members";

/// Members of a team, in the order of joining.
pub async fn of_team(
    connection: &mut AnyConnection,
    team_id: &str,
) -> Result<Vec<MemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE team_id = $1 ORDER BY position"
    )))
    .bind(team_id.to_owned())
    .fetch_all(connection)
    .await?
    .iter()
    .map(MemberRow::read)
    .collect()
}

/// Members of several teams, team by team in the order of joining.
pub async fn of_teams(
    connection: &mut AnyConnection,
    team_ids: &[String],
) -> Result<Vec<MemberRow>, StoreError> {
    let mut all = Vec::new();
    for ids in team_ids.chunks(500) {
        let places = placeholders(1, ids.len());
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "{SELECT} WHERE team_id IN ({places}) ORDER BY team_id, position"
        )));
        for id in ids {
            query = query.bind(id.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            all.push(MemberRow::read(&row)?);
        }
    }
    Ok(all)
}

/// Memberships of a user.
pub async fn of_user(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Vec<MemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE user_id = $1 ORDER BY created_at, team_id"
    )))
    .bind(user_id.to_owned())
    .fetch_all(connection)
    .await?
    .iter()
    .map(MemberRow::read)
    .collect()
}

/// One membership.
pub async fn find(
    connection: &mut AnyConnection,
    team_id: &str,
    user_id: &str,
) -> Result<Option<MemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE team_id = $1 AND user_id = $2"
    )))
    .bind(team_id.to_owned())
    .bind(user_id.to_owned())
    .fetch_optional(connection)
    .await?
    .map(|row| MemberRow::read(&row))
    .transpose()
}

/// Memberships that a budget row limits.
pub async fn of_budget(
    connection: &mut AnyConnection,
    budget_id: &str,
) -> Result<Vec<MemberRow>, StoreError> {
    sqlx::query(AssertSqlSafe(format!(
        "{SELECT} WHERE budget_id = $1 ORDER BY team_id, user_id"
    )))
    .bind(budget_id.to_owned())
    .fetch_all(connection)
    .await?
    .iter()
    .map(MemberRow::read)
    .collect()
}

/// Writes a new membership with its audit and outbox rows. The team's row is locked by the caller, so positions do not collide.
pub async fn insert<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &mut MemberRow,
) -> Result<(), StoreError> {
    let object = row.object();
    row.rev = first_rev(tx, Kind::Member, &object).await?;
    row.created_at = tx.now_us();
    let last = sqlx::query("SELECT MAX(position) AS last FROM team_members WHERE team_id = $1")
        .bind(row.team_id.clone())
        .fetch_one(tx.connection())
        .await?;
    let position = last.try_get::<Option<i64>, _>("last")?.map_or(0, unsigned) + 1;
    sqlx::query(
        "INSERT INTO team_members (team_id, user_id, rev, position, role, user_email, budget_id, refresh_at, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.team_id.clone())
    .bind(row.user_id.clone())
    .bind(signed(row.rev.get()))
    .bind(signed(position))
    .bind(row.role.clone())
    .bind(row.user_email.clone())
    .bind(row.budget_id.clone())
    .bind(row.refresh_at.map(signed))
    .bind(signed(row.created_at))
    .execute(tx.connection())
    .await?;
    let change = audit::Change {
        action: "created",
        table: TABLE,
        object_id: &object,
        before: None,
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Member, &object, row.rev).await
}

/// Has a membership published again: its budget row changed, or its windows ran short.
pub async fn touch(
    tx: &mut Tx,
    row: &MemberRow,
    refresh_at: Option<u64>,
) -> Result<(), StoreError> {
    let rev = row.rev.next(tx.now_us());
    sqlx::query(
        "UPDATE team_members SET rev = $1, refresh_at = $2, budget_id = $3 \
         WHERE team_id = $4 AND user_id = $5",
    )
    .bind(signed(rev.get()))
    .bind(refresh_at.map(signed))
    .bind(row.budget_id.clone())
    .bind(row.team_id.clone())
    .bind(row.user_id.clone())
    .execute(tx.connection())
    .await?;
    tx.publish(Kind::Member, &row.object(), rev).await
}

/// Writes a changed membership: its role, its budget row.
pub async fn update<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    before: &MemberRow,
    row: &mut MemberRow,
) -> Result<(), StoreError> {
    let object = row.object();
    row.rev = before.rev.next(tx.now_us());
    sqlx::query(
        "UPDATE team_members SET rev = $1, role = $2, budget_id = $3, refresh_at = $4 \
         WHERE team_id = $5 AND user_id = $6",
    )
    .bind(signed(row.rev.get()))
    .bind(row.role.clone())
    .bind(row.budget_id.clone())
    .bind(row.refresh_at.map(signed))
    .bind(row.team_id.clone())
    .bind(row.user_id.clone())
    .execute(tx.connection())
    .await?;
    let change = audit::Change {
        action: "updated",
        table: TABLE,
        object_id: &object,
        before: Some(before.snapshot()),
        after: Some(row.snapshot()),
    };
    record(tx, by, change).await?;
    tx.publish(Kind::Member, &object, row.rev).await
}

/// Deletes a membership.
pub async fn delete<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    row: &MemberRow,
) -> Result<(), StoreError> {
    let object = row.object();
    sqlx::query("DELETE FROM team_members WHERE team_id = $1 AND user_id = $2")
        .bind(row.team_id.clone())
        .bind(row.user_id.clone())
        .execute(tx.connection())
        .await?;
    let grave = Grave {
        kind: Kind::Member,
        object_id: &object,
        old: row.rev,
        token: None,
        user_id: Some(&row.user_id),
        team_id: Some(&row.team_id),
    };
    bury(tx, &grave).await?;
    let change = audit::Change {
        action: "deleted",
        table: TABLE,
        object_id: &object,
        before: Some(row.snapshot()),
        after: None,
    };
    record(tx, by, change).await
}

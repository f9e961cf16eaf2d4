//! LiteLLM's database, read only.

use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row};

use super::ImportError;

/// Tables that the report names when they hold something.
pub(super) const NOT_TAKEN: [&str; 12] = [
    "LiteLLM_DeprecatedVerificationToken",
    "LiteLLM_InvitationLink",
    "LiteLLM_BudgetWindowSpend",
    "LiteLLM_SpendLogs",
    "LiteLLM_DailyUserSpend",
    "LiteLLM_DailyTeamSpend",
    "LiteLLM_DailyTagSpend",
    "LiteLLM_SSOConfig",
    "LiteLLM_Config",
    "LiteLLM_UISettings",
    "LiteLLM_AccessGroupTable",
    "LiteLLM_AuditLog",
];

/// A connection to it, in a transaction that reads everything as of one moment, whatever LiteLLM writes meanwhile.
pub(super) struct Source(AnyConnection);

impl Source {
    pub(super) async fn open(url: &str) -> Result<Self, ImportError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ImportError::NotPostgres);
        }
        let mut source = Self(AnyConnection::connect(url).await?);
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut source.0)
            .await?;
        for table in ["LiteLLM_UserTable", "LiteLLM_VerificationToken"] {
            if !source.has(table).await? {
                return Err(ImportError::NotLiteLlm);
            }
        }
        Ok(source)
    }

    pub(super) async fn close(mut self) -> Result<(), ImportError> {
        sqlx::query("COMMIT").execute(&mut self.0).await?;
        Ok(self.0.close().await?)
    }

    async fn has(&mut self, table: &str) -> Result<bool, ImportError> {
        let row = sqlx::query("SELECT to_regclass($1)::text AS found")
            .bind(format!("\"{table}\""))
            .fetch_one(&mut self.0)
            .await?;
        Ok(row.try_get::<Option<String>, _>("found")?.is_some())
    }

    /// Some rows of a table, in the order of their names; `None` where there is no such table.
    pub(super) async fn rows(
        &mut self,
        table: &str,
        order: &str,
        count: usize,
        skip: usize,
    ) -> Result<Option<Vec<Map<String, Value>>>, ImportError> {
        if !self.has(table).await? {
            return Ok(None);
        }
        // The names are constants of this module's parent.
        let statement = format!(
            "SELECT to_jsonb(t)::text AS row FROM \"{table}\" t ORDER BY {order} LIMIT {count} OFFSET {skip}"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(&mut self.0)
            .await?;
        let rows = rows.iter().map(|row| {
            let text: String = row.try_get("row")?;
            serde_json::from_str(&text).map_err(|error| ImportError::Broken(error.to_string()))
        });
        Ok(Some(rows.collect::<Result<_, ImportError>>()?))
    }

    /// The memberships of these teams.
    pub(super) async fn memberships(
        &mut self,
        teams: &[Map<String, Value>],
    ) -> Result<Vec<Map<String, Value>>, ImportError> {
        let mut all = Vec::new();
        if !self.has("LiteLLM_TeamMembership").await? {
            return Ok(all);
        }
        for team in teams {
            let Some(team_id) = team.get("team_id").and_then(Value::as_str) else {
                continue;
            };
            let rows = sqlx::query(
                "SELECT to_jsonb(t)::text AS row FROM \"LiteLLM_TeamMembership\" t WHERE team_id = $1",
            )
            .bind(team_id.to_owned())
            .fetch_all(&mut self.0)
            .await?;
            for row in rows {
                let text: String = row.try_get("row")?;
                let row = serde_json::from_str(&text)
                    .map_err(|error| ImportError::Broken(error.to_string()))?;
                all.push(row);
            }
        }
        Ok(all)
    }

    /// How many rows a table has, if there is one.
    pub(super) async fn count(&mut self, table: &str) -> Result<Option<i64>, ImportError> {
        if !self.has(table).await? {
            return Ok(None);
        }
        let statement = format!("SELECT COUNT(*) AS count FROM \"{table}\"");
        let row = sqlx::query(AssertSqlSafe(statement))
            .fetch_one(&mut self.0)
            .await?;
        Ok(Some(row.try_get("count")?))
    }
}

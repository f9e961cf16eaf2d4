//! Which teams somebody may see something of.

use sqlx::{AnyConnection, Row};

use crate::store::StoreError;
use crate::store::row;

/// A team that somebody belongs to, or whose organisation they administer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleTeam {
    /// The team.
    pub team_id: String,
    /// Whether they administer it, or its organisation.
    pub administered: bool,
    /// What its members may beside their own affairs.
    pub permissions: Vec<String>,
}

impl VisibleTeam {
    /// Whether everything is seen that members with this permission see.
    pub fn whole(&self, permission: &str) -> bool {
        self.administered || self.permissions.iter().any(|held| held == permission)
    }
}

/// The teams of a user.
pub async fn visible_teams(
    connection: &mut AnyConnection,
    user_id: &str,
) -> Result<Vec<VisibleTeam>, StoreError> {
    let rows = sqlx::query(
        "SELECT t.team_id, m.role, t.team_member_permissions FROM team_members m \
         JOIN teams t ON t.team_id = m.team_id WHERE m.user_id = $1 \
         UNION ALL \
         SELECT t.team_id, 'admin' AS role, '[]' AS team_member_permissions FROM organization_members o \
         JOIN teams t ON t.organization_id = o.organization_id WHERE o.user_id = $1 AND o.user_role = 'org_admin'",
    )
    .bind(user_id.to_owned())
    .fetch_all(connection)
    .await?;
    let mut teams: Vec<VisibleTeam> = Vec::new();
    for row in rows {
        let team = VisibleTeam {
            team_id: row.try_get("team_id")?,
            administered: row.try_get::<String, _>("role")? == "admin",
            permissions: row::json(&row, "team_member_permissions")?,
        };
        match teams.iter_mut().find(|known| known.team_id == team.team_id) {
            Some(known) => known.administered |= team.administered,
            None => teams.push(team),
        }
    }
    Ok(teams)
}

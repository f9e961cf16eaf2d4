//! Teams and their members.

use serde_json::Value;

use super::spent::Budget;
use super::{Ended, Work};
use crate::import::values::text;
use crate::routes::imported;
use crate::store::members::MemberRow;
use crate::store::outbox::{Kind, member_object};
use crate::store::row::Object;
use crate::store::{Tx, members, teams};

impl Work<'_> {
    pub(super) async fn team(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = self.name(row, "team_id") else {
            return Ok(());
        };
        let there = teams::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut team = imported::team(row, tx.now_us(), self.import.rules, &mut notes)?;
        let budget = Budget::of_row(&team.limits, row);
        self.begin(tx, (Kind::Team, &id), row, &budget);
        self.notes(&format!("team {id}"), notes);
        Ok(teams::insert(tx, &self.by, &mut team).await?)
    }

    /// The members that a team lists, with what LiteLLM's membership says of each.
    pub(super) async fn members(
        &mut self,
        tx: &mut Tx,
        row: &Object,
        memberships: &[Object],
    ) -> Result<(), Ended> {
        let Some(team_id) = text(row, "team_id") else {
            return Ok(());
        };
        let listed = row.get("members_with_roles").and_then(Value::as_array);
        for listed in listed.into_iter().flatten().filter_map(Value::as_object) {
            let Some(user_id) = text(listed, "user_id") else {
                self.leave(format!("a member of team {team_id} has no user_id"));
                continue;
            };
            let found = members::find(tx.connection(), &team_id, &user_id).await?;
            if !self.is_new(found.is_some()) {
                continue;
            }
            let role = text(listed, "role").filter(|role| role == "admin");
            let role = role.unwrap_or_else(|| "user".to_owned());
            let mut member = MemberRow::new(&team_id, &user_id, &role);
            member.user_email = text(listed, "user_email");
            let own = memberships.iter().find(|own| {
                text(own, "team_id").as_ref() == Some(&team_id)
                    && text(own, "user_id").as_ref() == Some(&user_id)
            });
            if let Some(own) = own {
                member.budget_id = text(own, "budget_id");
                let budget = self.budget_of(tx, member.budget_id.as_ref()).await?;
                member.refresh_at = budget.refresh_at;
                let object = member_object(&team_id, &user_id);
                self.begin(tx, (Kind::Member, &object), own, &budget);
            }
            members::insert(tx, &self.by, &mut member).await?;
        }
        Ok(())
    }
}

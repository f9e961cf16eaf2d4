//! Organizations and their members.

use contract::id::{OrganizationId, UserId};
use contract::redis_key::RecordId;

use super::{Ended, Work};
use crate::import::micros;
use crate::import::values::{object, text, texts};
use crate::store::organization_members::OrgMemberRow;
use crate::store::organizations::OrganizationRow;
use crate::store::outbox::Kind;
use crate::store::row::Object;
use crate::store::{Tx, organization_members, organizations};

impl Work<'_> {
    pub(super) async fn organization(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = self.name(row, "organization_id") else {
            return Ok(());
        };
        let there = organizations::find(tx.connection(), &id).await?.is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let budget_id = text(row, "budget_id");
        let budget = self.budget_of(tx, budget_id.as_ref()).await?;
        // One is what is shown, the other what Redis counts.
        self.begin(tx, (Kind::Organization, &id), row, &budget);
        let scope = RecordId::organization(&OrganizationId::new(id.as_str()));
        self.begin(tx, (Kind::Scope, scope.as_str()), row, &budget);
        let mut organization = OrganizationRow::new(id);
        organization.organization_alias = text(row, "organization_alias").unwrap_or_default();
        organization.budget_id = budget_id.unwrap_or_default();
        organization.models = texts(row, "models");
        organization.metadata = object(row, "metadata");
        organization.refresh_at = budget.refresh_at;
        organization.created_at = micros(row.get("created_at")).unwrap_or(0);
        organization.created_by = text(row, "created_by").unwrap_or_default();
        Ok(organizations::insert(tx, &self.by, &mut organization).await?)
    }

    pub(super) async fn organization_member(
        &mut self,
        tx: &mut Tx,
        row: &Object,
    ) -> Result<(), Ended> {
        let (Some(organization), Some(user)) =
            (self.name(row, "organization_id"), self.name(row, "user_id"))
        else {
            return Ok(());
        };
        let found = organization_members::find(tx.connection(), &organization, &user).await?;
        if !self.is_new(found.is_some()) {
            return Ok(());
        }
        let role = text(row, "user_role").unwrap_or_else(|| "internal_user".to_owned());
        let mut member = OrgMemberRow::new(&organization, &user, &role);
        member.budget_id = text(row, "budget_id");
        let budget = self.budget_of(tx, member.budget_id.as_ref()).await?;
        let (of, who) = (OrganizationId::new(organization), UserId::new(user));
        let scope = RecordId::organization_member(&of, &who);
        self.begin(tx, (Kind::Scope, scope.as_str()), row, &budget);
        member.refresh_at = budget.refresh_at;
        member.created_at = micros(row.get("created_at")).unwrap_or(0);
        Ok(organization_members::insert(tx, &self.by, &mut member).await?)
    }
}

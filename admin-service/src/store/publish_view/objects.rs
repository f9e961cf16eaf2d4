//! How rows of keys, users, teams, memberships and organizations become what is published.

use std::collections::{BTreeMap, BTreeSet};

use contract::id::{KeyId, OrganizationId, TeamId, UserId};
use contract::limits::Limits;
use contract::records::{
    KeyRecord, MemberRecord, OrganizationRecord, Record, TeamRecord, UserRecord,
};
use contract::redis_key::RecordId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::owners::{beside, home, names};
use super::{MASTER_KEY_TYPE, PublishView, Published, PublishedKey, PublishedRecord, rows};
use crate::store::outbox::rev;
use crate::store::{StoreError, budgets};

impl PublishView<'_> {
    pub(super) async fn read_keys(&self, rows: &[AnyRow]) -> Result<Vec<Published>, StoreError> {
        let ids = rows
            .iter()
            .map(|row| Ok(row.try_get("organization_budget_id")?))
            .collect::<Result<Vec<Option<String>>, StoreError>>()?;
        let named = ids.iter().flatten().cloned().collect::<BTreeSet<_>>();
        let named = named.into_iter().collect::<Vec<_>>();
        let mut budgets = BTreeMap::new();
        if !named.is_empty() {
            let found = budgets::find_all(&mut *self.store.read().await?, &named).await?;
            budgets.extend(found.into_iter().map(|row| (row.budget_id.clone(), row)));
        }
        let now_us = self.store.clock().now_us();
        let keys = rows.iter().zip(&ids).map(|(row, id)| {
            let budget = id.as_ref().and_then(|id| budgets.get(id));
            let limits = budget.map(|budget| budget.all_limits(now_us, self.rules));
            self.read_key(row, limits.filter(|limits| !limits.is_unlimited()))
        });
        self.with_former(keys.collect::<Result<_, _>>()?).await
    }

    fn read_key(
        &self,
        row: &AnyRow,
        organization_member: Option<Limits>,
    ) -> Result<Published, StoreError> {
        let key_id: String = row.try_get("key_id")?;
        let id = KeyId::new(key_id.as_str());
        let user = row
            .try_get::<Option<String>, _>("user_id")?
            .map(UserId::new);
        let team = row
            .try_get::<Option<String>, _>("team_id")?
            .map(TeamId::new);
        let organization = row
            .try_get::<Option<String>, _>("organization_id")?
            .map(OrganizationId::new);
        let own = RecordId::key(&id);
        let record = Record::Key(KeyRecord {
            display: row.try_get("key_name")?,
            alias: row.try_get("key_alias")?,
            blocked: rows::flag(row, "blocked")?,
            expires_ms: rows::time_ms(row, "expires")?,
            models: rows::models(row)?,
            aliases: rows::json(row, "aliases")?,
            allowed_routes: rows::json(row, "allowed_routes")?,
            user: user.clone(),
            team: team.clone(),
            organization: organization.clone(),
            tags: rows::tags(row)?,
            master: row.try_get::<Option<String>, _>("key_type")?.as_deref()
                == Some(MASTER_KEY_TYPE),
            limits: rows::key_limits(row, self.store.clock().now_us(), self.rules)?,
            organization_member: organization_member.map(Box::new),
            id,
        });
        Ok(Published::Key(Box::new(PublishedKey {
            key_id,
            former: Vec::new(),
            hash: rows::hash(row)?,
            rev: rev(row.try_get("rev")?)?,
            home: home(&own, user.as_ref(), team.as_ref()),
            records: names(&own, user.as_ref(), team.as_ref(), organization.as_ref()),
            beside: beside(row, user, team, organization)?,
            id: own,
            record,
        })))
    }

    pub(super) async fn read_users(&self, rows: &[AnyRow]) -> Result<Vec<Published>, StoreError> {
        let mut objects = Vec::with_capacity(rows.len());
        for row in rows {
            let user_id: String = row.try_get("user_id")?;
            let id = UserId::new(user_id.as_str());
            let own = RecordId::user(&id);
            let mut homes = vec![own.clone()];
            for team in rows::teams_with_keys(self.store, &user_id).await? {
                homes.push(RecordId::team(&TeamId::new(team)));
            }
            let role: Option<String> = row.try_get("user_role")?;
            let record = Record::User(UserRecord {
                id,
                blocked: rows::flag(row, "blocked")?,
                may_call_models: role.as_deref() != Some("proxy_admin_viewer"),
                models: rows::json(row, "models")?,
                limits: rows::limits(row, self.store.clock().now_us(), self.rules)?,
            });
            let rev = rev(row.try_get("rev")?)?;
            objects.push(Published::Record(Box::new(PublishedRecord {
                id: own,
                rev,
                homes,
                record,
            })));
        }
        Ok(objects)
    }

    pub(super) fn read_team(&self, row: &AnyRow) -> Result<Published, StoreError> {
        let id = TeamId::new(row.try_get::<String, _>("team_id")?);
        let own = RecordId::team(&id);
        let record = Record::Team(TeamRecord {
            alias: row.try_get("team_alias")?,
            blocked: rows::flag(row, "blocked")?,
            models: rows::models(row)?,
            aliases: rows::json(row, "model_aliases")?,
            tags: rows::tags(row)?,
            limits: rows::limits(row, self.store.clock().now_us(), self.rules)?,
            id,
        });
        let rev = rev(row.try_get("rev")?)?;
        Ok(Published::Record(Box::new(PublishedRecord {
            id: own.clone(),
            rev,
            homes: vec![own],
            record,
        })))
    }

    pub(super) fn read_member(&self, row: &AnyRow) -> Result<Published, StoreError> {
        let team = TeamId::new(row.try_get::<String, _>("team_id")?);
        let user = UserId::new(row.try_get::<String, _>("user_id")?);
        Ok(Published::Record(Box::new(PublishedRecord {
            id: RecordId::member(&team, &user),
            rev: rev(row.try_get("rev")?)?,
            homes: vec![RecordId::team(&team)],
            record: Record::Member(MemberRecord {
                limits: rows::member_limits(row, self.store.clock().now_us(), self.rules)?,
                team,
                user,
                models: rows::json(row, "models")?,
            }),
        })))
    }

    pub(super) fn read_organization(&self, row: &AnyRow) -> Result<Published, StoreError> {
        let id = OrganizationId::new(row.try_get::<String, _>("organization_id")?);
        let own = RecordId::organization(&id);
        let alias: String = row.try_get("organization_alias")?;
        Ok(Published::Record(Box::new(PublishedRecord {
            rev: rev(row.try_get("rev")?)?,
            homes: vec![own.clone()],
            id: own,
            record: Record::Organization(OrganizationRecord {
                alias: Some(alias).filter(|alias| !alias.is_empty()),
                models: rows::json(row, "models")?,
                limits: rows::limits(row, self.store.clock().now_us(), self.rules)?,
                id,
            }),
        })))
    }
}

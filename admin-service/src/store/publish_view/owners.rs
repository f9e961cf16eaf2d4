//! The records that belong to a key: its own, its owners', and stand-ins for owners that have no row.

use std::collections::BTreeMap;

use contract::id::{OrganizationId, TeamId, UserId};
use contract::limits::Limits;
use contract::records::{MemberRecord, OrganizationRecord, Record, TeamRecord, UserRecord};
use contract::redis_key::RecordId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::PublishedRecord;
use crate::store::StoreError;
use crate::store::outbox::rev;

pub(super) fn home(own: &RecordId, user: Option<&UserId>, team: Option<&TeamId>) -> RecordId {
    team.map(RecordId::team)
        .or_else(|| user.map(RecordId::user))
        .unwrap_or_else(|| own.clone())
}

pub(super) fn names(
    own: &RecordId,
    user: Option<&UserId>,
    team: Option<&TeamId>,
    organization: Option<&OrganizationId>,
) -> Vec<RecordId> {
    let mut names = vec![own.clone()];
    names.extend(user.map(RecordId::user));
    names.extend(team.map(RecordId::team));
    if let (Some(team), Some(user)) = (team, user) {
        names.push(RecordId::member(team, user));
    }
    names.extend(organization.map(RecordId::organization));
    names
}

/// Records for owners that have no row: the joined columns say which.
pub(super) fn beside(
    row: &AnyRow,
    user: Option<UserId>,
    team: Option<TeamId>,
    organization: Option<OrganizationId>,
) -> Result<Vec<PublishedRecord>, StoreError> {
    let mut all = Vec::new();
    let mut add = |column: &str, id: RecordId, record: Record| -> Result<(), StoreError> {
        // The column holds the row's revision: absent without a row. A tombstone's revision must be passed, or the deletion stands.
        if row.try_get::<Option<i64>, _>(column)?.is_none() {
            let dead = row.try_get::<Option<i64>, _>(format!("{column}_dead").as_str())?;
            let rev = rev(dead.unwrap_or(0) + 1)?;
            all.push(PublishedRecord {
                homes: Vec::new(),
                id,
                rev,
                record,
            });
        }
        Ok(())
    };
    if let Some(user) = user.clone() {
        let record = UserRecord {
            id: user.clone(),
            blocked: false,
            may_call_models: true,
            models: Vec::new(),
            limits: Limits::default(),
        };
        add("user_rev", RecordId::user(&user), Record::User(record))?;
    }
    if let Some(team) = team.clone() {
        let record = TeamRecord {
            id: team.clone(),
            alias: None,
            blocked: false,
            models: Vec::new(),
            aliases: BTreeMap::new(),
            tags: Vec::new(),
            limits: Limits::default(),
        };
        add("team_rev", RecordId::team(&team), Record::Team(record))?;
    }
    if let Some(id) = organization {
        let name = RecordId::organization(&id);
        let record = OrganizationRecord {
            id,
            alias: None,
            models: Vec::new(),
            limits: Limits::default(),
        };
        add("organization_rev", name, Record::Organization(record))?;
    }
    if let (Some(team), Some(user)) = (team, user) {
        let limits = Limits::default();
        let id = RecordId::member(&team, &user);
        add(
            "member_rev",
            id,
            Record::Member(MemberRecord {
                team,
                user,
                models: Vec::new(),
                limits,
            }),
        )?;
    }
    Ok(all)
}

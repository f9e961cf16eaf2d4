//! Tombstones: what a deletion leaves, and the revision of what is made again.

use contract::id::{CustomerId, KeyId, OrganizationId, Rev, TeamId, UserId};
use contract::records::Record;
use contract::redis_key::RecordId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::owners::home;
use super::{Published, PublishedKey, PublishedRecord, rows};
use crate::store::outbox::{Kind, parse_member_object, rev, signed, unsigned};
use crate::store::{StoreError, Tx};

/// The revision of a row that is made now: above whatever the same id had before it was deleted, and above a stand-in's.
pub async fn first_rev(tx: &mut Tx, kind: Kind, object_id: &str) -> Result<Rev, StoreError> {
    let dead = sqlx::query("SELECT rev FROM tombstones WHERE kind = $1 AND object_id = $2")
        .bind(kind.as_str())
        .bind(object_id)
        .fetch_optional(tx.connection())
        .await?;
    let now_us = tx.now_us();
    let old = match dead {
        Some(row) => Rev::new(unsigned(row.try_get::<i64, _>("rev")?) + 1).unwrap_or_default(),
        None => Rev::default(),
    };
    Ok(old.next(now_us))
}

/// Leaves a tombstone: `old` is the revision of the row that is deleted in the same transaction. Answers the tombstone's.
pub async fn bury(tx: &mut Tx, grave: &Grave<'_>) -> Result<Rev, StoreError> {
    let rev = grave.old.next(tx.now_us());
    sqlx::query(
        "INSERT INTO tombstones (kind, object_id, rev, token, user_id, team_id) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (kind, object_id) DO UPDATE SET rev = excluded.rev, token = excluded.token, \
         user_id = excluded.user_id, team_id = excluded.team_id",
    )
    .bind(grave.kind.as_str())
    .bind(grave.object_id)
    .bind(signed(rev.get()))
    .bind(grave.token)
    .bind(grave.user_id)
    .bind(grave.team_id)
    .execute(tx.connection())
    .await?;
    tx.publish(grave.kind, grave.object_id, rev).await?;
    Ok(rev)
}

/// What is deleted.
#[derive(Clone, Copy, Debug)]
pub struct Grave<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Which.
    pub object_id: &'a str,
    /// The deleted row's revision.
    pub old: Rev,
    /// A key's hash.
    pub token: Option<&'a str>,
    /// A key's user.
    pub user_id: Option<&'a str>,
    /// A key's team.
    pub team_id: Option<&'a str>,
}

pub(super) fn read_tombstone(kind: Kind, row: &AnyRow) -> Result<Published, StoreError> {
    let object_id: String = row.try_get("object_id")?;
    let rev = rev(row.try_get("rev")?)?;
    let deleted = |id: RecordId, homes| {
        Published::Record(Box::new(PublishedRecord {
            id,
            rev,
            homes,
            record: Record::Deleted,
        }))
    };
    match kind {
        Kind::Key => {
            let user = row
                .try_get::<Option<String>, _>("user_id")?
                .map(UserId::new);
            let team = row
                .try_get::<Option<String>, _>("team_id")?
                .map(TeamId::new);
            let id = RecordId::key(&KeyId::new(object_id.as_str()));
            Ok(Published::Key(Box::new(PublishedKey {
                key_id: object_id,
                former: Vec::new(),
                hash: rows::hash(row)?,
                rev,
                home: home(&id, user.as_ref(), team.as_ref()),
                records: vec![id.clone()],
                record: Record::Deleted,
                beside: Vec::new(),
                id,
            })))
        }
        Kind::User => {
            let id = RecordId::user(&UserId::new(object_id));
            Ok(deleted(id.clone(), vec![id]))
        }
        Kind::Team => {
            let id = RecordId::team(&TeamId::new(object_id));
            Ok(deleted(id.clone(), vec![id]))
        }
        Kind::Member => {
            let (team, user) = parse_member_object(&object_id)?;
            let (team, user) = (TeamId::new(team), UserId::new(user));
            Ok(deleted(
                RecordId::member(&team, &user),
                vec![RecordId::team(&team)],
            ))
        }
        Kind::Organization => {
            let id = RecordId::organization(&OrganizationId::new(object_id));
            Ok(deleted(id.clone(), vec![id]))
        }
        Kind::Customer => {
            let id = RecordId::customer(&CustomerId::new(object_id));
            Ok(deleted(id.clone(), vec![id]))
        }
        Kind::Catalogue | Kind::Correction | Kind::Scope => Err(StoreError::Corrupt(format!(
            "tombstones.kind of {object_id:?}"
        ))),
    }
}

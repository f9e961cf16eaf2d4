//! Everybody that a budget row limits.

use contract::id::Rev;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::store::outbox::{Kind, member_object, rev, signed, unsigned};
use crate::store::{StoreError, Tx, catalogue_rows, organization_members};

/// A table whose rows name a budget row: the kind of its objects, its name, and the columns of its key.
struct Linked {
    kind: Kind,
    table: &'static str,
    key: &'static str,
}

const LINKED: [Linked; 4] = [
    Linked {
        kind: Kind::Organization,
        table: "organizations",
        key: "organization_id",
    },
    Linked {
        kind: Kind::Customer,
        table: "customers",
        key: "user_id",
    },
    Linked {
        kind: Kind::Key,
        table: "virtual_keys",
        key: "key_id",
    },
    Linked {
        kind: Kind::Member,
        table: "team_members",
        key: "team_id, user_id",
    },
];

/// Has everybody that the row limits published again, and their windows looked after at `refresh_at`. One statement changes a table, however
/// many rows it is.
pub async fn publish_linked(
    tx: &mut Tx,
    budget_id: &str,
    refresh_at: Option<u64>,
) -> Result<(), StoreError> {
    for linked in &LINKED {
        linked.raise(tx, budget_id, refresh_at).await?;
        let objects = linked.objects(tx, budget_id).await?;
        tx.publish_all(linked.kind, &objects).await?;
    }
    organization_members::follow_budget(tx, budget_id, refresh_at).await?;
    catalogue_rows::follow_budget(tx, budget_id).await
}

/// How many objects the row limits.
pub async fn links(tx: &mut Tx, budget_id: &str) -> Result<u64, StoreError> {
    let counts = LINKED
        .iter()
        .map(|linked| {
            let table = linked.table;
            format!("(SELECT COUNT(*) FROM {table} WHERE budget_id = $1)")
        })
        .chain(
            ["tags", "organization_members"]
                .map(|table| format!("(SELECT COUNT(*) FROM {table} WHERE budget_id = $1)")),
        )
        .collect::<Vec<_>>()
        .join(" + ");
    let row = sqlx::query(AssertSqlSafe(format!("SELECT {counts} AS links")))
        .bind(budget_id.to_owned())
        .fetch_one(tx.connection())
        .await?;
    Ok(unsigned(row.try_get("links")?))
}

/// Has nobody name the row any more, and those who did published without it. Organizations always have a row: whoever deletes theirs first
/// deletes them.
pub(super) async fn unlink(tx: &mut Tx, budget_id: &str) -> Result<(), StoreError> {
    for linked in LINKED
        .iter()
        .filter(|linked| linked.kind != Kind::Organization)
    {
        linked.raise(tx, budget_id, None).await?;
        let objects = linked.objects(tx, budget_id).await?;
        let statement = format!(
            "UPDATE {} SET budget_id = NULL WHERE budget_id = $1",
            linked.table
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(budget_id.to_owned())
            .execute(tx.connection())
            .await?;
        tx.publish_all(linked.kind, &objects).await?;
    }
    organization_members::follow_budget(tx, budget_id, None).await?;
    sqlx::query("UPDATE organization_members SET budget_id = NULL WHERE budget_id = $1")
        .bind(budget_id.to_owned())
        .execute(tx.connection())
        .await?;
    Ok(())
}

impl Linked {
    /// Raises the revisions, as [`Rev::next`] does. A row that is to be refreshed earlier stays so: its own window or a temporary budget.
    async fn raise(
        &self,
        tx: &mut Tx,
        budget_id: &str,
        refresh_at: Option<u64>,
    ) -> Result<(), StoreError> {
        let refresh = match refresh_at {
            Some(_) => ", refresh_at = CASE WHEN refresh_at <= $3 THEN refresh_at ELSE $3 END",
            None => "",
        };
        let statement = format!(
            "UPDATE {} SET rev = CASE WHEN rev >= $1 THEN rev + 1 ELSE $1 END{refresh} WHERE budget_id = $2",
            self.table
        );
        let now_us = tx.now_us();
        let mut query = sqlx::query(AssertSqlSafe(statement))
            .bind(signed(now_us))
            .bind(budget_id.to_owned());
        if let Some(at) = refresh_at {
            query = query.bind(signed(at));
        }
        query.execute(tx.connection()).await?;
        Ok(())
    }

    async fn objects(
        &self,
        tx: &mut Tx,
        budget_id: &str,
    ) -> Result<Vec<(String, Rev)>, StoreError> {
        let statement = format!(
            "SELECT {}, rev FROM {} WHERE budget_id = $1",
            self.key, self.table
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(budget_id.to_owned())
            .fetch_all(tx.connection())
            .await?;
        rows.iter().map(|row| self.object(row)).collect()
    }

    fn object(&self, row: &AnyRow) -> Result<(String, Rev), StoreError> {
        let first: String = row.try_get(0)?;
        let object = match self.kind {
            Kind::Member => member_object(&first, row.try_get(1)?),
            _ => first,
        };
        Ok((object, rev(row.try_get("rev")?)?))
    }
}

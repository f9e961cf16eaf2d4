//! Tags.

use sqlx::{AnyConnection, Row};

use super::{By, Which, sums};
use crate::store::StoreError;
use crate::store::conditions::Conditions;

/// What was asked under a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSums {
    /// The tag.
    pub tag: String,
    /// Requests.
    pub requests: i64,
    /// Nano-dollars.
    pub spend: i64,
}

/// Tags with what was asked and spent under each, the dearest first.
pub async fn tag_sums(
    connection: &mut AnyConnection,
    which: &Which,
) -> Result<Vec<TagSums>, StoreError> {
    let all = sums(connection, which, &[By::Entity], None).await?;
    let tag = |(names, sums): (Vec<String>, crate::store::spend::DailySums)| {
        Some(TagSums {
            tag: names.into_iter().next()?,
            requests: sums.api_requests,
            spend: sums.spend,
        })
    };
    Ok(all.into_iter().filter_map(tag).collect())
}

/// All tags that any request had.
pub async fn tag_names(connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equals("kind", Some("tag"));
    let statement = format!(
        "SELECT DISTINCT entity_id FROM daily_spend {} ORDER BY entity_id",
        conditions.clause()
    );
    let rows = conditions.fetch(connection, statement).await?;
    rows.iter()
        .map(|row| Ok(row.try_get("entity_id")?))
        .collect()
}

//! All rows, part by part, for whoever writes them down as they come.

use sqlx::AnyConnection;

use super::{DailyRow, Which, columns, read_row};
use crate::store::StoreError;
use crate::store::spend::DailyKey;

/// The row after which the next part begins.
pub type After = DailyKey;

/// The next `size` rows after `after`, oldest day first. Each part is found by index, however far it is.
pub async fn after(
    connection: &mut AnyConnection,
    which: &Which,
    after: Option<&After>,
    size: u32,
) -> Result<Vec<DailyRow>, StoreError> {
    let (table, entity, mut conditions) = which.source(true);
    let order =
        format!("date, {entity}, api_key, model, model_group, custom_llm_provider, endpoint");
    if let Some(key) = after {
        let values = [
            &key.date,
            &key.entity,
            &key.api_key,
            &key.model,
            &key.model_group,
            &key.provider,
            &key.endpoint,
        ];
        let places = values.map(|value| conditions.text(value)).join(", ");
        conditions.add(format!("({order}) > ({places})"));
    }
    let limit = conditions.number(size.into());
    let statement = format!(
        "SELECT {} FROM {table} {} ORDER BY {order} LIMIT {limit}",
        columns(entity),
        conditions.clause()
    );
    let rows = conditions.fetch(connection, statement).await?;
    rows.iter().map(read_row).collect()
}

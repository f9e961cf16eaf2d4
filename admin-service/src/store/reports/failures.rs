//! Counts of failed requests.

use sqlx::{AnyConnection, Row};

use super::{Days, Mine, days, keys_of};
use crate::store::StoreError;
use crate::store::conditions::Conditions;
use crate::store::outbox::unsigned;

/// Failed requests of a day at one path, by status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The day.
    pub date: String,
    /// The path.
    pub endpoint: String,
    /// The status; 0 where no answer came.
    pub http_status: u64,
    /// How many.
    pub requests: u64,
}

/// Failures of these days; `mine`: of the caller only; `api_keys` and `models` (as clients named them) if not empty.
pub async fn failures(
    connection: &mut AnyConnection,
    which: &Days,
    mine: Option<&Mine>,
    api_keys: &[String],
    models: &[String],
) -> Result<Vec<Failure>, StoreError> {
    let mut conditions = Conditions::default();
    days(&mut conditions, which);
    match mine {
        None => {}
        Some(Mine::User(user)) => conditions.equals("user_id", Some(user)),
        Some(key @ Mine::Key(_)) => {
            let condition = keys_of(&mut conditions, key);
            conditions.add(condition);
        }
    }
    for (column, values) in [("api_key", api_keys), ("model_group", models)] {
        if !values.is_empty() {
            conditions.any_of(column, values);
        }
    }
    let statement = format!(
        "SELECT date, endpoint, http_status, CAST(SUM(requests) AS BIGINT) AS requests FROM daily_errors {} \
         GROUP BY date, endpoint, http_status HAVING SUM(requests) > 0 ORDER BY date, endpoint, http_status",
        conditions.clause()
    );
    let rows = conditions.fetch(connection, statement).await?;
    rows.iter()
        .map(|row| {
            Ok(Failure {
                date: row.try_get("date")?,
                endpoint: row.try_get("endpoint")?,
                http_status: unsigned(row.try_get("http_status")?),
                requests: unsigned(row.try_get("requests")?),
            })
        })
        .collect()
}

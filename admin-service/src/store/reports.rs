//! What reports read: sums by day, never the log.
//!
//! Decides: which table answers a question with the fewest rows. Sums over all keys are in `daily_spend`; what asks for keys, or for users,
//! reads the table by key of its dimension. Leaves to the routes who may see what ([`Reach`] comes ready made) and how it is shown.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::StoreError;
use super::conditions::Conditions;
use super::spend::{DailyKey, DailySums, Dimension};

mod export;
mod failures;
mod keys;
mod names;
mod spenders;
mod tags;
mod visible;

pub use export::{After, after};
pub use failures::{Failure, failures};
pub use keys::{
    DaySpend, KeySpend, count_keys, dearest, heaviest_keys, of_keys, spent_by_day, sums_of,
    top_keys,
};
pub use names::{KeyName, entity_names, key_names};
pub use spenders::{spenders, spent_after};
pub use tags::{TagSums, tag_names, tag_sums};
pub use visible::{VisibleTeam, visible_teams};

/// Most rows that are counted for a number of pages: whoever has more reads on until there is no more.
const MOST_COUNTED: i64 = 100_000;

/// Days, both included, as `2026-11-23`, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: String,
    /// The last.
    pub last: String,
}

impl Days {
    /// All days there are.
    pub fn ever() -> Self {
        Self {
            first: "0000-01-01".to_owned(),
            last: "9999-12-31".to_owned(),
        }
    }
}

/// Whose requests somebody may see where they do not see all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mine {
    /// Those of this user's keys.
    User(String),
    /// Those of the key with this hash.
    Key(String),
}

/// Which entities of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All.
    #[default]
    All,
    /// These.
    These(Vec<String>),
    /// `whole` with everything, and of `partly` (absent: of all others) what is `mine`.
    Partly {
        /// Entities that are seen whole.
        whole: Vec<String>,
        /// Entities of which only a part is seen.
        partly: Option<Vec<String>>,
        /// Which part.
        mine: Mine,
    },
}

/// Which sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Whose.
    pub dimension: Dimension,
    /// Of which of them.
    pub reach: Reach,
    /// But not of these.
    pub excluded: Vec<String>,
    /// Of which days.
    pub days: Days,
    /// Of this model only, by either of its names.
    pub model: Option<String>,
    /// Of these keys' hashes only.
    pub api_keys: Option<Vec<String>>,
}

impl Which {
    /// Everything of these days.
    pub fn all(dimension: Dimension, days: Days) -> Self {
        Self {
            dimension,
            reach: Reach::All,
            excluded: Vec::new(),
            days,
            model: None,
            api_keys: None,
        }
    }

    /// Whether the sums over all keys answer it.
    fn over_keys(&self) -> bool {
        let whole = match (&self.reach, self.dimension) {
            (Reach::All, Dimension::User) => self.excluded.is_empty(),
            (Reach::All, _) => true,
            (Reach::These(_), dimension) => dimension != Dimension::User,
            (Reach::Partly { .. }, _) => false,
        };
        whole && self.api_keys.is_none()
    }

    /// Whether it is about all requests of its days.
    pub fn is_everything(&self) -> bool {
        self.dimension == Dimension::User && self.over_keys() && self.model.is_none()
    }

    /// Table, column of the entity, and conditions.
    fn source(&self, by_key: bool) -> (&'static str, &'static str, Conditions) {
        let mut conditions = Conditions::default();
        let (table, entity) = if by_key || !self.over_keys() {
            (self.dimension.table(), self.dimension.column())
        } else {
            conditions.equals("kind", Some(self.dimension.over_keys()));
            ("daily_spend", "entity_id")
        };
        match &self.reach {
            Reach::All => {}
            Reach::These(entities) => conditions.any_of(entity, entities),
            Reach::Partly {
                whole,
                partly,
                mine,
            } => {
                let mut either = Vec::new();
                if !whole.is_empty() {
                    either.push(format!("{entity} IN ({})", conditions.list(whole)));
                }
                let mut part = keys_of(&mut conditions, mine);
                match partly.as_deref() {
                    None => {}
                    Some([]) => "1 = 0".clone_into(&mut part),
                    Some(partly) => {
                        let list = conditions.list(partly);
                        part = format!("{entity} IN ({list}) AND {part}");
                    }
                }
                either.push(format!("({part})"));
                conditions.add(format!("({})", either.join(" OR ")));
            }
        }
        conditions.none_of(entity, &self.excluded);
        if let Some(model) = &self.model {
            let place = conditions.text(model);
            conditions.add(format!("(model = {place} OR model_group = {place})"));
        }
        if let Some(keys) = &self.api_keys {
            conditions.any_of("api_key", keys);
        }
        days(&mut conditions, &self.days);
        (table, entity, conditions)
    }
}

fn days(conditions: &mut Conditions, days: &Days) {
    let (first, last) = (conditions.text(&days.first), conditions.text(&days.last));
    conditions.add(format!("date >= {first} AND date <= {last}"));
}

/// The condition that a sum's key is one of these.
fn keys_of(conditions: &mut Conditions, mine: &Mine) -> String {
    match mine {
        Mine::Key(token) => format!("api_key = {}", conditions.text(token)),
        Mine::User(user) => {
            let place = conditions.text(user);
            format!(
                "api_key IN (SELECT token FROM virtual_keys WHERE user_id = {place} \
                 UNION SELECT token FROM deleted_keys WHERE user_id = {place})"
            )
        }
    }
}

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The user, team …
    Entity,
    /// The day.
    Date,
    /// The key's hash.
    ApiKey,
    /// The model billed.
    Model,
    /// The model the client named.
    ModelGroup,
    /// The provider.
    Provider,
    /// The path.
    Endpoint,
}

impl By {
    const fn column(self, entity: &'static str) -> &'static str {
        match self {
            Self::Entity => entity,
            Self::Date => "date",
            Self::ApiKey => "api_key",
            Self::Model => "model",
            Self::ModelGroup => "model_group",
            Self::Provider => "custom_llm_provider",
            Self::Endpoint => "endpoint",
        }
    }
}

/// Sums with what tells them apart, in the order of [`By`].
pub type Sums = Vec<(Vec<String>, DailySums)>;

/// The sums, told apart by `by`; the dearest first, at most `most` of them.
pub async fn sums(
    connection: &mut AnyConnection,
    which: &Which,
    by: &[By],
    most: Option<u32>,
) -> Result<Sums, StoreError> {
    // The sums over all keys are over all users too.
    let of_users = which.dimension == Dimension::User && by.contains(&By::Entity);
    let (table, entity, mut conditions) = which.source(of_users || by.contains(&By::ApiKey));
    let names = by.iter().map(|by| by.column(entity)).collect::<Vec<_>>();
    let selected = [&names[..], &[&summed()]].concat().join(", ");
    let names = names.join(", ");
    let (group, order) = if names.is_empty() {
        (String::new(), String::new())
    } else {
        (
            format!("GROUP BY {names}"),
            format!("ORDER BY spend DESC, {names}"),
        )
    };
    let limit = most.map_or_else(String::new, |most| {
        format!("LIMIT {}", conditions.number(most.into()))
    });
    let clause = conditions.clause();
    let statement = format!("SELECT {selected} FROM {table} {clause} {group} {order} {limit}");
    let rows = conditions.fetch(connection, statement).await?;
    rows.iter()
        .map(|row| Ok((read_names(row, by)?, read_sums(row)?)))
        .collect()
}

/// The first columns: what tells a sum apart.
fn read_names(row: &AnyRow, by: &[By]) -> Result<Vec<String>, StoreError> {
    (0..by.len()).map(|at| Ok(row.try_get(at)?)).collect()
}

/// The sum of all.
pub async fn total(connection: &mut AnyConnection, which: &Which) -> Result<DailySums, StoreError> {
    let all = sums(connection, which, &[], None).await?;
    Ok(all
        .into_iter()
        .next()
        .map(|(_, sums)| sums)
        .unwrap_or_default())
}

/// One row of a table by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyRow {
    /// What it is the sum of.
    pub key: DailyKey,
    /// The sum.
    pub sums: DailySums,
}

/// A page of the rows by key, the newest day first, and whether there are more; `page` from 1.
pub async fn page(
    connection: &mut AnyConnection,
    which: &Which,
    page: u32,
    size: u32,
) -> Result<(Vec<DailyRow>, bool), StoreError> {
    let (table, entity, mut conditions) = which.source(true);
    let limit = conditions.number(i64::from(size) + 1);
    let offset = conditions.number(i64::from(page.saturating_sub(1)) * i64::from(size));
    let statement = format!(
        "SELECT {} FROM {table} {} ORDER BY date DESC, {entity} DESC, api_key DESC, model DESC, \
         model_group DESC, custom_llm_provider DESC, endpoint DESC LIMIT {limit} OFFSET {offset}",
        columns(entity),
        conditions.clause()
    );
    let rows = conditions.fetch(connection, statement).await?;
    let mut rows = rows.iter().map(read_row).collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > usize::try_from(size).unwrap_or(usize::MAX);
    rows.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok((rows, more))
}

/// How many rows by key there are, as far as they are counted.
pub async fn count(connection: &mut AnyConnection, which: &Which) -> Result<u64, StoreError> {
    let (table, _, mut conditions) = which.source(true);
    let most = conditions.number(MOST_COUNTED);
    let statement = format!(
        "SELECT COUNT(*) AS rows_found FROM (SELECT 1 AS one FROM {table} {} LIMIT {most}) AS counted",
        conditions.clause()
    );
    let rows = conditions.fetch(connection, statement).await?;
    let row = rows
        .first()
        .ok_or(StoreError::Failed(sqlx::Error::RowNotFound))?;
    Ok(super::outbox::unsigned(row.try_get("rows_found")?))
}

fn columns(entity: &str) -> String {
    format!(
        "{entity} AS entity, date, api_key, model, model_group, custom_llm_provider, endpoint, {}",
        super::spend::SUMS.join(", ")
    )
}

/// `CAST(SUM(spend) AS BIGINT) AS spend, …`
fn summed() -> String {
    super::spend::SUMS
        .map(|sum| format!("CAST(COALESCE(SUM({sum}), 0) AS BIGINT) AS {sum}"))
        .join(", ")
}

fn read_row(row: &AnyRow) -> Result<DailyRow, StoreError> {
    Ok(DailyRow {
        key: DailyKey {
            entity: row.try_get("entity")?,
            date: row.try_get("date")?,
            api_key: row.try_get("api_key")?,
            model: row.try_get("model")?,
            model_group: row.try_get("model_group")?,
            provider: row.try_get("custom_llm_provider")?,
            endpoint: row.try_get("endpoint")?,
        },
        sums: read_sums(row)?,
    })
}

fn read_sums(row: &AnyRow) -> Result<DailySums, StoreError> {
    Ok(DailySums {
        spend: row.try_get("spend")?,
        prompt_tokens: row.try_get("prompt_tokens")?,
        completion_tokens: row.try_get("completion_tokens")?,
        cache_read: row.try_get("cache_read_input_tokens")?,
        cache_creation: row.try_get("cache_creation_input_tokens")?,
        cache_hits: row.try_get("cache_hits")?,
        api_requests: row.try_get("api_requests")?,
        successful_requests: row.try_get("successful_requests")?,
        failed_requests: row.try_get("failed_requests")?,
        total_response_time_ms: row.try_get("total_response_time_ms")?,
        timed_requests: row.try_get("timed_requests")?,
    })
}

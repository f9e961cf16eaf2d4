//! The spend log as `/spend/logs` reads it.

use contract::money::NanoUsd;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::SpendRow;
use super::rows::{COLUMNS, read_row};
use crate::store::conditions::Conditions;
use crate::store::outbox::{signed, unsigned};
use crate::store::{Store, StoreError};

/// Most requests that are counted for a number of pages.
const MOST_COUNTED: u64 = 10_000;

/// Which requests; an absent condition holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The provider's response id, or the event's.
    pub request_id: Option<String>,
    /// The key's hash.
    pub api_key: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// The customer.
    pub end_user: Option<String>,
    /// The model billed.
    pub model: Option<String>,
    /// The model the client named.
    pub model_group: Option<String>,
    /// The alias that the key has now.
    pub key_alias: Option<String>,
    /// Whether it was answered with success.
    pub success: Option<bool>,
    /// The status.
    pub http_status: Option<u64>,
    /// Nano-dollars at least.
    pub min_spend: Option<NanoUsd>,
    /// Nano-dollars at most.
    pub max_spend: Option<NanoUsd>,
    /// Whose id, user, customer or model this is.
    pub search: Option<String>,
    /// None at all: what was asked for is never recorded.
    pub none: bool,
    /// Admitted from this Redis time (ms) on.
    pub from_ms: Option<u64>,
    /// Admitted before this Redis time (ms).
    pub before_ms: Option<u64>,
}

/// By what requests are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When admitted.
    #[default]
    Start,
    /// When ended.
    End,
    /// What was charged.
    Spend,
    /// All tokens.
    TotalTokens,
    /// How long it took.
    Duration,
    /// How long until the first byte.
    FirstByte,
    /// The model billed.
    Model,
}

impl Sort {
    /// The columns, as LiteLLM names them.
    pub const NAMES: &'static str =
        "startTime, endTime, spend, total_tokens, request_duration_ms, ttft_ms, model";

    /// Reads a column's name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "startTime" => Self::Start,
            "endTime" => Self::End,
            "spend" => Self::Spend,
            "total_tokens" => Self::TotalTokens,
            "request_duration_ms" => Self::Duration,
            "ttft_ms" => Self::FirstByte,
            "model" => Self::Model,
            _ => return None,
        })
    }

    const fn expression(self) -> &'static str {
        match self {
            Self::Start => "s.admitted_ms",
            Self::End => "s.admitted_ms + s.duration_ms",
            Self::Spend => "s.spend",
            Self::TotalTokens => "s.prompt_tokens + s.completion_tokens",
            Self::Duration => "s.duration_ms",
            Self::FirstByte => "COALESCE(s.first_byte_ms, s.duration_ms)",
            Self::Model => "s.model",
        }
    }
}

/// A page of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The order.
    pub sort: Sort,
    /// Whether ascending.
    pub ascending: bool,
    /// Rows that are skipped.
    pub offset: u64,
    /// Rows at most.
    pub limit: u32,
}

/// A request with the names that its key and team have now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The row.
    pub row: SpendRow,
    /// The key's alias.
    pub key_alias: Option<String>,
    /// The team's alias.
    pub team_alias: Option<String>,
}

/// A day's sum for one user, key and model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// `2026-11-23`, UTC.
    pub date: String,
    /// The key's hash.
    pub api_key: String,
    /// The user, or empty.
    pub user_id: String,
    /// The model.
    pub model: String,
    /// What was spent, nano-dollars.
    pub spend: i64,
}

impl Filter {
    fn conditions(&self) -> Conditions {
        let mut all = Conditions::default();
        if self.none {
            all.add("1 = 0");
        }
        if let Some(id) = &self.request_id {
            let place = all.text(id);
            all.add(format!("(s.request_id = {place} OR s.event_id = {place})"));
        }
        all.equals("s.api_key", self.api_key.as_deref());
        all.equals("s.user_id", self.user_id.as_deref());
        // The indexes of these hold only rows that have one, and are used only where that is said.
        for (column, value) in [("s.team_id", &self.team_id), ("s.end_user", &self.end_user)] {
            all.equals(column, value.as_deref());
            if value.is_some() {
                all.add(format!("{column} <> ''"));
            }
        }
        all.equals("s.model", self.model.as_deref());
        all.equals("s.model_group", self.model_group.as_deref());
        if let Some(alias) = &self.key_alias {
            let place = all.text(alias);
            all.add(format!(
                "s.api_key IN (SELECT token FROM virtual_keys WHERE key_alias = {place})"
            ));
        }
        match self.success {
            None => {}
            Some(true) => all.add("s.http_status >= 200 AND s.http_status <= 299"),
            Some(false) => all.add("(s.http_status < 200 OR s.http_status > 299)"),
        }
        for (comparison, number) in [
            ("s.http_status =", self.http_status),
            ("s.spend >=", self.min_spend.map(NanoUsd::get)),
            ("s.spend <=", self.max_spend.map(NanoUsd::get)),
            ("s.admitted_ms >=", self.from_ms),
            ("s.admitted_ms <", self.before_ms),
        ] {
            if let Some(number) = number {
                let place = all.number(signed(number));
                all.add(format!("{comparison} {place}"));
            }
        }
        if let Some(text) = &self.search {
            let place = all.text(text);
            let columns = ["request_id", "event_id", "user_id", "model"];
            let each = columns.map(|column| format!("s.{column} = {place}"));
            let customer = format!("(s.end_user = {place} AND s.end_user <> '')");
            all.add(format!("({} OR {customer})", each.join(" OR ")));
        }
        all
    }
}

/// The newest `limit` requests, newest first.
pub async fn rows(store: &Store, filter: &Filter, limit: u32) -> Result<Vec<LogRow>, StoreError> {
    let page = Page {
        limit,
        ..Page::default()
    };
    page_of(store, filter, page).await
}

/// A page of requests.
pub async fn page_of(
    store: &Store,
    filter: &Filter,
    page: Page,
) -> Result<Vec<LogRow>, StoreError> {
    let mut conditions = filter.conditions();
    let columns = COLUMNS.map(|column| format!("s.{column}")).join(", ");
    let limit = conditions.number(page.limit.into());
    let offset = conditions.number(signed(page.offset));
    let which = conditions.clause();
    let direction = if page.ascending { "ASC" } else { "DESC" };
    let statement = format!(
        "SELECT {columns}, k.key_alias, t.team_alias FROM spend_logs s \
         LEFT JOIN virtual_keys k ON k.key_id = s.key_id LEFT JOIN teams t ON t.team_id = s.team_id \
         {which} ORDER BY {} {direction}, s.event_id LIMIT {limit} OFFSET {offset}",
        page.sort.expression()
    );
    let found = conditions
        .fetch(&mut *store.read().await?, statement)
        .await?;
    found.iter().map(read_log).collect()
}

fn read_log(row: &AnyRow) -> Result<LogRow, StoreError> {
    Ok(LogRow {
        row: read_row(row)?,
        key_alias: row.try_get("key_alias")?,
        team_alias: row.try_get("team_alias")?,
    })
}

/// How many requests there are, as far as they are counted, and whether there may be more.
pub async fn count(store: &Store, filter: &Filter) -> Result<(u64, bool), StoreError> {
    let mut conditions = filter.conditions();
    let most = conditions.number(signed(MOST_COUNTED));
    let statement = format!(
        "SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM spend_logs s {} LIMIT {most}) AS counted",
        conditions.clause()
    );
    let rows = conditions
        .fetch(&mut *store.read().await?, statement)
        .await?;
    let row = rows
        .first()
        .ok_or(StoreError::Failed(sqlx::Error::RowNotFound))?;
    let found = unsigned(row.try_get("found")?);
    Ok((found, found >= MOST_COUNTED))
}

/// Sums of the days from `first` to `last` (`2026-11-23`), in the order of the days.
pub async fn summary(
    store: &Store,
    filter: &Filter,
    (first, last): (&str, &str),
) -> Result<Vec<SummaryRow>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equals("api_key", filter.api_key.as_deref());
    conditions.equals("user_id", filter.user_id.as_deref());
    for (comparison, date) in [(">=", first), ("<=", last)] {
        let place = conditions.text(date);
        conditions.add(format!("date {comparison} {place}"));
    }
    let which = conditions.clause();
    let statement = format!(
        "SELECT date, api_key, user_id, model, CAST(SUM(spend) AS BIGINT) AS spend \
         FROM daily_user_spend {which} GROUP BY date, api_key, user_id, model \
         ORDER BY date, api_key, user_id, model"
    );
    let found = conditions
        .fetch(&mut *store.read().await?, statement)
        .await?;
    found
        .iter()
        .map(|row| {
            Ok(SummaryRow {
                date: row.try_get("date")?,
                api_key: row.try_get("api_key")?,
                user_id: row.try_get("user_id")?,
                model: row.try_get("model")?,
                spend: row.try_get("spend")?,
            })
        })
        .collect()
}

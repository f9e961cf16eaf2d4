//! Sums of single keys, and which keys spent most.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveTime};
use sqlx::{AnyConnection, Row};

use super::{By, DailyRow, Days, Reach, Sums, Which, columns, read_names, read_row, sums};
use crate::store::StoreError;
use crate::store::conditions::Conditions;
use crate::store::outbox::unsigned;

/// What a key spent, nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpend {
    /// Its hash.
    pub api_key: String,
    /// What it spent.
    pub spend: i64,
}

/// The hashes of the `most` keys that spent most, the dearest first.
pub async fn top_keys(
    connection: &mut AnyConnection,
    which: &Which,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    if which.is_everything() {
        let keys = heaviest_keys(connection, &which.days, most).await?;
        return Ok(keys.into_iter().map(|key| key.api_key).collect());
    }
    let keys = sums(connection, which, &[By::ApiKey], Some(most)).await?;
    Ok(keys
        .into_iter()
        .filter_map(|(names, _)| names.into_iter().next())
        .collect())
}

/// How many keys have sums among these.
pub async fn count_keys(connection: &mut AnyConnection, which: &Which) -> Result<u64, StoreError> {
    let (statement, conditions) = if which.is_everything() {
        // Every key is counted once here, and only the last of its days is known: exact for periods that end today.
        let mut conditions = Conditions::default();
        let first = conditions.text(&which.days.first);
        conditions.add(format!("last_date >= {first}"));
        let clause = conditions.clause();
        (
            format!("SELECT COUNT(*) AS found FROM api_key_spend {clause}"),
            conditions,
        )
    } else {
        let (table, _, conditions) = which.source(true);
        let clause = conditions.clause();
        (
            format!("SELECT COUNT(DISTINCT api_key) AS found FROM {table} {clause}"),
            conditions,
        )
    };
    let rows = conditions.fetch(connection, statement).await?;
    let row = rows
        .first()
        .ok_or(StoreError::Failed(sqlx::Error::RowNotFound))?;
    Ok(unsigned(row.try_get("found")?))
}

/// The rows of these keys.
pub async fn of_keys(
    connection: &mut AnyConnection,
    which: &Which,
    keys: &[String],
) -> Result<Vec<DailyRow>, StoreError> {
    let mut rows = Vec::new();
    for keys in keys.chunks(100) {
        let (table, entity, mut conditions) = which.source(true);
        conditions.any_of("api_key", keys);
        let statement = format!(
            "SELECT {} FROM {table} {}",
            columns(entity),
            conditions.clause()
        );
        for row in conditions.fetch(connection, statement).await? {
            rows.push(read_row(&row)?);
        }
    }
    Ok(rows)
}

/// Keys (`By::ApiKey`) or users with requests on or after a day that have ever spent most, the dearest first; '' stands for requests without a
/// user. A report of everybody names these: which ones spent most in its own days would take a look at all of their sums.
pub async fn dearest(
    connection: &mut AnyConnection,
    by: By,
    since: &str,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    let mut conditions = Conditions::default();
    let (from, name, spent) = if by == By::ApiKey {
        let since = conditions.text(since);
        conditions.add(format!("last_date >= {since}"));
        ("api_key_spend", "api_key", "spend")
    } else {
        let midnight = NaiveDate::parse_from_str(since, "%Y-%m-%d").ok();
        let midnight = midnight.map_or(0, |day| {
            day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
        });
        let since = conditions.number(midnight);
        conditions.add(format!("kind = 'user' AND last_ms >= {since}"));
        ("spend_scopes", "object_id", "total")
    };
    let clause = conditions.clause();
    let most = conditions.number(most.into());
    let statement = format!(
        "SELECT {name} AS name FROM {from} {clause} ORDER BY {spent} DESC, {name} DESC LIMIT {most}"
    );
    let rows = conditions.fetch(connection, statement).await?;
    let mut names = match by {
        By::ApiKey => Vec::new(),
        _ => vec![String::new()],
    };
    for row in &rows {
        names.push(row.try_get("name")?);
    }
    Ok(names)
}

/// The sums of these keys or users alone, told apart by `by`.
pub async fn sums_of(
    connection: &mut AnyConnection,
    which: &Which,
    whose: (By, &[String]),
    by: &[By],
) -> Result<Sums, StoreError> {
    let mut all = Vec::new();
    for part in parts(which, whose) {
        all.extend(sums(connection, &part, by, None).await?);
    }
    Ok(all)
}

/// What was spent on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySpend {
    /// The day.
    pub date: String,
    /// Nano-dollars.
    pub spend: i64,
    /// Tokens of prompts and answers.
    pub tokens: i64,
}

/// What these keys or users spent each day, told apart by `by`. A report of everybody reads tens of thousands of these: the days of one
/// come as one row, because the way of a row from the database costs more than what is in it.
pub async fn spent_by_day(
    connection: &mut AnyConnection,
    which: &Which,
    whose: (By, &[String]),
    by: &[By],
) -> Result<Vec<(Vec<String>, Vec<DaySpend>)>, StoreError> {
    let mut all = Vec::new();
    for part in parts(which, whose) {
        let (table, entity, conditions) = part.source(true);
        let names = by.iter().map(|by| by.column(entity)).collect::<Vec<_>>();
        let (names, clause) = (names.join(", "), conditions.clause());
        let statement = format!(
            "SELECT {names}, STRING_AGG(date || ' ' || CAST(spend AS TEXT) || ' ' || CAST(tokens AS TEXT), ',') FROM \
             (SELECT {names}, date, CAST(SUM(spend) AS BIGINT) AS spend, \
             CAST(SUM(prompt_tokens + completion_tokens) AS BIGINT) AS tokens \
             FROM {table} {clause} GROUP BY {names}, date) AS days GROUP BY {names} ORDER BY {names}"
        );
        for row in conditions.fetch(connection, statement).await? {
            let packed: String = row.try_get(by.len())?;
            let days = packed.split(',').map(|day| {
                read_day(day).ok_or_else(|| StoreError::Corrupt(format!("{table}: {day:?}")))
            });
            all.push((read_names(&row, by)?, days.collect::<Result<_, _>>()?));
        }
    }
    Ok(all)
}

/// `2026-11-23 1000 30`.
fn read_day(text: &str) -> Option<DaySpend> {
    let mut words = text.split(' ');
    let day = DaySpend {
        date: words.next()?.to_owned(),
        spend: words.next()?.parse().ok()?,
        tokens: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(day)
}

/// What is asked of all, asked of a hundred of these keys or users at a time.
fn parts<'a>(
    which: &'a Which,
    (of, names): (By, &'a [String]),
) -> impl Iterator<Item = Which> + 'a {
    names.chunks(100).map(move |names| {
        let mut part = which.clone();
        match of {
            By::ApiKey => part.api_keys = Some(names.to_vec()),
            _ => part.reach = Reach::These(names.to_vec()),
        }
        part
    })
}

/// Keys that are looked at for the ones that spent most: where hundreds spend alike, which of them is first says little, and adding all of them
/// up would take seconds.
const MOST_LOOKED_AT: i64 = 512;

/// The `most` keys that spent most in these days. Where these are all days there are, what keys ever spent says it. Else keys are looked at in
/// the order of what they have ever spent, which is at least what they spent in these days: once the next one ever spent less than the last of
/// the best, no other can be among them. The search ends after [`MOST_LOOKED_AT`] all the same, or after `most` where that is more.
pub async fn heaviest_keys(
    connection: &mut AnyConnection,
    days: &Days,
    most: u32,
) -> Result<Vec<KeySpend>, StoreError> {
    if is_whole(connection, days).await? {
        return spent_ever(connection, most).await;
    }
    let longest = MOST_LOOKED_AT.max(most.into());
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut best: Vec<KeySpend> = Vec::new();
    let (mut looked_at, mut part) = (0_i64, 256_i64);
    loop {
        let candidates = candidates(connection, days, looked_at, part).await?;
        let Some(least) = candidates.values().map(|(ever, _)| *ever).min() else {
            break;
        };
        let found = i64::try_from(candidates.len()).unwrap_or(i64::MAX);
        best.extend(candidates.into_iter().filter_map(|(api_key, (_, spend))| {
            let spend = spend?;
            Some(KeySpend { api_key, spend })
        }));
        best.sort_by(|a, b| {
            b.spend
                .cmp(&a.spend)
                .then_with(|| a.api_key.cmp(&b.api_key))
        });
        best.truncate(most);
        let full = best.len() == most;
        if found < part || (full && best.last().is_some_and(|last| last.spend >= least)) {
            break;
        }
        looked_at += part;
        part = (part * 4).min(longest - looked_at);
        if part <= 0 {
            break;
        }
    }
    Ok(best)
}

/// Whether no request is of another day.
async fn is_whole(connection: &mut AnyConnection, days: &Days) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(date) AS first, MAX(date) AS last FROM daily_spend WHERE kind = 'all'",
    )
    .fetch_one(connection)
    .await?;
    let (first, last): (Option<String>, Option<String>) =
        (row.try_get("first")?, row.try_get("last")?);
    Ok(first.is_none_or(|first| days.first <= first) && last.is_none_or(|last| days.last >= last))
}

/// The `most` keys that ever spent most.
async fn spent_ever(
    connection: &mut AnyConnection,
    most: u32,
) -> Result<Vec<KeySpend>, StoreError> {
    let rows = sqlx::query(
        "SELECT api_key, spend FROM api_key_spend ORDER BY spend DESC, api_key LIMIT $1",
    )
    .bind(i64::from(most))
    .fetch_all(connection)
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(KeySpend {
            api_key: row.try_get("api_key")?,
            spend: row.try_get("spend")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Some keys in the order of what they ever spent: hash → that, and what they spent in these days (none: no request).
async fn candidates(
    connection: &mut AnyConnection,
    days: &Days,
    offset: i64,
    limit: i64,
) -> Result<BTreeMap<String, (i64, Option<i64>)>, StoreError> {
    let mut values = Conditions::default();
    let (first, last) = (values.text(&days.first), values.text(&days.last));
    let (limit, offset) = (values.number(limit), values.number(offset));
    let statement = format!(
        "SELECT c.api_key, c.spend AS ever, CAST(SUM(d.spend) AS BIGINT) AS spend FROM \
         (SELECT api_key, spend FROM api_key_spend WHERE last_date >= {first} \
         ORDER BY spend DESC, api_key DESC LIMIT {limit} OFFSET {offset}) AS c \
         LEFT JOIN daily_user_spend d ON d.api_key = c.api_key AND d.date >= {first} AND d.date <= {last} \
         GROUP BY c.api_key, c.spend"
    );
    let rows = values.fetch(connection, statement).await?;
    rows.iter()
        .map(|row| {
            let spend = (row.try_get("ever")?, row.try_get("spend")?);
            Ok((row.try_get("api_key")?, spend))
        })
        .collect()
}

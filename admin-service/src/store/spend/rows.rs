//! The spend log's rows: written once per event and version, read back when a higher version comes.

use std::collections::BTreeMap;

use contract::id::ReservationId;
use contract::money::NanoUsd;
use contract::redis_key::Partition;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::SpendRow;
use super::parts::{AnyQuery, LONGEST, insert, padded};
use crate::store::outbox::{placeholders, signed, unsigned};
use crate::store::{StoreError, Tx};

pub(super) const COLUMNS: [&str; 28] = [
    "event_id",
    "version",
    "partition_no",
    "settled_ms",
    "admitted_ms",
    "duration_ms",
    "first_byte_ms",
    "request_id",
    "call_type",
    "api_key",
    "key_id",
    "user_id",
    "team_id",
    "organization_id",
    "end_user",
    "model",
    "model_group",
    "custom_llm_provider",
    "http_status",
    "exact",
    "spend",
    "prompt_tokens",
    "completion_tokens",
    "token_kinds",
    "request_tags",
    "requester_ip_address",
    "windows",
    "charged",
];

/// Rows of these events, as far as there are any.
pub(super) async fn read(
    connection: &mut AnyConnection,
    ids: &[ReservationId],
) -> Result<BTreeMap<ReservationId, SpendRow>, StoreError> {
    let mut found = BTreeMap::new();
    for ids in ids.chunks(LONGEST) {
        let ids = padded(ids);
        let (columns, places) = (COLUMNS.join(", "), placeholders(1, ids.len()));
        let mut query = sqlx::query(AssertSqlSafe(format!(
            "SELECT {columns} FROM spend_logs WHERE event_id IN ({places})"
        )));
        for id in ids {
            query = query.bind(id.to_string());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let row = read_row(&row)?;
            found.insert(row.event_id, row);
        }
    }
    Ok(found)
}

/// Inserts rows, each only over a lower version.
pub(super) async fn write(tx: &mut Tx, rows: &[SpendRow]) -> Result<(), StoreError> {
    let set = COLUMNS[1..]
        .iter()
        .map(|column| format!("{column} = excluded.{column}"));
    let over_lower = format!(
        "ON CONFLICT (event_id) DO UPDATE SET {} WHERE excluded.version > spend_logs.version",
        set.collect::<Vec<_>>().join(", ")
    );
    insert(tx, ("spend_logs", &COLUMNS, &over_lower), rows, bind).await
}

fn bind(query: AnyQuery, row: &SpendRow) -> AnyQuery {
    query
        .bind(row.event_id.to_string())
        .bind(i16::from(row.version))
        .bind(i64::from(row.partition.0))
        .bind(signed(row.settled_ms))
        .bind(signed(row.admitted_ms))
        .bind(signed(row.duration_ms))
        .bind(row.first_byte_ms.map(signed))
        .bind(row.request_id.clone())
        .bind(row.call_type.clone())
        .bind(row.api_key.clone())
        .bind(row.key_id.clone())
        .bind(row.user_id.clone())
        .bind(row.team_id.clone())
        .bind(row.organization_id.clone())
        .bind(row.end_user.clone())
        .bind(row.model.clone())
        .bind(row.model_group.clone())
        .bind(row.provider.clone())
        .bind(i64::from(row.http_status))
        .bind(i16::from(row.exact))
        .bind(signed(row.spend.get()))
        .bind(signed(row.usage.prompt_tokens()))
        .bind(signed(row.usage.completion_tokens()))
        .bind(text(&row.usage))
        .bind(text(&row.tags))
        .bind(row.client_ip.clone())
        .bind(if row.windows.is_empty() {
            String::new()
        } else {
            text(&row.windows)
        })
        .bind(if row.charged.is_empty() {
            String::new()
        } else {
            text(&row.charged)
        })
}

/// JSON of a value that always has one.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn read_row(row: &AnyRow) -> Result<SpendRow, StoreError> {
    let event_id: String = row.try_get("event_id")?;
    let number = |column: &str| Ok::<_, StoreError>(unsigned(row.try_get(column)?));
    let string = |column: &str| Ok::<String, StoreError>(row.try_get(column)?);
    let small = |column: &str| Ok::<i64, StoreError>(row.try_get::<i16, _>(column)?.into());
    let corrupt = |column: &str| StoreError::Corrupt(format!("spend_logs.{column} of {event_id}"));
    Ok(SpendRow {
        event_id: ReservationId::parse(&event_id).ok_or_else(|| corrupt("event_id"))?,
        version: u8::try_from(small("version")?).map_err(|_| corrupt("version"))?,
        partition: partition(row)?,
        settled_ms: number("settled_ms")?,
        admitted_ms: number("admitted_ms")?,
        duration_ms: number("duration_ms")?,
        first_byte_ms: row
            .try_get::<Option<i64>, _>("first_byte_ms")?
            .map(unsigned),
        request_id: string("request_id")?,
        call_type: string("call_type")?,
        api_key: string("api_key")?,
        key_id: string("key_id")?,
        user_id: string("user_id")?,
        team_id: string("team_id")?,
        organization_id: string("organization_id")?,
        end_user: string("end_user")?,
        model: string("model")?,
        model_group: string("model_group")?,
        provider: string("custom_llm_provider")?,
        http_status: u16::try_from(number("http_status")?).map_err(|_| corrupt("http_status"))?,
        exact: small("exact")? != 0,
        spend: NanoUsd::new(number("spend")?).ok_or_else(|| corrupt("spend"))?,
        usage: json(&string("token_kinds")?).ok_or_else(|| corrupt("token_kinds"))?,
        tags: json(&string("request_tags")?).ok_or_else(|| corrupt("request_tags"))?,
        client_ip: string("requester_ip_address")?,
        windows: match string("windows")?.as_str() {
            "" => BTreeMap::new(),
            text => json(text).ok_or_else(|| corrupt("windows"))?,
        },
        charged: charged(row)?,
    })
}

/// The names that a row's `charged` lists.
pub(super) fn charged(row: &AnyRow) -> Result<Vec<String>, StoreError> {
    let text: String = row.try_get("charged")?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    json(&text).ok_or_else(|| StoreError::Corrupt(format!("spend_logs.charged = {text:?}")))
}

fn json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The row's partition.
pub(super) fn partition(row: &AnyRow) -> Result<Partition, StoreError> {
    let number: i64 = row.try_get("partition_no")?;
    let partition = u16::try_from(number).ok().map(Partition);
    partition.ok_or_else(|| StoreError::Corrupt(format!("partition_no = {number}")))
}

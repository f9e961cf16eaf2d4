//! The entry that the filter's settlement (or a sweep) puts on the spend stream and the ledger turns into a row.

use serde::{Deserialize, Serialize};

use crate::id::{KeyId, OrganizationId, ReservationId, TeamId, UserId};
use crate::money::NanoUsd;
use crate::redis_key::RecordId;
use crate::usage::Usage;
use crate::virtual_key::KeyHash;
use crate::window::BudgetWindow;

/// Stream field names: id (32 hex digits), version, worker, sequence, cost (nano-dollars), admission time (Redis ms), body (JSON).
pub mod field {
    /// The event's id.
    pub const ID: &str = "i";
    /// `0` swept, `1` settled.
    pub const VERSION: &str = "v";
    /// The worker that settled; empty when swept.
    pub const WORKER: &str = "w";
    /// The worker's sequence number in this partition; `0` when swept.
    pub const SEQUENCE: &str = "q";
    /// Nano-dollars charged.
    pub const COST: &str = "c";
    /// Redis time of the admission, ms.
    pub const ADMITTED: &str = "a";
    /// [`super::SpendBody`] as JSON.
    pub const BODY: &str = "b";
}

/// One answered request as the stream carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendEvent {
    /// The reservation's id: the same event is never counted twice.
    pub id: ReservationId,
    /// 0: charged by a sweep as reserved; 1: settled by the filter. The higher one stands.
    pub version: u8,
    /// The worker (16 hex digits) that settled, empty when swept.
    pub worker: String,
    /// Its sequence number in this partition, from 1; 0 when swept.
    pub sequence: u64,
    /// What was charged.
    pub cost: NanoUsd,
    /// Redis time of the admission, ms.
    pub admitted_ms: u64,
    /// The rest.
    pub body: SpendBody,
}

/// What the spend log says about a request, beyond what the scripts need. Sent at admission with the reserved figures (a sweep charges
/// those), and again at settlement with the real ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendBody {
    /// The key.
    #[serde(rename = "k")]
    pub key: KeyId,
    /// The hash the client presented.
    #[serde(rename = "h")]
    pub hash: KeyHash,
    /// The key's user.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The key's team.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// The key's organization, or its team's.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The model billed, after aliases.
    #[serde(rename = "m")]
    pub model: String,
    /// The model the client named: LiteLLM's `model_group`.
    #[serde(rename = "g")]
    pub model_group: String,
    /// The provider.
    #[serde(rename = "p")]
    pub provider: String,
    /// LiteLLM's `call_type`, such as `acompletion`.
    #[serde(rename = "r")]
    pub call_type: String,
    /// HTTP status of the answer; 0 where none came.
    #[serde(rename = "s", default)]
    pub status: u16,
    /// What was consumed.
    #[serde(rename = "n", default)]
    pub usage: Usage,
    /// Whether `usage` is the provider's own count.
    #[serde(rename = "x", default)]
    pub exact: bool,
    /// Milliseconds from admission to the first byte of the answer.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// Milliseconds from admission to the end.
    #[serde(rename = "d", default)]
    pub duration_ms: u64,
    /// The provider's response id (`chatcmpl-…`), LiteLLM's `request_id`; the event's id where there is none.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The client's address as Envoy saw it.
    #[serde(rename = "ip", default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// The end user the request named (customer).
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// Request tags.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Every scope that is charged beside the key's, its user's, its team's and its membership's own.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub charged: Vec<ChargedScope>,
}

/// A scope that a request was charged in. The names of the others follow from key, user and team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargedScope {
    /// The scope.
    #[serde(rename = "i")]
    pub id: RecordId,
    /// The window of its budget, from the admission on; [`BudgetWindow::Lifetime`] where it has none.
    #[serde(
        rename = "w",
        default,
        skip_serializing_if = "BudgetWindow::is_lifetime"
    )]
    pub window: BudgetWindow,
}

/// Why a stream entry is no spend event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEvent {
    /// The field that is missing or wrong.
    pub field: &'static str,
}

impl SpendEvent {
    /// Reads a stream entry's fields, in any order.
    pub fn decode<'a>(
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, BadEvent> {
        const NAMES: [&str; 7] = [
            field::ID,
            field::VERSION,
            field::WORKER,
            field::SEQUENCE,
            field::COST,
            field::ADMITTED,
            field::BODY,
        ];
        let mut found: [Option<&[u8]>; 7] = [None; 7];
        for (name, value) in fields {
            for (known, slot) in NAMES.iter().zip(&mut found) {
                if known.as_bytes() == name {
                    *slot = Some(value);
                }
            }
        }
        let [id, version, worker, sequence, cost, admitted, body] = found;
        let bad = |field| BadEvent { field };
        let text = |value: Option<&'a [u8]>, field| {
            value
                .and_then(|value| std::str::from_utf8(value).ok())
                .ok_or(bad(field))
        };
        let number = |value, field| text(value, field)?.parse::<u64>().map_err(|_| bad(field));
        Ok(Self {
            id: ReservationId::parse(text(id, field::ID)?).ok_or(bad(field::ID))?,
            version: text(version, field::VERSION)?
                .parse()
                .map_err(|_| bad(field::VERSION))?,
            worker: text(worker, field::WORKER)?.to_owned(),
            sequence: number(sequence, field::SEQUENCE)?,
            cost: NanoUsd::new(number(cost, field::COST)?).ok_or(bad(field::COST))?,
            admitted_ms: number(admitted, field::ADMITTED)?,
            body: body
                .and_then(|json| serde_json::from_slice(json).ok())
                .ok_or(bad(field::BODY))?,
        })
    }
}

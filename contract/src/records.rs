//! What Redis holds about a key, its owners, a member and a model. Written by the admin service alone, read by the filter.
//!
//! Every record is stored as [`Versioned`]: sixteen digits of revision, then JSON. Deletion is [`Record::Deleted`], never an absent key.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, KeyId, OrganizationId, Rev, TeamId, UserId};
use crate::limits::{Budget, Limits};
use crate::price::ModelPrice;
use crate::redis_key::{Partition, RecordId};

/// A value and the revision it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The revision.
    pub rev: Rev,
    /// The value.
    pub value: T,
}

impl<T: Serialize> Versioned<T> {
    /// Sixteen digits and JSON.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        Ok(format!(
            "{}{}",
            self.rev,
            serde_json::to_string(&self.value)?
        ))
    }
}

impl<T: DeserializeOwned> Versioned<T> {
    /// Reads what [`Versioned::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (digits, json) = bytes.split_at_checked(16)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let rev = std::str::from_utf8(digits)
            .ok()?
            .parse()
            .ok()
            .and_then(Rev::new)?;
        Some(Self {
            rev,
            value: serde_json::from_slice(json).ok()?,
        })
    }
}

/// Where a virtual key's hash leads: `tk:{i<N>}:ix:<hash>`, [`Versioned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The key's home partition.
    pub home: Partition,
    /// Records of the key, then of its user, team, membership and organization (its own, else its team's) where it has them. The first is
    /// always the key's own.
    pub records: Vec<RecordId>,
    /// Redis time in milliseconds from which this hash is no longer valid: the old hash of a rotated key within its grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// A record of a partition.
// Externally tagged: serde buffers internally tagged values, and a buffered number no longer reads as an integer when some crate of the
// build turns on serde_json's `arbitrary_precision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// A virtual key.
    Key(KeyRecord),
    /// A user.
    User(UserRecord),
    /// A team.
    Team(TeamRecord),
    /// A user's membership of a team.
    Member(MemberRecord),
    /// An organization.
    Organization(OrganizationRecord),
    /// A customer (end user). No index entry names it: the filter reads it once a request has named the customer, and an absent one has the
    /// limits of [`ProxySettings::customer_default`].
    Customer(CustomerRecord),
    /// It was deleted; kept until a full reconcile so that an older push cannot bring it back.
    Deleted,
}

/// A virtual key's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The stable id.
    pub id: KeyId,
    /// `sk-...abcd`.
    pub display: String,
    /// The alias, for messages and the spend log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Blocked by an admin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Redis time in milliseconds from which the key is expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Models it may call: names, `*` patterns, access groups, `all-team-models`, `all-proxy-models`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Model names that this key replaces by others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// Routes it may call: paths, `*`-terminated prefixes, group names such as `llm_api_routes`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_routes: Vec<String>,
    /// Its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// Its organization: its own, else its team's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Tags that every request of the key carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The master key: administration, and calls where the settings allow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub master: bool,
    /// Its own limits.
    #[serde(default)]
    pub limits: Limits,
    /// Limits over all keys of its user in its organization, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_member: Option<Box<Limits>>,
}

/// A user's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The id.
    pub id: UserId,
    /// Blocked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Whether the role may call models (`proxy_admin_viewer` may not).
    #[serde(default = "yes")]
    pub may_call_models: bool,
    /// Models of the user's personal keys (keys without team). Empty: all; `no-default-models`: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Limits over all of the user's keys; the budget binds personal keys only.
    #[serde(default)]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

/// A team's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// The id.
    pub id: TeamId,
    /// The alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Blocked by an admin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Models of the team's keys. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Model names that the team replaces by others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// Tags that every request of the team's keys carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Limits over all of the team's keys.
    #[serde(default)]
    pub limits: Limits,
}

/// A membership's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The team.
    pub team: TeamId,
    /// The user.
    pub user: UserId,
    /// Models of this user's keys in this team. Empty: all of the team's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Limits of this user's keys in this team.
    #[serde(default)]
    pub limits: Limits,
}

/// An organization's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationRecord {
    /// The id.
    pub id: OrganizationId,
    /// The alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Models of the organization's keys. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Limits over all keys of the organization and of its teams.
    #[serde(default)]
    pub limits: Limits,
}

/// A customer's state: `tk:{p}:rec:c:<hash of the id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRecord {
    /// The id as requests name it.
    pub id: CustomerId,
    /// Blocked by an admin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Models that requests naming the customer may call. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Limits over all requests that name the customer, whatever their key.
    #[serde(default)]
    pub limits: Limits,
}

/// A model that clients may name: `tk:{i<N>}:model:<name>`, [`Versioned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// The name clients use, after aliases; scopes and spend rows carry it.
    pub name: String,
    /// The name the provider knows; the body is rewritten where it differs.
    pub upstream: String,
    /// The provider, such as `openai` or `anthropic`: routes pick clusters by it.
    pub provider: String,
    /// LiteLLM's mode (`chat`, `embedding`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Most tokens the model reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u64>,
    /// Most tokens the model writes in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// The price; unknown is not free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ModelPrice>,
    /// Limits over all requests for the model; further windows and models of them mean nothing.
    #[serde(default, skip_serializing_if = "Limits::is_unlimited")]
    pub limits: Limits,
}

/// Settings that hold for the whole proxy: `tk:{i<N>}:settings`, [`Versioned`] by the catalogue's revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxySettings {
    /// Models that `GET /v1/models` lists for a key that may call all.
    pub models: Vec<String>,
    /// Access groups: name → models.
    pub access_groups: BTreeMap<String, Vec<String>>,
    /// Status of a denial by budget: LiteLLM's `budget_exceeded_status_code`, 400 to 499.
    pub budget_exceeded_status: u16,
    /// Models that are one team's own: the name, and the team whose keys alone may call it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub team_models: BTreeMap<String, TeamId>,
    /// Whether the master key may call models.
    pub master_key_can_call_models: bool,
    /// Whether a user's budget binds team keys too.
    pub apply_user_budget_to_team_keys: bool,
    /// Tags that were created, with their limits. Requests may carry others, which limit nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Limits>,
    /// What everybody together may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Limits of a customer without a record.
    #[serde(skip_serializing_if = "Limits::is_unlimited")]
    pub customer_default: Limits,
    /// The one header in which virtual keys are looked for, in lower case and one that [`crate::key_header::is_free`]: LiteLLM's
    /// `litellm_key_header_name`. Without it every header that LiteLLM knows is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_header: Option<String>,
    /// A request header that names the customer, in lower case: LiteLLM's `user_header_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_header_name: Option<String>,
    /// Request headers that name the customer, in lower case and in order: those of LiteLLM's `user_header_mappings` whose role is `customer`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_header_mappings: Vec<String>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            access_groups: BTreeMap::new(),
            budget_exceeded_status: 422,
            team_models: BTreeMap::new(),
            master_key_can_call_models: true,
            apply_user_budget_to_team_keys: false,
            tags: BTreeMap::new(),
            budget: None,
            customer_default: Limits::default(),
            key_header: None,
            user_header_name: None,
            user_header_mappings: Vec::new(),
        }
    }
}

/// The marker that opens a partition or an index: `tk:{p<N>}:ready`, `tk:{i<N>}:ready`. Text `P:catalogue:full:run id`: P five digits,
/// the other two numbers sixteen, so that scripts cut it by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Number of partitions.
    pub partitions: u16,
    /// Revision of prices, models, aliases, access groups and proxy-wide settings.
    pub catalogue: Rev,
    /// Redis time in ms from which scopes with a parallel limit or a budget admit again: one renewal interval after a wipe, so that live
    /// reservations have re-registered; 0 on a first start.
    pub full_ms: u64,
    /// Redis's `run_id` at the time of opening.
    pub run_id: String,
}

impl Ready {
    /// The marker's text.
    pub fn encode(&self) -> String {
        format!(
            "{:05}:{}:{:016}:{}",
            self.partitions, self.catalogue, self.full_ms, self.run_id
        )
    }

    /// Reads what [`Ready::encode`] wrote; `None` for anything else, were it only shorter by a zero.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.splitn(4, ':');
        let ready = Self {
            partitions: parts.next()?.parse().ok()?,
            catalogue: parts.next()?.parse().ok().and_then(Rev::new)?,
            full_ms: parts.next()?.parse().ok()?,
            run_id: parts.next()?.to_owned(),
        };
        (ready.encode().as_bytes() == bytes).then_some(ready)
    }
}

//! Spend events put on the stream as the scripts put them.

use contract::id::{KeyId, OrganizationId, ReservationId, TeamId, UserId};
use contract::redis_key;
use contract::spend_event::SpendBody;
use contract::usage::Usage;
use contract::virtual_key::VirtualKey;
use serde_json::Value;
use tollkeeper_admin::publish::refuse_error;

use super::gateway::{P0, spend_body};
use super::redis::TestRedis;
use super::rows::Key;

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: u64,
    pub version: u8,
    /// Nano-dollars.
    pub cost: u64,
    pub admitted_ms: u64,
    /// Redis time of the entry, ms; now, if none.
    pub settled_ms: Option<u64>,
    pub body: SpendBody,
}

impl Request {
    /// A request with a key that was written directly.
    pub fn with_key(id: u64, key: &Key, admitted_ms: u64, cost: u64) -> Self {
        Self {
            id,
            version: 1,
            cost,
            admitted_ms,
            settled_ms: None,
            body: spend_body(key, 10),
        }
    }

    /// A request with a key of the API's making, at a time.
    pub fn of(id: u64, key: &Value, admitted_ms: u64, cost: u64) -> Self {
        let text = |name: &str| key[name].as_str();
        let secret = text("key").expect("a new key");
        let hash = VirtualKey::parse(secret.as_bytes()).expect("a key").hash();
        Self {
            id,
            version: 1,
            cost,
            admitted_ms,
            settled_ms: None,
            body: SpendBody {
                // No answer shows a key's id; what spend is shown by is its hash.
                key: KeyId::new(format!("id-of-{hash}")),
                hash,
                user: text("user_id").map(UserId::new),
                team: text("team_id").map(TeamId::new),
                organization: text("organization_id").map(OrganizationId::new),
                model: "gpt-4o".to_owned(),
                model_group: "gpt-4o".to_owned(),
                provider: "openai".to_owned(),
                call_type: "acompletion".to_owned(),
                status: 200,
                usage: Usage {
                    input: 10,
                    output: 20,
                    ..Usage::default()
                },
                exact: true,
                first_byte_ms: Some(5),
                duration_ms: 12,
                response_id: Some(format!("chatcmpl-{id}")),
                client_ip: Some("127.0.0.1".to_owned()),
                end_user: None,
                tags: Vec::new(),
                charged: Vec::new(),
            },
        }
    }

    /// The same with a changed body.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut SpendBody)) -> Self {
        change(&mut self.body);
        self
    }

    /// Puts it on the stream.
    pub async fn put(&self, redis: &TestRedis) {
        let body = serde_json::to_vec(&self.body).expect("JSON");
        let id = ReservationId::from_bytes(u128::from(self.id).to_be_bytes()).to_string();
        let (worker, sequence) = match self.version {
            0 => ("", 0),
            _ => ("00000000000000aa", self.id),
        };
        let numbers = [
            u64::from(self.version),
            sequence,
            self.cost,
            self.admitted_ms,
        ];
        let [version, sequence, cost, admitted] = numbers.map(|number| number.to_string());
        let stream = redis_key::spend(P0);
        let at = self.settled_ms.map(|ms| format!("{ms}-{}", self.id));
        let at = at.as_deref().unwrap_or("*");
        let args = [
            "XADD", &stream, at, "i", &id, "v", &version, "w", worker, "q", &sequence, "c", &cost,
            "a", &admitted, "b",
        ];
        let mut args = args.map(str::as_bytes).to_vec();
        args.push(&body);
        let reply = redis.link.command(&args).await.expect("Redis answers");
        refuse_error(reply).expect("added");
    }
}

//! What one worker of the gateway does to Redis, through the contract's own calls.

use contract::id::{KeyId, ReservationId, Rev, TeamId, UserId};
use contract::limits::Limits;
use contract::money::NanoUsd;
use contract::records::{Ready, Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::script::{
    Admit, AdmitAnswer, Renew, RenewAnswer, Renewal, ScopeLimits, ScopeWindow, Settle,
    SettleAnswer, Settlement,
};
use contract::spend_event::{ChargedScope, SpendBody};
use contract::usage::Usage;
use tollkeeper_admin::publish::{Link, LinkError};

use super::redis::{TestRedis, get};
use super::rows::Key;

pub const P0: Partition = Partition(0);
const WORKER: &str = "00000000000000aa";

/// A worker with its settlement sequence.
pub struct Worker {
    link: Link,
    pub name: String,
    pub sequence: u64,
    next_id: u128,
}

/// A request that was admitted.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub id: ReservationId,
    pub at_ms: u64,
    pub body: Vec<u8>,
    pub scopes: Vec<(RecordId, Limits)>,
}

impl Worker {
    pub fn new(redis: &TestRedis) -> Self {
        Self {
            link: redis.link.clone(),
            name: WORKER.to_owned(),
            sequence: 0,
            next_id: 1,
        }
    }

    fn id(&mut self) -> ReservationId {
        let id = ReservationId::from_bytes(self.next_id.to_be_bytes());
        self.next_id += 1;
        id
    }

    /// The scopes of a key as Redis has them now: its own and its owners' records.
    pub async fn scopes(&self, key: &Key) -> Vec<(RecordId, Rev, Limits)> {
        let mut names = vec![key.record()];
        let user = key.user.as_deref().map(UserId::new);
        let team = key.team.as_deref().map(TeamId::new);
        names.extend(user.as_ref().map(RecordId::user));
        names.extend(team.as_ref().map(RecordId::team));
        if let (Some(team), Some(user)) = (&team, &user) {
            names.push(RecordId::member(team, user));
        }
        let mut scopes = Vec::new();
        for name in names {
            let stored = get(&self.link, &redis_key::record(P0, &name)).await;
            let stored = stored.unwrap_or_else(|| panic!("{name} is not in Redis"));
            let record = Versioned::<Record>::decode(&stored).expect("a record");
            let limits = match record.value {
                Record::Key(key) => key.limits,
                Record::User(user) => user.limits,
                Record::Team(team) => team.limits,
                Record::Member(member) => member.limits,
                Record::Organization(organization) => organization.limits,
                Record::Customer(customer) => customer.limits,
                Record::Deleted => Limits::default(),
            };
            scopes.push((name, record.rev, limits));
        }
        scopes
    }

    pub async fn ready(&self) -> Option<Ready> {
        Ready::decode(&get(&self.link, &redis_key::ready(P0)).await?)
    }

    /// Asks for one request of ten tokens that reserves `cost`.
    pub async fn admit(&mut self, key: &Key, cost: u64) -> (AdmitAnswer, Admitted) {
        let mut scopes = self.scopes(key).await;
        let mut body = spend_body(key, 10);
        // Every further window is a scope of its own, and what the ledger is told about it.
        for (name, rev, limits) in scopes.clone() {
            for (duration, budget) in limits.windows {
                let id = name.window(&duration);
                let window = budget.window.clone();
                body.charged.push(ChargedScope {
                    id: id.clone(),
                    window,
                });
                let budget = Some(budget);
                let limits = Limits {
                    budget,
                    ..Limits::default()
                };
                scopes.push((id, rev, limits));
            }
        }
        let catalogue = self
            .ready()
            .await
            .map_or(Rev::default(), |ready| ready.catalogue);
        let id = self.id();
        let body = serde_json::to_vec(&body).expect("JSON");
        let records = scopes
            .iter()
            .filter(|(name, ..)| !name.as_str().contains('~'))
            .map(|(name, rev, _)| (name.clone(), *rev))
            .collect::<Vec<_>>();
        let limits = scopes
            .iter()
            .map(|(id, _, limits)| ScopeLimits { id, limits });
        let limits = limits.collect::<Vec<_>>();
        let call = Admit {
            partition: P0,
            partitions: 1,
            id,
            worker: &self.name,
            not_after_ms: 0,
            travel_ms: 200,
            catalogue,
            records: &records,
            scopes: &limits,
            tokens: 10,
            cost: NanoUsd::saturating(cost),
            body: &body,
        };
        let answer = self.link.call(&call).await.expect("an answer");
        let at_ms = match &answer {
            AdmitAnswer::Admitted { now_ms, .. } => *now_ms,
            _ => 0,
        };
        let scopes = scopes
            .into_iter()
            .map(|(id, _, limits)| (id, limits))
            .collect();
        (
            answer,
            Admitted {
                id,
                at_ms,
                body,
                scopes,
            },
        )
    }

    /// Asks, and must be admitted.
    pub async fn admitted(&mut self, key: &Key, cost: u64) -> Admitted {
        match self.admit(key, cost).await {
            (AdmitAnswer::Admitted { .. }, admitted) => admitted,
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Settles at `cost`.
    pub async fn settle(&mut self, request: &Admitted, cost: u64) -> SettleAnswer {
        self.sequence += 1;
        let sequence = self.sequence;
        self.settle_as(request, cost, sequence)
            .await
            .expect("an answer")
    }

    /// The same with a sequence of one's own.
    pub async fn settle_as(
        &self,
        request: &Admitted,
        cost: u64,
        first_sequence: u64,
    ) -> Result<SettleAnswer, LinkError> {
        let windows = request.scopes.iter().map(|(id, limits)| ScopeWindow {
            id,
            window: limits.budget.as_ref().map(|budget| &budget.window),
        });
        let windows = windows.collect::<Vec<_>>();
        let item = Settlement {
            id: request.id,
            admitted_ms: request.at_ms,
            tokens: 10,
            cost: NanoUsd::saturating(cost),
            scopes: &windows,
            body: &request.body,
        };
        let call = Settle {
            partition: P0,
            partitions: 1,
            worker: &self.name,
            first_sequence,
            items: &[item],
        };
        self.link.call(&call).await
    }

    /// Renews live requests.
    pub async fn renew(&self, requests: &[&Admitted], cost: u64) -> RenewAnswer {
        let scopes = requests.iter().map(|request| {
            let limits = request
                .scopes
                .iter()
                .map(|(id, limits)| ScopeLimits { id, limits });
            limits.collect::<Vec<_>>()
        });
        let scopes = scopes.collect::<Vec<_>>();
        let items = requests
            .iter()
            .zip(&scopes)
            .map(|(request, scopes)| Renewal {
                id: request.id,
                admitted_ms: request.at_ms,
                tokens: 10,
                cost: NanoUsd::saturating(cost),
                scopes,
                body: &request.body,
            });
        let items = items.collect::<Vec<_>>();
        let call = Renew {
            partition: P0,
            worker: &self.name,
            last_sequence: self.sequence,
            items: &items,
        };
        self.link.call(&call).await.expect("an answer")
    }

    /// One request from admission to settlement.
    pub async fn request(&mut self, key: &Key, cost: u64) {
        let admitted = self.admitted(key, cost).await;
        self.settle(&admitted, cost).await;
    }
}

/// What the spend log is told about a request of `key`.
pub fn spend_body(key: &Key, tokens: u64) -> SpendBody {
    SpendBody {
        key: KeyId::new(key.id.as_str()),
        hash: key.hash(),
        user: key.user.as_deref().map(UserId::new),
        team: key.team.as_deref().map(TeamId::new),
        organization: None,
        model: "gpt-4o-mini".to_owned(),
        model_group: "gpt-4o-mini".to_owned(),
        provider: "openai".to_owned(),
        call_type: "acompletion".to_owned(),
        status: 200,
        usage: Usage {
            input: tokens,
            ..Usage::default()
        },
        exact: true,
        first_byte_ms: Some(5),
        duration_ms: 12,
        response_id: None,
        client_ip: Some("127.0.0.1".to_owned()),
        end_user: None,
        tags: vec!["t1".to_owned()],
        charged: Vec::new(),
    }
}

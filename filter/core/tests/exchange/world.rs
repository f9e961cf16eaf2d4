//! One worker, one Redis, and requests driven the way Envoy would.

use std::collections::{BTreeMap, VecDeque};

use contract::id::{KeyId, Rev, TeamId, UserId};
use contract::limits::{Budget, Limits};
use contract::money::{NanoUsd, PicoUsdPerUnit};
use contract::price::{ModelPrice, Rates};
use contract::records::{
    IndexEntry, KeyRecord, MemberRecord, ModelRecord, ProxySettings, Ready, Record, TeamRecord,
    UserRecord, Versioned,
};
use contract::redis_key::{self, Partition, RecordId};
use contract::resp::Reply;
use contract::virtual_key::VirtualKey;
use contract::window::BudgetWindow;
use filter_core::clock::Now;
use filter_core::config::Config;
use filter_core::effect::Effect;
use filter_core::event::{CallId, Event, Headers, StoreFailure};
use filter_core::exchange::Exchange;
use filter_core::metric::Metric;
use filter_core::worker::Worker;
use serde_json::Value;

use crate::redis::Redis;

pub const P0: Partition = Partition(0);
pub const KEY: &str = "sk-test-key-0123456789abcdef";
/// How far Redis's clock is ahead of Envoy's.
pub const AHEAD: u64 = 7_000_000;
const START: u64 = 1_790_000_000_000;

pub struct World {
    pub worker: Worker,
    pub redis: Redis,
    pub now: u64,
    pub counted: BTreeMap<&'static str, i64>,
    pub logged: Vec<String>,
    rev: u64,
    catalogue: u64,
}

/// A request as far as it came.
pub struct Client {
    pub exchange: Exchange,
    pub effects: Vec<Effect>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let mut world = Self {
            worker: Worker::new(config, [9; 16], Now(START)),
            redis: Redis::default(),
            now: START,
            counted: BTreeMap::new(),
            logged: Vec::new(),
            rev: 0,
            catalogue: 0,
        };
        world.settings(&ProxySettings {
            models: vec![
                "gpt-4o".to_owned(),
                "gpt-3.5-turbo".to_owned(),
                "embed".to_owned(),
            ],
            ..ProxySettings::default()
        });
        world.model("gpt-4o", "openai", Some((2_500_001, 10_000_000)));
        world.model("gpt-3.5-turbo", "openai", Some((500_000, 1_500_000)));
        world.model("claude", "anthropic", None);
        world.model("embed", "openai", Some((100_000, 0)));
        world.raise_catalogue();
        world
    }

    /// A world with one key that has these limits.
    pub fn with_limits(limits: Limits) -> Self {
        let mut world = Self::new();
        world.key(KEY, |key| key.limits = limits);
        world
    }

    pub fn next_rev(&mut self) -> Rev {
        self.rev += 1;
        Rev::new(self.rev).unwrap()
    }

    pub fn settings(&mut self, settings: &ProxySettings) {
        let stored = Versioned {
            rev: self.next_rev(),
            value: settings.clone(),
        };
        self.redis.put(
            redis_key::settings(P0),
            stored.encode().unwrap().into_bytes(),
        );
    }

    /// A model, its prices in picodollars a token.
    pub fn model(&mut self, name: &str, provider: &str, price: Option<(u64, u64)>) {
        self.model_record(&model(name, provider, price));
    }

    pub fn model_record(&mut self, model: &ModelRecord) {
        let stored = Versioned {
            rev: self.next_rev(),
            value: model.clone(),
        };
        self.redis.put(
            redis_key::model(P0, &model.name),
            stored.encode().unwrap().into_bytes(),
        );
    }

    pub fn ready(&self) -> Ready {
        Ready {
            partitions: 1,
            catalogue: Rev::new(self.catalogue).unwrap(),
            full_ms: 0,
            run_id: "run".to_owned(),
        }
    }

    pub fn raise_catalogue(&mut self) {
        self.catalogue = self.next_rev().get();
        let ready = self.ready();
        self.redis.open(&ready);
    }

    pub fn record(&mut self, id: &RecordId, record: Record) {
        let stored = Versioned {
            rev: self.next_rev(),
            value: record,
        };
        self.redis.put(
            redis_key::record(P0, id),
            stored.encode().unwrap().into_bytes(),
        );
    }

    /// Publishes a key without owners.
    pub fn key(&mut self, secret: &str, change: impl FnOnce(&mut KeyRecord)) {
        let mut key = key_record(secret);
        change(&mut key);
        self.publish(secret, key, Vec::new());
    }

    /// Publishes a key and the records it hangs on.
    pub fn publish(&mut self, secret: &str, key: KeyRecord, owners: Vec<(RecordId, Record)>) {
        let mut records = vec![RecordId::key(&key.id)];
        records.extend(owners.iter().map(|(id, _)| id.clone()));
        self.record(&records[0], Record::Key(key));
        for (id, owner) in owners {
            self.record(&id, owner);
        }
        self.index(
            secret,
            &IndexEntry {
                home: P0,
                records,
                until_ms: None,
            },
        );
    }

    pub fn index(&mut self, secret: &str, entry: &IndexEntry) {
        let hash = VirtualKey::parse(secret.as_bytes()).unwrap().hash();
        let stored = Versioned {
            rev: self.next_rev(),
            value: entry.clone(),
        };
        self.redis.put(
            redis_key::index(P0, &hash),
            stored.encode().unwrap().into_bytes(),
        );
    }

    pub fn redis_now(&self) -> u64 {
        self.now + AHEAD
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Measure(metric, by) => {
                    *self.counted.entry(metric.name()).or_default() += by;
                }
                Effect::Log(_, text) => self.logged.push(text.clone()),
                _ => {}
            }
        }
    }

    pub fn count(&self, metric: Metric) -> i64 {
        self.counted.get(metric.name()).copied().unwrap_or(0)
    }

    /// One event, Redis not yet answering what it asks.
    pub fn step(&mut self, client: &mut Client, event: Event<'_>) -> Vec<Effect> {
        let effects = client.exchange.step(&mut self.worker, Now(self.now), event);
        self.note(&effects);
        client.effects.extend(effects.iter().cloned());
        effects
    }

    /// One event, and Redis's answers to everything that follows from it.
    pub fn drive(&mut self, client: &mut Client, event: Event<'_>) {
        let mut calls: VecDeque<_> = calls(&self.step(client, event)).collect();
        while let Some((call, commands, replies)) = calls.pop_front() {
            let answer = self.redis.run(self.redis_now(), &commands, replies);
            let event = Event::Redis {
                call,
                outcome: Ok(&answer),
            };
            let more = self.step(client, event);
            calls.extend(self::calls(&more));
        }
    }

    /// The root context's tick, and Redis's answers.
    pub fn tick(&mut self) {
        let effects = self.worker.tick(Now(self.now));
        self.note(&effects);
        let mut calls: VecDeque<_> = calls(&effects).collect();
        while let Some((call, commands, replies)) = calls.pop_front() {
            let answer = self.redis.run(self.redis_now(), &commands, replies);
            let more = self.worker.redis(Now(self.now), call, Ok(&answer));
            self.note(&more);
            calls.extend(self::calls(&more));
        }
    }

    /// The root context's tick while Redis fails.
    pub fn failing_tick(&mut self, failure: StoreFailure) {
        let effects = self.worker.tick(Now(self.now));
        self.note(&effects);
        for (call, _, _) in calls(&effects).collect::<Vec<_>>() {
            let more = self.worker.redis(Now(self.now), call, Err(failure));
            self.note(&more);
        }
    }

    /// A whole request that waits for what it asked Redis.
    pub fn start(&mut self, body: &str) -> Client {
        let mut client = Client::new();
        let headers = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
        self.step(
            &mut client,
            Event::RequestHeaders {
                headers: &headers,
                end: false,
                peer: None,
            },
        );
        self.step(
            &mut client,
            Event::RequestBody {
                chunk: body.as_bytes(),
                end: true,
            },
        );
        client
    }

    /// Redis's answer to a call arrives.
    pub fn bring(&mut self, client: &mut Client, call: CallId, answer: &[Reply]) {
        let outcome = Ok(answer);
        self.step(client, Event::Redis { call, outcome });
    }

    /// A call brings no answer.
    pub fn fail(&mut self, client: &mut Client, call: CallId, failure: StoreFailure) {
        let outcome = Err(failure);
        self.step(client, Event::Redis { call, outcome });
    }

    /// Sends a whole request and lets Redis answer all it asks.
    pub fn send(&mut self, headers: &Headers, body: &[u8]) -> Client {
        let mut client = Client::new();
        let peer = Some(b"10.1.2.3:4567".as_slice());
        self.drive(
            &mut client,
            Event::RequestHeaders {
                headers,
                end: false,
                peer,
            },
        );
        self.drive(
            &mut client,
            Event::RequestBody {
                chunk: body,
                end: true,
            },
        );
        client
    }

    pub fn post(&mut self, path: &str, body: &str) -> Client {
        self.send(
            &headers("POST", path, &[("authorization", &format!("Bearer {KEY}"))]),
            body.as_bytes(),
        )
    }

    pub fn chat(&mut self, body: &str) -> Client {
        self.post("/v1/chat/completions", body)
    }

    /// The upstream's answer in one piece.
    pub fn answer(&mut self, client: &mut Client, status: &str, body: &str) {
        let headers = pairs(&[(":status", status), ("content-type", "application/json")]);
        self.step(
            client,
            Event::ResponseHeaders {
                headers: &headers,
                end: false,
            },
        );
        self.step(
            client,
            Event::ResponseBody {
                chunk: body.as_bytes(),
                end: true,
            },
        );
        self.step(client, Event::Done);
    }

    /// Tokens in the key's rate window.
    pub fn tokens(&self) -> u64 {
        self.redis.model.true_window(&key_id(), self.redis_now()).1
    }

    pub fn spent(&self, id: &RecordId) -> u64 {
        self.redis.model.figures(id).spent
    }
}

fn calls(effects: &[Effect]) -> impl Iterator<Item = (CallId, Vec<u8>, usize)> + '_ {
    effects.iter().filter_map(|effect| match effect {
        Effect::CallRedis {
            call,
            commands,
            replies,
            ..
        } => Some((*call, commands.clone(), *replies)),
        _ => None,
    })
}

impl Client {
    pub fn new() -> Self {
        Self {
            exchange: Exchange::new(),
            effects: Vec::new(),
        }
    }

    /// The last call: its name, its commands, and how many replies it waits for.
    pub fn asked(&self) -> (CallId, Vec<u8>, usize) {
        calls(&self.effects).last().unwrap()
    }

    /// The call that waits for an answer.
    pub fn call(&self) -> (CallId, u64) {
        let last = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::CallRedis {
                call, timeout_ms, ..
            } => Some((*call, *timeout_ms)),
            _ => None,
        });
        last.unwrap()
    }

    pub fn resumed(&self) -> bool {
        self.effects.contains(&Effect::Resume)
    }

    /// Status, headers and body of our own reply.
    pub fn reply(&self) -> Option<(u16, BTreeMap<String, String>, Value)> {
        let mut replies = self.effects.iter().filter_map(|effect| match effect {
            Effect::Reply {
                status,
                headers,
                body,
            } => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = headers
                    .iter()
                    .map(|(name, value)| (name.clone(), text(value)));
                Some((
                    *status,
                    headers.collect(),
                    serde_json::from_slice(body).unwrap(),
                ))
            }
            _ => None,
        });
        let reply = replies.next();
        assert!(replies.next().is_none(), "one reply at most");
        reply
    }

    /// Status and reason of a refusal.
    pub fn refusal(&self) -> (u16, String) {
        let (status, headers, _) = self.reply().expect("a refusal");
        assert!(!self.resumed(), "refused and sent on");
        (status, headers["x-tollkeeper-refusal"].clone())
    }

    pub fn message(&self) -> String {
        self.reply().unwrap().2["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Values that the upstream sees under a name, by our doing.
    pub fn sent_header(&self, wanted: &str) -> Option<String> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::RequestHeader { name, value } if *name == wanted => {
                value.clone().map(|value| String::from_utf8(value).unwrap())
            }
            _ => None,
        })
    }

    pub fn removed(&self, wanted: &str) -> bool {
        self.effects
            .contains(&Effect::RemoveRequestHeader(wanted.as_bytes().to_vec()))
    }

    /// The last value that the client sees under a name, by our doing.
    pub fn shown_header(&self, wanted: &str) -> Option<String> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::ResponseHeader { name, value } if *name == wanted => {
                Some(value.clone().map(|value| String::from_utf8(value).unwrap()))
            }
            _ => None,
        })?
    }

    /// The body as the upstream gets it.
    pub fn sent_body(&self, body: &str) -> Value {
        let edits = self.effects.iter().find_map(|effect| match effect {
            Effect::EditRequestBody(edits) => Some(edits.as_slice()),
            _ => None,
        });
        let sent = filter_core::json_scan::applied(body.as_bytes(), edits.unwrap_or_default());
        if let Some(length) = self.sent_header("content-length") {
            assert_eq!(length, sent.len().to_string());
        }
        serde_json::from_slice(&sent).unwrap()
    }
}

pub fn pairs(pairs: &[(&str, &str)]) -> Headers {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

pub fn headers(method: &str, path: &str, more: &[(&str, &str)]) -> Headers {
    let mut all = vec![
        (":method", method),
        (":path", path),
        (":authority", "gateway"),
        ("content-type", "application/json"),
    ];
    all.extend_from_slice(more);
    pairs(&all)
}

pub fn key_record(secret: &str) -> KeyRecord {
    let key = VirtualKey::parse(secret.as_bytes()).unwrap();
    KeyRecord {
        id: KeyId::new(format!("id-of-{secret}")),
        display: key.display(),
        alias: None,
        blocked: false,
        expires_ms: None,
        models: Vec::new(),
        aliases: BTreeMap::new(),
        allowed_routes: Vec::new(),
        user: None,
        team: None,
        organization: None,
        tags: Vec::new(),
        master: false,
        limits: Limits::default(),
        organization_member: None,
    }
}

pub fn key_id() -> RecordId {
    RecordId::key(&key_record(KEY).id)
}

pub fn user(id: &str) -> UserRecord {
    UserRecord {
        id: UserId::new(id),
        blocked: false,
        may_call_models: true,
        models: Vec::new(),
        limits: Limits::default(),
    }
}

pub fn team(id: &str) -> TeamRecord {
    TeamRecord {
        id: TeamId::new(id),
        alias: None,
        blocked: false,
        models: Vec::new(),
        aliases: BTreeMap::new(),
        tags: Vec::new(),
        limits: Limits::default(),
    }
}

pub fn member(team: &str, user: &str) -> MemberRecord {
    MemberRecord {
        team: TeamId::new(team),
        user: UserId::new(user),
        models: Vec::new(),
        limits: Limits::default(),
    }
}

pub fn rpm(rpm: u32) -> Limits {
    Limits {
        rpm: Some(rpm),
        ..Limits::default()
    }
}

pub fn budget(dollars: &str) -> Limits {
    let max = NanoUsd::parse(dollars).unwrap();
    Limits {
        budget: Some(Budget {
            max,
            window: BudgetWindow::Lifetime,
        }),
        ..Limits::default()
    }
}

pub const HELLO: &str =
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":20}"#;
pub const BARE: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
pub const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;

/// A model, its prices in picodollars a token.
pub fn model(name: &str, provider: &str, price: Option<(u64, u64)>) -> ModelRecord {
    ModelRecord {
        name: name.to_owned(),
        upstream: format!("{name}-upstream"),
        provider: provider.to_owned(),
        mode: None,
        max_input_tokens: Some(128_000),
        max_output_tokens: Some(16_384),
        price: price.map(|(input, output)| ModelPrice {
            base: Rates {
                input: Some(PicoUsdPerUnit(input)),
                output: Some(PicoUsdPerUnit(output)),
                ..Rates::default()
            },
            ..ModelPrice::default()
        }),
        limits: Limits::default(),
    }
}

/// A model of `OpenAI`'s that has a price.
pub fn priced(name: &str) -> ModelRecord {
    model(name, "openai", Some((1_000, 1_000)))
}

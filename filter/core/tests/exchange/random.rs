//! Random traffic with random failures: every id that Redis admitted ends in exactly one settlement or one release, whatever happens in
//! between, and Redis ends with nothing held.

use std::collections::{BTreeMap, VecDeque};

use contract::id::ReservationId;
use contract::limits::Limits;
use contract::resp::Reply;
use contract::spend_event::SpendBody;
use filter_core::clock::Now;
use filter_core::config::{Config, OnStoreFailure};
use filter_core::effect::Effect;
use filter_core::event::{CallId, Event, StoreFailure};
use filter_core::metric::Metric;
use proptest::prelude::*;

use crate::world::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Arrive {
        stream: bool,
        capless: bool,
    },
    /// One of the requests makes progress: its body, Redis's answer, a piece of answer, its end.
    Progress(u8),
    /// Redis's answer to a request is lost; the command ran, or did not.
    Lose {
        which: u8,
        ran: bool,
        how: StoreFailure,
    },
    /// Redis answers nonsense.
    Garbage(u8, u8),
    /// The client leaves.
    Leave(u8),
    Tick {
        fails: Option<(StoreFailure, bool)>,
    },
    Wait(u16),
    /// Redis runs what nobody waits for any more.
    RunStray,
    ChangeKey {
        blocked: bool,
    },
    RaiseCatalogue,
    ForgetScripts,
}

fn failure() -> impl Strategy<Value = StoreFailure> {
    prop_oneof![
        Just(StoreFailure::Timeout),
        Just(StoreFailure::Unreachable),
        Just(StoreFailure::Malformed)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(stream, capless)| Step::Arrive { stream, capless }),
        20 => any::<u8>().prop_map(Step::Progress),
        2 => (any::<u8>(), any::<bool>(), failure()).prop_map(|(which, ran, how)| Step::Lose { which, ran, how }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(which, kind)| Step::Garbage(which, kind)),
        2 => any::<u8>().prop_map(Step::Leave),
        3 => Just(Step::Tick { fails: None }),
        1 => (failure(), any::<bool>()).prop_map(|fails| Step::Tick { fails: Some(fails) }),
        3 => (0..400_u16).prop_map(Step::Wait),
        1 => Just(Step::RunStray),
        1 => any::<bool>().prop_map(|blocked| Step::ChangeKey { blocked }),
        1 => Just(Step::RaiseCatalogue),
        1 => Just(Step::ForgetScripts),
    ]
}

struct Running {
    client: Client,
    body: Option<String>,
    asked: VecDeque<(CallId, Vec<u8>, usize)>,
    sent: u8,
    stream: bool,
}

struct Traffic {
    world: World,
    running: Vec<Running>,
    /// Ids for which Redis ran an admission that was, or could be, answered with admitted.
    let_through: usize,
    replies: usize,
    /// Commands whose caller no longer waits; Redis runs them late.
    stray: Vec<(Vec<u8>, usize)>,
}

impl Traffic {
    fn event(&mut self, at: usize, event: Event<'_>) {
        let running = &mut self.running[at];
        let effects = self.world.step(&mut running.client, event);
        for effect in effects {
            match effect {
                Effect::CallRedis {
                    call,
                    commands,
                    replies,
                    ..
                } => running.asked.push_back((call, commands, replies)),
                Effect::Resume => self.let_through += 1,
                Effect::Reply { .. } => self.replies += 1,
                _ => {}
            }
        }
    }

    fn arrive(&mut self, stream: bool, capless: bool) {
        let cap = if capless { "" } else { ",\"max_tokens\":20" };
        let body = format!(
            "{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"stream\":{stream}{cap}}}"
        );
        let client = Client::new();
        self.running.push(Running {
            client,
            body: Some(body),
            asked: VecDeque::new(),
            sent: 0,
            stream,
        });
        let headers = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
        self.event(
            self.running.len() - 1,
            Event::RequestHeaders {
                headers: &headers,
                end: false,
                peer: None,
            },
        );
    }

    fn pick(&self, which: u8) -> Option<usize> {
        (usize::from(which)).checked_rem(self.running.len())
    }

    fn progress(&mut self, at: usize) {
        if let Some((call, commands, replies)) = self.running[at].asked.pop_front() {
            let answer = self
                .world
                .redis
                .run(self.world.redis_now(), &commands, replies);
            return self.event(
                at,
                Event::Redis {
                    call,
                    outcome: Ok(&answer),
                },
            );
        }
        if let Some(body) = self.running[at].body.take() {
            return self.event(
                at,
                Event::RequestBody {
                    chunk: body.as_bytes(),
                    end: true,
                },
            );
        }
        if self.running[at].client.resumed() {
            let stream = self.running[at].stream;
            let kind = if stream {
                "text/event-stream"
            } else {
                "application/json"
            };
            let headers = pairs(&[(":status", "200"), ("content-type", kind)]);
            let sent = self.running[at].sent;
            self.running[at].sent = sent.saturating_add(1);
            match (sent, stream) {
                (0, _) => self.event(
                    at,
                    Event::ResponseHeaders {
                        headers: &headers,
                        end: false,
                    },
                ),
                (1, false) => self.event(
                    at,
                    Event::ResponseBody {
                        chunk: ANSWER.as_bytes(),
                        end: true,
                    },
                ),
                (1, true) => self.event(
                    at,
                    Event::ResponseBody {
                        chunk: b"data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n",
                        end: false,
                    },
                ),
                (2, true) => self.event(
                    at,
                    Event::ResponseBody {
                        chunk: b"data: [DONE]\n\n",
                        end: true,
                    },
                ),
                _ => self.leave(at),
            }
        } else if self.running[at].client.exchange.is_over() {
            self.leave(at);
        }
    }

    fn leave(&mut self, at: usize) {
        self.event(at, Event::Done);
        let running = self.running.swap_remove(at);
        let asked = running.asked.into_iter();
        self.stray
            .extend(asked.map(|(_, commands, replies)| (commands, replies)));
        assert!(running.client.exchange.is_over());
        let ends = running.client.effects.iter();
        let ends = ends.filter(|effect| matches!(effect, Effect::Resume | Effect::Reply { .. }));
        assert!(ends.count() <= 1);
    }

    fn run_stray(&mut self) {
        for (commands, replies) in std::mem::take(&mut self.stray) {
            self.world
                .redis
                .run(self.world.redis_now(), &commands, replies);
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Arrive { stream, capless } if self.running.len() < 12 => {
                self.arrive(*stream, *capless);
            }
            Step::Arrive { .. } => {}
            Step::Progress(which) => {
                if let Some(at) = self.pick(*which) {
                    self.progress(at);
                }
            }
            Step::Lose { which, ran, how } => {
                let Some(at) = self.pick(*which) else { return };
                if let Some((call, commands, replies)) = self.running[at].asked.pop_front() {
                    self.stray.push((commands, replies));
                    if *ran {
                        self.run_stray();
                    }
                    self.event(
                        at,
                        Event::Redis {
                            call,
                            outcome: Err(*how),
                        },
                    );
                }
            }
            Step::Garbage(which, kind) => {
                let Some(at) = self.pick(*which) else { return };
                if let Some((call, commands, replies)) = self.running[at].asked.pop_front() {
                    self.world
                        .redis
                        .run(self.world.redis_now(), &commands, replies);
                    let reply = match kind % 4 {
                        0 => Reply::Bulk(None),
                        1 => Reply::Error(b"ERR upstream failure".to_vec()),
                        2 => Reply::Array(Some(vec![Reply::Integer(1)])),
                        _ => Reply::Simple(b"OK".to_vec()),
                    };
                    let answer = vec![reply; replies];
                    self.event(
                        at,
                        Event::Redis {
                            call,
                            outcome: Ok(&answer),
                        },
                    );
                }
            }
            Step::Leave(which) => {
                if let Some(at) = self.pick(*which) {
                    self.leave(at);
                }
            }
            Step::Tick { fails: None } => self.world.tick(),
            Step::Tick {
                fails: Some((how, ran)),
            } => self.failing_tick(*how, *ran),
            Step::Wait(ms) => self.world.now += u64::from(*ms),
            Step::RunStray => self.run_stray(),
            Step::ChangeKey { blocked } => self.world.key(KEY, |key| {
                key.limits = limits();
                key.blocked = *blocked;
            }),
            Step::RaiseCatalogue => self.world.raise_catalogue(),
            Step::ForgetScripts => self.world.redis.known.clear(),
        }
    }

    fn failing_tick(&mut self, how: StoreFailure, ran: bool) {
        let effects = self.world.worker.tick(Now(self.world.now));
        for effect in effects {
            if let Effect::CallRedis {
                call,
                commands,
                replies,
                ..
            } = effect
            {
                if ran {
                    self.world
                        .redis
                        .run(self.world.redis_now(), &commands, replies);
                }
                self.world.worker.redis(Now(self.world.now), call, Err(how));
            }
        }
    }

    /// Everybody leaves, Redis recovers, time passes.
    fn end(&mut self) {
        while !self.running.is_empty() {
            self.leave(0);
        }
        self.run_stray();
        for _ in 0..60 {
            self.world.now += 100;
            self.world.tick();
        }
    }
}

fn limits() -> Limits {
    Limits {
        rpm: Some(1_000_000),
        tpm: Some(1 << 40),
        parallel: Some(1_000),
        ..budget("1000")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_admitted_id_ends_in_one_settlement_or_one_release(
        steps in proptest::collection::vec(step(), 1..250),
        allow in any::<bool>(),
    ) {
        let on_store_failure = if allow { OnStoreFailure::Allow } else { OnStoreFailure::Deny };
        let mut world = World::with(Config { on_store_failure, ..Config::default() });
        world.key(KEY, |key| key.limits = limits());
        let mut traffic = Traffic { world, running: Vec::new(), let_through: 0, replies: 0, stray: Vec::new() };
        for step in &steps {
            traffic.apply(step);
        }
        traffic.end();
        let world = &traffic.world;
        let mut settled: BTreeMap<ReservationId, usize> = BTreeMap::new();
        for event in world.redis.model.events() {
            prop_assert_eq!(event.version, 1, "nothing is left to a sweep");
            prop_assert!(serde_json::from_slice::<SpendBody>(&event.body).is_ok());
            *settled.entry(event.id).or_default() += 1;
        }
        prop_assert!(settled.values().all(|times| *times == 1));
        prop_assert_eq!(settled.len(), traffic.let_through, "one settlement for each request that went upstream");
        let figures = world.redis.model.figures(&key_id());
        prop_assert_eq!((figures.in_flight, figures.held), (0, 0), "and nothing held for any other");
        let cost: u64 = world.redis.model.events().iter().map(|event| event.cost.get()).sum();
        prop_assert_eq!(figures.spent, cost);
        prop_assert_eq!(world.count(Metric::Admitted) + world.count(Metric::AllowedWithoutStore), i64::try_from(traffic.let_through).unwrap());
    }
}

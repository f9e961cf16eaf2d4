//! Many clients at once against one key, in real time on a real Redis: never over a limit, nothing lost.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;

use contract::limits::Limits;
use contract::redis_key::{self, RecordId};
use contract::script::{
    Admit, AdmitAnswer, By, Call, Open, ScopeLimits, ScopeWindow, Settle, SettleAnswer, Settlement,
};
use contract::window::BudgetWindow;

use crate::ledger::{
    P0, budget, id, key_scope, marker, parallel, rpm, team_scope, tpm, usd, user_scope,
};
use crate::lua_ledger::figures;
use crate::redis_server::{Connection, RedisServer};

const CLIENTS: u64 = 40;

struct Client {
    connection: Connection,
    worker: String,
    sequence: u64,
    drawn: u64,
    number: u64,
}

impl Client {
    fn new(server: &RedisServer, number: u64) -> Self {
        let worker = format!("{number:016x}");
        Self {
            connection: server.connect(),
            worker,
            sequence: 0,
            drawn: 0,
            number,
        }
    }

    fn call<C: Call>(&mut self, call: &C) -> C::Answer {
        let mut command = Vec::new();
        call.encode(By::Source, &mut command);
        call.decode(&self.connection.send(&command, 1)[0])
            .expect("an answer")
    }

    /// The id, where it was admitted.
    fn admit(&mut self, tokens: u64, cost: u64, scopes: &[ScopeLimits<'_>]) -> Option<u64> {
        self.drawn += 1;
        let number = self.number << 32 | self.drawn;
        let worker = self.worker.clone();
        let call = Admit {
            partition: P0,
            partitions: 1,
            id: id(number),
            worker: &worker,
            not_after_ms: 0,
            travel_ms: 200,
            catalogue: marker().catalogue,
            records: &[],
            scopes,
            tokens,
            cost: usd(cost),
            body: b"{}",
        };
        match self.call(&call) {
            AdmitAnswer::Admitted { .. } => Some(number),
            AdmitAnswer::Denied { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, number: u64, tokens: u64, cost: u64, scopes: &[ScopeLimits<'_>]) {
        self.sequence += 1;
        let windows: Vec<_> = scopes
            .iter()
            .map(|scope| ScopeWindow {
                id: scope.id,
                window: None,
            })
            .collect();
        let item = Settlement {
            id: id(number),
            admitted_ms: 1,
            tokens,
            cost: usd(cost),
            scopes: &windows,
            body: b"{}",
        };
        let (worker, sequence) = (self.worker.clone(), self.sequence);
        let call = Settle {
            partition: P0,
            partitions: 1,
            worker: &worker,
            first_sequence: sequence,
            items: &[item],
        };
        let answer = self.call(&call);
        assert!(
            matches!(answer, SettleAnswer::Done { watermark, .. } if watermark == sequence),
            "{answer:?}"
        );
    }
}

/// Runs `work` in forty threads, each with a client and the scopes of one key.
fn at_once(limits: &Limits, work: impl Fn(&mut Client, &[ScopeLimits<'_>]) + Sync) -> RedisServer {
    let server = RedisServer::start(&[]);
    let key = redis_key::ready(P0);
    assert!(Client::new(&server, 0).call(&Open {
        key: &key,
        ready: &marker()
    }));
    let scopes = [
        key_scope(limits.clone()),
        user_scope(Limits::default()),
        team_scope(rpm(1_000_000)),
    ];
    thread::scope(|scope| {
        for number in 1..=CLIENTS {
            let (server, work, scopes) = (&server, &work, &scopes);
            scope.spawn(move || {
                let named = scopes.each_ref().map(crate::ledger::Scoped::with_limits);
                work(&mut Client::new(server, number), &named);
            });
        }
    });
    server
}

fn figures_of(server: &RedisServer, scope: &RecordId) -> contract::model::ScopeFigures {
    let key = redis_key::scope(P0, scope);
    figures(&server.connect().command(&[b"GET", key.as_bytes()]))
}

#[test]
fn forty_clients_get_exactly_the_requests_of_a_minute() {
    let admitted = AtomicU64::new(0);
    at_once(&rpm(100), |client, scopes| {
        for _ in 0..25 {
            if client.admit(0, 0, scopes).is_some() {
                admitted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(admitted.into_inner(), 100);
}

#[test]
fn forty_clients_get_exactly_the_tokens_of_a_minute() {
    let tokens = AtomicU64::new(0);
    at_once(&tpm(10_000), |client, scopes| {
        for _ in 0..25 {
            let Some(number) = client.admit(100, 0, scopes) else {
                continue;
            };
            client.settle(number, 70, 0, scopes);
            tokens.fetch_add(70, Ordering::Relaxed);
        }
    });
    let tokens = tokens.into_inner();
    assert!((9_800..=10_000).contains(&tokens), "{tokens}");
}

#[test]
fn forty_clients_never_hold_more_slots_than_there_are() {
    let (held, most, answered) = (AtomicI64::new(0), AtomicI64::new(0), AtomicU64::new(0));
    let server = at_once(&parallel(5), |client, scopes| {
        for _ in 0..100 {
            let Some(number) = client.admit(0, 0, scopes) else {
                continue;
            };
            most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            answered.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
            held.fetch_sub(1, Ordering::SeqCst);
            client.settle(number, 0, 0, scopes);
        }
    });
    let (most, answered) = (most.into_inner(), answered.into_inner());
    assert!(
        (2..=5).contains(&most) && answered > 100,
        "{most} at once, {answered} answered"
    );
    assert_eq!(
        figures_of(&server, &key_scope(Limits::default()).id).in_flight,
        0
    );
}

#[test]
fn forty_clients_never_spend_more_than_the_budget() {
    let spent = AtomicU64::new(0);
    let server = at_once(
        &budget(500_000, BudgetWindow::Lifetime),
        |client, scopes| {
            for round in 0..25 {
                let Some(number) = client.admit(0, 50_000, scopes) else {
                    continue;
                };
                let cost = 20_000 + round * 1_000;
                client.settle(number, 0, cost, scopes);
                spent.fetch_add(cost, Ordering::Relaxed);
            }
        },
    );
    let spent = spent.into_inner();
    assert!((450_000..=500_000).contains(&spent), "{spent}");
    for scope in [key_scope(Limits::default()), user_scope(Limits::default())] {
        let figures = figures_of(&server, &scope.id);
        assert_eq!(
            (figures.in_flight, figures.held, figures.spent),
            (0, 0, spent)
        );
    }
}

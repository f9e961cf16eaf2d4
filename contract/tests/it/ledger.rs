//! What the limit cases need of a ledger, whichever backend it is, and short ways to make calls.

use contract::id::{KeyId, ReservationId, Rev, TeamId, UserId};
use contract::limits::{Budget, Limits};
use contract::model::{ModelEvent, ScopeFigures};
use contract::money::NanoUsd;
use contract::records::Ready;
use contract::redis_key::{self, Partition, RecordId};
use contract::script::{
    Admit, AdmitAnswer, Correct, CorrectAnswer, Found, Load, LoadAnswer, LookUp, Open, Put,
    Release, ReleaseAnswer, Renew, RenewAnswer, Renewal, ScopeLimits, ScopeWindow, Settle,
    SettleAnswer, Settlement, Sweep, SweepAnswer,
};
use contract::window::BudgetWindow;

/// 2100-01-01: far enough ahead that Redis's own clock expires nothing that the simulated one has not.
pub const START: u64 = 4_102_444_800_000;
pub const P0: Partition = Partition(0);
pub const WORKER: &str = "00000000000000aa";

/// One partition at a simulated time.
pub trait Ledger {
    /// The time.
    fn clock(&self) -> u64;
    /// Moves the time; what expires by then is gone.
    fn set_clock(&mut self, clock_ms: u64);
    fn admit(&mut self, call: &Admit<'_>) -> AdmitAnswer;
    fn settle(&mut self, call: &Settle<'_>) -> SettleAnswer;
    fn release(&mut self, call: &Release<'_>) -> ReleaseAnswer;
    fn renew(&mut self, call: &Renew<'_>) -> RenewAnswer;
    fn sweep(&mut self, call: &Sweep<'_>) -> SweepAnswer;
    fn put(&mut self, call: &Put<'_>) -> u64;
    fn load(&mut self, call: &Load<'_>) -> LoadAnswer;
    fn open(&mut self, call: &Open<'_>) -> bool;
    fn correct(&mut self, call: &Correct<'_>) -> CorrectAnswer;
    /// `None` for an error.
    fn look_up(&mut self, call: &LookUp<'_>) -> Option<Found>;
    fn wipe(&mut self);
    fn figures(&mut self, scope: &RecordId) -> ScopeFigures;
    fn events(&mut self) -> Vec<ModelEvent>;
}

/// Names each case once and runs it on both backends.
macro_rules! on_both_ledgers {
    ($($(#[$doc:meta])* fn $name:ident($book:ident) $body:block)+) => {
        mod cases {
            use super::*;
            $($(#[$doc])* pub fn $name<L: $crate::ledger::Ledger>($book: &mut $crate::ledger::Book<L>) $body)+
        }
        mod in_the_model {
            $(#[test]
            fn $name() {
                super::cases::$name(&mut $crate::ledger::Book::new($crate::model_ledger::ModelLedger::new()));
            })+
        }
        mod in_redis {
            $(#[test]
            fn $name() {
                super::cases::$name(&mut $crate::ledger::Book::new($crate::lua_ledger::LuaLedger::start()));
            })+
        }
    };
}
pub(crate) use on_both_ledgers;

/// A ledger with short ways to use it.
pub struct Book<L> {
    pub ledger: L,
    /// Last sequence that [`WORKER`] used.
    pub sequence: u64,
    pub travel_ms: u64,
}

/// A scope of a case.
#[derive(Clone)]
pub struct Scoped {
    pub id: RecordId,
    pub limits: Limits,
}

pub fn id(number: u64) -> ReservationId {
    ReservationId::from_bytes(u128::from(number).to_be_bytes())
}

pub fn usd(nano: u64) -> NanoUsd {
    NanoUsd::new(nano).expect("an amount")
}

pub fn rev(number: u64) -> Rev {
    Rev::new(number).expect("a revision")
}

pub fn key_scope(limits: Limits) -> Scoped {
    Scoped {
        id: RecordId::key(&KeyId::new("key-1")),
        limits,
    }
}

pub fn user_scope(limits: Limits) -> Scoped {
    Scoped {
        id: RecordId::user(&UserId::new("user-1")),
        limits,
    }
}

pub fn team_scope(limits: Limits) -> Scoped {
    Scoped {
        id: RecordId::team(&TeamId::new("team-1")),
        limits,
    }
}

pub fn rpm(rpm: u32) -> Limits {
    Limits {
        rpm: Some(rpm),
        ..Limits::default()
    }
}

pub fn tpm(tpm: u64) -> Limits {
    Limits {
        tpm: Some(tpm),
        ..Limits::default()
    }
}

pub fn parallel(parallel: u32) -> Limits {
    Limits {
        parallel: Some(parallel),
        ..Limits::default()
    }
}

pub fn budget(nano: u64, window: BudgetWindow) -> Limits {
    Limits {
        budget: Some(Budget {
            max: usd(nano),
            window,
        }),
        ..Limits::default()
    }
}

/// The marker of an open partition.
pub fn marker() -> Ready {
    Ready {
        partitions: 1,
        catalogue: rev(1),
        full_ms: 0,
        run_id: "run".to_owned(),
    }
}

impl<L: Ledger> Book<L> {
    pub fn new(mut ledger: L) -> Self {
        ledger.set_clock(START);
        let mut book = Self {
            ledger,
            sequence: 0,
            travel_ms: 0,
        };
        assert!(book.open(&marker()));
        book
    }

    pub fn open(&mut self, ready: &Ready) -> bool {
        self.ledger.open(&Open {
            key: &redis_key::ready(P0),
            ready,
        })
    }

    pub fn pass(&mut self, ms: u64) {
        let clock = self.ledger.clock();
        self.ledger.set_clock(clock + ms);
    }

    pub fn now(&self) -> u64 {
        self.ledger.clock()
    }

    pub fn admit(&mut self, number: u64, tokens: u64, cost: u64, scopes: &[Scoped]) -> AdmitAnswer {
        let named: Vec<_> = scopes.iter().map(Scoped::with_limits).collect();
        let call = self.admission(number, tokens, cost, &named);
        self.ledger.admit(&call)
    }

    /// The call that [`Book::admit`] makes, to be changed.
    pub fn admission<'a>(
        &self,
        number: u64,
        tokens: u64,
        cost: u64,
        scopes: &'a [ScopeLimits<'a>],
    ) -> Admit<'a> {
        Admit {
            partition: P0,
            partitions: 1,
            id: id(number),
            worker: WORKER,
            not_after_ms: 0,
            travel_ms: self.travel_ms,
            catalogue: rev(1),
            records: &[],
            scopes,
            tokens,
            cost: usd(cost),
            body: b"{\"reserved\":1}",
        }
    }

    /// Admits and insists on it.
    pub fn must_admit(&mut self, number: u64, tokens: u64, cost: u64, scopes: &[Scoped]) {
        let answer = self.admit(number, tokens, cost, scopes);
        assert!(matches!(answer, AdmitAnswer::Admitted { .. }), "{answer:?}");
    }

    pub fn is_admitted(&mut self, number: u64, tokens: u64, cost: u64, scopes: &[Scoped]) -> bool {
        matches!(
            self.admit(number, tokens, cost, scopes),
            AdmitAnswer::Admitted { .. }
        )
    }

    /// Settles one item under the next sequence.
    pub fn settle(
        &mut self,
        number: u64,
        tokens: u64,
        cost: u64,
        scopes: &[Scoped],
    ) -> SettleAnswer {
        self.sequence += 1;
        self.settle_as(self.sequence, &[(number, tokens, cost)], scopes)
    }

    pub fn settle_as(
        &mut self,
        first_sequence: u64,
        items: &[(u64, u64, u64)],
        scopes: &[Scoped],
    ) -> SettleAnswer {
        let named: Vec<_> = scopes.iter().map(Scoped::with_window).collect();
        let items: Vec<_> = items
            .iter()
            .map(|(number, tokens, cost)| Settlement {
                id: id(*number),
                admitted_ms: START,
                tokens: *tokens,
                cost: usd(*cost),
                scopes: &named,
                body: b"{\"settled\":1}",
            })
            .collect();
        self.ledger.settle(&Settle {
            partition: P0,
            partitions: 1,
            worker: WORKER,
            first_sequence,
            items: &items,
        })
    }

    pub fn release(&mut self, numbers: &[u64]) -> u64 {
        let ids: Vec<_> = numbers.iter().copied().map(id).collect();
        self.ledger
            .release(&Release {
                partition: P0,
                ids: &ids,
            })
            .released
    }

    /// Renews reservations as they were admitted at `admitted_ms`.
    pub fn renew(
        &mut self,
        numbers: &[u64],
        admitted_ms: u64,
        tokens: u64,
        cost: u64,
        scopes: &[Scoped],
    ) -> Vec<ReservationId> {
        let named: Vec<_> = scopes.iter().map(Scoped::with_limits).collect();
        let items: Vec<_> = numbers
            .iter()
            .map(|number| Renewal {
                id: id(*number),
                admitted_ms,
                tokens,
                cost: usd(cost),
                scopes: &named,
                body: b"{\"renewed\":1}",
            })
            .collect();
        let last_sequence = self.sequence;
        let call = Renew {
            partition: P0,
            worker: WORKER,
            last_sequence,
            items: &items,
        };
        self.ledger.renew(&call).lost
    }

    /// A renewal of nothing: it shows that a worker is alive.
    pub fn beat(&mut self) {
        self.renew(&[], 0, 0, 0, &[]);
    }

    pub fn sweep(&mut self, numbers: &[u64]) -> (Vec<ReservationId>, Vec<ReservationId>) {
        let ids: Vec<_> = numbers.iter().copied().map(id).collect();
        match self.ledger.sweep(&Sweep {
            partition: P0,
            ids: &ids,
        }) {
            SweepAnswer::Done {
                charged, released, ..
            } => (charged, released),
            SweepAnswer::NotReady => panic!("not ready"),
        }
    }

    pub fn figures(&mut self, scope: &Scoped) -> ScopeFigures {
        self.ledger.figures(&scope.id)
    }

    pub fn spent(&mut self, scope: &Scoped) -> u64 {
        self.figures(scope).spent
    }
}

impl Scoped {
    pub fn with_limits(&self) -> ScopeLimits<'_> {
        ScopeLimits {
            id: &self.id,
            limits: &self.limits,
        }
    }

    pub fn with_window(&self) -> ScopeWindow<'_> {
        ScopeWindow {
            id: &self.id,
            window: self.limits.budget.as_ref().map(|budget| &budget.window),
        }
    }
}

//! The model as a ledger of the limit cases.

use contract::model::{Model, ModelEvent, ScopeFigures};
use contract::redis_key::RecordId;
use contract::script::{
    Admit, AdmitAnswer, Correct, CorrectAnswer, Found, Load, LoadAnswer, LookUp, Open, Put,
    Release, ReleaseAnswer, Renew, RenewAnswer, Settle, SettleAnswer, Sweep, SweepAnswer,
};

use crate::ledger::Ledger;

#[derive(Default)]
pub struct ModelLedger {
    pub model: Model,
    clock_ms: u64,
}

impl ModelLedger {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Ledger for ModelLedger {
    fn clock(&self) -> u64 {
        self.clock_ms
    }

    fn set_clock(&mut self, clock_ms: u64) {
        self.clock_ms = clock_ms;
    }

    fn admit(&mut self, call: &Admit<'_>) -> AdmitAnswer {
        self.model.admit(self.clock_ms, call)
    }

    fn settle(&mut self, call: &Settle<'_>) -> SettleAnswer {
        self.model.settle(self.clock_ms, call)
    }

    fn release(&mut self, call: &Release<'_>) -> ReleaseAnswer {
        self.model.release(self.clock_ms, call)
    }

    fn renew(&mut self, call: &Renew<'_>) -> RenewAnswer {
        self.model.renew(self.clock_ms, call)
    }

    fn sweep(&mut self, call: &Sweep<'_>) -> SweepAnswer {
        self.model.sweep(self.clock_ms, call)
    }

    fn put(&mut self, call: &Put<'_>) -> u64 {
        self.model.put(call)
    }

    fn load(&mut self, call: &Load<'_>) -> LoadAnswer {
        self.model.load(self.clock_ms, call)
    }

    fn correct(&mut self, call: &Correct<'_>) -> CorrectAnswer {
        self.model.correct(self.clock_ms, call)
    }

    fn open(&mut self, call: &Open<'_>) -> bool {
        self.model.open(call)
    }

    fn look_up(&mut self, call: &LookUp<'_>) -> Option<Found> {
        self.model.look_up(self.clock_ms, call)
    }

    fn wipe(&mut self) {
        self.model = Model::new();
    }

    fn figures(&mut self, scope: &RecordId) -> ScopeFigures {
        self.model.figures(scope)
    }

    fn events(&mut self) -> Vec<ModelEvent> {
        self.model.events().to_vec()
    }
}

//! What comes before, between and around the limits.

use contract::id::{CustomerId, OrganizationId};
use contract::limits::{LimitKind, Limits};
use contract::money::NanoUsd;
use contract::records::Ready;
use contract::redis_key::{self, RecordId};
use contract::script::{Admit, AdmitAnswer, Put, Remaining};
use contract::window::BudgetWindow;

use crate::ledger::{
    P0, START, Scoped, WORKER, budget, key_scope, marker, on_both_ledgers, parallel, rev, rpm,
    team_scope, tpm, user_scope,
};

fn values(rev: &str, scopes: &[Scoped]) -> Vec<(String, Vec<u8>)> {
    let value = format!("{rev}{{}}").into_bytes();
    scopes
        .iter()
        .map(|scope| (redis_key::record(P0, &scope.id), value.clone()))
        .collect()
}

on_both_ledgers! {
    fn a_repeat_of_an_id_hears_the_first_answer_and_takes_nothing(book) {
        let scopes = [key_scope(rpm(1))];
        book.must_admit(1, 0, 5, &scopes);
        book.pass(5000);
        let again = AdmitAnswer::Admitted { now_ms: START, remaining: vec![], watermark: 0 };
        assert_eq!(book.admit(1, 0, 5, &scopes), again);
        book.renew(&[1], START, 0, 5, &scopes);
        assert_eq!(book.admit(1, 0, 5, &scopes), again);
        assert_eq!(book.figures(&scopes[0]).in_flight, 1);
    }

    fn the_id_is_looked_up_before_anything_else(book) {
        let scopes = [key_scope(rpm(1))];
        book.must_admit(1, 0, 0, &scopes);
        book.open(&Ready { catalogue: rev(2), ..marker() });
        assert!(book.is_admitted(1, 0, 0, &scopes));
        assert!(matches!(book.admit(2, 0, 0, &scopes), AdmitAnswer::Stale { .. }));
    }

    fn an_admission_that_its_release_overtook_is_refused_for_a_minute(book) {
        let scopes = [key_scope(rpm(1))];
        assert_eq!(book.release(&[1]), 0);
        assert_eq!(book.admit(1, 0, 0, &scopes), AdmitAnswer::Released);
        book.pass(60_000);
        assert_eq!(book.admit(1, 0, 0, &scopes), AdmitAnswer::Released);
        book.pass(1);
        // From here on its own time limit refuses it.
        let named = [scopes[0].with_limits()];
        let late = Admit { not_after_ms: START + 1000, ..book.admission(1, 0, 0, &named) };
        assert_eq!(book.ledger.admit(&late), AdmitAnswer::TooLate { now_ms: START + 60_001 });
    }

    fn an_admission_may_come_until_its_time_limit_and_not_after(book) {
        let scopes = [key_scope(rpm(9))];
        let named = [scopes[0].with_limits()];
        book.pass(100);
        let call = Admit { not_after_ms: START + 99, ..book.admission(1, 0, 0, &named) };
        assert_eq!(book.ledger.admit(&call), AdmitAnswer::TooLate { now_ms: START + 100 });
        let call = Admit { not_after_ms: START + 100, ..book.admission(1, 0, 0, &named) };
        assert!(matches!(book.ledger.admit(&call), AdmitAnswer::Admitted { .. }));
    }

    fn a_partition_that_is_not_open_or_divided_otherwise_admits_nothing(book) {
        let scopes = [key_scope(rpm(9))];
        let named = [scopes[0].with_limits()];
        let other = Admit { partitions: 64, ..book.admission(1, 0, 0, &named) };
        assert_eq!(book.ledger.admit(&other), AdmitAnswer::NotReady);
        book.ledger.wipe();
        assert_eq!(book.admit(1, 0, 0, &scopes), AdmitAnswer::NotReady);
    }

    fn slots_and_budgets_open_later_than_rates_after_a_wipe(book) {
        book.ledger.wipe();
        book.open(&Ready { full_ms: START + 10_000, ..marker() });
        book.must_admit(1, 1, 0, &[key_scope(Limits { rpm: Some(9), tpm: Some(9), ..Limits::default() })]);
        let slots = [user_scope(parallel(9))];
        let money = [user_scope(budget(9, BudgetWindow::Lifetime))];
        book.pass(9_999);
        assert_eq!(book.admit(2, 0, 0, &slots), AdmitAnswer::NotReady);
        assert_eq!(book.admit(2, 0, 0, &money), AdmitAnswer::NotReady);
        book.pass(1);
        book.must_admit(2, 0, 0, &slots);
        book.must_admit(3, 0, 0, &money);
    }

    fn a_changed_or_missing_record_is_answered_with_all_records(book) {
        let scopes = [key_scope(rpm(9)), team_scope(rpm(9))];
        let records = scopes.clone().map(|scope| (scope.id, rev(7)));
        let named = scopes.each_ref().map(Scoped::with_limits);
        let call = Admit { records: &records, ..book.admission(1, 0, 0, &named) };
        let stale = |records| AdmitAnswer::Stale { now_ms: START, ready: marker(), records };
        assert_eq!(book.ledger.admit(&call), stale(vec![None, None]));
        book.ledger.put(&Put { values: &values("0000000000000007", &scopes) });
        assert!(matches!(book.ledger.admit(&call), AdmitAnswer::Admitted { .. }));
        book.ledger.put(&Put { values: &values("0000000000000008", &scopes[1..]) });
        let call = Admit { records: &records, ..book.admission(2, 0, 0, &named) };
        let (old, new) = (b"0000000000000007{}".to_vec(), b"0000000000000008{}".to_vec());
        assert_eq!(book.ledger.admit(&call), stale(vec![Some(old), Some(new)]));
        assert_eq!(book.figures(&scopes[0]).in_flight, 1);
    }

    fn a_record_that_must_not_be_there_is_not_missed(book) {
        let scopes = [key_scope(rpm(9))];
        let named = scopes.each_ref().map(Scoped::with_limits);
        let absent = scopes.clone().map(|scope| (scope.id, rev(0)));
        let call = Admit { records: &absent, ..book.admission(1, 0, 0, &named) };
        assert!(matches!(book.ledger.admit(&call), AdmitAnswer::Admitted { .. }));
        book.ledger.put(&Put { values: &values("0000000000000001", &scopes) });
        let call = Admit { records: &absent, ..book.admission(2, 0, 0, &named) };
        let now = vec![Some(b"0000000000000001{}".to_vec())];
        let stale = AdmitAnswer::Stale { now_ms: START, ready: marker(), records: now };
        assert_eq!(book.ledger.admit(&call), stale);
        assert_eq!(book.figures(&scopes[0]).in_flight, 1);
    }

    fn many_scopes_are_reserved_and_settled_together_or_not_at_all(book) {
        let key = key_scope(Limits { rpm: Some(9), ..budget(1_000, BudgetWindow::Lifetime) });
        let part = |id: RecordId, limits: Limits| Scoped { id, limits };
        let day = BudgetWindow::Fixed { anchor_ms: START, every_ms: 86_400_000 };
        let mut scopes = vec![
            key.clone(),
            part(key.id.window("1h"), budget(500, BudgetWindow::Fixed { anchor_ms: START, every_ms: 3_600_000 })),
            part(key.id.window("1d"), budget(900, day.clone())),
            part(key.id.of_model("gpt-*"), rpm(5)),
            user_scope(tpm(1_000)),
            team_scope(parallel(5)),
            part(RecordId::organization(&OrganizationId::new("o")), budget(800, day)),
            part(RecordId::customer(&CustomerId::new("c")), rpm(6)),
            part(RecordId::tag("prod"), rpm(7)),
            part(RecordId::tag("eu"), budget(700, BudgetWindow::Lifetime)),
            part(RecordId::model("gpt-4o"), tpm(2_000)),
            part(RecordId::proxy(), budget(2_000, BudgetWindow::Lifetime)),
        ];
        for number in 1..=3 {
            book.must_admit(number, 100, 150, &scopes);
        }
        for scope in &scopes {
            let figures = book.figures(scope);
            assert_eq!((figures.in_flight, figures.held), (3, 450), "{:?}", scope.id);
        }
        let AdmitAnswer::Denied { denial, .. } = book.admit(4, 100, 150, &scopes) else { panic!() };
        assert_eq!((denial.scope, denial.kind, denial.used), (1, LimitKind::Budget, 450));
        book.settle(1, 90, 20, &scopes);
        book.must_admit(4, 100, 150, &scopes);
        book.settle(2, 90, 20, &scopes);
        book.pass(3_600_000);
        book.settle(3, 90, 20, &scopes);
        // The hour is over: what is settled now counts in the new one alone.
        assert_eq!(book.figures(&scopes[1]).spent, 20);
        for scope in [&scopes[0], &scopes[2], &scopes[6], &scopes[9], &scopes[11]] {
            assert_eq!(book.figures(scope).spent, 60, "{:?}", scope.id);
        }
        // Each of them alone refuses, and burns nothing elsewhere.
        let before = scopes.iter().map(|scope| book.figures(scope)).collect::<Vec<_>>();
        for (number, at) in (10..).zip(0..scopes.len()) {
            let open = std::mem::replace(&mut scopes[at].limits, rpm(0));
            let AdmitAnswer::Denied { denial, .. } = book.admit(number, 1, 1, &scopes) else { panic!() };
            assert_eq!((denial.scope, denial.kind), (at, LimitKind::Rpm));
            scopes[at].limits = open;
        }
        let after = scopes.iter().map(|scope| book.figures(scope)).collect::<Vec<_>>();
        assert_eq!(before, after);
    }

    fn another_catalogue_is_stale(book) {
        let scopes = [key_scope(rpm(9))];
        let newer = Ready { catalogue: rev(2), ..marker() };
        assert!(book.open(&newer));
        let stale = AdmitAnswer::Stale { now_ms: START, ready: newer, records: vec![] };
        assert_eq!(book.admit(1, 0, 0, &scopes), stale);
    }

    fn a_refusal_by_one_scope_burns_no_other(book) {
        let wide = Limits { rpm: Some(5), tpm: Some(50), parallel: Some(5), ..budget(50, BudgetWindow::Lifetime) };
        let scopes = [key_scope(wide.clone()), user_scope(wide.clone()), team_scope(parallel(1))];
        book.must_admit(1, 10, 10, &scopes);
        for number in 2..9 {
            assert!(!book.is_admitted(number, 10, 10, &scopes));
            book.pass(300);
        }
        let answer = book.admit(10, 10, 10, &scopes[..2]);
        let left = Remaining { rpm: Some(3), tpm: Some(30), parallel: Some(3), budget: NanoUsd::new(30) };
        assert_eq!(answer, AdmitAnswer::Admitted { now_ms: book.now(), remaining: vec![left, left], watermark: 0 });
    }

    fn the_first_limit_in_order_is_named(book) {
        let none = Limits {
            rpm: Some(0),
            tpm: Some(0),
            parallel: Some(0),
            ..budget(0, BudgetWindow::Lifetime)
        };
        let fine = key_scope(rpm(5));
        let mut limits = none;
        for kind in [LimitKind::Rpm, LimitKind::Tpm, LimitKind::Parallel, LimitKind::Budget] {
            let scopes = [fine.clone(), user_scope(limits.clone()), team_scope(rpm(0))];
            let answer = book.admit(1, 1, 1, &scopes);
            assert!(
                matches!(&answer, AdmitAnswer::Denied { denial, .. } if (denial.scope, denial.kind) == (1, kind)),
                "{answer:?}"
            );
            match kind {
                LimitKind::Rpm => limits.rpm = None,
                LimitKind::Tpm => limits.tpm = None,
                LimitKind::Parallel => limits.parallel = None,
                LimitKind::Budget => limits.budget = None,
            }
        }
    }

    fn every_answer_names_the_workers_watermark(book) {
        let scopes = [key_scope(tpm(9))];
        book.must_admit(1, 0, 0, &scopes);
        book.settle(1, 0, 0, &scopes);
        let answer = book.admit(2, 0, 0, &scopes);
        assert!(matches!(answer, AdmitAnswer::Admitted { watermark: 1, .. }), "{answer:?}");
        let named = [scopes[0].with_limits()];
        let other = Admit { worker: "other", ..book.admission(3, 0, 0, &named) };
        let answer = book.ledger.admit(&other);
        assert!(matches!(answer, AdmitAnswer::Admitted { watermark: 0, .. }), "{answer:?}");
        assert_ne!(WORKER, "other");
    }

    fn lowered_limits_bind_the_next_request(book) {
        let wide = Limits { rpm: Some(9), parallel: Some(9), ..budget(90, BudgetWindow::Lifetime) };
        book.must_admit(1, 0, 10, &[key_scope(wide.clone())]);
        book.must_admit(2, 0, 10, &[key_scope(wide)]);
        for limits in [rpm(2), parallel(2), budget(29, BudgetWindow::Lifetime)] {
            assert!(!book.is_admitted(3, 0, 10, &[key_scope(limits)]));
        }
    }
}

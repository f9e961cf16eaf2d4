//! A limit refused. Decides whether that is the last word: reservations that expired are swept first, and a request that stated no output cap
//! asks once more for what is left.

use contract::id::ReservationId;
use contract::limits::{Denial, LimitKind};
use contract::script::{By, Call, Sweep};

use super::admit;
use super::limit_text::ScopeText;
use super::refusal::{Denied, Refusal, Unavailable};
use super::state::{Admission, Question, State, Step};
use super::turn::{Outcome, Pending, Turn};

/// Redis denied the request.
pub(super) fn on_denied(
    turn: &mut Turn<'_>,
    admission: Admission,
    question: Question,
    (now_ms, denial): (u64, Denial),
    expired: &[ReservationId],
) -> State {
    let key = &admission.key;
    key.confirmed.set(turn.now);
    if !expired.is_empty() && !question.swept {
        return sweep(turn, admission, question, expired);
    }
    // Slots that are free already, but whose settlements Redis has not heard of.
    if denial.kind == LimitKind::Parallel
        && !question.after_settling
        && turn.worker.has_unsettled(key.home)
    {
        let question = Question {
            after_settling: true,
            ..question
        };
        return admit::ask(turn, admission, question);
    }
    let left = denial.limit.saturating_sub(denial.used);
    if let Some(need) = question.need.shrunk(&question.model, denial.kind, left) {
        return admit::ask(turn, admission, Question { need, ..question });
    }
    let needed = match denial.kind {
        LimitKind::Budget => question.need.cost.get(),
        LimitKind::Tpm => question.need.tokens,
        LimitKind::Rpm | LimitKind::Parallel => 1,
    };
    let Some(scope) = question
        .bound
        .scopes
        .get(denial.scope)
        .map(|scope| ScopeText::of(key, scope))
    else {
        return turn.unavailable(Unavailable::Store);
    };
    let budget_status = turn
        .worker
        .catalogue
        .settings()
        .map_or(422, |settings| settings.budget_exceeded_status);
    turn.refuse(&Refusal::Denied(Box::new(Denied {
        denial,
        now_ms,
        scope,
        budget_status,
        needed,
    })))
}

fn sweep(
    turn: &mut Turn<'_>,
    mut admission: Admission,
    question: Question,
    expired: &[ReservationId],
) -> State {
    let mut commands = Vec::new();
    Sweep {
        partition: admission.key.home,
        ids: expired,
    }
    .encode(By::Source, &mut commands);
    match turn.call(&mut admission.request, commands, 1) {
        Ok(pending) => admission.waiting(Step::Sweep(Box::new(question), pending)),
        Err(why) => turn.unavailable(why),
    }
}

/// The sweep was answered: whatever it freed, ask again. It never runs twice for one request.
pub(super) fn on_swept(
    turn: &mut Turn<'_>,
    mut admission: Admission,
    question: Question,
    pending: Pending,
    outcome: Outcome<'_>,
) -> State {
    match turn.arrived(&mut admission.request, pending, outcome, 1) {
        Ok(_) => admit::ask(
            turn,
            admission,
            Question {
                swept: true,
                ..question
            },
        ),
        Err(_) => turn.unavailable(Unavailable::Store),
    }
}

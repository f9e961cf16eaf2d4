//! The question that Redis decides in one step, and what each of its answers means. Decides when to ask again (changed records, expired
//! reservations, less output), and when not to.
//!
//! Failure stance: an admission whose outcome is not known for certain, or comes too late, is released and the request refused with 503; with
//! `on_store_failure: allow` a key that Redis confirmed within the last minute goes on, metered, under the id that was asked for.

use contract::id::{ReservationId, Rev};
use contract::resp::Reply;
use contract::script::{Admit, AdmitAnswer, By, Call, Remaining, ScopeLimits, ScriptError};

use super::refusal::{Refusal, Unavailable};
use super::state::{Admission, Asked, Question, State, Step};
use super::turn::{Outcome, Pending, Turn};
use super::upstream::Sent;
use super::{denied, flow, spend_body, stale, static_check, upstream};
use crate::clock::Now;
use crate::effect::{Effect, Level};
use crate::event::StoreFailure;
use crate::key_state::KeyState;
use crate::metric::Metric;

/// Asks Redis for the request.
pub(crate) fn ask(turn: &mut Turn<'_>, mut admission: Admission, question: Question) -> State {
    if !turn.worker.has_room() {
        return turn.unavailable(Unavailable::Full);
    }
    let id = match admission.request.id {
        Some(id) => id,
        None => turn.worker.new_id(turn.now),
    };
    admission.request.id = Some(id);
    let spend = spend_body::reserved(&admission, &question, turn.redis_ms());
    let Ok(body) = serde_json::to_vec(&spend) else {
        return turn.refuse(&Refusal::TooMuchAsked);
    };
    let mut asked = Box::new(Asked {
        question,
        id,
        spend,
        body,
        acknowledged: 0,
        carried: None,
    });
    if !turn.worker.may_admit(admission.key.home) {
        return without_store(turn, admission, asked, turn.now);
    }
    let commands = encoded(turn, &admission, &mut asked);
    let replies = asked.replies();
    match turn.call(&mut admission.request, commands, replies) {
        Ok(pending) => admission.waiting(Step::Admit(asked, pending)),
        Err(why) => {
            turn.drop_carried(&asked);
            turn.unavailable(why)
        }
    }
}

fn encoded(turn: &mut Turn<'_>, admission: &Admission, asked: &mut Asked) -> Vec<u8> {
    let config = turn.worker.config();
    let (partitions, travel_ms) = (config.partitions, config.redis_timeout_ms);
    let not_after_ms = turn
        .worker
        .redis_time(turn.now)
        .map_or(0, |now_ms| now_ms.saturating_add(travel_ms));
    let catalogue = admission
        .request
        .lagging
        .unwrap_or(turn.worker.catalogue.rev());
    let mut commands = Vec::with_capacity(2_048);
    let home = admission.key.home;
    if asked.question.bound.scopes.limits_parallel() {
        let all = asked.question.after_settling;
        asked.carried = turn.worker.carry(home, all, turn.now, &mut commands);
    }
    let (worker, acknowledged) = turn.worker.settler(home, turn.now);
    asked.acknowledged = acknowledged;
    let call = Admit {
        partition: admission.key.home,
        partitions,
        id: asked.id,
        worker,
        not_after_ms,
        travel_ms,
        catalogue,
        records: &asked.question.bound.revs,
        scopes: &asked.question.bound.scopes.limits(),
        tokens: asked.question.need.tokens,
        cost: asked.question.need.cost,
        body: &asked.body,
    };
    call.encode(asked.question.by, &mut commands);
    commands
}

impl Asked {
    /// How many replies the call brings; the admission's is the last.
    fn replies(&self) -> usize {
        let carried = self.carried.as_ref().map_or(0, |carried| carried.replies);
        carried.saturating_add(1)
    }
}

impl Turn<'_> {
    /// What travelled ahead of an admission was not sent, or nobody will hear its answer: it is sent again.
    fn drop_carried(&mut self, asked: &Asked) {
        if let Some(carried) = &asked.carried {
            self.worker.drop_carried(carried.call);
        }
    }
}

/// The reply, read in the light of what was asked.
fn decoded(
    admission: &Admission,
    asked: &Asked,
    reply: &Reply,
) -> Result<AdmitAnswer, ScriptError> {
    let bound = &asked.question.bound;
    let scopes: Vec<ScopeLimits<'_>> = bound.scopes.limits();
    Admit {
        partition: admission.key.home,
        partitions: 0,
        id: asked.id,
        worker: "",
        not_after_ms: 0,
        travel_ms: 0,
        catalogue: Rev::default(),
        records: &bound.revs,
        scopes: &scopes,
        tokens: 0,
        cost: asked.question.need.cost,
        body: &[],
    }
    .decode(reply)
}

/// Redis answered the admission, or did not.
pub(crate) fn on_answer(
    turn: &mut Turn<'_>,
    mut admission: Admission,
    asked: Box<Asked>,
    pending: Pending,
    outcome: Outcome<'_>,
) -> State {
    let awaited = asked.replies();
    let replies = match turn.arrived(&mut admission.request, pending, outcome, awaited) {
        Ok(replies) => replies,
        Err(failure) => {
            turn.drop_carried(&asked);
            return match failure {
                // It was never sent.
                StoreFailure::Dispatch => without_store(turn, admission, asked, turn.now),
                _ => uncertain(turn, admission, asked, pending),
            };
        }
    };
    let decoded = match replies.split_last() {
        Some((reply, settled)) => {
            if let Some(carried) = &asked.carried {
                let Turn {
                    worker,
                    now,
                    effects,
                } = turn;
                worker.carried(carried.call, settled, *now, effects);
            }
            decoded(&admission, &asked, reply)
        }
        None => Err(ScriptError::Malformed),
    };
    let answer = match decoded {
        Ok(answer) => answer,
        Err(ScriptError::NoScript) if asked.question.by == By::Hash => {
            let question = Question {
                by: By::Source,
                ..asked.question
            };
            return ask(turn, admission, question);
        }
        Err(error) => {
            if let ScriptError::Redis(text) = error {
                turn.log(Level::Warn, format!("admission failed: {text}"));
            }
            turn.store_failed();
            return uncertain(turn, admission, asked, pending);
        }
    };
    turn.worker.store_answered();
    if let Some(redis_ms) = time_of(&answer) {
        turn.worker.learn_time(pending.sent, turn.now, redis_ms);
    }
    match answer {
        AdmitAnswer::Admitted {
            now_ms,
            remaining,
            watermark,
        } => {
            let Turn {
                worker,
                now,
                effects,
                ..
            } = turn;
            worker.observe_watermark(
                admission.key.home,
                asked.acknowledged,
                watermark,
                *now,
                effects,
            );
            admitted(turn, admission, asked, pending.sent, (now_ms, remaining))
        }
        AdmitAnswer::Denied {
            now_ms,
            denial,
            expired,
        } => denied::on_denied(turn, admission, asked.question, (now_ms, denial), &expired),
        AdmitAnswer::Stale { ready, records, .. } => {
            stale::on_stale(turn, admission, asked.question, &ready, &records)
        }
        AdmitAnswer::NotReady => {
            turn.worker.not_ready(admission.key.home, turn.now);
            turn.unavailable(Unavailable::NotReady)
        }
        AdmitAnswer::Released => turn.unavailable(Unavailable::TooManyTries),
        // What Redis's time was thought to be is corrected by now.
        AdmitAnswer::TooLate { .. } => ask(turn, admission, asked.question),
    }
}

fn time_of(answer: &AdmitAnswer) -> Option<u64> {
    match answer {
        // An earlier try's repeat tells the time of that try.
        AdmitAnswer::Admitted {
            now_ms, remaining, ..
        } => (!remaining.is_empty()).then_some(*now_ms),
        AdmitAnswer::Denied { now_ms, .. }
        | AdmitAnswer::Stale { now_ms, .. }
        | AdmitAnswer::TooLate { now_ms } => Some(*now_ms),
        AdmitAnswer::NotReady | AdmitAnswer::Released => None,
    }
}

fn admitted(
    turn: &mut Turn<'_>,
    admission: Admission,
    asked: Box<Asked>,
    sent: Now,
    (now_ms, remaining): (u64, Vec<Remaining>),
) -> State {
    let home = admission.key.home;
    // Rate windows count on the request reaching the upstream within the time-out.
    if turn.now.since(sent) > turn.worker.config().redis_timeout_ms {
        release(turn, &admission, asked.id);
        return turn.unavailable(Unavailable::TooManyTries);
    }
    if let Err(refusal) = static_check::not_expired(&admission.key, now_ms) {
        turn.worker.release(home, asked.id, turn.now);
        turn.effects.push(Effect::Measure(Metric::Released, 1));
        return turn.refuse(&refusal);
    }
    admission.key.confirmed.set(turn.now);
    turn.effects.push(Effect::Measure(Metric::Admitted, 1));
    let settle_from = turn.now;
    upstream::send(
        turn,
        admission,
        *asked,
        Sent {
            admitted_ms: now_ms,
            remaining,
            settle_from,
        },
    )
}

fn release(turn: &mut Turn<'_>, admission: &Admission, id: ReservationId) {
    turn.worker.release(admission.key.home, id, turn.now);
    turn.effects.push(Effect::Measure(Metric::Released, 1));
}

/// Nobody knows whether the admission ran, or still will within its time.
fn uncertain(
    turn: &mut Turn<'_>,
    admission: Admission,
    asked: Box<Asked>,
    pending: Pending,
) -> State {
    if !flow::may_do_without_store(turn, &admission.key) {
        release(turn, &admission, asked.id);
    }
    // Settled any earlier, it could be admitted once more, for nobody.
    let settle_from = pending
        .sent
        .plus(turn.worker.config().redis_timeout_ms.saturating_add(1));
    without_store(turn, admission, asked, settle_from)
}

/// Redis does not decide: refuse, or go on under the id that was asked for, which settles once whether or not Redis had admitted it.
fn without_store(
    turn: &mut Turn<'_>,
    admission: Admission,
    asked: Box<Asked>,
    settle_from: Now,
) -> State {
    if !flow::may_do_without_store(turn, &admission.key) {
        return turn.unavailable(Unavailable::Store);
    }
    turn.effects
        .push(Effect::Measure(Metric::AllowedWithoutStore, 1));
    if turn.worker.may_log_allowance(turn.now) {
        let display = &admission.key.key.display;
        let text =
            format!("Redis fails: key {display} admitted without its limits, to be settled later");
        turn.log(Level::Warn, text);
    }
    let admitted_ms = turn.redis_ms();
    upstream::send(
        turn,
        admission,
        *asked,
        Sent {
            admitted_ms,
            remaining: Vec::new(),
            settle_from,
        },
    )
}

/// The client left, or Envoy gave up, while the answer was awaited: it may still admit.
pub(crate) fn abandoned(turn: &mut Turn<'_>, step: &Step, key: &KeyState) {
    if let Step::Admit(asked, _) = step {
        turn.drop_carried(asked);
        turn.worker.release(key.home, asked.id, turn.now);
        turn.effects.push(Effect::Measure(Metric::Released, 1));
    }
}

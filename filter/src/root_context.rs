//! The root of the `http` role: one worker per virtual machine, its clock tick, and the calls to Redis that settle, renew, and carry requests'
//! questions along.

use std::collections::HashMap;
use std::rc::Rc;

use contract::resp::Reply;
use filter_core::clock::Now;
use filter_core::config::Config;
use filter_core::courier::{Batch, Ticket};
use filter_core::effect::Effect;
use filter_core::event::{Event, StoreFailure};
use filter_core::worker::Worker;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

use crate::http_context::Request;
use crate::shared::{Shared, TICK, now, severity};
use crate::stream::Callback;
use crate::{log, redis_call};

/// The root.
pub struct HttpRoot {
    /// Envoy's number of its context.
    id: u32,
    shared: Option<Rc<Shared>>,
    /// Batches under way by Envoy's token: who waits for which of the replies.
    batches: HashMap<u32, Vec<Ticket>>,
}

impl Context for HttpRoot {
    fn on_http_call_response(
        &mut self,
        token: u32,
        _headers: usize,
        body_size: usize,
        _trailers: usize,
    ) {
        let (Some(shared), Some(tickets)) = (self.shared.clone(), self.batches.remove(&token))
        else {
            return;
        };
        let replies = tickets
            .iter()
            .fold(0, |sum: usize, ticket| sum.saturating_add(ticket.replies));
        let outcome = redis_call::outcome(replies, body_size);
        let now = now();
        self.returned(&shared, now, &tickets, outcome.as_ref().map(Vec::as_slice));
        self.depart(&shared, now);
    }
}

impl RootContext for HttpRoot {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = match hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size) {
            Ok(text) => text.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let config = match Config::parse(&text) {
            Ok(config) => config,
            Err(error) => {
                log(LogLevel::Critical, &error.to_string());
                return false;
            }
        };
        let Some(seed) = seed() else {
            log(LogLevel::Critical, "the host gives no random numbers");
            return false;
        };
        if hostcalls::set_tick_period(TICK).is_err() {
            log(LogLevel::Critical, "the host gives no clock tick");
            return false;
        }
        self.shared = Some(Rc::new(Shared::new(Worker::new(config, seed, now()))));
        true
    }

    fn on_tick(&mut self) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        if !shared.serving.get() {
            return;
        }
        if shared.hurried.take() && hostcalls::set_tick_period(TICK).is_err() {
            log(LogLevel::Error, "the host gives no clock tick");
        }
        let now = now();
        let effects = match shared.worker.try_borrow_mut() {
            Ok(mut worker) => worker.tick(now),
            Err(_) => return,
        };
        self.carry_out(&shared, effects);
        self.depart(&shared, now);
        shared.tell();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        if let Some(shared) = &self.shared {
            shared.serving.set(true);
        }
        Some(Box::new(Request::new(id, self.shared.clone())))
    }
}

impl HttpRoot {
    /// A root that waits for its configuration.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            shared: None,
            batches: HashMap::new(),
        }
    }

    fn carry_out(&self, shared: &Shared, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::CallRedis {
                    call,
                    commands,
                    replies,
                    timeout_ms,
                } => {
                    let context = self.id;
                    let ticket = Ticket {
                        context,
                        call,
                        replies,
                    };
                    if let Ok(mut courier) = shared.courier.try_borrow_mut() {
                        courier.add(ticket, commands, timeout_ms);
                    }
                }
                Effect::Measure(metric, value) => shared.metrics.measure(metric, value),
                Effect::Log(level, text) => log(severity(level), &text),
                // A root has no request or response.
                Effect::RequestHeader { .. }
                | Effect::RemoveRequestHeader(_)
                | Effect::EditRequestBody(_)
                | Effect::ResponseHeader { .. }
                | Effect::Resume
                | Effect::ReplaceResponseChunk(_)
                | Effect::Reply { .. } => {}
            }
        }
    }

    /// Sends whatever may leave now.
    fn depart(&mut self, shared: &Rc<Shared>, now: Now) {
        while let Some(batch) = next_batch(shared, now) {
            let Batch {
                commands,
                replies,
                timeout_ms,
                tickets,
            } = batch;
            match redis_call::send(&shared.cluster, &commands, replies, timeout_ms) {
                Ok(token) => {
                    self.batches.insert(token, tickets);
                }
                Err(failure) => self.returned(shared, now, &tickets, Err(&failure)),
            }
        }
    }

    /// A batch came back: everybody gets their replies, or its failure.
    fn returned(
        &self,
        shared: &Rc<Shared>,
        now: Now,
        tickets: &[Ticket],
        outcome: Result<&[Reply], &StoreFailure>,
    ) {
        let failure = outcome.err().copied();
        let failed = match shared.courier.try_borrow_mut() {
            Ok(mut courier) => courier.returned(failure),
            Err(_) => Vec::new(),
        };
        let mut rest = outcome.unwrap_or_default();
        for ticket in tickets {
            let own = rest.split_at_checked(ticket.replies);
            let outcome = match (failure, own) {
                (Some(failure), _) => Err(failure),
                (None, Some((own, others))) => {
                    rest = others;
                    Ok(own)
                }
                (None, None) => Err(StoreFailure::Malformed),
            };
            self.bring(shared, now, ticket, outcome);
        }
        for ticket in &failed {
            self.bring(shared, now, ticket, Err(StoreFailure::Timeout));
        }
    }

    fn bring(
        &self,
        shared: &Rc<Shared>,
        now: Now,
        ticket: &Ticket,
        outcome: Result<&[Reply], StoreFailure>,
    ) {
        let call = ticket.call;
        if ticket.context == self.id {
            let effects = match shared.worker.try_borrow_mut() {
                Ok(mut worker) => worker.redis(now, call, outcome),
                Err(_) => return,
            };
            self.carry_out(shared, effects);
            return;
        }
        let stream = match shared.streams.try_borrow() {
            Ok(streams) => streams.get(&ticket.context).cloned(),
            Err(_) => None,
        };
        // A request that is gone has said so to the exchange already.
        let Some(stream) = stream else {
            return;
        };
        if hostcalls::set_effective_context(ticket.context).is_err() {
            return;
        }
        if let Ok(mut stream) = stream.try_borrow_mut() {
            stream.step(shared, now, Callback::Root, Event::Redis { call, outcome });
        }
        if hostcalls::set_effective_context(self.id).is_err() {
            log(LogLevel::Error, "Envoy lost the root's context");
        }
    }
}

fn next_batch(shared: &Shared, now: Now) -> Option<Batch> {
    shared.courier.try_borrow_mut().ok()?.depart(now)
}

/// Sixteen bytes from the host's cryptographic generator.
fn seed() -> Option<[u8; 16]> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).ok()?;
    Some(seed)
}

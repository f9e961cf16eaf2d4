//! The root of the `http` role: one worker per virtual machine, its clock tick, and the calls that settle and renew.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use filter_core::clock::Now;
use filter_core::config::Config;
use filter_core::effect::{Effect, Level};
use filter_core::worker::Worker;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

use crate::http_context::Request;
use crate::log;
use crate::metrics::Metrics;
use crate::redis_call::{Outcome, RedisCalls};

/// How often the worker is asked what is due. A settlement waits at most this long before it is sent, and so does a freed slot.
const TICK: Duration = Duration::from_millis(20);

/// When the next tick comes if much waits.
const SOON: Duration = Duration::from_millis(1);

/// What the root and the requests of one virtual machine share.
pub struct Shared {
    pub worker: RefCell<Worker>,
    pub metrics: Metrics,
    /// Envoy's name for the bridge.
    pub cluster: String,
    /// Whether a request ever came. Envoy also runs one machine on its main thread, which serves none and cannot reach internal listeners:
    /// a machine without requests owes Redis nothing and stays silent.
    serving: Cell<bool>,
    /// Whether the next tick was called for early.
    hurried: Cell<bool>,
}

impl Shared {
    /// Has the root called soon, if the worker wants to flush. A request cannot make the root's calls itself: their answers would come to
    /// the request, which may be gone by then.
    pub fn hurry(&self) {
        let wants = match self.worker.try_borrow() {
            Ok(worker) => worker.wants_flush(now()),
            Err(_) => false,
        };
        if wants && !self.hurried.replace(true) && hostcalls::set_tick_period(SOON).is_err() {
            self.hurried.set(false);
        }
    }
}

/// The root.
#[derive(Default)]
pub struct HttpRoot {
    shared: Option<Rc<Shared>>,
    calls: RedisCalls,
}

impl Context for HttpRoot {
    fn on_http_call_response(
        &mut self,
        token: u32,
        _headers: usize,
        body_size: usize,
        _trailers: usize,
    ) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        if let Some((call, outcome)) = self.calls.answered(token, body_size) {
            let effects = redis(&shared, call, &outcome);
            self.carry_out(&shared, effects);
        }
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
        self.shared = Some(Rc::new(Shared {
            cluster: config.redis_cluster.clone(),
            worker: RefCell::new(Worker::new(config, seed, now())),
            metrics: Metrics::define(),
            serving: Cell::new(false),
            hurried: Cell::new(false),
        }));
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
        let effects = match shared.worker.try_borrow_mut() {
            Ok(mut worker) => worker.tick(now()),
            Err(_) => return,
        };
        self.carry_out(&shared, effects);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        if let Some(shared) = &self.shared {
            shared.serving.set(true);
        }
        Some(Box::new(Request::new(self.shared.clone())))
    }
}

impl HttpRoot {
    fn carry_out(&mut self, shared: &Rc<Shared>, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::CallRedis {
                    call,
                    commands,
                    replies,
                    timeout_ms,
                } => {
                    let sent =
                        self.calls
                            .send(&shared.cluster, call, &commands, replies, timeout_ms);
                    if let Err(failure) = sent {
                        effects.extend(redis(shared, call, &Err(failure)));
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
}

fn redis(shared: &Shared, call: filter_core::event::CallId, outcome: &Outcome) -> Vec<Effect> {
    let outcome = outcome
        .as_ref()
        .map(Vec::as_slice)
        .map_err(|failure| *failure);
    match shared.worker.try_borrow_mut() {
        Ok(mut worker) => worker.redis(now(), call, outcome),
        Err(_) => Vec::new(),
    }
}

/// Envoy's clock.
pub fn now() -> Now {
    let since = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Now(since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// A log line's severity in Envoy's words.
pub fn severity(level: Level) -> LogLevel {
    match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

/// Sixteen bytes from the host's cryptographic generator.
fn seed() -> Option<[u8; 16]> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).ok()?;
    Some(seed)
}

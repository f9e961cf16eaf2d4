//! One request's state: its exchange, and the exchange's effects as host calls. A request stays paused from its headers on until the exchange
//! resumes it.
//!
//! Everything here acts on Envoy's current context, which is the request's own: in its callbacks, or because the root switched to it to bring
//! the replies of a call that travelled with others.

use std::collections::{HashMap, VecDeque};

use filter_core::clock::Now;
use filter_core::courier::Ticket;
use filter_core::effect::{Edit, Effect};
use filter_core::event::{CallId, Event, StoreFailure};
use filter_core::exchange::Exchange;
use filter_core::json_scan::applied;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

use crate::log;
use crate::redis_call;
use crate::shared::{Shared, now, severity};

/// One request and its answer.
pub struct Stream {
    /// Envoy's number of its context.
    id: u32,
    exchange: Exchange,
    /// The calls it made by itself: Envoy's token, the exchange's name, how many replies must come.
    calls: HashMap<u32, (CallId, usize)>,
    /// Bytes of the request's body that the exchange has seen.
    seen: usize,
    flow: Flow,
    callback: Callback,
}

/// Which of Envoy's callbacks is being served. Envoy takes a change only where its object is at hand, and `proxy_wasm` panics where it is
/// not: a change that comes too late is left out instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callback {
    /// Part of the request comes: it goes on by the callback's own result.
    Request,
    /// The answer's headers come.
    ResponseHeaders,
    /// Part of the answer's body comes.
    ResponseBody,
    /// The root brings replies: calls made now would be the root's.
    Root,
    /// Anything else.
    Other,
}

/// Where the request stands with Envoy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Held by the exchange.
    Paused,
    /// On its way upstream.
    Resumed,
    /// Answered by the exchange; Envoy's callbacks about that answer are not the upstream's.
    Replied,
}

impl Stream {
    /// A request of which nothing has come yet.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            exchange: Exchange::new(),
            calls: HashMap::new(),
            seen: 0,
            flow: Flow::Paused,
            callback: Callback::Other,
        }
    }

    /// Where it stands.
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// The part of the request's body that is new: while paused, Envoy counts and keeps the whole body so far.
    pub fn new_body(&mut self, size: usize) -> Vec<u8> {
        let new = size.saturating_sub(self.seen);
        if new == 0 {
            return Vec::new();
        }
        let chunk = hostcalls::get_buffer(BufferType::HttpRequestBody, self.seen, new);
        let chunk = chunk.ok().flatten().unwrap_or_default();
        self.seen = self.seen.saturating_add(chunk.len());
        chunk
    }

    /// Something happened at `now`.
    pub fn step(&mut self, shared: &Shared, now: Now, callback: Callback, event: Event<'_>) {
        self.callback = callback;
        let mut effects = VecDeque::from(self.exchange_step(shared, now, event));
        while let Some(effect) = effects.pop_front() {
            if let Some((call, failure)) = self.carry_out(shared, now, effect) {
                let outcome = Err(failure);
                let event = Event::Redis { call, outcome };
                effects.extend(self.exchange_step(shared, now, event));
            }
        }
        shared.hurry(now);
    }

    /// One of the calls that it made by itself was answered.
    pub fn answered(&mut self, shared: &Shared, token: u32, body_size: usize) {
        let Some((call, replies)) = self.calls.remove(&token) else {
            return;
        };
        shared.alone.set(shared.alone.get().saturating_sub(1));
        let outcome = redis_call::outcome(replies, body_size);
        let outcome = outcome.as_ref().map(Vec::as_slice).map_err(|error| *error);
        let event = Event::Redis { call, outcome };
        self.step(shared, now(), Callback::Other, event);
    }

    /// Envoy is done with it: answers to its own calls will not come any more.
    pub fn ended(&mut self, shared: &Shared) {
        if !self.exchange.is_over() {
            self.step(shared, now(), Callback::Other, Event::Done);
        }
        let left = shared.alone.get().saturating_sub(self.calls.len());
        shared.alone.set(left);
        self.calls.clear();
    }

    fn exchange_step(&mut self, shared: &Shared, now: Now, event: Event<'_>) -> Vec<Effect> {
        match shared.worker.try_borrow_mut() {
            Ok(mut worker) => self.exchange.step(&mut worker, now, event),
            Err(_) => Vec::new(),
        }
    }

    /// Does one thing; a call that Envoy would not make comes back at once.
    fn carry_out(
        &mut self,
        shared: &Shared,
        now: Now,
        effect: Effect,
    ) -> Option<(CallId, StoreFailure)> {
        match effect {
            Effect::CallRedis {
                call,
                commands,
                replies,
                timeout_ms,
            } => {
                let ticket = Ticket {
                    context: self.id,
                    call,
                    replies,
                };
                let sent = self.call(shared, now, ticket, commands, timeout_ms);
                return sent.err().map(|failure| (call, failure));
            }
            Effect::RequestHeader { name, value } if self.flow == Flow::Paused => {
                set_header(MapType::HttpRequestHeaders, name, value.as_deref());
            }
            Effect::RemoveRequestHeader(name) if self.flow == Flow::Paused => {
                // Envoy admits ASCII names alone.
                if let Ok(name) = std::str::from_utf8(&name) {
                    set_header(MapType::HttpRequestHeaders, name, None);
                }
            }
            Effect::EditRequestBody(edits) if self.flow == Flow::Paused => {
                self.edit_request_body(&edits);
            }
            Effect::ResponseHeader { name, value }
                if self.callback == Callback::ResponseHeaders =>
            {
                set_header(MapType::HttpResponseHeaders, &name, value.as_deref());
            }
            Effect::Resume => self.resume(),
            Effect::ReplaceResponseChunk(bytes) if self.callback == Callback::ResponseBody => {
                set_body(BufferType::HttpResponseBody, &bytes);
            }
            Effect::RequestHeader { .. }
            | Effect::RemoveRequestHeader(_)
            | Effect::EditRequestBody(_)
            | Effect::ResponseHeader { .. }
            | Effect::ReplaceResponseChunk(_) => {
                log(LogLevel::Warn, "a change came too late and was left out");
            }
            Effect::Reply {
                status,
                headers,
                body,
            } => self.reply(status, &headers, &body),
            Effect::Measure(metric, value) => shared.metrics.measure(metric, value),
            Effect::Log(level, text) => log(severity(level), &text),
        }
        None
    }

    fn call(
        &mut self,
        shared: &Shared,
        now: Now,
        ticket: Ticket,
        commands: Vec<u8>,
        timeout_ms: u64,
    ) -> Result<(), StoreFailure> {
        if let Ok(mut courier) = shared.courier.try_borrow_mut()
            && (self.callback == Callback::Root || courier.should_wait(now))
        {
            courier.add(ticket, commands, timeout_ms);
            return Ok(());
        }
        let Ticket { call, replies, .. } = ticket;
        let token = redis_call::send(&shared.cluster, &commands, replies, timeout_ms)?;
        self.calls.insert(token, (call, replies));
        shared.alone.set(shared.alone.get().saturating_add(1));
        Ok(())
    }

    fn resume(&mut self) {
        if self.flow != Flow::Paused {
            return;
        }
        self.flow = Flow::Resumed;
        if self.callback != Callback::Request && hostcalls::resume_http_request().is_err() {
            log(LogLevel::Error, "Envoy would not resume a request");
        }
    }

    fn reply(&mut self, status: u16, headers: &[(String, Vec<u8>)], body: &[u8]) {
        if self.flow != Flow::Paused {
            return;
        }
        self.flow = Flow::Replied;
        // Values that are not text cannot be sent this way; the request path makes none.
        let headers = headers
            .iter()
            .filter(|(_, value)| is_field_value(value))
            .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value).ok()?)))
            .collect();
        if hostcalls::send_http_response(u32::from(status), headers, Some(body)).is_err() {
            log(LogLevel::Error, "Envoy would not send an answer");
        }
    }

    fn edit_request_body(&mut self, edits: &[Edit]) {
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, self.seen);
        if let Some(body) = body.ok().flatten().filter(|body| body.len() == self.seen) {
            set_body(BufferType::HttpRequestBody, &applied(&body, edits));
        } else {
            // What was announced upstream could not be sent.
            log(LogLevel::Error, "Envoy did not keep a request's body");
            self.reply(500, &[], b"");
        }
    }

    /// Whether Envoy's callback lets the request go on.
    pub fn action(&self) -> Action {
        if self.flow == Flow::Resumed {
            Action::Continue
        } else {
            Action::Pause
        }
    }
}

fn set_header(map: MapType, name: &str, value: Option<&[u8]>) {
    // Removing what is not there is no failure; setting a header of a live request or response cannot fail.
    let _ = match value {
        Some(value) if !is_field_value(value) => Ok(()),
        Some(value) => hostcalls::set_map_value_bytes(map, name, Some(value)),
        None => hostcalls::remove_map_value(map, name),
    };
}

/// Whether HTTP can carry a header's value. Envoy does not check what a filter sets, and a line end would begin another header.
fn is_field_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| (*byte >= b' ' && *byte != 0x7f) || *byte == b'\t')
}

/// Puts `bytes` in the place of a whole buffer: Envoy replaces nothing less.
fn set_body(buffer: BufferType, bytes: &[u8]) {
    let whole = usize::MAX >> 1;
    if hostcalls::set_buffer(buffer, 0, whole, bytes).is_err() {
        log(LogLevel::Error, "Envoy would not change a body");
    }
}

//! One request's callbacks as events of its exchange, and the exchange's effects as host calls. A request stays paused from its headers on
//! until the exchange resumes it.

use std::collections::VecDeque;
use std::rc::Rc;

use filter_core::effect::{Edit, Effect};
use filter_core::event::{CallId, Event, Headers};
use filter_core::exchange::Exchange;
use filter_core::json_scan::applied;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

use crate::log;
use crate::redis_call::{Outcome, RedisCalls};
use crate::root_context::{Shared, now, severity};

/// One request and its answer.
pub struct Request {
    /// `None` where the root was never configured: the request then stays paused, never passes.
    shared: Option<Rc<Shared>>,
    exchange: Exchange,
    calls: RedisCalls,
    /// Bytes of the request's body that the exchange has seen.
    seen: usize,
    flow: Flow,
    callback: Callback,
}

/// Which of Envoy's callbacks is being served. Envoy takes a change only where its object is at hand, and `proxy_wasm` panics where it is
/// not: a change that comes too late is left out instead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Callback {
    /// Part of the request comes: it goes on by the callback's own result.
    Request,
    ResponseHeaders,
    ResponseBody,
    /// Anything else.
    Other,
}

/// Where the request stands with Envoy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Paused,
    Resumed,
    /// Answered by the exchange; Envoy's callbacks about that answer are not the upstream's.
    Replied,
}

impl Request {
    /// A request of which nothing has come yet.
    pub fn new(shared: Option<Rc<Shared>>) -> Self {
        Self {
            shared,
            exchange: Exchange::new(),
            calls: RedisCalls::default(),
            seen: 0,
            flow: Flow::Paused,
            callback: Callback::Other,
        }
    }

    fn step(&mut self, callback: Callback, event: Event<'_>) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        self.callback = callback;
        let mut effects = VecDeque::from(self.exchange_step(&shared, event));
        while let Some(effect) = effects.pop_front() {
            if let Some((call, outcome)) = self.carry_out(&shared, effect) {
                effects.extend(self.exchange_step(&shared, redis(call, &outcome)));
            }
        }
        shared.hurry();
    }

    fn exchange_step(&mut self, shared: &Shared, event: Event<'_>) -> Vec<Effect> {
        match shared.worker.try_borrow_mut() {
            Ok(mut worker) => self.exchange.step(&mut worker, now(), event),
            Err(_) => Vec::new(),
        }
    }

    /// Does one thing; a call that Envoy would not make comes back at once.
    fn carry_out(&mut self, shared: &Shared, effect: Effect) -> Option<(CallId, Outcome)> {
        match effect {
            Effect::CallRedis {
                call,
                commands,
                replies,
                timeout_ms,
            } => {
                let sent = self
                    .calls
                    .send(&shared.cluster, call, &commands, replies, timeout_ms);
                return sent.err().map(|failure| (call, Err(failure)));
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

    fn action(&self) -> Action {
        if self.flow == Flow::Resumed {
            Action::Continue
        } else {
            Action::Pause
        }
    }
}

impl Context for Request {
    fn on_http_call_response(
        &mut self,
        token: u32,
        _headers: usize,
        body_size: usize,
        _trailers: usize,
    ) {
        if let Some((call, outcome)) = self.calls.answered(token, body_size) {
            self.step(Callback::Other, redis(call, &outcome));
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        let headers = headers(MapType::HttpRequestHeaders);
        let peer = hostcalls::get_property(vec!["source", "address"]);
        let peer = peer.ok().flatten();
        self.step(
            Callback::Request,
            Event::RequestHeaders {
                headers: &headers,
                end,
                peer: peer.as_deref(),
            },
        );
        self.action()
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if self.flow != Flow::Paused {
            return self.action();
        }
        // While paused, Envoy counts the whole body so far.
        let new = size.saturating_sub(self.seen);
        let chunk = if new == 0 {
            Vec::new()
        } else {
            let chunk = hostcalls::get_buffer(BufferType::HttpRequestBody, self.seen, new);
            chunk.ok().flatten().unwrap_or_default()
        };
        self.seen = self.seen.saturating_add(chunk.len());
        self.step(Callback::Request, Event::RequestBody { chunk: &chunk, end });
        self.action()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if self.flow == Flow::Paused {
            self.step(
                Callback::Request,
                Event::RequestBody {
                    chunk: &[],
                    end: true,
                },
            );
        }
        self.action()
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        if self.flow != Flow::Replied {
            let headers = headers(MapType::HttpResponseHeaders);
            self.step(
                Callback::ResponseHeaders,
                Event::ResponseHeaders {
                    headers: &headers,
                    end,
                },
            );
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.flow != Flow::Replied {
            let chunk = if size == 0 {
                Vec::new()
            } else {
                let chunk = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size);
                chunk.ok().flatten().unwrap_or_default()
            };
            self.step(
                Callback::ResponseBody,
                Event::ResponseBody { chunk: &chunk, end },
            );
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if self.flow != Flow::Replied {
            self.step(
                Callback::Other,
                Event::ResponseBody {
                    chunk: &[],
                    end: true,
                },
            );
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        self.step(Callback::Other, Event::Done);
    }
}

fn redis(call: CallId, outcome: &Outcome) -> Event<'_> {
    Event::Redis {
        call,
        outcome: outcome
            .as_ref()
            .map(Vec::as_slice)
            .map_err(|failure| *failure),
    }
}

fn headers(map: MapType) -> Headers {
    let pairs = hostcalls::get_map_bytes(map).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(name, value)| (name.into_bytes(), value))
        .collect()
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

//! One request's callbacks as events of its exchange.

use std::cell::RefCell;
use std::rc::Rc;

use filter_core::event::{Event, Headers};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::shared::{Shared, now};
use crate::stream::{Callback, Flow, Stream};

/// One request and its answer.
pub struct Request {
    id: u32,
    /// `None` where the root was never configured: the request then stays paused, never passes.
    shared: Option<Rc<Shared>>,
    stream: Rc<RefCell<Stream>>,
}

impl Request {
    /// A request of which nothing has come yet.
    pub fn new(id: u32, shared: Option<Rc<Shared>>) -> Self {
        let stream = Rc::new(RefCell::new(Stream::new(id)));
        if let Some(shared) = &shared
            && let Ok(mut streams) = shared.streams.try_borrow_mut()
        {
            streams.insert(id, Rc::clone(&stream));
        }
        Self { id, shared, stream }
    }

    fn step(&self, callback: Callback, event: Event<'_>) -> Action {
        if let Some(shared) = &self.shared
            && let Ok(mut stream) = self.stream.try_borrow_mut()
        {
            stream.step(shared, now(), callback, event);
            stream.action()
        } else {
            Action::Pause
        }
    }

    fn flow(&self) -> Flow {
        self.stream
            .try_borrow()
            .map_or(Flow::Paused, |stream| stream.flow())
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
        if let Some(shared) = &self.shared
            && let Ok(mut stream) = self.stream.try_borrow_mut()
        {
            stream.answered(shared, token, body_size);
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        let headers = headers(MapType::HttpRequestHeaders);
        let peer = hostcalls::get_property(vec!["source", "address"]);
        let peer = peer.ok().flatten();
        let event = Event::RequestHeaders {
            headers: &headers,
            end,
            peer: peer.as_deref(),
        };
        self.step(Callback::Request, event)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        match self.flow() {
            Flow::Paused => {}
            Flow::Resumed => return Action::Continue,
            Flow::Replied => return Action::Pause,
        }
        let chunk = match self.stream.try_borrow_mut() {
            Ok(mut stream) => stream.new_body(size),
            Err(_) => return Action::Pause,
        };
        self.step(Callback::Request, Event::RequestBody { chunk: &chunk, end })
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let chunk = &[];
        match self.flow() {
            Flow::Paused => self.step(Callback::Request, Event::RequestBody { chunk, end: true }),
            Flow::Resumed => Action::Continue,
            Flow::Replied => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        if self.flow() != Flow::Replied {
            let headers = headers(MapType::HttpResponseHeaders);
            let headers = &headers;
            let event = Event::ResponseHeaders { headers, end };
            self.step(Callback::ResponseHeaders, event);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.flow() != Flow::Replied {
            let chunk = if size == 0 {
                Vec::new()
            } else {
                let chunk = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size);
                chunk.ok().flatten().unwrap_or_default()
            };
            let chunk = &chunk;
            self.step(Callback::ResponseBody, Event::ResponseBody { chunk, end });
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if self.flow() != Flow::Replied {
            // Envoy has sent the body on: there is no buffer that could be changed here.
            self.step(Callback::Other, Event::ResponseTrailers);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(shared) = &self.shared else {
            return;
        };
        // Before anything else: nobody may switch to a context that Envoy is done with.
        if let Ok(mut streams) = shared.streams.try_borrow_mut() {
            streams.remove(&self.id);
        }
        if let Ok(mut stream) = self.stream.try_borrow_mut() {
            stream.ended(shared);
        }
    }
}

fn headers(map: MapType) -> Headers {
    let pairs = hostcalls::get_map_bytes(map).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(name, value)| (name.into_bytes(), value))
        .collect()
}

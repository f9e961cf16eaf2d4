//! The root of the `redis_bridge` role: a network filter between an internal listener and Envoy's `redis_proxy`. What passes is decided by
//! [`filter_core::bridge::Bridge`].

use filter_core::bridge::{Bridge, BridgeOut};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, BufferType, ContextType};

/// The root; it has no state.
pub struct BridgeRoot;

impl Context for BridgeRoot {}

impl RootContext for BridgeRoot {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn create_stream_context(&self, _id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Connection(Bridge::new())))
    }
}

/// One connection from Envoy's HTTP client.
struct Connection(Bridge);

impl Context for Connection {}

impl StreamContext for Connection {
    fn on_downstream_data(&mut self, size: usize, _end: bool) -> Action {
        pass(BufferType::DownstreamData, size, |bytes| {
            self.0.downstream(bytes)
        })
    }

    fn on_upstream_data(&mut self, size: usize, _end: bool) -> Action {
        pass(BufferType::UpstreamData, size, |bytes| {
            self.0.upstream(bytes)
        })
    }
}

fn pass(buffer: BufferType, size: usize, translate: impl FnOnce(&[u8]) -> BridgeOut) -> Action {
    let bytes = match hostcalls::get_buffer(buffer, 0, size) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(_) => return close(),
    };
    match translate(&bytes) {
        BridgeOut::Forward(out) => match hostcalls::set_buffer(buffer, 0, size, &out) {
            Ok(()) => Action::Continue,
            Err(_) => close(),
        },
        BridgeOut::Close => close(),
    }
}

fn close() -> Action {
    // Nothing else can be done about a connection that will not close: its bytes are held here.
    let _ = hostcalls::close_downstream();
    Action::Pause
}

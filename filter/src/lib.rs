//! Tollkeeper's Envoy filter: carries Envoy's callbacks to the request path as events and its effects back as host calls. Decides nothing.
//!
//! 1. Envoy starts the module with a root id. `http` governs LLM requests; `redis_bridge` turns HTTP calls into plain RESP in front of
//!    Envoy's `redis_proxy` ([`redis_bridge`]).
//! 2. Under `http`, every virtual machine has one [`filter_core::worker::Worker`], [`shared`] by its root ([`root_context`], which ticks and
//!    settles) and its requests ([`http_context`] takes Envoy's callbacks, [`stream`] holds one [`filter_core::exchange::Exchange`] each).
//! 3. Calls to Redis ([`redis_call`]) leave by themselves while little goes on; while the root's own call is under way they wait for it
//!    ([`filter_core::courier::Courier`] decides) and the root brings each request its replies. Figures become Envoy stats in [`metrics`].
//!
//! Failure stance: every host call's result is looked at and none is unwrapped. A panic would stop the machine and cut its running streams;
//! Envoy then reloads it and answers 503 meanwhile.
#![expect(missing_docs, reason = "the entry point that proxy_wasm::main makes")]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod http_context;
mod metrics;
mod redis_bridge;
mod redis_call;
mod root_context;
mod shared;
mod stream;

use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

use crate::redis_bridge::BridgeRoot;
use crate::root_context::HttpRoot;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(root);
}}

/// The root that this virtual machine was started with.
fn root(id: u32) -> Box<dyn RootContext> {
    // Envoy sets the property before it creates the root.
    match proxy_wasm::hostcalls::get_property(vec!["plugin_root_id"]) {
        Ok(Some(name)) if name == b"http" => Box::new(HttpRoot::new(id)),
        Ok(Some(name)) if name == b"redis_bridge" => Box::new(BridgeRoot),
        _ => Box::new(UnknownRoot),
    }
}

/// A root id that this module does not have: the start fails with a sentence instead of a filter that does nothing.
struct UnknownRoot;

impl Context for UnknownRoot {}

impl RootContext for UnknownRoot {
    fn on_configure(&mut self, _size: usize) -> bool {
        log(
            LogLevel::Critical,
            "root_id: expected \"http\" or \"redis_bridge\"",
        );
        false
    }
}

/// Writes a log line. A line that Envoy does not take is lost; there is nowhere else to say so.
fn log(level: LogLevel, text: &str) {
    let _ = proxy_wasm::hostcalls::log(level, text);
}

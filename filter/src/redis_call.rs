//! Calls to Redis as Envoy HTTP calls to the bridge's cluster: out as one body of RESP commands, back as one body of RESP replies.
//!
//! Failure stance: whatever is not a 200 with exactly the awaited replies is a failure of the store, and says which.

use std::collections::HashMap;
use std::time::Duration;

use contract::resp::{self, Reply};

use filter_core::event::{CallId, StoreFailure};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

/// The calls under way of one context.
#[derive(Default)]
pub struct RedisCalls {
    by_token: HashMap<u32, Awaited>,
}

struct Awaited {
    call: CallId,
    replies: usize,
}

/// What came of a call.
pub type Outcome = Result<Vec<Reply>, StoreFailure>;

impl RedisCalls {
    /// Makes a call in the current context; `Err` where Envoy would not make it.
    pub fn send(
        &mut self,
        cluster: &str,
        call: CallId,
        commands: &[u8],
        replies: usize,
        timeout_ms: u64,
    ) -> Result<(), StoreFailure> {
        let count = replies.to_string();
        let headers = vec![
            (":method", "POST"),
            (":path", "/redis"),
            (":authority", "redis"),
            ("x-tollkeeper-replies", count.as_str()),
        ];
        let timeout = Duration::from_millis(timeout_ms);
        let sent =
            hostcalls::dispatch_http_call(cluster, headers, Some(commands), Vec::new(), timeout);
        let token = sent.map_err(|_| StoreFailure::Dispatch)?;
        self.by_token.insert(token, Awaited { call, replies });
        Ok(())
    }

    /// Envoy's callback for `token`; `None` where the call is none of these.
    pub fn answered(&mut self, token: u32, body_size: usize) -> Option<(CallId, Outcome)> {
        let Awaited { call, replies } = self.by_token.remove(&token)?;
        Some((call, outcome(replies, body_size)))
    }
}

fn outcome(replies: usize, body_size: usize) -> Outcome {
    let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status");
    match status.ok().flatten().as_deref() {
        Some(b"200") => {}
        Some(b"504") => return Err(StoreFailure::Timeout),
        _ => return Err(StoreFailure::Unreachable),
    }
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size);
    let body = body.ok().flatten().ok_or(StoreFailure::Malformed)?;
    resp::decode_all(&body, replies).map_err(|_| StoreFailure::Malformed)
}

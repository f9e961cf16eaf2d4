//! Calls to Redis as Envoy HTTP calls to the bridge's cluster: out as one body of RESP commands, back as one body of RESP replies.
//!
//! Failure stance: whatever is not a 200 with exactly the awaited replies is a failure of the store, and says which.

use std::time::Duration;

use contract::resp::{self, Reply};
use filter_core::event::StoreFailure;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

/// What came of a call.
pub type Outcome = Result<Vec<Reply>, StoreFailure>;

/// Makes a call in the current context and tells Envoy's token for it; `Err` where Envoy would not make it.
pub fn send(
    cluster: &str,
    commands: &[u8],
    replies: usize,
    timeout_ms: u64,
) -> Result<u32, StoreFailure> {
    let count = replies.to_string();
    let headers = vec![
        (":method", "POST"),
        (":path", "/redis"),
        (":authority", "redis"),
        ("x-tollkeeper-replies", count.as_str()),
    ];
    let timeout = Duration::from_millis(timeout_ms);
    hostcalls::dispatch_http_call(cluster, headers, Some(commands), Vec::new(), timeout)
        .map_err(|_| StoreFailure::Dispatch)
}

/// What came of the call that Envoy's current callback is about.
pub fn outcome(replies: usize, body_size: usize) -> Outcome {
    // The body first: exactly the awaited replies come from Redis alone, and each host call costs as much as reading them.
    if body_size > 0
        && let Ok(Some(body)) =
            hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size)
        && let Ok(replies) = resp::decode_all(&body, replies)
    {
        return Ok(replies);
    }
    let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status");
    Err(match status.ok().flatten().as_deref() {
        Some(b"200") => StoreFailure::Malformed,
        Some(b"504") => StoreFailure::Timeout,
        _ => StoreFailure::Unreachable,
    })
}

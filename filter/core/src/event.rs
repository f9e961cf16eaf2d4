//! What Envoy tells an exchange.

use contract::resp::Reply;

/// Names one call to Redis within an exchange or the worker's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

/// Headers in order, names in lower case; values are bytes.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Something that happened to an exchange.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The request's headers, pseudo-headers included.
    RequestHeaders {
        /// All of them.
        headers: &'a Headers,
        /// No body follows.
        end: bool,
        /// The client's address (`ip:port`) as Envoy saw it.
        peer: Option<&'a [u8]>,
    },
    /// A further piece of the request's body; empty pieces are allowed.
    RequestBody {
        /// Only what is new since the last event.
        chunk: &'a [u8],
        /// The last piece.
        end: bool,
    },
    /// The outcome of a call to Redis.
    Redis {
        /// Which call.
        call: CallId,
        /// One reply per command, or why there is none.
        outcome: Result<&'a [Reply], StoreFailure>,
    },
    /// The upstream's (or Envoy's own) answer begins. Not raised for replies that the exchange itself sent.
    ResponseHeaders {
        /// All of them.
        headers: &'a Headers,
        /// No body follows.
        end: bool,
    },
    /// A further piece of the answer.
    ResponseBody {
        /// Only what is new.
        chunk: &'a [u8],
        /// The last piece.
        end: bool,
    },
    /// The answer ended with trailers: nothing can be added to its body any more.
    ResponseTrailers,
    /// The stream is over, whichever way: Envoy's `on_log`. The last event.
    Done,
}

/// Why a call to Redis has no replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreFailure {
    /// The call could not be made (unknown cluster).
    Dispatch,
    /// Redis could not be reached, or Envoy answered in its place.
    Unreachable,
    /// No answer within the time-out.
    Timeout,
    /// An answer that is not one well-formed reply per command.
    Malformed,
}

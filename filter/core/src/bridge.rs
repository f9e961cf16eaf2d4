//! Lets an HTTP call carry Redis commands: the logic of the network filter in front of `redis_proxy`.
//!
//! Downstream: HTTP/1.1 `POST /redis` requests whose bodies are RESP commands and whose `x-tollkeeper-replies` says how many; the bodies pass on
//! as plain RESP. Upstream: RESP replies; each request's come back as one HTTP response, in order.
//!
//! Failure stance: anything unexpected closes the connection. Replies can then never be taken for those of another request.

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeOut {
    /// Pass these bytes on in the place of those that came; may be empty.
    Forward(Vec<u8>),
    /// Close the connection; nothing that came later may pass.
    Close,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Bridge {}

impl Bridge {
    /// A fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes from the HTTP client, to `redis_proxy`.
    pub fn downstream(&mut self, bytes: &[u8]) -> BridgeOut {
        todo!()
    }

    /// Bytes from `redis_proxy`, to the HTTP client.
    pub fn upstream(&mut self, bytes: &[u8]) -> BridgeOut {
        todo!()
    }
}

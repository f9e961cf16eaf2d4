//! Lets an HTTP call carry Redis commands: the logic of the network filter in front of `redis_proxy`.
//!
//! 1. Downstream, HTTP/1.1: `POST /redis` requests whose bodies are RESP commands and whose `x-tollkeeper-replies` says how many. Their
//!    heads are taken off, so that the bodies pass on as plain RESP.
//! 2. Upstream, RESP: the replies of each request are gathered and come back as one response, in the order of the requests.
//!
//! Decides where messages begin and end; what they say is left to others. Failure stance: anything unexpected closes the connection, so
//! that a reply can never be taken for that of another request.

mod frames;
mod request;

use std::collections::VecDeque;

use frames::Frames;
use request::{Request, Step};

/// Most requests that wait for their replies.
const MAX_WAITING: usize = 64;
/// Most bytes of one response.
const MAX_BODY: usize = 8 * 1024 * 1024;

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
pub struct Bridge {
    request: Request,
    // How many replies each request expects, the oldest first.
    waiting: VecDeque<usize>,
    replies: Frames,
    // Replies to the oldest request so far.
    got: usize,
    body: Vec<u8>,
    closed: bool,
}

/// Something unexpected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unexpected;

impl Bridge {
    /// A fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes from the HTTP client, to `redis_proxy`.
    pub fn downstream(&mut self, bytes: &[u8]) -> BridgeOut {
        let commands = self.commands(bytes);
        self.out(commands)
    }

    /// Bytes from `redis_proxy`, to the HTTP client.
    pub fn upstream(&mut self, bytes: &[u8]) -> BridgeOut {
        let responses = self.responses(bytes);
        self.out(responses)
    }

    fn out(&mut self, bytes: Result<Vec<u8>, Unexpected>) -> BridgeOut {
        match bytes {
            Ok(bytes) if !self.closed => BridgeOut::Forward(bytes),
            _ => {
                self.closed = true;
                BridgeOut::Close
            }
        }
    }

    fn commands(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, Unexpected> {
        let mut commands = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() && !self.closed {
            let (step, used) = self.request.step(bytes)?;
            match step {
                Step::Framing => {}
                Step::Begun { replies } => {
                    if self.waiting.len() >= MAX_WAITING {
                        return Err(Unexpected);
                    }
                    self.waiting.push_back(replies);
                }
                Step::Body(piece) => commands.extend_from_slice(piece),
            }
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(commands)
    }

    fn responses(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, Unexpected> {
        let mut responses = Vec::new();
        while !bytes.is_empty() {
            let expected = *self.waiting.front().ok_or(Unexpected)?;
            let (used, whole) = self.replies.step(bytes)?;
            let (piece, rest) = bytes.split_at_checked(used).ok_or(Unexpected)?;
            if self.body.len().saturating_add(used) > MAX_BODY {
                return Err(Unexpected);
            }
            self.body.extend_from_slice(piece);
            bytes = rest;
            self.got = self.got.saturating_add(usize::from(whole));
            if self.got == expected {
                self.waiting.pop_front();
                self.got = 0;
                respond(&mut responses, &mut self.body);
            }
        }
        Ok(responses)
    }
}

fn respond(responses: &mut Vec<u8>, body: &mut Vec<u8>) {
    responses.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: ");
    responses.extend_from_slice(body.len().to_string().as_bytes());
    responses.extend_from_slice(b"\r\n\r\n");
    responses.append(body);
}

//! Load for benchmarks: a closed loop over a fixed number of kept-alive connections, each sending the same bytes again and again.
//!
//! It is deliberately bare – one thread, prepared request bytes, no HTTP library – because on a small machine the cost of the client is
//! part of every measurement. It understands just enough of HTTP/1.1 to know where an answer starts and ends. A status other than 200 is an
//! error of the run: a benchmark of refusals would be very fast and mean nothing.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock;

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// Requests, head and body, sent in turn. At least one.
    pub requests: Vec<Vec<u8>>,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// For how long.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Microseconds from a request's first byte to its answer's last, sorted.
    pub whole_us: Vec<u32>,
    /// Microseconds from a request's first byte to the first of its answer's body, sorted.
    pub first_us: Vec<u32>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Measured {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        if self.elapsed.is_zero() {
            0.0
        } else {
            number(self.whole_us.len()) / self.elapsed.as_secs_f64()
        }
    }
}

/// A count as a figure of a report; exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "reports do not show sixteen digits"
)]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// The value below which `part` (0 to 1) of the sorted values lie; 0 where there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the index lies between 0 and the length"
)]
pub fn percentile(sorted: &[u32], part: f64) -> f64 {
    let index = (number(sorted.len().saturating_sub(1)) * part).round() as usize;
    sorted.get(index).copied().map_or(0.0, f64::from)
}

/// A chat request of about `bytes` bytes of body, as bytes on the wire.
pub fn chat_request(
    host: &SocketAddr,
    headers: &[(&str, &str)],
    stream: bool,
    bytes: usize,
) -> Vec<u8> {
    let frame = |text: &str| {
        format!(
            r#"{{"model":"gpt-4o-mini","max_tokens":64,"stream":{stream},"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{text}"}}]}}"#
        )
    };
    let words = "toll roads of the world ";
    let missing = bytes.saturating_sub(frame("").len());
    let body = frame(&words.repeat(missing.div_ceil(words.len()))[..missing]);
    let mut request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    );
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    let _ = write!(request, "content-length: {}\r\n\r\n{body}", body.len());
    request.into_bytes()
}

impl Load {
    /// Runs it to its end, on a thread of its own.
    pub async fn run(&self) -> Result<Measured> {
        let load = self.clone();
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // The waiter may have been dropped.
                let _ = done.send(load.run_here());
            })?;
        result.await.context("the load thread ended")?
    }

    fn run_here(&self) -> Result<Measured> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let started = clock::now();
            let until = started + self.duration;
            let mut tasks = Vec::with_capacity(self.connections);
            let requests: Rc<[Vec<u8>]> = self.requests.as_slice().into();
            let next = Rc::new(Cell::new(0));
            for _ in 0..self.connections {
                let mut connection = Connection::open(self.address).await?;
                let (requests, next) = (Rc::clone(&requests), Rc::clone(&next));
                tasks.push(tokio::task::spawn_local(async move {
                    connection.repeat(&requests, &next, until).await
                }));
            }
            let mut measured = Measured::default();
            for task in tasks {
                let (whole, first) = task.await??;
                measured.whole_us.extend(whole);
                measured.first_us.extend(first);
            }
            measured.elapsed = started.elapsed();
            measured.whole_us.sort_unstable();
            measured.first_us.sort_unstable();
            Ok(measured)
        })
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends the request whose turn it is, again and again.
    async fn repeat(
        &mut self,
        requests: &[Vec<u8>],
        next: &Cell<usize>,
        until: Instant,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let (mut whole, mut first) = (Vec::new(), Vec::new());
        loop {
            let started = clock::now();
            if started >= until {
                return Ok((whole, first));
            }
            let turn = next.get();
            next.set(turn.wrapping_add(1));
            let request = turn
                .checked_rem(requests.len())
                .and_then(|turn| requests.get(turn));
            self.stream
                .write_all(request.context("nothing to send")?)
                .await?;
            let head = self.answer().await?;
            whole.push(micros(started, clock::now()));
            first.push(micros(started, head));
        }
    }

    /// Reads one answer; gives the moment at which the first byte of its body was there.
    async fn answer(&mut self) -> Result<Instant> {
        self.received.clear();
        let head = loop {
            self.more().await?;
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !self.received.starts_with(b"HTTP/1.1 200") {
            bail!(
                "an answer was not 200: {}",
                String::from_utf8_lossy(&self.received)
            );
        }
        let length = content_length(&self.received[..head])?;
        if self.received.len() == head {
            self.more().await?;
        }
        let first = clock::now();
        match length {
            Some(length) => {
                while self.received.len() < head + length {
                    self.more().await?;
                }
            }
            // Chunked: the last chunk is empty.
            None => {
                while !self.received.ends_with(b"\r\n0\r\n\r\n") {
                    self.more().await?;
                }
            }
        }
        Ok(first)
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the connection was closed within an answer");
        }
        Ok(())
    }
}

fn content_length(head: &[u8]) -> Result<Option<usize>> {
    let text = std::str::from_utf8(head).context("an answer's head is not text")?;
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return value
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| anyhow!("an answer has no length: {line}"));
        }
    }
    Ok(None)
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Remember, Upstream};

    #[tokio::test]
    async fn a_closed_loop_measures_whole_answers_and_streams() {
        let upstream = Upstream::start(Remember::Nothing).unwrap();
        for stream in [false, true] {
            let request = chat_request(
                &upstream.address(),
                &[("authorization", "Bearer x")],
                stream,
                1024,
            );
            let body = request
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap()
                + 4;
            assert_eq!(request.len() - body, 1024);
            let load = Load {
                address: upstream.address(),
                requests: vec![request],
                connections: 4,
                duration: Duration::from_millis(100),
            };
            let measured = load.run().await.unwrap();
            assert!(measured.whole_us.len() > 4 && measured.rate() > 10.0);
            assert_eq!(measured.whole_us.len(), measured.first_us.len());
            assert!(percentile(&measured.first_us, 0.5) <= percentile(&measured.whole_us, 0.5));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_of_the_run() {
        let upstream = Upstream::start(Remember::Nothing).unwrap();
        let request = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
        let load = Load {
            address: upstream.address(),
            requests: vec![request],
            connections: 1,
            duration: Duration::from_millis(50),
        };
        assert!(
            load.run()
                .await
                .unwrap_err()
                .to_string()
                .contains("not 200")
        );
    }

    #[test]
    fn percentiles_of_sorted_values() {
        let values: Vec<u32> = (1..=100).collect();
        assert!((percentile(&values, 0.5) - 51.0).abs() < 1.5);
        assert!((percentile(&values, 0.99) - 99.0).abs() < 1.5);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }
}

//! Carries the scripted upstream's answers over HTTP/1.1: reads the whole request, waits where the script says so, sends the pieces, and
//! notes in the record how it ended. Also serves the record itself under `/_upstream/`.
//!
//! A caller that leaves is noticed where it happens: hyper drops the answer, and the answer's guard closes the call as aborted.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use memchr::memmem;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Remember;
use super::answer::{Answer, Endpoint, answer};
use super::record::{Call, Outcome, Records};
use super::script::Script;
use crate::clock;

/// The header in which the gateway, where it is told to, passes on the Redis time of the admission.
const ADMITTED: &str = "x-tollkeeper-admitted-ms";

/// Most bytes of a body that are kept.
const KEPT: usize = 64 * 1024;

/// Closing the connection without a (whole) answer, as an error of the service or of the body.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the script closes the connection")
    }
}

impl std::error::Error for Cut {}

type Body = BoxBody<Bytes, Cut>;

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// Accepts connections until it is dropped.
pub async fn accept(listener: TcpListener, remember: Remember, records: Arc<Records>) {
    loop {
        // Out of descriptors, or a caller that left before it was accepted: the next one may do.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        // Without it small chunks wait for acknowledgements; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let records = Arc::clone(&records);
        tokio::spawn(async move {
            let service =
                service_fn(move |request| handle(request, remember, Arc::clone(&records)));
            // An error here is a connection that was cut, by either side: the record has it.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn handle(
    request: Request<Incoming>,
    remember: Remember,
    records: Arc<Records>,
) -> Result<Response<Body>, Cut> {
    let path = request
        .uri()
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    if let Some(inner) = path.strip_prefix("/_upstream/") {
        return Ok(own(request.method(), inner, &records));
    }
    if remember == Remember::Nothing {
        return quick(request, &path).await;
    }
    let (head, body) = request.into_parts();
    let arrived_ms = clock::unix_ms();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let script = Script::find(&body);
    let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let number = records.open(Call {
        number: 0,
        tag: script.as_ref().ok().and_then(|script| script.tag.clone()),
        arrived_ms,
        ended_ms: None,
        admitted_ms: head
            .headers
            .get(ADMITTED)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok()),
        method: head.method.to_string(),
        path: path.clone(),
        model: json.get("model").and_then(Value::as_str).map(str::to_owned),
        headers: texts(&head.headers),
        body: String::from_utf8_lossy(&body[..body.len().min(KEPT)]).into_owned(),
        status: 0,
        response_id: None,
        bytes_sent: 0,
        chunks_sent: 0,
        outcome: Outcome::Running,
        usage: None,
    });
    let guard = Guard {
        number,
        records,
        outcome: Outcome::Aborted,
    };
    match script {
        Ok(script) => respond(&path, &json, script, guard).await,
        Err(message) => send(Answer::error(400, &message), Script::default(), guard),
    }
}

/// Closes its call when it is dropped: as aborted, unless something else was decided before.
struct Guard {
    number: u64,
    records: Arc<Records>,
    outcome: Outcome,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.records.close(self.number, self.outcome);
    }
}

async fn respond(
    path: &str,
    json: &Value,
    script: Script,
    mut guard: Guard,
) -> Result<Response<Body>, Cut> {
    if let Some(name) = &script.hold {
        guard.records.held(name).await;
    }
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    if script.reset {
        guard.outcome = Outcome::Reset;
        return Err(Cut);
    }
    let answer = match Endpoint::of(path) {
        Some(endpoint) => answer(endpoint, json, &script, guard.number),
        None => Answer::error(
            404,
            &format!("the scripted upstream has no endpoint {path}"),
        ),
    };
    send(answer, script, guard)
}

fn send(answer: Answer, script: Script, mut guard: Guard) -> Result<Response<Body>, Cut> {
    guard.records.update(guard.number, |call| {
        call.status = answer.status;
        call.response_id.clone_from(&answer.id);
    });
    let head = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.content_type);
    let streamed = answer.content_type == "text/event-stream" || script.split.is_some();
    let body = if streamed {
        // One frame at a time: what was taken by the connection is what counts as sent.
        let (frames, taken) = mpsc::channel(1);
        tokio::spawn(feed(answer, script, guard, frames));
        StreamBody::new(Frames(taken)).boxed()
    } else {
        let bytes = answer
            .pieces
            .into_iter()
            .next()
            .map(|piece| piece.bytes)
            .unwrap_or_default();
        let sent = bytes.len() as u64;
        guard.records.update(guard.number, |call| {
            call.bytes_sent = sent;
            call.usage = answer.usage;
        });
        guard.outcome = Outcome::Finished;
        whole(bytes)
    };
    head.body(body).map_err(|_| Cut)
}

/// The frames of a body, as they are fed.
struct Frames(mpsc::Receiver<Result<Frame<Bytes>, Cut>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Cut>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Sends the pieces. Dropping the guard closes the call.
async fn feed(
    answer: Answer,
    script: Script,
    mut guard: Guard,
    frames: mpsc::Sender<Result<Frame<Bytes>, Cut>>,
) {
    let mut contents = 0;
    let last = answer.pieces.len().saturating_sub(1);
    for (index, piece) in answer.pieces.into_iter().enumerate() {
        if piece.content && script.reset_after == Some(contents) {
            guard.outcome = Outcome::Reset;
            // The connection may be gone already.
            let _ = frames.send(Err(Cut)).await;
            return;
        }
        let pause = async {
            if piece.content && !script.between.is_zero() {
                tokio::time::sleep(script.between).await;
            }
            if let Some(name) = script.hold_end.as_ref().filter(|_| index == last) {
                guard.records.held(name).await;
            }
        };
        tokio::select! {
            () = pause => {}
            () = frames.closed() => return,
        }
        let size = script.split.unwrap_or(piece.bytes.len()).max(1);
        for part in piece.bytes.chunks(size) {
            if frames
                .send(Ok(Frame::data(piece.bytes.slice_ref(part))))
                .await
                .is_err()
            {
                return;
            }
            guard
                .records
                .update(guard.number, |call| call.bytes_sent += part.len() as u64);
        }
        if piece.content {
            contents += 1;
            guard
                .records
                .update(guard.number, |call| call.chunks_sent += 1);
        }
    }
    // The last frame was accepted into the channel; it counts as sent once the connection takes it.
    if frames.reserve().await.is_ok() {
        guard
            .records
            .update(guard.number, |call| call.usage = answer.usage);
        guard.outcome = Outcome::Finished;
    }
}

/// The benchmark's answer: the same bytes every time, with nothing remembered.
async fn quick(request: Request<Incoming>, path: &str) -> Result<Response<Body>, Cut> {
    const JSON: &[u8] = br#"{"id":"chatcmpl-scripted","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"Hello from the scripted upstream: this request passed the gateway.","refusal":null}}],"usage":{"prompt_tokens":250,"completion_tokens":10,"total_tokens":260,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#;
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(|_| Cut)?
        .to_bytes();
    let head = Response::builder();
    let streamed = memmem::find(&body, b"\"stream\":true").is_some();
    let response = match Endpoint::of(path) {
        Some(endpoint) if streamed || endpoint != Endpoint::Chat => {
            let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let answer = answer(endpoint, &json, &Script::default(), 0);
            let pieces: Vec<Bytes> = answer.pieces.into_iter().map(|piece| piece.bytes).collect();
            head.status(answer.status)
                .header(CONTENT_TYPE, answer.content_type)
                .body(whole(Bytes::from(pieces.concat())))
        }
        Some(_) => head
            .header(CONTENT_TYPE, "application/json")
            .body(whole(Bytes::from_static(JSON))),
        None => head.status(404).body(whole(Bytes::new())),
    };
    response.map_err(|_| Cut)
}

/// `/_upstream/health`, `/_upstream/calls`, `/_upstream/calls/<tag>`, `POST /_upstream/release/<name>`.
fn own(method: &Method, path: &str, records: &Records) -> Response<Body> {
    let calls = match path.split_once('/') {
        None if path == "health" => {
            return json_response(
                200,
                &serde_json::json!({"status": "ok", "seen": records.seen()}),
            );
        }
        None if path == "calls" => records.all(),
        Some(("calls", tag)) => records.tagged(tag),
        Some(("release", name)) if *method == Method::POST => {
            records.release(name);
            return json_response(200, &serde_json::json!({"released": name}));
        }
        _ => return json_response(404, &serde_json::json!({"error": "not found"})),
    };
    json_response(200, &serde_json::json!({"calls": calls}))
}

fn json_response(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::from(value.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

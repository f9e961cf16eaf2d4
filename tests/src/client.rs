//! Calls over HTTP/1.1, as a client of the gateway or of the admin service makes them. Decides nothing about what an answer means.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for the head of an answer, and for each further piece of its body.
const PATIENCE: Duration = Duration::from_mins(2);

/// A client with a pool of connections.
#[derive(Clone, Debug)]
pub struct Client(hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>);

/// An answer whose body has arrived.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The JSON of a good answer; anything else is an error that shows it.
    pub fn good(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            Ok(self.json())
        } else {
            Err(anyhow!("answered {}: {}", self.status, self.text()))
        }
    }
}

/// An answer whose body is still arriving. Dropping it closes its connection.
#[derive(Debug)]
pub struct Arriving {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl Arriving {
    /// The next piece of the body; `None` at its end. A body that is cut is an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .context("the body stopped arriving")?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(anyhow!("the body was cut: {error}")),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Waits for the rest.
    pub async fn whole(mut self) -> Result<Reply> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Reply {
            status: self.status,
            headers: self.headers,
            body: body.into(),
        })
    }
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // A connection that the other side may be closing is not worth a flake.
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Self(client)
    }
}

impl Client {
    /// Sends a request and waits for the head of its answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Arriving> {
        let shown = format!("{} {}", request.method(), request.uri());
        let answer = tokio::time::timeout(PATIENCE, self.0.request(request))
            .await
            .with_context(|| format!("no answer to {shown}"))?
            .with_context(|| format!("{shown} failed"))?;
        let (head, body) = answer.into_parts();
        Ok(Arriving {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    /// `GET`, with a bearer key where there is one.
    pub async fn get(&self, url: &str, key: Option<&str>) -> Result<Reply> {
        self.send(request(Method::GET, url, key, Bytes::new())?)
            .await?
            .whole()
            .await
    }

    /// `POST` of JSON, with a bearer key where there is one.
    pub async fn post(&self, url: &str, key: Option<&str>, body: &Value) -> Result<Reply> {
        self.post_arriving(url, key, body).await?.whole().await
    }

    /// As [`Self::post`], with the body still arriving.
    pub async fn post_arriving(
        &self,
        url: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Arriving> {
        self.send(request(Method::POST, url, key, body.to_string().into())?)
            .await
    }
}

/// A JSON request, with a bearer key where there is one.
pub fn request(
    method: Method,
    url: &str,
    key: Option<&str>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(url);
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    request
        .body(Full::new(body))
        .with_context(|| format!("{url} is no URL to call"))
}

/// Sends bytes as they are and gives everything that comes back until the other side closes or nothing comes for `quiet`.
pub async fn raw(url: &str, bytes: &[u8], quiet: Duration) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(authority(url)).await?;
    // The other side may refuse before it has read everything; what it said is what counts.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(Ok(read)) = tokio::time::timeout(quiet, stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..read]);
    }
    Ok(all)
}

/// `host:port` of an `http://` URL.
pub fn authority(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split('/').next().unwrap_or(rest)
}

//! Decides what the scripted upstream answers: the JSON and the event streams of OpenAI's chat completions, completions, embeddings,
//! responses and model list. Deterministic: the same request gets the same bytes. Sending them is left to [`super::serve`].

use bytes::Bytes;
use serde_json::{Value, json};

use super::record::Reported;
use super::script::Script;

mod stream;

/// Seconds since the epoch that every answer carries as its creation.
const CREATED: u64 = 1_700_000_000;

/// Words that a default answer has, and so its completion tokens.
const DEFAULT: &str = "Hello from the scripted upstream: this request passed the gateway.";

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/responses`
    Responses,
    /// `/v1/models`
    Models,
}

impl Endpoint {
    /// The endpoint of a path, with or without `/v1`, query ignored.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or(path);
        match path.strip_prefix("/v1").unwrap_or(path) {
            "/chat/completions" => Some(Self::Chat),
            "/completions" => Some(Self::Completions),
            "/embeddings" => Some(Self::Embeddings),
            "/responses" => Some(Self::Responses),
            "/models" => Some(Self::Models),
            _ => None,
        }
    }
}

/// What is to be sent for one request.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// Body in pieces; a stream has one piece for each event.
    pub pieces: Vec<Piece>,
    /// What the answer reports as used, where it does.
    pub usage: Option<Reported>,
    /// The id that it carries, where it does.
    pub id: Option<String>,
}

/// A part of a body.
#[derive(Debug)]
pub struct Piece {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether it carries generated content of a stream.
    pub content: bool,
}

impl Answer {
    fn json(status: u16, value: &Value, usage: Option<Reported>) -> Self {
        let bytes = Bytes::from(value.to_string());
        Self {
            status,
            content_type: "application/json",
            pieces: vec![Piece {
                bytes,
                content: false,
            }],
            usage,
            id: value.get("id").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, message: &str) -> Self {
        let kind = if status >= 500 {
            "server_error"
        } else {
            "invalid_request_error"
        };
        Self::json(
            status,
            &json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
            None,
        )
    }
}

/// Answers a request whose body is `body` (`Null` where it has none); `number` makes the answer's id one of its own.
pub fn answer(endpoint: Endpoint, body: &Value, script: &Script, number: u64) -> Answer {
    if let Some(status) = script.status {
        return Answer::error(status, &format!("scripted error {status}"));
    }
    let request = Request::new(endpoint, body, script, number);
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    match (endpoint, streamed) {
        (Endpoint::Models, _) => models(),
        (Endpoint::Embeddings, _) => request.embeddings(body),
        (Endpoint::Chat | Endpoint::Completions, false) => request.completion(),
        (Endpoint::Chat | Endpoint::Completions, true) => request.completion_stream(body),
        (Endpoint::Responses, false) => request.response(),
        (Endpoint::Responses, true) => request.response_stream(),
    }
}

fn models() -> Answer {
    let model = json!({"id": "gpt-4o-mini", "object": "model", "created": CREATED, "owned_by": "scripted-upstream"});
    Answer::json(200, &json!({"object": "list", "data": [model]}), None)
}

struct Request<'a> {
    endpoint: Endpoint,
    script: &'a Script,
    number: u64,
    model: String,
    words: Vec<String>,
    choices: u64,
    cut: bool,
    used: Reported,
}

impl<'a> Request<'a> {
    fn new(endpoint: Endpoint, body: &Value, script: &'a Script, number: u64) -> Self {
        let count = |name: &str| body.get(name).and_then(Value::as_u64);
        let cap = count("max_completion_tokens")
            .or(count("max_tokens"))
            .or(count("max_output_tokens"));
        let wanted = script.tokens.unwrap_or(DEFAULT.split(' ').count() as u64);
        let tokens = match cap {
            Some(cap) if !script.ignore_cap => wanted.min(cap),
            _ => wanted,
        };
        let mut source = DEFAULT.split(' ').cycle();
        let words = (0..tokens)
            .map(|_| source.next().unwrap_or("toll").to_owned())
            .collect();
        let choices = count("n").unwrap_or(1).max(1);
        let used = Reported {
            prompt: script.prompt.unwrap_or_else(|| text_tokens(body)),
            completion: if endpoint == Endpoint::Embeddings {
                0
            } else {
                tokens * choices
            },
        };
        let model = body
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or("unnamed")
            .to_owned();
        Self {
            endpoint,
            script,
            number,
            model,
            words,
            choices,
            cut: tokens < wanted,
            used,
        }
    }

    fn reported(&self) -> Option<Reported> {
        (!self.script.no_usage).then_some(self.used)
    }

    fn usage(&self) -> Value {
        let Reported { prompt, completion } = self.used;
        match self.endpoint {
            Endpoint::Responses => json!({
                "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": completion, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": prompt + completion
            }),
            Endpoint::Embeddings => json!({"prompt_tokens": prompt, "total_tokens": prompt}),
            _ => json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}
            }),
        }
    }

    fn with_usage(&self, mut value: Value) -> Value {
        if !self.script.no_usage {
            value["usage"] = self.usage();
        }
        value
    }

    fn finish(&self) -> &'static str {
        if self.cut { "length" } else { "stop" }
    }

    fn completion(&self) -> Answer {
        let text = self.words.join(" ");
        let choices: Vec<Value> = (0..self.choices)
            .map(|index| match self.endpoint {
                Endpoint::Chat => json!({
                    "index": index, "finish_reason": self.finish(), "logprobs": null,
                    "message": {"role": "assistant", "content": text, "refusal": null}
                }),
                _ => json!({"index": index, "finish_reason": self.finish(), "logprobs": null, "text": text}),
            })
            .collect();
        let value = self.with_usage(self.envelope("", &choices));
        Answer::json(200, &value, self.reported())
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}scripted-{}", self.number)
    }

    fn envelope(&self, part: &str, choices: &[Value]) -> Value {
        let (id, object) = match self.endpoint {
            Endpoint::Chat => (self.id("chatcmpl-"), format!("chat.completion{part}")),
            _ => (self.id("cmpl-"), "text_completion".to_owned()),
        };
        json!({"id": id, "object": object, "created": CREATED, "model": self.model, "choices": choices})
    }

    fn embeddings(&self, body: &Value) -> Answer {
        let inputs = match body.get("input") {
            Some(Value::Array(inputs)) if !inputs.first().is_some_and(Value::is_u64) => {
                inputs.len()
            }
            _ => 1,
        };
        // base64 of four little-endian f32 1.0, 0.5, 0.25, 0.125
        let vector = match body.get("encoding_format").and_then(Value::as_str) {
            Some("base64") => json!("AACAPwAAAD8AAIA+AAAAPg=="),
            _ => json!([1.0, 0.5, 0.25, 0.125]),
        };
        let data: Vec<Value> = (0..inputs)
            .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
            .collect();
        let value = json!({"object": "list", "model": self.model, "data": data});
        Answer::json(200, &self.with_usage(value), self.reported())
    }

    fn response_object(&self, status: &str, output: &[Value]) -> Value {
        json!({
            "id": self.id("resp_"), "object": "response", "created_at": CREATED, "status": status, "model": self.model,
            "error": null, "incomplete_details": null, "instructions": null, "metadata": {}, "output": output,
            "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0
        })
    }

    fn message(&self, status: &str) -> Value {
        let part = json!({"type": "output_text", "text": self.words.join(" "), "annotations": []});
        json!({"type": "message", "id": "msg_scripted", "status": status, "role": "assistant", "content": [part]})
    }

    fn response(&self) -> Answer {
        let value = self.response_object("completed", &[self.message("completed")]);
        Answer::json(200, &self.with_usage(value), self.reported())
    }
}

/// About four bytes of text a token, as providers count English; at least one.
fn text_tokens(body: &Value) -> u64 {
    fn text(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(parts) => parts.iter().map(text).sum(),
            Value::Object(fields) => ["content", "text", "input_text"]
                .iter()
                .filter_map(|name| fields.get(*name))
                .map(text)
                .sum(),
            Value::Number(_) => 4,
            _ => 0,
        }
    }
    let bytes: usize = ["messages", "prompt", "input", "instructions"]
        .iter()
        .filter_map(|name| body.get(*name))
        .map(text)
        .sum();
    u64::try_from(bytes.div_ceil(4).max(1)).unwrap_or(u64::MAX)
}

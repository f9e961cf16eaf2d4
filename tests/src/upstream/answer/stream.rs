//! The answers that arrive as server-sent events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, Endpoint, Piece, Request};
use crate::upstream::record::Reported;
use crate::upstream::script::Script;

impl Request<'_> {
    pub(super) fn completion_stream(&self, body: &Value) -> Answer {
        let wants_usage = body
            .pointer("/stream_options/include_usage")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let usage_follows = wants_usage && !self.script.no_usage;
        let chunk = |choices: Vec<Value>| {
            let mut value = self.envelope(".chunk", &choices);
            if usage_follows {
                value["usage"] = Value::Null;
            }
            value
        };
        let choice = |index: u64, delta: Value, finish: Value| match self.endpoint {
            Endpoint::Chat => {
                json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish})
            }
            _ => {
                json!({"index": index, "text": delta["content"], "logprobs": null, "finish_reason": finish})
            }
        };
        let mut events = Events::new(self.script);
        if self.endpoint == Endpoint::Chat {
            let heads = (0..self.choices).map(|index| {
                choice(
                    index,
                    json!({"role": "assistant", "content": ""}),
                    Value::Null,
                )
            });
            events.data(&chunk(heads.collect()), false);
        }
        for text in self.portions() {
            for index in 0..self.choices {
                events.data(
                    &chunk(vec![choice(index, json!({"content": text}), Value::Null)]),
                    true,
                );
            }
        }
        let tails = (0..self.choices).map(|index| {
            let delta = if self.endpoint == Endpoint::Chat {
                json!({})
            } else {
                json!({"content": ""})
            };
            choice(index, delta, json!(self.finish()))
        });
        events.data(&chunk(tails.collect()), false);
        if usage_follows {
            let mut value = self.envelope(".chunk", &[]);
            value["usage"] = self.usage();
            events.data(&value, false);
        }
        events.raw("data: [DONE]", false);
        let id = self.id(if self.endpoint == Endpoint::Chat {
            "chatcmpl-"
        } else {
            "cmpl-"
        });
        events.answer(usage_follows.then_some(self.used), id)
    }

    /// The words, divided over the chunks that were asked for.
    fn portions(&self) -> Vec<String> {
        let words = self.words.len();
        let chunks = self
            .script
            .chunks
            .and_then(|chunks| usize::try_from(chunks).ok())
            .unwrap_or(words)
            .clamp(1, words.max(1));
        let mut portions = Vec::with_capacity(chunks);
        for index in 0..chunks {
            let (from, to) = (words * index / chunks, words * (index + 1) / chunks);
            let mut text = self.words[from..to].join(" ");
            if index + 1 < chunks {
                text.push(' ');
            }
            portions.push(text);
        }
        portions
    }

    pub(super) fn response_stream(&self) -> Answer {
        let mut events = Events::new(self.script);
        let mut number = 0;
        let mut event = |kind: &str, mut value: Value, content: bool| {
            value["type"] = json!(kind);
            value["sequence_number"] = json!(number);
            number += 1;
            events.named(kind, &value, content);
        };
        event(
            "response.created",
            json!({"response": self.response_object("in_progress", &[])}),
            false,
        );
        let item = json!({"type": "message", "id": "msg_scripted", "status": "in_progress", "role": "assistant", "content": []});
        event(
            "response.output_item.added",
            json!({"output_index": 0, "item": item}),
            false,
        );
        let place = |mut value: Value| {
            value["item_id"] = json!("msg_scripted");
            value["output_index"] = json!(0);
            value["content_index"] = json!(0);
            value
        };
        let part =
            |text: &str| json!({"part": {"type": "output_text", "text": text, "annotations": []}});
        event("response.content_part.added", place(part("")), false);
        for text in self.portions() {
            event(
                "response.output_text.delta",
                place(json!({"delta": text, "logprobs": []})),
                true,
            );
        }
        let text = self.words.join(" ");
        event(
            "response.output_text.done",
            place(json!({"text": text, "logprobs": []})),
            false,
        );
        event("response.content_part.done", place(part(&text)), false);
        event(
            "response.output_item.done",
            json!({"output_index": 0, "item": self.message("completed")}),
            false,
        );
        let done = self.with_usage(self.response_object("completed", &[self.message("completed")]));
        event("response.completed", json!({"response": done}), false);
        events.answer(self.reported(), self.id("resp_"))
    }
}

/// Builds a body of server-sent events.
struct Events {
    line: &'static str,
    pieces: Vec<Piece>,
}

impl Events {
    fn new(script: &Script) -> Self {
        Self {
            line: if script.crlf { "\r\n" } else { "\n" },
            pieces: Vec::new(),
        }
    }

    fn raw(&mut self, text: &str, content: bool) {
        self.pieces.push(Piece {
            bytes: Bytes::from(format!("{text}{0}{0}", self.line)),
            content,
        });
    }

    fn data(&mut self, value: &Value, content: bool) {
        self.raw(&format!("data: {value}"), content);
    }

    fn named(&mut self, event: &str, value: &Value, content: bool) {
        self.raw(
            &format!("event: {event}{}data: {value}", self.line),
            content,
        );
    }

    fn answer(self, usage: Option<Reported>, id: String) -> Answer {
        Answer {
            status: 200,
            content_type: "text/event-stream",
            pieces: self.pieces,
            usage,
            id: Some(id),
        }
    }
}

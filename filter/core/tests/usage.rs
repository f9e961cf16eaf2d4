//! Recorded shapes of answers, split at every byte, cut at every byte, and mangled.
#![expect(clippy::unwrap_used, reason = "a test may panic in its helpers too")]

use contract::usage::{Metered, Usage};
use filter_core::route::Api;
use filter_core::usage::{Meter, MeterMode, Outcome, Passed};
use proptest::prelude::*;

const CHAT: &[u8] = include_bytes!("fixtures/chat.json");
const CHAT_STREAM: &[u8] = include_bytes!("fixtures/chat_stream.sse");
const COMPLETIONS: &[u8] = include_bytes!("fixtures/completions.json");
const COMPLETIONS_STREAM: &[u8] = include_bytes!("fixtures/completions_stream.sse");
const EMBEDDINGS: &[u8] = include_bytes!("fixtures/embeddings.json");
const RESPONSES: &[u8] = include_bytes!("fixtures/responses.json");
const RESPONSES_STREAM: &[u8] = include_bytes!("fixtures/responses_stream.sse");

const JSON: MeterMode = MeterMode {
    stream: false,
    hide_usage: false,
};
const STREAM: MeterMode = MeterMode {
    stream: true,
    hide_usage: false,
};
const HIDING: MeterMode = MeterMode {
    stream: true,
    hide_usage: true,
};

/// Everything recorded, with how it must be read.
const ALL: [(&[u8], Api, MeterMode); 7] = [
    (CHAT, Api::ChatCompletions, JSON),
    (CHAT_STREAM, Api::ChatCompletions, STREAM),
    (COMPLETIONS, Api::Completions, JSON),
    (COMPLETIONS_STREAM, Api::Completions, STREAM),
    (EMBEDDINGS, Api::Embeddings, JSON),
    (RESPONSES, Api::Responses, JSON),
    (RESPONSES_STREAM, Api::Responses, STREAM),
];

/// Meters pieces of a whole answer; says what was passed on, too.
fn metered<'a>(
    api: Api,
    mode: MeterMode,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Outcome, Vec<u8>) {
    let mut meter = Meter::new(api, mode);
    let mut passed = Vec::new();
    for piece in pieces {
        pass(&mut passed, piece, meter.push(piece, false));
    }
    pass(&mut passed, b"", meter.push(b"", true));
    (meter.finish(), passed)
}

fn pass(to: &mut Vec<u8>, piece: &[u8], how: Passed) {
    match how {
        Passed::AsIs => to.extend_from_slice(piece),
        Passed::Replace(with) => to.extend_from_slice(&with),
    }
}

fn whole(api: Api, mode: MeterMode, body: &[u8]) -> Outcome {
    metered(api, mode, [body]).0
}

fn usage_of(api: Api, mode: MeterMode, body: &str) -> Option<Metered> {
    whole(api, mode, body.as_bytes()).metered
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with an option everywhere"
)]
fn exact(usage: Usage) -> Option<Metered> {
    Some(Metered::Exact(usage))
}

mod counting {
    use super::*;

    #[test]
    fn a_chat_answer_is_split_into_disjoint_kinds() {
        let outcome = whole(Api::ChatCompletions, JSON, CHAT);
        let usage = Usage {
            input: 216,
            cache_read: 1024,
            audio_input: 50,
            output: 80,
            reasoning: 320,
            audio_output: 20,
            ..Usage::default()
        };
        assert_eq!(outcome.metered, exact(usage));
        assert_eq!(usage.total_tokens(), 1710);
        assert_eq!(
            outcome.response_id.as_deref(),
            Some("chatcmpl-CQ1x7aXbYz0Kd3")
        );
        assert_eq!(outcome.service_tier.as_deref(), Some("default"));
        assert_eq!(outcome.delivered_bytes, 61, "content, names and arguments");
        assert!(!outcome.failed);
    }

    #[test]
    fn a_chat_stream_is_counted_by_its_last_chunk() {
        let outcome = whole(Api::ChatCompletions, STREAM, CHAT_STREAM);
        let usage = Usage {
            input: 19,
            output: 6,
            reasoning: 4,
            ..Usage::default()
        };
        assert_eq!(outcome.metered, exact(usage));
        assert_eq!(outcome.delivered_bytes, 33);
        assert_eq!(outcome.body_bytes, CHAT_STREAM.len() as u64);
        assert_eq!(outcome.response_id.as_deref(), Some("chatcmpl-BstreamX1"));
    }

    #[test]
    fn completions_and_embeddings_are_counted() {
        let outcome = whole(Api::Completions, JSON, COMPLETIONS);
        assert_eq!(
            outcome.metered,
            exact(Usage {
                input: 5,
                output: 7,
                ..Usage::default()
            })
        );
        assert_eq!(outcome.delivered_bytes, 14);
        let outcome = whole(Api::Completions, STREAM, COMPLETIONS_STREAM);
        assert_eq!(
            outcome.metered,
            exact(Usage {
                input: 5,
                output: 3,
                ..Usage::default()
            })
        );
        assert_eq!(outcome.delivered_bytes, 12);
        let outcome = whole(Api::Embeddings, JSON, EMBEDDINGS);
        assert_eq!(
            outcome.metered,
            exact(Usage {
                input: 11,
                ..Usage::default()
            })
        );
        assert_eq!(outcome.delivered_bytes, 0);
    }

    #[test]
    fn responses_are_counted_whole_and_streamed() {
        let usage = Usage {
            input: 200,
            cache_read: 128,
            output: 20,
            reasoning: 32,
            ..Usage::default()
        };
        let outcome = whole(Api::Responses, JSON, RESPONSES);
        assert_eq!(outcome.metered, exact(usage));
        assert_eq!(outcome.delivered_bytes, 27);
        assert_eq!(outcome.response_id.as_deref(), Some("resp_68a1b2c3"));
        assert!(!outcome.failed, "error is null");
        let outcome = whole(Api::Responses, STREAM, RESPONSES_STREAM);
        assert_eq!(outcome.metered, exact(usage));
        assert_eq!(
            outcome.delivered_bytes, 20,
            "deltas, not the repetitions in done events"
        );
        assert_eq!(outcome.response_id.as_deref(), Some("resp_68a1b2c3"));
        assert_eq!(outcome.service_tier.as_deref(), Some("default"));
    }

    #[test]
    fn reasoning_that_only_the_total_counts_is_counted() {
        let body = r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":25}}}"#;
        let usage = Usage {
            input: 10,
            output: 5,
            reasoning: 25,
            ..Usage::default()
        };
        assert_eq!(usage_of(Api::ChatCompletions, JSON, body), exact(usage));
    }

    #[test]
    fn details_never_exceed_what_they_detail() {
        let body = r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":8},"completion_tokens_details":{"reasoning_tokens":9}}}"#;
        let usage = Usage {
            cache_read: 8,
            audio_input: 2,
            reasoning: 5,
            ..Usage::default()
        };
        assert_eq!(usage_of(Api::ChatCompletions, JSON, body), exact(usage));
    }

    #[test]
    fn details_may_be_null_and_counts_may_be_missing() {
        let body = r#"{"usage":{"prompt_tokens":3,"completion_tokens":null,"total_tokens":3,"prompt_tokens_details":null,"cost":0.25,"is_byok":false}}"#;
        assert_eq!(
            usage_of(Api::ChatCompletions, JSON, body),
            exact(Usage {
                input: 3,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn an_odd_usage_is_no_usage() {
        for usage in [
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1e3,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1000000001}"#,
            r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999999999}"#,
            r#"{"prompt_tokens":"1","completion_tokens":1}"#,
            r#"{"prompt_tokens":{},"completion_tokens":1}"#,
            r#"{"prompt_tokens":true,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"prompt_tokens_details":[]}"#,
            r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-5}}"#,
            "{}",
            "null",
            "7",
            r#"[{"prompt_tokens":1}]"#,
        ] {
            let body = format!(r#"{{"id":"x","usage":{usage}}}"#);
            assert_eq!(usage_of(Api::ChatCompletions, JSON, &body), None, "{usage}");
        }
    }

    #[test]
    fn usage_elsewhere_in_an_answer_is_no_usage() {
        let body = r#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}","usage":{"prompt_tokens":9}}}],"x":{"usage":{"prompt_tokens":7}}}"#;
        assert_eq!(usage_of(Api::ChatCompletions, JSON, body), None);
    }

    #[test]
    fn failures_in_the_answer_are_seen() {
        let failed = |api, mode, body: &str| whole(api, mode, body.as_bytes()).failed;
        assert!(failed(
            Api::ChatCompletions,
            JSON,
            r#"{"error":{"message":"no"}}"#
        ));
        assert!(failed(
            Api::ChatCompletions,
            STREAM,
            "data: {\"error\":\"overloaded\"}\n\n"
        ));
        assert!(failed(
            Api::Responses,
            STREAM,
            "data: {\"type\":\"error\",\"code\":\"x\"}\n\n"
        ));
        assert!(failed(
            Api::Responses,
            STREAM,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}\n\n"
        ));
        assert!(!failed(Api::ChatCompletions, JSON, r#"{"error":null}"#));
    }

    #[test]
    fn audio_counts_by_its_length_not_by_its_base64() {
        let audio = "A".repeat(64_000);
        let chat = format!(
            r#"{{"choices":[{{"delta":{{"audio":{{"id":"audio_1","data":"{audio}","transcript":"hello"}}}}}}]}}"#
        );
        let body = format!("data: {chat}\n\n");
        assert_eq!(
            whole(Api::ChatCompletions, STREAM, body.as_bytes()).delivered_bytes,
            62 + 5
        );
        let body = format!("data: {{\"delta\":\"{audio}\",\"type\":\"response.audio.delta\"}}\n\n");
        assert_eq!(
            whole(Api::Responses, STREAM, body.as_bytes()).delivered_bytes,
            62
        );
    }
}

mod pieces {
    use super::*;

    #[test]
    fn the_outcome_is_the_same_wherever_a_chunk_ends() {
        for (body, api, mode) in ALL {
            let expected = whole(api, mode, body);
            for at in 0..=body.len() {
                let (outcome, passed) = metered(api, mode, [&body[..at], &body[at..]]);
                assert_eq!(outcome, expected, "{api:?} split at {at}");
                assert!(passed == body);
            }
            assert_eq!(metered(api, mode, body.chunks(1)).0, expected);
        }
    }

    #[test]
    fn lines_may_end_in_any_way_and_a_byte_order_mark_may_come_first() {
        for (body, api, mode) in ALL.into_iter().filter(|(_, _, mode)| mode.stream) {
            let expected = whole(api, mode, body);
            for end in ["\r\n", "\r"] {
                let other = String::from_utf8_lossy(body).replace('\n', end);
                let other = format!("\u{feff}{other}").into_bytes();
                let (outcome, _) = metered(api, mode, other.chunks(1));
                assert_eq!(
                    Outcome {
                        body_bytes: 0,
                        ..outcome
                    },
                    Outcome {
                        body_bytes: 0,
                        ..expected.clone()
                    }
                );
            }
        }
    }

    #[test]
    fn data_lines_of_one_event_are_one_document() {
        let body = "event: x\ndata: {\"usage\":\ndata\ndata:{\"prompt_tokens\":4},\nid: 7\ndata:  \"choices\":[]}\n\n";
        assert_eq!(
            usage_of(Api::ChatCompletions, STREAM, body),
            exact(Usage {
                input: 4,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn other_fields_and_broken_documents_are_passed_over() {
        let body = "datas: {\"usage\":{\"prompt_tokens\":1}}\n\ndat: x\n\ndata: {\"a\":\n\ndata: nonsense\n\n: data: {\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":4}}\n\n";
        assert_eq!(
            usage_of(Api::ChatCompletions, STREAM, body),
            exact(Usage {
                input: 4,
                ..Usage::default()
            })
        );
    }

    #[test]
    fn an_event_of_five_megabytes_is_metered_without_being_kept() {
        let text = "x".repeat(5 * 1024 * 1024);
        let body = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
        let mut meter = Meter::new(Api::ChatCompletions, HIDING);
        for chunk in body.as_bytes().chunks(16_384) {
            assert_eq!(meter.push(chunk, false), Passed::AsIs);
        }
        assert_eq!(meter.finish().delivered_bytes, 5 * 1024 * 1024);
    }
}

mod cutting {
    use super::*;

    #[test]
    fn a_stream_cut_at_any_byte_has_an_exact_count_only_once_it_was_reported() {
        for (body, api, mode) in ALL.into_iter().filter(|(_, _, mode)| mode.stream) {
            let all = whole(api, mode, body);
            let reported = body.len()
                - 1
                - body
                    .windows(12)
                    .rev()
                    .position(|w| w == b"total_tokens")
                    .unwrap();
            let mut delivered = 0;
            for at in 0..=body.len() {
                let mut meter = Meter::new(api, mode);
                meter.push(&body[..at], false);
                let outcome = meter.finish();
                assert!(outcome.delivered_bytes >= delivered, "{api:?} cut at {at}");
                delivered = outcome.delivered_bytes;
                match outcome.metered {
                    Some(metered) => {
                        assert!(at > reported, "{api:?} cut at {at}");
                        assert_eq!(metered, all.metered.unwrap());
                    }
                    None => assert!(at < body.len()),
                }
            }
            assert_eq!(delivered, all.delivered_bytes);
        }
    }

    #[test]
    fn an_answer_cut_at_any_byte_counts_what_was_delivered() {
        let mut delivered = 0;
        for at in 0..CHAT.len() {
            let mut meter = Meter::new(Api::ChatCompletions, JSON);
            meter.push(&CHAT[..at], false);
            let outcome = meter.finish();
            assert!(outcome.delivered_bytes >= delivered);
            delivered = outcome.delivered_bytes;
        }
        assert_eq!(delivered, 61);
    }

    #[test]
    fn a_running_count_is_exact_only_at_the_end() {
        let chunk = |n: u64, finish: &str| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{n}}}}}\n\n"
            )
        };
        let mut meter = Meter::new(Api::ChatCompletions, STREAM);
        let usage = |output| Usage {
            input: 5,
            output,
            ..Usage::default()
        };
        meter.push(chunk(1, "null").as_bytes(), false);
        assert_eq!(meter.finish().metered, Some(Metered::AtLeast(usage(1))));
        meter.push(chunk(2, "null").as_bytes(), false);
        assert_eq!(meter.finish().metered, Some(Metered::AtLeast(usage(2))));
        meter.push(chunk(3, "\"stop\"").as_bytes(), false);
        assert_eq!(meter.finish().metered, exact(usage(3)));
        let mut meter = Meter::new(Api::ChatCompletions, STREAM);
        meter.push(chunk(9, "null").as_bytes(), true);
        assert_eq!(
            meter.finish().metered,
            exact(usage(9)),
            "the stream ended in order"
        );
    }
}

mod hiding {
    use super::*;

    /// `body` without its event that only reports usage.
    fn without_usage(body: &[u8], blank: &str) -> Vec<u8> {
        let text = std::str::from_utf8(body).unwrap();
        let events: Vec<&str> = text.split_inclusive(blank).collect();
        let kept: Vec<&str> = events
            .iter()
            .copied()
            .filter(|event| !event.contains("\"choices\":[]"))
            .collect();
        assert_eq!(events.len(), kept.len() + 1);
        kept.concat().into_bytes()
    }

    #[test]
    fn the_chunk_that_the_client_did_not_ask_for_is_taken_out_and_nothing_else() {
        for (body, api) in [
            (CHAT_STREAM, Api::ChatCompletions),
            (COMPLETIONS_STREAM, Api::Completions),
        ] {
            let outcome = whole(api, STREAM, body);
            for end in ["\n", "\r\n", "\r"] {
                let body = String::from_utf8_lossy(body)
                    .replace('\n', end)
                    .into_bytes();
                let expected = without_usage(&body, &end.repeat(2));
                for at in 0..=body.len() {
                    let (metered, passed) = metered(api, HIDING, [&body[..at], &body[at..]]);
                    assert!(passed == expected, "{end:?} split at {at}");
                    assert_eq!(metered.metered, outcome.metered);
                }
                assert!(metered(api, HIDING, body.chunks(1)).1 == expected);
            }
        }
    }

    #[test]
    fn chunks_that_hold_whole_events_are_not_copied() {
        let mut meter = Meter::new(Api::ChatCompletions, HIDING);
        for event in CHAT_STREAM
            .split_inclusive(|byte| *byte == b'\n')
            .collect::<Vec<_>>()
            .chunks(2)
        {
            let event = event.concat();
            let hidden = event.windows(12).any(|window| window == b"\"choices\":[]");
            let expected = if hidden {
                Passed::Replace(Vec::new())
            } else {
                Passed::AsIs
            };
            assert_eq!(meter.push(&event, false), expected);
        }
    }

    #[test]
    fn an_event_goes_on_as_soon_as_it_shows_a_choice() {
        let mut meter = Meter::new(Api::ChatCompletions, HIDING);
        assert_eq!(
            meter.push(b"data: {\"choi", false),
            Passed::Replace(Vec::new())
        );
        let passed = meter.push(b"ces\":[{\"delta\":{\"content\":\"a", false);
        assert_eq!(
            passed,
            Passed::Replace(b"data: {\"choices\":[{\"delta\":{\"content\":\"a".to_vec())
        );
        assert_eq!(meter.push(b"b\"}}]}\n", false), Passed::AsIs);
        assert_eq!(meter.push(b"\n", false), Passed::AsIs);
    }

    #[test]
    fn a_comment_is_not_held() {
        let mut meter = Meter::new(Api::ChatCompletions, HIDING);
        assert_eq!(meter.push(b": keep-alive\n", false), Passed::AsIs);
        assert_eq!(meter.push(b"\n", false), Passed::AsIs);
    }

    #[test]
    fn more_than_a_megabyte_is_never_held() {
        let mut meter = Meter::new(Api::ChatCompletions, HIDING);
        let mut came = 0;
        let mut passed = Vec::new();
        for _ in 0..40 {
            let piece = vec![b'x'; 65_536];
            came += piece.len();
            pass(&mut passed, &piece, meter.push(&piece, false));
            assert!(came - passed.len() <= 1024 * 1024);
        }
        pass(&mut passed, b"\n\n", meter.push(b"\n\n", true));
        assert_eq!(passed.len(), came + 2);
    }

    #[test]
    fn what_is_more_than_usage_stays() {
        for body in [
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1},\"error\":{\"message\":\"no\"}}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}\n\n",
            "data: [DONE]\n\n",
            "data: {\"usage\":{\"prompt_tokens\":1}}\n\n",
        ] {
            for size in [1, 1000] {
                let (_, passed) =
                    metered(Api::ChatCompletions, HIDING, body.as_bytes().chunks(size));
                assert_eq!(String::from_utf8_lossy(&passed), body);
            }
        }
    }

    /// What a client makes of a stream: by the standard, events that a blank line completed; by lines, data that is a whole document.
    fn understood(body: &[u8]) -> (Vec<(String, String)>, Vec<String>) {
        let text = String::from_utf8_lossy(body).replace('\r', "");
        let mut events = Vec::new();
        let (mut kind, mut data) = (String::new(), Vec::new());
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in complete.split('\n') {
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut kind),
                Some(("data", value)) => data.push(value.to_owned()),
                _ if line.is_empty() => {
                    let (kind, data) = (std::mem::take(&mut kind), std::mem::take(&mut data));
                    if !data.is_empty() {
                        events.push((kind, data.join("\n")));
                    }
                }
                _ => {}
            }
        }
        let whole = |data: &&str| {
            *data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok()
        };
        let lines = text.split('\n').filter_map(|l| l.strip_prefix("data: "));
        let lines = lines.filter(whole).map(str::to_owned).collect();
        (events, lines)
    }

    #[test]
    fn a_stream_that_ends_anywhere_without_a_last_piece_keeps_nothing_from_the_client_but_usage() {
        const USAGE: &str =
            "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";
        let stream = [
            ": hello\n\n",
            "event: chunk\nid: 7\ndata: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
            "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n",
            "data: {\"id\"\ndata: :\"c\",\"choices\":[{\"text\":\"a\"}]}\n\n",
            "event: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n",
            "data: [1]\n\ndata: \"text\"\n\ndata: null\n\ndata: plain words\n\n",
            "event: usage\ndata: ",
            USAGE,
            "\n\n: bye\n\ndata: [DONE]\n\n",
        ]
        .concat();
        for body in [stream.clone(), stream.replace('\n', "\r\n")] {
            for at in 0..=body.len() {
                let came = &body.as_bytes()[..at];
                let (mut events, mut lines) = understood(came);
                events.retain(|(_, data)| data != USAGE);
                lines.retain(|data| data != USAGE);
                for size in [1, 7, body.len()] {
                    let mut meter = Meter::new(Api::ChatCompletions, HIDING);
                    let mut seen = Vec::new();
                    for piece in came.chunks(size) {
                        pass(&mut seen, piece, meter.push(piece, false));
                    }
                    let what = String::from_utf8_lossy(&seen);
                    assert!(left_out(&seen, came));
                    assert_eq!(
                        understood(&seen),
                        (events.clone(), lines.clone()),
                        "cut at {at}: {what}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_usage_chunk_that_ends_without_its_blank_line_is_taken_out_too() {
        let body = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}";
        let (outcome, passed) = metered(Api::ChatCompletions, HIDING, [body.as_bytes()]);
        assert_eq!(passed, b"");
        assert_eq!(
            outcome.metered,
            exact(Usage {
                input: 1,
                ..Usage::default()
            })
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_counts_come_out_as_they_went_in(
        prompt in 0_u64..1_000_000, cached in 0_u64..1_000_000, completion in 0_u64..1_000_000,
        reasoning in 0_u64..1_000_000, pretty in any::<bool>(), size in 1_usize..40,
    ) {
        let (cached, reasoning) = (cached.min(prompt), reasoning.min(completion));
        let body = serde_json::json!({"usage": {
            "prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }});
        let body = if pretty { format!("{body:#}") } else { body.to_string() };
        let (outcome, _) = metered(Api::ChatCompletions, JSON, body.as_bytes().chunks(size));
        prop_assert_eq!(outcome.metered, exact(Usage {
            input: prompt - cached, cache_read: cached, output: completion - reasoning, reasoning,
            ..Usage::default()
        }));
    }

    #[test]
    fn any_text_is_counted_by_its_bytes(text in ".{0,80}", size in 1_usize..30) {
        let chunk = serde_json::json!({"choices": [{"delta": {"content": text}}]});
        let body = format!("data: {chunk}\n\n");
        let (outcome, passed) = metered(Api::ChatCompletions, HIDING, body.as_bytes().chunks(size));
        prop_assert_eq!(outcome.delivered_bytes, text.len() as u64);
        prop_assert_eq!(passed, body.into_bytes());
    }
}

/// How many rounds: `MUTATIONS` in the environment makes it more.
fn mutations(usual: u32) -> u32 {
    let asked = std::env::var("MUTATIONS").ok();
    asked.map_or(usual, |asked| asked.parse().unwrap())
}

/// A small fast generator, seeded the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

/// Whether `part` is `whole` with pieces left out.
fn left_out(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}

#[test]
fn mangled_answers_do_no_harm() {
    const TOKENS: &[&[u8]] = &[
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\n\n",
        b"data: ",
        b"data",
        b":",
        b"{",
        b"}",
        b"[]",
        b"\"",
        b"\\u",
        b"-1",
        b"1e9",
        b"null",
        b"\xff",
        b"\"usage\":{",
        b"\"choices\":[]",
        b"[DONE]",
        b"\xef\xbb\xbf",
    ];
    let stream: &[u8] = b"data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n";
    let events: &[u8] = b"event: a\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    let seeds: [(&[u8], Api, MeterMode); 4] = [
        (stream, Api::ChatCompletions, HIDING),
        (stream, Api::Completions, STREAM),
        (events, Api::Responses, HIDING),
        (COMPLETIONS, Api::Completions, JSON),
    ];
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut body = Vec::new();
    for _ in 0..mutations(500_000) {
        let (seed, api, mode) = seeds[dice.below(seeds.len())];
        body.clear();
        body.extend_from_slice(seed);
        for _ in 0..=dice.below(3) {
            let at = dice.below(body.len() + 1);
            let end = (at + dice.below(12)).min(body.len());
            match dice.below(3) {
                0 => drop(body.drain(at..end)),
                1 => drop(body.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied())),
                _ => body[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 1 << dice.below(8)),
            }
        }
        let at = dice.below(body.len() + 1);
        let (once, passed) = metered(api, mode, [body.as_slice()]);
        let (twice, in_two) = metered(api, mode, [&body[..at], &body[at..]]);
        assert_eq!(once, twice);
        assert!(passed == in_two);
        assert!(if mode.hide_usage {
            left_out(&passed, &body)
        } else {
            passed == body
        });
    }
}

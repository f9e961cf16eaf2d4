//! The request scan against `serde_json`, split at every byte, and against hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test may panic in its helpers too")]

use filter_core::json_scan::{
    BodyError, CapField, Content, RequestFacts, RequestScan, Span, StreamOptions, applied, in_order,
};
use filter_core::route::Api;
use proptest::prelude::*;
use serde_json::Value;

const CHAT: &str = include_str!("fixtures/request_chat.json");
const PARTS: &str = include_str!("fixtures/request_chat_parts.json");
const RESPONSES: &str = include_str!("fixtures/request_responses.json");
const EMBEDDINGS: &str = include_str!("fixtures/request_embeddings.json");

fn scan(body: &[u8]) -> Result<RequestFacts, BodyError> {
    let mut scan = RequestScan::new(1 << 24);
    scan.push(body)?;
    scan.finish()
}

fn scan_text(body: &str) -> Result<RequestFacts, BodyError> {
    scan(body.as_bytes())
}

fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<RequestFacts, BodyError> {
    let mut scan = RequestScan::new(1 << 24);
    for piece in pieces {
        scan.push(piece)?;
    }
    scan.finish()
}

fn text_at(body: &str, span: Span) -> &str {
    &body[span.start..span.end]
}

mod reading {
    use super::*;

    #[test]
    fn a_chat_request_yields_what_admission_and_the_spend_log_need() {
        let facts = scan_text(CHAT).unwrap();
        let model = facts.model.clone().unwrap();
        assert_eq!(model.value, "gpt-4o");
        assert_eq!(text_at(CHAT, model.span), r#""gpt-4\u006f""#);
        assert!(facts.stream);
        assert_eq!(facts.max_tokens.unwrap().value, Some(256));
        assert_eq!(facts.max_completion_tokens.unwrap().value, None);
        assert_eq!(facts.n, Some(2));
        assert_eq!(facts.messages, 3);
        assert_eq!(facts.tools, 1);
        assert_eq!(facts.user.as_deref(), Some("ünal"));
        assert_eq!(facts.safety_identifier.as_deref(), Some("sid-1"));
        assert_eq!(facts.metadata_user_id.as_deref(), Some("mu-7"));
        assert_eq!(facts.tags, ["batch", "räd"]);
        assert_eq!(facts.service_tier.as_deref(), Some("flex"));
        assert_eq!(facts.body_bytes, CHAT.len());
        assert!(!facts.content.hidden);
    }

    #[test]
    fn parts_are_counted_by_kind() {
        let facts = scan_text(PARTS).unwrap();
        let Content {
            images,
            images_low,
            images_original,
            wav_bytes,
            audio_bytes,
            hidden,
            ..
        } = facts.content;
        assert_eq!((images, images_low, images_original), (2, 1, 1));
        assert_eq!((wav_bytes, audio_bytes), (12, 8));
        assert!(hidden, "a file is in it");
        assert!(
            facts.content.text_bytes < 120,
            "no base64 is text: {}",
            facts.content.text_bytes
        );
    }

    #[test]
    fn a_responses_request_counts_items_and_sees_hosted_tools() {
        let facts = scan_text(RESPONSES).unwrap();
        assert_eq!(facts.max_output_tokens.clone().unwrap().value, Some(512));
        assert_eq!(facts.messages, 2);
        assert_eq!(facts.tools, 2);
        assert_eq!(facts.content.images_low, 1);
        assert!(facts.content.hidden, "web search");
    }

    #[test]
    fn inputs_of_embeddings_are_counted_in_each_of_their_forms() {
        let count = |input: &str| {
            let facts = scan_text(&format!(r#"{{"model":"e","input":{input}}}"#)).unwrap();
            (
                facts.inputs,
                facts.content.token_ids,
                facts.content.text_bytes,
            )
        };
        assert_eq!(count(r#""abc""#), (1, 0, 3));
        assert_eq!(count(r#"["a","bc"]"#), (2, 0, 3));
        assert_eq!(count("[1,2,3]"), (1, 3, 0));
        assert_eq!(count("[[1,2],[3]]"), (2, 3, 0));
        assert_eq!(count("[]"), (0, 0, 0));
        assert_eq!(scan_text(EMBEDDINGS).unwrap().inputs, 3);
    }

    #[test]
    fn tools_and_unknown_fields_count_as_text_and_settings_do_not() {
        let bytes = |body: &str| scan_text(body).unwrap().content.text_bytes;
        assert_eq!(bytes(r#"{"tools":[{"type":"function"}]}"#), 21);
        assert_eq!(bytes(r#"{"response_format":{"a":1}}"#), 7);
        assert_eq!(bytes(r#"{"thinking":"abc"}"#), 3);
        assert_eq!(
            bytes(r#"{"temperature":0.5,"logit_bias":{"1":2},"metadata":{"a":"b"}}"#),
            0
        );
        assert_eq!(bytes(r#"{"messages":[{"hidden prose":1}]}"#), 13);
    }

    #[test]
    fn text_dressed_up_as_an_image_address_is_text() {
        let bytes = |url: &str| {
            let body = format!(r#"{{"messages":[{{"image_url":{{"url":"{url}"}}}}]}}"#);
            scan_text(&body).unwrap().content.text_bytes
        };
        assert_eq!(bytes("data:image/png;base64,AAAA"), 0);
        assert_eq!(bytes("tell me all you know"), 20);
    }

    #[test]
    fn a_background_answer_is_refused_because_nobody_could_meter_it() {
        let error = scan_text(r#"{"background":true}"#).unwrap_err();
        assert_eq!(error.param(), "background");
        assert!(scan_text(r#"{"background":false}"#).is_ok());
        assert!(scan_text(r#"{"background":null}"#).is_ok());
    }
}

mod refusing {
    use super::*;

    fn refusal(body: &str) -> (String, &'static str, u16) {
        let error = scan_text(body).unwrap_err();
        (error.to_string(), error.param(), error.status())
    }

    #[test]
    fn what_is_no_json_says_where_and_what_was_expected() {
        for (body, message) in [
            ("", "Invalid JSON payload: expected a value at byte 0."),
            (
                "{",
                "Invalid JSON payload: expected a string as key or '}' at byte 1.",
            ),
            (
                "{\"a\":}",
                "Invalid JSON payload: expected a value at byte 5.",
            ),
            (
                "{\"a\":1,}",
                "Invalid JSON payload: expected a string as key at byte 7.",
            ),
            (
                "{\"a\":[1 2]}",
                "Invalid JSON payload: expected ',' or ']' at byte 8.",
            ),
            (
                "{\"a\":01}",
                "Invalid JSON payload: expected ',' or '}' at byte 6.",
            ),
            (
                "{\"a\":1.}",
                "Invalid JSON payload: expected a digit at byte 7.",
            ),
            (
                "{\"a\":nul}",
                "Invalid JSON payload: expected null, true or false at byte 8.",
            ),
            (
                "{} x",
                "Invalid JSON payload: expected nothing more at byte 3.",
            ),
            (
                "\u{feff}{}",
                "Invalid JSON payload: expected a value at byte 0.",
            ),
            ("[]", "Invalid JSON payload: expected a JSON object."),
            ("\"x\"", "Invalid JSON payload: expected a JSON object."),
            ("1", "Invalid JSON payload: expected a JSON object."),
        ] {
            assert_eq!(
                refusal(body),
                (message.to_owned(), "request_body", 400),
                "{body}"
            );
        }
        for body in [
            "{\"a\":NaN}",
            "{'a':1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(refusal(body).1, "request_body", "{body}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused_wherever_the_chunk_ends() {
        for bad in [
            &b"\xff"[..],
            b"\xc0\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
        ] {
            let body = [b"{\"a\":\"x", bad, b"\"}"].concat();
            for at in 0..=body.len() {
                let error = in_pieces([&body[..at], &body[at..]]).unwrap_err();
                assert_eq!(error.param(), "request_body", "{bad:?} split at {at}");
            }
        }
    }

    #[test]
    fn nesting_ends_at_64() {
        let nested = |depth: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(depth - 1),
                "]".repeat(depth - 1)
            )
        };
        assert!(scan_text(&nested(64)).is_ok());
        assert_eq!(refusal(&nested(65)).1, "request_body");
    }

    #[test]
    fn a_field_that_we_read_stands_once_however_it_is_escaped() {
        for (body, field) in [
            (r#"{"model":"a","model":"b"}"#, "model"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "model"),
            (r#"{"max_tokens":1,"max_tokens":null}"#, "max_tokens"),
            (r#"{"messages":[],"messages":[]}"#, "messages"),
            (r#"{"metadata":{"tags":[],"tags":[]}}"#, "metadata.tags"),
            (
                r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
                "stream_options.include_usage",
            ),
        ] {
            assert_eq!(
                scan_text(body),
                Err(BodyError::Duplicate { field }),
                "{body}"
            );
        }
        assert!(
            scan_text(r#"{"temperature":1,"temperature":2}"#).is_ok(),
            "not ours"
        );
    }

    #[test]
    fn another_case_of_a_field_that_we_read_is_refused() {
        for (body, field) in [
            (r#"{"Model":"a"}"#, "model"),
            (r#"{"max_to\u212aens":1}"#, "max_tokens"),
            (r#"{"\u017ftream":true}"#, "stream"),
            (r#"{"API_BASE":"x"}"#, "api_base"),
            (
                r#"{"stream_options":{"Include_Usage":false}}"#,
                "stream_options.include_usage",
            ),
        ] {
            assert_eq!(
                scan_text(body),
                Err(BodyError::WrongCase { field }),
                "{body}"
            );
        }
    }

    #[test]
    fn routing_overrides_are_refused() {
        for field in ["api_base", "base_url", "api_key", "user_config"] {
            let error = scan_text(&format!(r#"{{"{field}":null}}"#)).unwrap_err();
            assert_eq!(error, BodyError::RoutingOverride { field });
            assert!(error.to_string().contains(field));
        }
    }

    #[test]
    fn values_of_the_wrong_type_or_range_name_field_and_expectation() {
        for (body, field) in [
            (r#"{"model":1}"#, "model"),
            (r#"{"model":null}"#, "model"),
            (r#"{"model":""}"#, "model"),
            (r#"{"stream":1}"#, "stream"),
            (r#"{"stream":"true"}"#, "stream"),
            (r#"{"stream_options":[]}"#, "stream_options"),
            (
                r#"{"stream_options":{"include_usage":1}}"#,
                "stream_options.include_usage",
            ),
            (r#"{"max_tokens":-1}"#, "max_tokens"),
            (r#"{"max_tokens":1.0}"#, "max_tokens"),
            (r#"{"max_tokens":1e2}"#, "max_tokens"),
            (r#"{"max_tokens":"5"}"#, "max_tokens"),
            (r#"{"max_tokens":2147483648}"#, "max_tokens"),
            (r#"{"max_tokens":99999999999999999999999}"#, "max_tokens"),
            (r#"{"max_completion_tokens":{}}"#, "max_completion_tokens"),
            (r#"{"max_output_tokens":true}"#, "max_output_tokens"),
            (r#"{"n":0}"#, "n"),
            (r#"{"n":1025}"#, "n"),
            (r#"{"best_of":-3}"#, "best_of"),
            (r#"{"messages":"hi"}"#, "messages"),
            (r#"{"user":7}"#, "user"),
        ] {
            let error = scan_text(body).unwrap_err();
            assert!(
                matches!(error, BodyError::Wrong { .. }),
                "{body}: {error:?}"
            );
            assert_eq!(error.param(), field, "{body}");
            assert!(error.to_string().contains("expected"), "{error}");
        }
        let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(257));
        assert_eq!(refusal(&long).1, "model");
        let long = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(257));
        assert_eq!(refusal(&long).1, "tags");
    }

    #[test]
    fn a_body_over_the_limit_names_the_limit() {
        let mut scan = RequestScan::new(10);
        scan.push(b"{\"a\":").unwrap();
        let error = scan.push(b"123456}").unwrap_err();
        assert_eq!((error.status(), error.param()), (413, "request_body"));
        assert!(error.to_string().contains("10"));
        assert_eq!(scan.push(b""), Err(error), "the first error stays");
        assert_eq!(scan.finish(), Err(error));
    }

    #[test]
    fn a_body_cut_at_any_byte_is_refused() {
        let body = CHAT.trim_end();
        for at in 0..body.len() {
            assert!(scan(&body.as_bytes()[..at]).is_err(), "cut at {at}");
        }
    }
}

mod pieces {
    use super::*;

    #[test]
    fn facts_are_the_same_wherever_the_chunk_ends() {
        for body in [CHAT, PARTS, RESPONSES, EMBEDDINGS] {
            let body = body.as_bytes();
            let whole = scan(body);
            assert!(whole.is_ok());
            for at in 0..=body.len() {
                assert_eq!(
                    in_pieces([&body[..at], &body[at..]]),
                    whole,
                    "split at {at}"
                );
            }
            assert_eq!(in_pieces(body.chunks(1)), whole);
            assert_eq!(in_pieces(body.chunks(7)), whole);
        }
    }
}

mod editing {
    use super::*;

    fn edited(body: &str, edit: impl Fn(&RequestFacts) -> Vec<filter_core::effect::Edit>) -> Value {
        let edits = in_order(edit(&scan_text(body).unwrap()));
        serde_json::from_slice(&applied(body.as_bytes(), &edits)).unwrap()
    }

    #[test]
    fn a_stream_is_made_to_end_with_usage_and_nothing_else_changes() {
        for (body, asked) in [
            (r#"{"model":"m","stream":true}"#, false),
            (r#"{"stream_options":null,"model":"m"}"#, false),
            (r#"{"model":"m","stream_options": { } }"#, false),
            (
                r#"{"model":"m","stream_options":{"include_obfuscation":false}}"#,
                false,
            ),
            (
                r#"{"model":"m","stream_options":{"x":1,"include_usage": false}}"#,
                false,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage":null}}"#,
                false,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
                true,
            ),
        ] {
            assert_eq!(scan_text(body).unwrap().asks_for_usage(), asked, "{body}");
            let after = edited(body, |facts| facts.ask_for_usage().into_iter().collect());
            let mut expected: Value = serde_json::from_str(body).unwrap();
            if expected["stream_options"].is_null() {
                expected["stream_options"] = serde_json::json!({});
            }
            expected["stream_options"]["include_usage"] = Value::from(true);
            assert_eq!(after, expected, "{body}");
            assert!(scan_text(&after.to_string()).unwrap().asks_for_usage());
        }
    }

    #[test]
    fn what_concerns_the_gateway_alone_is_cut_out_with_its_commas() {
        for (body, after) in [
            (r#"{"model":"m", "tags":["a"]}"#, r#"{"model":"m"}"#),
            (r#"{"tags" : ["a"] , "model":"m"}"#, r#"{"model":"m"}"#),
            (
                r#"{"a":1,"tags":null,"litellm_metadata":{"user":"u"},"model":"m","n":2}"#,
                r#"{"a":1,"model":"m","n":2}"#,
            ),
            (
                r#"{"model":"m","litellm_metadata":"x","tags":[] }"#,
                r#"{"model":"m" }"#,
            ),
            (
                r#"{"tags":7,"model":"m","litellm_metadata":{"tags":["x"]}}"#,
                r#"{"model":"m"}"#,
            ),
            (r#"{ "tags":[], "litellm_metadata":1}"#, "{}"),
            (r#"{"mock_response":"ok","model":"m"}"#, r#"{"model":"m"}"#),
            (
                r#"{"model":"m","mock_response":{"choices":[{"model":"x"}]},"n":1}"#,
                r#"{"model":"m","n":1}"#,
            ),
            (
                r#"{"model":"m","mock_response":["a",1],"tags":[]}"#,
                r#"{"model":"m"}"#,
            ),
            (r#"{"mock_response":null,"n":1}"#, r#"{"n":1}"#),
            (r#"{"mock_response":1.5,"n":1}"#, r#"{"n":1}"#),
            (r#"{"mock_response":true,"n":1}"#, r#"{"n":1}"#),
            (
                r#"{"model":"m","metadata":{"k":"v","tags":["a"]},"n":1}"#,
                r#"{"model":"m","metadata":{"k":"v"},"n":1}"#,
            ),
            (
                r#"{"model":"m","metadata":{"tags":["a"],"k":"v"},"tags":["b"]}"#,
                r#"{"model":"m","metadata":{"k":"v"}}"#,
            ),
            (
                r#"{"model":"m","metadata":{ "tags":["a"] },"n":1}"#,
                r#"{"model":"m","n":1}"#,
            ),
            // What a provider may understand stays.
            (
                r#"{"model":"m","metadata":{"tags":"a","user_id":"u"}}"#,
                r#"{"model":"m","metadata":{"tags":"a","user_id":"u"}}"#,
            ),
            (
                r#"{"metadata":{},"x":{"tags":[]}}"#,
                r#"{"metadata":{},"x":{"tags":[]}}"#,
            ),
        ] {
            let edits = in_order(scan_text(body).unwrap().leave_out_ours().collect());
            let cut = applied(body.as_bytes(), &edits);
            assert_eq!(String::from_utf8(cut).unwrap(), after, "{body}");
        }
    }

    #[test]
    fn several_edits_of_one_body_go_together() {
        let body = r#"{"model":"mine","messages":[],"max_tokens":null}"#;
        let after = edited(body, |facts| {
            vec![
                facts.state_cap(CapField::MaxTokens, 7),
                facts.state_cap(CapField::MaxCompletionTokens, 8),
                facts.ask_for_usage().unwrap(),
                facts.rename_model("gpt \"4\"").unwrap(),
            ]
        });
        assert_eq!(
            after,
            serde_json::json!({
                "model": "gpt \"4\"", "messages": [], "max_tokens": 7, "max_completion_tokens": 8,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn a_model_that_has_its_name_already_is_left_alone() {
        assert_eq!(
            scan_text(r#"{"model":"m"}"#).unwrap().rename_model("m"),
            None
        );
    }

    #[test]
    fn a_cap_goes_into_the_field_that_the_provider_honours() {
        assert_eq!(
            CapField::of(Api::ChatCompletions, "openai").unwrap().name(),
            "max_completion_tokens"
        );
        assert_eq!(
            CapField::of(Api::ChatCompletions, "mistral")
                .unwrap()
                .name(),
            "max_tokens"
        );
        assert_eq!(
            CapField::of(Api::Completions, "openai").unwrap().name(),
            "max_tokens"
        );
        assert_eq!(
            CapField::of(Api::Responses, "openai").unwrap().name(),
            "max_output_tokens"
        );
        assert_eq!(CapField::of(Api::Embeddings, "openai"), None);
    }
}

/// What `serde_json` says about a body, told as our scan tells it.
mod oracle {
    use super::*;

    /// Numbers beyond a double's range are JSON all the same.
    fn huge(error: &serde_json::Error) -> bool {
        error.to_string().starts_with("number out of range")
    }

    pub fn agrees(body: &[u8]) {
        let ours = scan(body);
        match serde_json::from_slice::<Value>(body) {
            Err(error) if huge(&error) => {}
            Err(error) => assert!(ours.is_err(), "serde_json: {error}: {body:?}"),
            Ok(Value::Object(object)) => match ours {
                Ok(facts) => same_values(body, &object, &facts),
                Err(error) => assert!(
                    !matches!(error, BodyError::Malformed { .. } | BodyError::NotAnObject),
                    "{error}: {}",
                    String::from_utf8_lossy(body)
                ),
            },
            Ok(_) => assert!(
                matches!(
                    ours,
                    Err(BodyError::NotAnObject | BodyError::TooDeep { .. })
                ),
                "{ours:?}"
            ),
        }
    }

    fn same_values(body: &[u8], object: &serde_json::Map<String, Value>, facts: &RequestFacts) {
        let get = |name: &str| object.get(name).filter(|value| !value.is_null());
        let text = |name: &str| get(name).and_then(Value::as_str);
        let number = |name: &str| get(name).and_then(Value::as_u64);
        assert_eq!(
            facts.model.as_ref().map(|model| model.value.as_str()),
            text("model")
        );
        if let Some(model) = &facts.model {
            let raw = &body[model.span.start..model.span.end];
            assert_eq!(serde_json::from_slice::<String>(raw).unwrap(), model.value);
        }
        assert_eq!(
            facts.stream,
            get("stream").is_some_and(|value| value == true)
        );
        let cap = |cap: &Option<filter_core::json_scan::Spanned<Option<u64>>>| {
            cap.as_ref().and_then(|cap| cap.value)
        };
        assert_eq!(cap(&facts.max_tokens), number("max_tokens"));
        assert_eq!(
            cap(&facts.max_completion_tokens),
            number("max_completion_tokens")
        );
        assert_eq!(cap(&facts.max_output_tokens), number("max_output_tokens"));
        assert_eq!(facts.n, number("n"));
        assert_eq!(facts.best_of, number("best_of"));
        assert_eq!(facts.user.as_deref(), text("user"));
        assert_eq!(facts.service_tier.as_deref(), text("service_tier"));
        assert_eq!(facts.object_empty, object.is_empty());
        if get("input").is_none() && get("prompt").is_none() {
            let messages = get("messages")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            assert_eq!(usize::try_from(facts.messages).unwrap(), messages);
        }
        let edits = in_order(facts.leave_out_ours().collect());
        let sent: Value = serde_json::from_slice(&applied(body, &edits)).unwrap();
        assert_eq!(sent, without_ours(object));
        let usage = object
            .get("stream_options")
            .and_then(|options| options.get("include_usage"));
        assert_eq!(facts.asks_for_usage(), usage == Some(&Value::from(true)));
        assert_eq!(
            matches!(
                facts.stream_options,
                Some(StreamOptions::Object { empty: true, .. })
            ),
            object
                .get("stream_options")
                .and_then(Value::as_object)
                .is_some_and(serde_json::Map::is_empty)
        );
    }
}

/// What may go upstream.
fn without_ours(object: &serde_json::Map<String, Value>) -> Value {
    let mut object = object.clone();
    object
        .retain(|name, _| !matches!(name.as_str(), "tags" | "litellm_metadata" | "mock_response"));
    if let Some(Value::Object(metadata)) = object.get_mut("metadata")
        && metadata.get("tags").is_some_and(Value::is_array)
    {
        metadata.remove("tags");
        if metadata.is_empty() {
            object.remove("metadata");
        }
    }
    Value::Object(object)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..5000).prop_map(Value::from),
        any::<f64>().prop_map(|float| serde_json::json!(float)),
        ".{0,12}".prop_map(Value::from),
        "[a-z\"\\\\\n\u{7f}é€😀]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            &[
                "model",
                "stream",
                "stream_options",
                "include_usage",
                "max_tokens",
                "n",
                "best_of",
                "max_completion_tokens",
                "max_output_tokens",
                "messages",
                "content",
                "type",
                "image_url",
                "url",
                "detail",
                "input_audio",
                "data",
                "file",
                "input",
                "prompt",
                "tools",
                "user",
                "metadata",
                "litellm_metadata",
                "mock_response",
                "tags",
                "user_id",
                "service_tier",
                "prediction",
                "Model",
                "api_base",
            ][..]
        )
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_as_serde_json_reads_it(
        members in prop::collection::vec((key(), any_value()), 0..8),
        pretty in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let value = Value::Object(members.into_iter().collect());
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let body = body.unwrap();
        oracle::agrees(&body);
        let at = cut.index(body.len() + 1);
        prop_assert_eq!(in_pieces([&body[..at], &body[at..]]), scan(&body));
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
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most as u64).unwrap()
    }
}

#[test]
fn mangled_bodies_are_judged_as_serde_json_judges_them() {
    const TOKENS: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b",",
        b":",
        b"null",
        b"true",
        b"-",
        b"0",
        b"1e5",
        b".5",
        b"\\ud83d\\ude00",
        b"\\ud800",
        b"\\u0000",
        b"\xff",
        b"\xe2\x82\xac",
        b"\xe2",
        b"\n",
        b"\x00",
        b"\"model\":\"x\",",
        b"\"n\":3,",
        b"\"type\":",
        b"1e999",
        b"\\",
    ];
    let small = r#"{"model":"m","stream":true,"stream_options":{"include_usage":false},"n":2,"max_tokens":10,"messages":[{"role":"user","content":[{"type":"text","text":"h\u00e9 😀"},{"type":"image_url","image_url":{"url":"data:x","detail":"low"}}]}],"user":"u","metadata":{"tags":["a"]}}"#;
    let seeds: [&[u8]; 3] = [
        small.as_bytes(),
        EMBEDDINGS.as_bytes(),
        br#"{"input":[[1,2],[3]]}"#,
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut body = Vec::new();
    for round in 0..mutations(1_000_000) {
        body.clear();
        body.extend_from_slice(seeds[dice.below(seeds.len())]);
        for _ in 0..=dice.below(3) {
            let at = dice.below(body.len() + 1);
            match dice.below(4) {
                0 if at < body.len() => body[at] = dice.roll().to_le_bytes()[0],
                1 => {
                    let end = (at + dice.below(9)).min(body.len());
                    body.drain(at..end);
                }
                2 => {
                    let token = TOKENS[dice.below(TOKENS.len())];
                    body.splice(at..at, token.iter().copied());
                }
                _ => {
                    let end = (at + dice.below(40)).min(body.len());
                    let copy = body[at..end].to_vec();
                    let to = dice.below(body.len() + 1);
                    body.splice(to..to, copy);
                }
            }
        }
        if round % 8 == 0 {
            oracle::agrees(&body);
        } else {
            let at = dice.below(body.len() + 1);
            assert_eq!(
                in_pieces([&body[..at], &body[at..]]).is_ok(),
                scan(&body).is_ok()
            );
        }
    }
}

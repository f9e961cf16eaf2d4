//! How much a request can read and write at most, and how much a cut answer wrote at least.
//!
//! Decides bounds from counted content; what they cost and whether they fit is left to admission. Failure stance: too high rather than too low,
//! because a bound that is too low would let a budget be exceeded.
//!
//! | content | at most |
//! |---|---|
//! | text | one token a byte of UTF-8: a byte-level BPE token is at least one byte long |
//! | a message, an input | [`PER_MESSAGE`] for its frame |
//! | a tool definition | its JSON text, and [`PER_TOOL`] for its frame |
//! | token ids | themselves |
//! | an image | by provider, see [`ImageBound`] |
//! | audio | one token for 32 base64 bytes (for 128 in a WAV container): 32 tokens a second at 8 kbit/s, the densest that is accepted |
//! | files, stored prompts, earlier responses, tools that the provider runs | the model's whole context |
//!
//! Nothing is above the model's `max_input_tokens` (for each input of a batch) where that is known.

use contract::records::ModelRecord;

use crate::json_scan::RequestFacts;
use crate::route::Api;

/// Tokens that frame a message, or prime the answer.
const PER_MESSAGE: u64 = 8;
/// Tokens that frame a tool definition.
const PER_TOOL: u64 = 16;
/// The context of a model whose own is not known.
const UNKNOWN_CONTEXT: u64 = 1_048_576;
/// Base64 bytes for each token of audio.
const AUDIO_BYTES: u64 = 32;
const WAV_BYTES: u64 = 128;
/// Bytes for each token of text that was delivered: the usual ratio, because here the aim is a fair guess.
const DELIVERED_BYTES: u64 = 4;

/// Most tokens an image can be, by the detail asked for.
struct ImageBound {
    low: u64,
    other: u64,
    original: u64,
}

impl ImageBound {
    fn of(model: &ModelRecord) -> Self {
        if model.upstream.contains("gpt-4o-mini") {
            // A base of 2,833 and 5,667 for each of at most 8 tiles.
            Self {
                low: 2_833,
                other: 48_169,
                original: 48_169,
            }
        } else if matches!(model.provider.as_str(), "openai" | "azure") {
            // At most 8 tiles of 170 and a base, or 1,536 patches (10,000 in original size) times 2.46.
            Self {
                low: 1_024,
                other: 4_096,
                original: 24_600,
            }
        } else {
            Self {
                low: 16_384,
                other: 16_384,
                original: 24_600,
            }
        }
    }
}

/// Most tokens that the request can read.
pub fn input_tokens(facts: &RequestFacts, model: &ModelRecord, api: Api) -> u64 {
    let content = &facts.content;
    let image = ImageBound::of(model);
    let inputs = match api {
        Api::Embeddings | Api::Completions => facts.inputs.max(1),
        Api::ChatCompletions | Api::Responses => 1,
    };
    let window = model
        .max_input_tokens
        .map(|most| most.saturating_mul(inputs));
    let counted = [
        PER_MESSAGE,
        content.text_bytes,
        content.token_ids,
        facts.messages.saturating_mul(PER_MESSAGE),
        facts.tools.saturating_mul(PER_TOOL),
        content.images_low.saturating_mul(image.low),
        content.images.saturating_mul(image.other),
        content.images_original.saturating_mul(image.original),
        content.wav_bytes.div_ceil(WAV_BYTES),
        content.audio_bytes.div_ceil(AUDIO_BYTES),
        if content.hidden {
            window.unwrap_or(UNKNOWN_CONTEXT)
        } else {
            0
        },
    ];
    let bound = counted.into_iter().fold(0, u64::saturating_add);
    window.map_or(bound, |most| bound.min(most))
}

/// Most tokens that the request allows to be written, over all of its choices; `None` where it states no cap. A cap of zero is none: some
/// providers take it for absent.
pub fn output_cap(facts: &RequestFacts, api: Api) -> Option<u64> {
    let stated = match api {
        Api::Embeddings => return Some(0),
        // Whichever of the two a provider honours.
        Api::ChatCompletions => [&facts.max_tokens, &facts.max_completion_tokens],
        Api::Completions => [&facts.max_tokens, &None],
        Api::Responses => [&facts.max_output_tokens, &None],
    };
    let cap = stated
        .into_iter()
        .flatten()
        .filter_map(|cap| cap.value)
        .max()
        .filter(|cap| *cap > 0)?;
    // A rejected prediction is billed as output beside the cap.
    let each = cap.saturating_add(facts.content.prediction_bytes);
    Some(each.saturating_mul(choices(facts, api)))
}

/// How many answers are written at once: a cap for one of them counts this often. At least 1.
pub fn choices(facts: &RequestFacts, api: Api) -> u64 {
    let asked = facts.n.unwrap_or(1).max(1);
    match api {
        Api::ChatCompletions => asked,
        Api::Completions => asked
            .max(facts.best_of.unwrap_or(1))
            .saturating_mul(facts.inputs.max(1)),
        Api::Embeddings | Api::Responses => 1,
    }
}

/// Estimated tokens of a piece of answer of which `bytes` of text were delivered, rounded up.
pub fn delivered_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(DELIVERED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_scan::RequestScan;

    fn facts(body: &str) -> RequestFacts {
        let mut scan = RequestScan::new(1 << 20);
        scan.push(body.as_bytes()).unwrap();
        scan.finish().unwrap()
    }

    fn model(provider: &str, upstream: &str, max_input_tokens: Option<u64>) -> ModelRecord {
        ModelRecord {
            name: upstream.to_owned(),
            upstream: upstream.to_owned(),
            provider: provider.to_owned(),
            mode: None,
            max_input_tokens,
            max_output_tokens: None,
            price: None,
            limits: contract::limits::Limits::default(),
        }
    }

    #[test]
    fn text_is_bounded_by_its_decoded_bytes() {
        let body = facts(r#"{"model":"m","messages":[{"role":"user","content":"h\u00e9llo"}]}"#);
        let bound = input_tokens(
            &body,
            &model("openai", "gpt-4o", None),
            Api::ChatCompletions,
        );
        assert_eq!(
            bound,
            4 + 6 + 2 * PER_MESSAGE,
            "role, text, one message and the priming"
        );
    }

    #[test]
    fn a_known_context_bounds_everything_and_each_input_of_a_batch() {
        let long = format!(r#"{{"model":"m","input":["{0}","{0}"]}}"#, "x".repeat(900));
        let short = model("openai", "embed", Some(100));
        assert_eq!(input_tokens(&facts(&long), &short, Api::Embeddings), 200);
        assert_eq!(input_tokens(&facts(&long), &short, Api::Responses), 100);
    }

    #[test]
    fn what_the_body_does_not_hold_counts_as_the_whole_context() {
        let body = facts(r#"{"model":"m","input":"hi","previous_response_id":"resp_1"}"#);
        let known = model("openai", "gpt-4o", Some(128_000));
        assert_eq!(input_tokens(&body, &known, Api::Responses), 128_000);
        let unknown = model("openai", "gpt-4o", None);
        assert!(input_tokens(&body, &unknown, Api::Responses) > UNKNOWN_CONTEXT);
    }

    #[test]
    fn an_image_counts_by_model_and_detail() {
        let image = |detail: &str| {
            facts(&format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"https://x/y.png","detail":"{detail}"}}}}]}}]}}"#
            ))
        };
        let bound = |detail, provider, name| {
            input_tokens(
                &image(detail),
                &model(provider, name, None),
                Api::ChatCompletions,
            )
        };
        assert!((1_024..1_100).contains(&bound("low", "openai", "gpt-4o")));
        assert!((4_096..4_200).contains(&bound("high", "openai", "gpt-4o")));
        assert!((24_600..24_700).contains(&bound("original", "openai", "gpt-5")));
        assert!((48_169..48_300).contains(&bound("auto", "openai", "gpt-4o-mini")));
        assert!((16_384..16_500).contains(&bound("low", "mistral", "pixtral")));
    }

    #[test]
    fn a_stated_cap_counts_for_every_choice() {
        let chat = facts(r#"{"model":"m","max_tokens":10,"max_completion_tokens":20,"n":3}"#);
        assert_eq!(output_cap(&chat, Api::ChatCompletions), Some(60));
        let text = facts(r#"{"model":"m","max_tokens":10,"n":2,"best_of":5,"prompt":["a","b"]}"#);
        assert_eq!(output_cap(&text, Api::Completions), Some(100));
        let response = facts(r#"{"model":"m","max_output_tokens":10,"n":9,"max_tokens":99}"#);
        assert_eq!(output_cap(&response, Api::Responses), Some(10));
        assert_eq!(
            output_cap(&facts(r#"{"model":"m"}"#), Api::Embeddings),
            Some(0)
        );
    }

    #[test]
    fn no_cap_null_and_zero_are_no_cap() {
        for body in [
            r#"{"model":"m"}"#,
            r#"{"max_tokens":null}"#,
            r#"{"max_tokens":0,"n":2}"#,
        ] {
            assert_eq!(
                output_cap(&facts(body), Api::ChatCompletions),
                None,
                "{body}"
            );
        }
    }

    #[test]
    fn a_prediction_counts_as_output_beside_the_cap() {
        let body = facts(r#"{"max_tokens":10,"prediction":{"type":"content","content":"12345"}}"#);
        assert_eq!(output_cap(&body, Api::ChatCompletions), Some(15));
    }
}

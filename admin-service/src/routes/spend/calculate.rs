//! `POST /spend/calculate`: what a request would cost, or an answer did.

use axum::body::Bytes;
use axum::extract::State;
use contract::usage::Usage;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{NUMBER, Record};
use crate::policy::{Authorized, SpendCalculate};
use crate::request::{Body, CALCULATE};
use crate::routes::answer::Answer;
use crate::routes::shape::dollars;

/// The answer.
pub static COST: Record = Record::new("Cost", &[("cost", NUMBER)]);

/// The cost of `messages` as input of `model`, or of `completion_response` by its usage.
pub async fn calculate(
    State(app): State<App>,
    _by: Authorized<SpendCalculate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, CALCULATE)?;
    let model = body.text("model").value();
    let messages = body.take("messages").value();
    let response = body.object("completion_response").value();
    let ignored = body.ignored.clone();
    let (model, usage) = match (model, messages, response) {
        (model, _, Some(response)) => {
            let named = response.get("model").and_then(Value::as_str);
            let model = model.or_else(|| named.map(str::to_owned));
            let usage = response.get("usage").map(used).unwrap_or_default();
            (model.ok_or(SpendRefusal::NothingToPrice)?, usage)
        }
        (Some(model), Some(messages), None) => {
            let usage = Usage {
                input: input_tokens(&messages),
                ..Usage::default()
            };
            (model, usage)
        }
        (Some(_), None, None) => return Err(SpendRefusal::MessagesMissing.into()),
        (None, _, None) => return Err(SpendRefusal::NothingToPrice.into()),
    };
    let (catalogue, _) = app.catalogue(&mut *app.store.read().await?).await?;
    let price = catalogue.models.iter().find(|known| known.name == model);
    let price = price.and_then(|known| known.price.as_ref());
    let cost = price.and_then(|price| price.cost(&usage, None));
    let cost = cost.ok_or(SpendRefusal::PriceUnknown(model))?;
    Ok(Answer::new(json!({ "cost": dollars(cost) })).ignoring(&ignored))
}

/// `usage` of an answer, by kind.
fn used(usage: &Value) -> Usage {
    let number = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let cache_read = number("/prompt_tokens_details/cached_tokens");
    let cache_write = number("/cache_creation_input_tokens");
    let audio_input = number("/prompt_tokens_details/audio_tokens");
    let reasoning = number("/completion_tokens_details/reasoning_tokens");
    let audio_output = number("/completion_tokens_details/audio_tokens");
    let rest = |all: u64, parts: &[u64]| {
        parts
            .iter()
            .fold(all, |rest, part| rest.saturating_sub(*part))
    };
    Usage {
        input: rest(
            number("/prompt_tokens"),
            &[cache_read, cache_write, audio_input],
        ),
        output: rest(number("/completion_tokens"), &[reasoning, audio_output]),
        cache_read,
        cache_write,
        audio_input,
        audio_output,
        reasoning,
        ..Usage::default()
    }
}

/// About how many tokens messages are: tokenizers differ, and none is built in. A word counts one for every six letters, any other sign one,
/// a message four, and the answer's beginning three.
fn input_tokens(messages: &Value) -> u64 {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    let each = messages.iter().map(|message| {
        text_tokens(message.get("content").unwrap_or(&Value::Null)).saturating_add(4)
    });
    each.fold(3, u64::saturating_add)
}

fn text_tokens(content: &Value) -> u64 {
    match content {
        Value::String(text) => {
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            let words = words
                .map(|word| word.chars().count().div_ceil(6))
                .sum::<usize>();
            let signs = text
                .chars()
                .filter(|letter| !letter.is_alphanumeric() && !letter.is_whitespace());
            u64::try_from(words + signs.count()).unwrap_or(u64::MAX)
        }
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text"))
            .map(text_tokens)
            .fold(0, u64::saturating_add),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_is_a_few_tokens() {
        let messages = json!([{"role": "user", "content": "hello"}]);
        assert_eq!(input_tokens(&messages), 8);
        let parts =
            json!([{"role": "user", "content": [{"type": "text", "text": "hello, world!"}]}]);
        assert_eq!(input_tokens(&parts), 11);
        assert_eq!(input_tokens(&json!([])), 3);
    }

    #[test]
    fn usage_is_taken_apart_without_counting_anything_twice() {
        let usage = used(&json!({
            "prompt_tokens": 100, "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20},
        }));
        assert_eq!((usage.input, usage.cache_read, usage.output), (50, 40, 30));
        assert_eq!(
            (usage.prompt_tokens(), usage.completion_tokens()),
            (100, 50)
        );
    }
}

//! LiteLLM's price fields (`input_cost_per_token` …), decimal dollars, as picodollars.

use contract::money::{MoneyError, NanoUsd, PicoUsdPerUnit};
use contract::price::{ModelPrice, Rates};
use serde_json::{Map, Number, Value};

use super::CatalogueError;

type Place = fn(&mut Rates) -> &mut Option<PicoUsdPerUnit>;

/// Longer names first: a field is matched by its beginning.
const FIELDS: [(&str, Place); 10] = [
    ("cache_creation_input_token_cost_above_1hr", |rates| {
        &mut rates.cache_write_1h
    }),
    ("cache_creation_input_token_cost", |rates| {
        &mut rates.cache_write
    }),
    ("cache_read_input_token_cost", |rates| &mut rates.cache_read),
    ("input_cost_per_audio_token", |rates| &mut rates.audio_input),
    ("output_cost_per_audio_token", |rates| {
        &mut rates.audio_output
    }),
    ("input_cost_per_image_token", |rates| &mut rates.image_input),
    ("output_cost_per_reasoning_token", |rates| {
        &mut rates.reasoning
    }),
    ("input_cost_per_request", |rates| &mut rates.per_request),
    ("input_cost_per_token", |rates| &mut rates.input),
    ("output_cost_per_token", |rates| &mut rates.output),
];

/// Adds the prices among `fields` to `price`; says whether there was one. Fields of units that are not metered are left.
pub(super) fn read(
    fields: &Map<String, Value>,
    path: &str,
    price: &mut ModelPrice,
) -> Result<bool, CatalogueError> {
    let mut any = false;
    for (name, value) in fields {
        let known = FIELDS
            .iter()
            .find_map(|(field, place)| Some((name.strip_prefix(field)?, place)));
        let Some((suffix, place)) = known.filter(|_| !value.is_null()) else {
            continue;
        };
        let Some(rates) = rates_for(suffix, price) else {
            continue;
        };
        *place(rates) = Some(parse(value).map_err(|why| {
            CatalogueError::new(format!("{path}.{name}"), format!("{why}, found {value}"))
        })?);
        any = true;
    }
    Ok(any)
}

/// The rates that a field's suffix speaks of; `None` for a suffix that is not metered.
fn rates_for<'a>(suffix: &str, price: &'a mut ModelPrice) -> Option<&'a mut Rates> {
    match suffix {
        "" => Some(&mut price.base),
        "_priority" => Some(price.service_tier.entry("priority".to_owned()).or_default()),
        "_flex" => Some(price.service_tier.entry("flex".to_owned()).or_default()),
        "_batches" => Some(price.service_tier.entry("batch".to_owned()).or_default()),
        _ => {
            let thousands = suffix.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
            let above = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
            Some(price.above_input_tokens.entry(above).or_default())
        }
    }
}

fn parse(value: &Value) -> Result<PicoUsdPerUnit, MoneyError> {
    match value {
        Value::Number(number) => parse_decimal(&number.to_string()),
        Value::String(text) => parse_decimal(text.trim()),
        _ => Err(MoneyError::NotANumber),
    }
}

/// A decimal number of dollars as picodollars: what [`NanoUsd::parse`] reads, three places further.
fn parse_decimal(text: &str) -> Result<PicoUsdPerUnit, MoneyError> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| MoneyError::NotANumber)?;
    let thousandfold = format!("{mantissa}e{}", exponent.saturating_add(3));
    NanoUsd::parse(&thousandfold).map(|scaled| PicoUsdPerUnit(scaled.get()))
}

/// The ordinary rates of a price in LiteLLM's fields, in dollars.
pub fn print(price: &ModelPrice) -> Map<String, Value> {
    let mut rates = price.base;
    let fields = FIELDS.iter().filter_map(|(field, place)| {
        let rate = (*place(&mut rates))?;
        Some(((*field).to_owned(), dollars(rate)))
    });
    fields.collect()
}

/// Picodollars as a decimal number of dollars, with all its digits.
fn dollars(rate: PicoUsdPerUnit) -> Value {
    const PICO: u64 = 1_000_000_000_000;
    let (whole, fraction) = (rate.0 / PICO, rate.0 % PICO);
    let digits = format!("{fraction:012}");
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    format!("{whole}.{digits}")
        .parse::<Number>()
        .map_or(Value::Null, Value::Number)
}

//! What a model costs, and what a request can cost at most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::{NanoUsd, PicoUsdPerUnit};
use crate::usage::Usage;

/// Prices of one model. An absent price of a kind falls back as [`Rates`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelPrice {
    /// The ordinary rates. Not flattened, for the reason at [`crate::records::Record`].
    pub base: Rates,
    /// Rates of a whole request whose prompt is longer than the key (tokens); the highest threshold passed applies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub above_input_tokens: BTreeMap<u64, Rates>,
    /// Rates by service tier (`priority`, `flex` …); a rate that a tier lacks is the ordinary one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub service_tier: BTreeMap<String, Rates>,
}

/// Rates of one model, picodollars a token (a request for `per_request`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// A text token read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PicoUsdPerUnit>,
    /// A text token written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PicoUsdPerUnit>,
    /// A token read from the prompt cache; absent: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PicoUsdPerUnit>,
    /// A token written to the prompt cache; absent: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PicoUsdPerUnit>,
    /// A token written to the one-hour cache; absent: `cache_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PicoUsdPerUnit>,
    /// An audio token read; absent: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<PicoUsdPerUnit>,
    /// An audio token written; absent: `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<PicoUsdPerUnit>,
    /// An image token read; absent: `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<PicoUsdPerUnit>,
    /// A reasoning token written; absent: `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PicoUsdPerUnit>,
    /// A request, whatever its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<PicoUsdPerUnit>,
}

impl ModelPrice {
    /// Whether a request billed by tokens can be priced at all: a rate for reading text is known (an absent output rate is free, as for
    /// embeddings).
    pub fn is_known(&self) -> bool {
        self.base.input.is_some() || self.base.per_request.is_some()
    }

    /// The cost of `usage`: Σ units × rate, rounded up to a nano-dollar once. `None` above [`NanoUsd::MAX`].
    pub fn cost(&self, usage: &Usage, service_tier: Option<&str>) -> Option<NanoUsd> {
        cost_at(&self.rates(usage.prompt_tokens(), service_tier), usage)
    }

    /// The most that a request of at most `input` and `output` tokens can cost, whichever kinds, tier and threshold they turn out to be.
    /// `None` above [`NanoUsd::MAX`].
    pub fn worst_case(&self, input: u64, output: u64) -> Option<NanoUsd> {
        let mut dearest = Dearest::default();
        dearest.take(&self.base);
        self.above_input_tokens
            .iter()
            .filter(|(above, _)| input > **above)
            .for_each(|(_, rates)| dearest.take(rates));
        self.service_tier
            .values()
            .for_each(|rates| dearest.take(rates));
        let pico = u128::from(input)
            .checked_mul(u128::from(dearest.input))?
            .checked_add(u128::from(output).checked_mul(u128::from(dearest.output))?)?
            .checked_add(u128::from(dearest.request))?;
        NanoUsd::from_pico_ceil(pico)
    }

    fn rates(&self, prompt_tokens: u64, service_tier: Option<&str>) -> Rates {
        let tiered = service_tier.and_then(|tier| self.service_tier.get(tier));
        let above = self
            .above_input_tokens
            .range(..prompt_tokens)
            .next_back()
            .map(|(_, rates)| rates);
        let mut rates = self.base;
        for over in [above, tiered].into_iter().flatten() {
            rates = rates.overridden(over);
        }
        rates
    }
}

impl Rates {
    fn overridden(&self, over: &Self) -> Self {
        Self {
            input: over.input.or(self.input),
            output: over.output.or(self.output),
            cache_read: over.cache_read.or(self.cache_read),
            cache_write: over.cache_write.or(self.cache_write),
            cache_write_1h: over.cache_write_1h.or(self.cache_write_1h),
            audio_input: over.audio_input.or(self.audio_input),
            audio_output: over.audio_output.or(self.audio_output),
            image_input: over.image_input.or(self.image_input),
            reasoning: over.reasoning.or(self.reasoning),
            per_request: over.per_request.or(self.per_request),
        }
    }
}

#[derive(Default)]
struct Dearest {
    input: u64,
    output: u64,
    request: u64,
}

impl Dearest {
    fn take(&mut self, rates: &Rates) {
        let most = |rates: &[Option<PicoUsdPerUnit>]| {
            rates.iter().flatten().map(|rate| rate.0).max().unwrap_or(0)
        };
        self.input = self.input.max(most(&[
            rates.input,
            rates.cache_read,
            rates.cache_write,
            rates.cache_write_1h,
            rates.audio_input,
            rates.image_input,
        ]));
        self.output = self
            .output
            .max(most(&[rates.output, rates.audio_output, rates.reasoning]));
        self.request = self.request.max(most(&[rates.per_request]));
    }
}

fn cost_at(rates: &Rates, usage: &Usage) -> Option<NanoUsd> {
    let cache_write = rates.cache_write.or(rates.input);
    let parts = [
        (usage.input, rates.input),
        (usage.output, rates.output),
        (usage.cache_read, rates.cache_read.or(rates.input)),
        (usage.cache_write, cache_write),
        (usage.cache_write_1h, rates.cache_write_1h.or(cache_write)),
        (usage.audio_input, rates.audio_input.or(rates.input)),
        (usage.audio_output, rates.audio_output.or(rates.output)),
        (usage.image_input, rates.image_input.or(rates.input)),
        (usage.reasoning, rates.reasoning.or(rates.output)),
        (1, rates.per_request),
    ];
    let mut pico: u128 = 0;
    for (units, rate) in parts {
        let rate = rate.unwrap_or_default().0;
        pico = pico.checked_add(u128::from(units).checked_mul(u128::from(rate))?)?;
    }
    NanoUsd::from_pico_ceil(pico)
}

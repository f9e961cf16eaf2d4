//! What a request needs: tokens and money at most. Decides how much output to reserve where the request does not say: a default first,
//! then what a denial says is left, so that such a request is never refused only because its model could write more than a limit leaves.

use contract::limits::LimitKind;
use contract::money::NanoUsd;
use contract::price::ModelPrice;
use contract::records::ModelRecord;
use contract::script::MAX_TOKENS;

use super::refusal::Refusal;
use crate::config::{Config, OutputCap};
use crate::estimate;
use crate::json_scan::{CapField, RequestFacts};
use crate::route::Api;
use crate::scopes::Scopes;

/// What a request reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Most tokens it reads.
    pub input: u64,
    /// Most tokens it writes; a guess where `capless`.
    pub output: u64,
    /// The request states no cap.
    pub capless: bool,
    /// How many answers are written; a cap holds for each.
    pub answers: u64,
    /// Least output that makes a request worth sending.
    pub least: u64,
    /// `input + output`, as Redis counts.
    pub tokens: u64,
    /// What they cost at most; zero where nobody knows the price and no budget applies.
    pub cost: NanoUsd,
}

impl Need {
    /// What the request needs.
    pub(crate) fn of(
        facts: &RequestFacts,
        api: Api,
        model: &ModelRecord,
        scopes: &Scopes,
        config: &Config,
    ) -> Result<Self, Refusal> {
        let price = price(model);
        if price.is_none() && scopes.has_budget() {
            return Err(Refusal::UnknownPrice {
                model: model.name.clone(),
            });
        }
        let input = estimate::input_tokens(facts, model, api).min(MAX_TOKENS);
        let answers = estimate::choices(facts, api).max(1);
        // OpenAI's Responses API refuses caps below 16.
        let least = answers.saturating_mul(if api == Api::Responses { 16 } else { 1 });
        let need = Self {
            input,
            output: 0,
            capless: true,
            answers,
            least,
            tokens: 0,
            cost: NanoUsd::ZERO,
        };
        if let Some(stated) = estimate::output_cap(facts, api) {
            return Self {
                capless: false,
                ..need
            }
            .with_output(price, stated);
        }
        if config.output_cap == OutputCap::Reject {
            let field = CapField::of(api, &model.provider).map_or("max_tokens", CapField::name);
            return Err(Refusal::NoOutputCap { field });
        }
        let each = config
            .default_output_cap
            .min(model.max_output_tokens.unwrap_or(u64::MAX));
        let quarter = scopes.tightest_tpm().map_or(u64::MAX, |tpm| tpm / 4);
        let most = each.saturating_mul(answers).min(quarter).max(least);
        need.with_output(price, most)
    }

    /// The same need with less output, so that it fits what a denial says is left; `None` where the cap was the client's choice or nothing
    /// worth having would fit.
    pub(crate) fn shrunk(&self, model: &ModelRecord, kind: LimitKind, left: u64) -> Option<Self> {
        let output = match kind {
            LimitKind::Tpm => left.checked_sub(self.input)?,
            LimitKind::Budget => affordable(
                price(model),
                self.input,
                self.output,
                NanoUsd::saturating(left),
            )?,
            LimitKind::Rpm | LimitKind::Parallel => return None,
        };
        if !self.capless || output < self.least || output >= self.output {
            return None;
        }
        self.with_output(price(model), output).ok()
    }

    fn with_output(self, price: Option<&ModelPrice>, output: u64) -> Result<Self, Refusal> {
        let tokens = self.input.saturating_add(output);
        let cost = match price {
            Some(price) => price
                .worst_case(self.input, output)
                .ok_or(Refusal::TooMuchAsked)?,
            None => NanoUsd::ZERO,
        };
        if tokens > MAX_TOKENS {
            return Err(Refusal::TooMuchAsked);
        }
        Ok(Self {
            output,
            tokens,
            cost,
            ..self
        })
    }

    /// The cap to write into a request that states none: what each of its answers may take.
    pub(crate) fn cap_each(&self) -> u64 {
        self.output
            .checked_div(self.answers)
            .unwrap_or(self.output)
            .max(1)
    }
}

/// The price, where it is known.
pub(crate) fn price(model: &ModelRecord) -> Option<&ModelPrice> {
    model.price.as_ref().filter(|price| price.is_known())
}

/// Most output, up to `most`, that `left` pays for after the input; `None` where it does not pay for the input.
fn affordable(price: Option<&ModelPrice>, input: u64, most: u64, left: NanoUsd) -> Option<u64> {
    let Some(price) = price else {
        return Some(most);
    };
    let fits = |output| {
        price
            .worst_case(input, output)
            .is_some_and(|cost| cost <= left)
    };
    if fits(most) {
        return Some(most);
    }
    let (mut fit, mut too_much) = (0, most);
    if !fits(fit) {
        return None;
    }
    while too_much.saturating_sub(fit) > 1 {
        let middle = fit.midpoint(too_much);
        if fits(middle) {
            fit = middle;
        } else {
            too_much = middle;
        }
    }
    Some(fit)
}

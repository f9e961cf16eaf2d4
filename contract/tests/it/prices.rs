//! What a request costs, and what it can cost at most.

use std::collections::BTreeMap;

use contract::money::PicoUsdPerUnit;
use contract::price::{ModelPrice, Rates};
use contract::usage::{Metered, Usage};
use proptest::prelude::*;

const fn pico(price: u64) -> PicoUsdPerUnit {
    PicoUsdPerUnit(price)
}

fn base(input: u64, output: u64) -> ModelPrice {
    ModelPrice {
        base: Rates {
            input: Some(pico(input)),
            output: Some(pico(output)),
            ..Rates::default()
        },
        ..ModelPrice::default()
    }
}

fn cost(price: &ModelPrice, usage: Usage, tier: Option<&str>) -> u64 {
    price.cost(&usage, tier).unwrap().get()
}

#[test]
fn a_request_is_rounded_up_once_not_kind_by_kind() {
    let usage = Usage {
        input: 1,
        output: 1,
        ..Usage::default()
    };
    assert_eq!(cost(&base(400, 500), usage, None), 1);
    assert_eq!(cost(&base(400, 601), usage, None), 2);
    assert_eq!(cost(&base(0, 0), usage, None), 0);
    // gpt-4o: 2.50 and 10 dollars a million tokens.
    let usage = Usage {
        input: 1000,
        output: 500,
        ..Usage::default()
    };
    assert_eq!(cost(&base(2_500_000, 10_000_000), usage, None), 7_500_000);
}

#[test]
fn a_kind_without_a_rate_costs_what_its_fallback_does() {
    let one = |set: fn(&mut Usage)| {
        let mut usage = Usage::default();
        set(&mut usage);
        cost(&base(1000, 7000), usage, None)
    };
    assert_eq!(one(|usage| usage.cache_read = 1), 1);
    assert_eq!(one(|usage| usage.cache_write = 1), 1);
    assert_eq!(one(|usage| usage.cache_write_1h = 1), 1);
    assert_eq!(one(|usage| usage.audio_input = 1), 1);
    assert_eq!(one(|usage| usage.image_input = 1), 1);
    assert_eq!(one(|usage| usage.reasoning = 1), 7);
    assert_eq!(one(|usage| usage.audio_output = 1), 7);
    let mut price = base(1000, 7000);
    price.base.cache_write = Some(pico(3000));
    let usage = Usage {
        cache_write_1h: 1,
        ..Usage::default()
    };
    assert_eq!(cost(&price, usage, None), 3);
    price.base.cache_write_1h = Some(pico(4000));
    assert_eq!(cost(&price, usage, None), 4);
}

#[test]
fn a_request_has_its_own_price_besides_its_tokens() {
    let mut price = base(1000, 1000);
    price.base.per_request = Some(pico(5000));
    assert_eq!(
        cost(
            &price,
            Usage {
                input: 2,
                ..Usage::default()
            },
            None
        ),
        7
    );
}

#[test]
fn a_prompt_longer_than_a_threshold_is_dearer_as_a_whole() {
    let mut price = base(1000, 2000);
    let above = |input| Rates {
        input: Some(pico(input)),
        ..Rates::default()
    };
    price.above_input_tokens = BTreeMap::from([(10, above(5000)), (20, above(9000))]);
    let prompt = |input| {
        cost(
            &price,
            Usage {
                input,
                output: 1,
                ..Usage::default()
            },
            None,
        )
    };
    assert_eq!([10, 11, 20, 21].map(prompt), [12, 57, 102, 191]);
    // Cached tokens are part of the prompt.
    let usage = Usage {
        input: 1,
        cache_read: 10,
        ..Usage::default()
    };
    assert_eq!(cost(&price, usage, None), 55);
}

#[test]
fn a_tier_changes_the_rates_it_names_and_an_unknown_one_none() {
    let mut price = base(1000, 2000);
    let flex = Rates {
        output: Some(pico(500)),
        ..Rates::default()
    };
    price.service_tier = BTreeMap::from([("flex".to_owned(), flex)]);
    let usage = Usage {
        input: 10,
        output: 10,
        ..Usage::default()
    };
    assert_eq!(
        [None, Some("flex"), Some("gold")].map(|tier| cost(&price, usage, tier)),
        [30, 15, 30]
    );
}

#[test]
fn a_model_without_rates_is_unknown_and_one_of_zero_is_free() {
    assert!(!ModelPrice::default().is_known());
    assert!(base(0, 0).is_known());
    let per_request = Rates {
        per_request: Some(pico(1)),
        ..Rates::default()
    };
    assert!(
        ModelPrice {
            base: per_request,
            ..ModelPrice::default()
        }
        .is_known()
    );
    let output_only = Rates {
        output: Some(pico(1)),
        ..Rates::default()
    };
    assert!(
        !ModelPrice {
            base: output_only,
            ..ModelPrice::default()
        }
        .is_known()
    );
}

#[test]
fn a_cost_above_the_most_is_none_never_less() {
    let usage = Usage {
        input: u64::MAX,
        output: u64::MAX,
        ..Usage::default()
    };
    assert_eq!(base(u64::MAX, u64::MAX).cost(&usage, None), None);
    assert_eq!(
        base(u64::MAX, u64::MAX).worst_case(u64::MAX, u64::MAX),
        None
    );
    assert_eq!(
        base(1_000_000, 0)
            .worst_case(9_000_000_000_000, 0)
            .unwrap()
            .get(),
        9_000_000_000_000_000
    );
    assert_eq!(base(1_000_000, 0).worst_case(9_000_000_000_001, 0), None);
}

#[test]
fn tokens_are_summed_by_direction() {
    let usage = Usage {
        input: 1,
        output: 2,
        cache_read: 4,
        cache_write: 8,
        cache_write_1h: 16,
        audio_input: 32,
        audio_output: 64,
        image_input: 128,
        reasoning: 256,
    };
    assert_eq!(
        (
            usage.prompt_tokens(),
            usage.completion_tokens(),
            usage.total_tokens()
        ),
        (189, 322, 511)
    );
    assert_eq!(
        Metered::AtLeast(usage).usage(),
        Metered::Exact(usage).usage()
    );
    let most = Usage {
        input: u64::MAX,
        cache_read: 1,
        output: 1,
        ..Usage::default()
    };
    assert_eq!(most.total_tokens(), u64::MAX);
}

#[test]
fn a_price_survives_json() {
    let mut price = base(1, 2);
    price.above_input_tokens = BTreeMap::from([(
        200_000,
        Rates {
            input: Some(pico(3)),
            ..Rates::default()
        },
    )]);
    price.service_tier = BTreeMap::from([(
        "flex".to_owned(),
        Rates {
            output: Some(pico(4)),
            ..Rates::default()
        },
    )]);
    let json = serde_json::to_string(&price).unwrap();
    assert_eq!(serde_json::from_str::<ModelPrice>(&json).unwrap(), price);
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || prop::option::of((0_u64..100_000_000).prop_map(PicoUsdPerUnit));
    (
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
        rate(),
    )
        .prop_map(
            |(
                input,
                output,
                cache_read,
                cache_write,
                cache_write_1h,
                audio_input,
                audio_output,
                image_input,
                reasoning,
                per_request,
            )| {
                Rates {
                    input,
                    output,
                    cache_read,
                    cache_write,
                    cache_write_1h,
                    audio_input,
                    audio_output,
                    image_input,
                    reasoning,
                    per_request,
                }
            },
        )
}

fn price() -> impl Strategy<Value = ModelPrice> {
    (
        rates(),
        prop::collection::btree_map(0_u64..100_000, rates(), 0..3),
        prop::collection::btree_map("[a-c]", rates(), 0..3),
    )
        .prop_map(|(base, above_input_tokens, service_tier)| ModelPrice {
            base,
            above_input_tokens,
            service_tier,
        })
}

fn usage() -> impl Strategy<Value = Usage> {
    prop::array::uniform9(0_u64..50_000).prop_map(
        |[
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            audio_input,
            audio_output,
            image_input,
            reasoning,
        ]| {
            Usage {
                input,
                output,
                cache_read,
                cache_write,
                cache_write_1h,
                audio_input,
                audio_output,
                image_input,
                reasoning,
            }
        },
    )
}

proptest! {
    #[test]
    fn no_usage_within_the_estimate_costs_more_than_the_worst_case(
        price in price(), usage in usage(), tier in prop::option::of("[a-d]"), more in 0_u64..1000,
    ) {
        let cost = price.cost(&usage, tier.as_deref()).unwrap();
        let worst = price.worst_case(usage.prompt_tokens() + more, usage.completion_tokens() + more).unwrap();
        prop_assert!(cost <= worst, "{cost} > {worst}");
    }

    #[test]
    fn a_cost_is_the_exact_sum_rounded_up_by_less_than_a_nano_dollar(
        input in 0_u64..1_000_000, output in 0_u64..1_000_000, a in 0_u64..1_000_000_000, b in 0_u64..1_000_000_000,
    ) {
        let usage = Usage { input, output, ..Usage::default() };
        let exact = u128::from(input) * u128::from(a) + u128::from(output) * u128::from(b);
        let nano = u128::from(cost(&base(a, b), usage, None));
        prop_assert!(nano * 1000 >= exact && nano * 1000 < exact + 1000);
    }
}

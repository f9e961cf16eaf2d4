use contract::money::{NanoUsd, PicoUsdPerUnit};
use contract::usage::Usage;
use serde_json::json;

use super::*;

fn build(list: &Value) -> Result<Catalogue, CatalogueError> {
    let prices = PriceList::embedded().unwrap();
    Catalogue::build(
        &prices,
        list.as_array().map(Vec::as_slice),
        ProxySettings::default(),
    )
}

fn model<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a ModelRecord> {
    catalogue.models.iter().find(|model| model.name == name)
}

#[test]
fn every_model_billed_by_tokens_is_served_under_its_name_and_with_its_provider() {
    let catalogue = build(&Value::Null).unwrap();
    let plain = model(&catalogue, "gpt-4o-mini").unwrap();
    assert_eq!(
        (plain.provider.as_str(), plain.upstream.as_str()),
        ("openai", "gpt-4o-mini")
    );
    let full = model(&catalogue, "openai/gpt-4o-mini").unwrap();
    assert_eq!(
        (full.provider.as_str(), full.upstream.as_str()),
        ("openai", "gpt-4o-mini")
    );
    assert_eq!(full.price, plain.price);
    let gemini = model(&catalogue, "gemini/gemini-2.5-pro").unwrap();
    assert_eq!(gemini.upstream, "gemini-2.5-pro");
    assert!(
        gemini
            .price
            .as_ref()
            .unwrap()
            .above_input_tokens
            .contains_key(&200_000)
    );
    assert!(model(&catalogue, "1024-x-1024/gpt-image-1.5").is_none());
    assert!(
        catalogue
            .settings
            .models
            .contains(&"gpt-4o-mini".to_owned())
    );
    assert!(
        !catalogue
            .settings
            .models
            .contains(&"openai/gpt-4o-mini".to_owned())
    );
    assert!(catalogue.models.len() > 3000);
}

#[test]
fn a_listed_price_is_in_picodollars() {
    let catalogue = build(&Value::Null).unwrap();
    let price = model(&catalogue, "gpt-4o").unwrap().price.clone().unwrap();
    let usage = Usage {
        input: 1000,
        output: 100,
        ..Usage::default()
    };
    assert_eq!(
        price.cost(&usage, None),
        Some(NanoUsd::parse("0.0035").unwrap())
    );
    assert_eq!(
        price.cost(&usage, Some("priority")),
        Some(NanoUsd::parse("0.00595").unwrap())
    );
}

#[test]
fn a_model_whose_unit_is_not_a_token_has_no_known_price() {
    let catalogue = build(&Value::Null).unwrap();
    let name = "bedrock/*/1-month-commitment/cohere.command-text-v14";
    assert_eq!(model(&catalogue, name).unwrap().price, None);
}

#[test]
fn a_model_list_serves_exactly_its_names() {
    let catalogue = build(&json!([
        {"model_name": "fast", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "os.environ/OPENAI_API_KEY"}},
        {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5"},
         "model_info": {"access_groups": ["beta"], "max_output_tokens": 1000}},
    ]))
    .unwrap();
    assert_eq!(catalogue.settings.models, ["fast", "claude"]);
    assert_eq!(catalogue.models.len(), 2);
    let fast = model(&catalogue, "fast").unwrap();
    assert_eq!(
        (fast.upstream.as_str(), fast.mode.as_deref()),
        ("gpt-4o-mini", Some("chat"))
    );
    assert_eq!(
        fast.price.as_ref().unwrap().base.input,
        Some(PicoUsdPerUnit(150_000))
    );
    let claude = model(&catalogue, "claude").unwrap();
    assert_eq!(
        (claude.provider.as_str(), claude.max_output_tokens),
        ("anthropic", Some(1000))
    );
    assert_eq!(
        claude.price.as_ref().unwrap().base.output,
        Some(PicoUsdPerUnit(15_000_000))
    );
    assert_eq!(catalogue.settings.access_groups["beta"], ["claude"]);
}

#[test]
fn stated_prices_are_exact_decimals_and_win_over_the_list() {
    let catalogue = build(&json!([
        {"model_name": "own", "litellm_params": {"model": "openai/mine", "input_cost_per_token": 0.000_002_5,
         "output_cost_per_token": "1e-5", "cache_read_input_token_cost": 3.3e-10}},
        {"model_name": "cheaper", "litellm_params": {"model": "gemini/gemini-2.5-pro", "input_cost_per_token": 0}},
        {"model_name": "based", "litellm_params": {"model": "azure/my-deployment"}, "model_info": {"base_model": "gpt-4o"}},
    ]))
    .unwrap();
    let own = model(&catalogue, "own").unwrap().price.clone().unwrap();
    assert_eq!(own.base.input, Some(PicoUsdPerUnit(2_500_000)));
    assert_eq!(own.base.output, Some(PicoUsdPerUnit(10_000_000)));
    assert_eq!(own.base.cache_read, Some(PicoUsdPerUnit(330)));
    let cheaper = model(&catalogue, "cheaper").unwrap().price.clone().unwrap();
    assert_eq!(cheaper.base.input, Some(PicoUsdPerUnit(0)));
    assert_eq!(cheaper.base.output, Some(PicoUsdPerUnit(10_000_000)));
    assert!(cheaper.above_input_tokens.is_empty() && cheaper.service_tier.is_empty());
    let based = model(&catalogue, "based").unwrap();
    assert_eq!(
        (based.provider.as_str(), based.upstream.as_str()),
        ("azure", "my-deployment")
    );
    assert_eq!(
        based.price.as_ref().unwrap().base.input,
        Some(PicoUsdPerUnit(2_500_000))
    );
}

#[test]
fn a_wildcard_expands_over_the_price_list_and_never_replaces_a_named_model() {
    let catalogue = build(&json!([
        {"model_name": "openai/gpt-4o", "litellm_params": {"model": "openai/gpt-4o", "input_cost_per_token": 1}},
        {"model_name": "openai/*", "litellm_params": {"model": "openai/*"}},
    ]))
    .unwrap();
    let named = model(&catalogue, "openai/gpt-4o")
        .unwrap()
        .price
        .clone()
        .unwrap();
    assert_eq!(named.base.input, Some(PicoUsdPerUnit(1_000_000_000_000)));
    assert_eq!(
        model(&catalogue, "openai/gpt-4o-mini").unwrap().upstream,
        "gpt-4o-mini"
    );
    assert!(model(&catalogue, "gpt-4o-mini").is_none());
    assert!(
        catalogue
            .models
            .iter()
            .all(|model| model.provider == "openai")
    );
    assert!(catalogue.warnings.is_empty());
}

#[test]
fn a_second_deployment_of_a_name_is_left_out_with_a_warning() {
    let catalogue = build(&json!([
        {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o"}},
        {"model_name": "m", "litellm_params": {"model": "azure/gpt-4o"}},
        {"model_name": "unpriced", "litellm_params": {"model": "openai/nobody-knows"}},
    ]))
    .unwrap();
    assert_eq!(model(&catalogue, "m").unwrap().provider, "openai");
    assert_eq!(
        catalogue.warnings,
        [
            "model_list[1]: the model name m is already served; this deployment is not used",
            "model_list[2]: the price of unpriced is not known; keys with a budget cannot call it",
        ]
    );
}

#[test]
fn a_wrong_entry_is_named_with_what_was_expected() {
    let says =
        |list: Value, expected: &str| assert_eq!(build(&list).unwrap_err().to_string(), expected);
    says(
        json!([{"litellm_params": {"model": "m"}}]),
        "model_list[0].model_name: expected a name, found none",
    );
    says(
        json!([{"model_name": "m", "litellm_params": {"model": "no-such-model"}}]),
        "model_list[0].litellm_params.model: expected `provider/model` or a model of the price list, found `no-such-model`",
    );
    says(
        json!([{"model_name": "m", "litellm_params": {"model": "openai/x", "input_cost_per_token": "cheap"}}]),
        "model_list[0].litellm_params.input_cost_per_token: expected a decimal number of US dollars, found \"cheap\"",
    );
    says(
        json!([{"model_name": "m", "litellm_params": {"model": "openai/x", "input_cost_per_token": -1e-6}}]),
        "model_list[0].litellm_params.input_cost_per_token: expected an amount of at least 0, found -1e-6",
    );
    says(
        json!([{"model_name": "all/*", "litellm_params": {"model": "openai/gpt-4o"}}]),
        "model_list[0].litellm_params.model: expected a `*`, as model_name `all/*` has one",
    );
}

#[test]
fn a_cost_map_of_litellm_is_read_too() {
    let prices = PriceList::parse(
        br#"{"sample_spec": {"mode": "chat", "input_cost_per_token": "x"},
             "m": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 7, "input_cost_per_token": 1.5e-07,
                   "input_cost_per_token_above_200k_tokens": 3e-07, "output_cost_per_token_flex": 2e-07,
                   "search_context_cost_per_query": {"low": 1}},
             "picture": {"litellm_provider": "openai", "mode": "image_generation"}}"#,
    )
    .unwrap();
    let catalogue = Catalogue::build(&prices, None, ProxySettings::default()).unwrap();
    assert_eq!(catalogue.settings.models, ["m"]);
    let m = model(&catalogue, "openai/m").unwrap();
    let price = m.price.clone().unwrap();
    assert_eq!(
        (m.max_output_tokens, price.base.input),
        (Some(7), Some(PicoUsdPerUnit(150_000)))
    );
    assert_eq!(
        price.above_input_tokens[&200_000].input,
        Some(PicoUsdPerUnit(300_000))
    );
    assert_eq!(
        price.service_tier["flex"].output,
        Some(PicoUsdPerUnit(200_000))
    );
}

#[test]
fn a_broken_price_list_says_what_is_wrong() {
    assert!(
        PriceList::parse(b"[]")
            .unwrap_err()
            .to_string()
            .contains("expected an object of models")
    );
    assert!(
        PriceList::parse(br#"{"models": {"m": {}}}"#)
            .unwrap_err()
            .to_string()
            .contains("provider")
    );
}

//! Files as people write them.

use super::*;
use crate::domain::budget_window::WindowRules;
use crate::settings::Live;
use contract::money::NanoUsd;

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let options = Options {
        master_key: Some(KEY.to_owned()),
        ..Options::default()
    };
    Config::parse(text, &options, environment(pairs))
}

fn refused(text: &str) -> String {
    parse(text, &[]).unwrap_err().to_string()
}

#[test]
fn a_file_of_litellm_is_read_as_it_is() {
    let config = parse(
        r#"
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }
litellm_settings:
  timezone: "Europe/Berlin"
  budget_reset_time: "09:30"
  budget_exceeded_status_code: 429
  max_internal_user_budget: 10
  internal_user_budget_duration: "1mo"
  default_internal_user_params: { user_role: internal_user, max_budget: 0.5, models: ["gpt-4o"] }
  upperbound_key_generate_params: { max_budget: 100, duration: "30d", tpm_limit: 1000 }
  surprise: 1
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DB
  proxy_batch_write_at: 60
environment_variables:
  DB: postgres://somewhere/db
"#,
        &[],
    )
    .unwrap();
    assert_eq!(config.model_list.len(), 1);
    assert_eq!(config.database_url, "postgres://somewhere/db");
    let settings = Live::of(config.file.clone()).unwrap().now();
    assert_eq!(settings.proxy.budget_exceeded_status, 429);
    assert_ne!(settings.windows, WindowRules::default());
    assert_eq!(
        settings.key_bounds.max_budget,
        NanoUsd::new(100_000_000_000)
    );
    assert_eq!(settings.user_defaults.max_budget, NanoUsd::new(500_000_000));
    assert_eq!(
        settings.user_defaults.internal_max_budget,
        NanoUsd::new(10_000_000_000)
    );
    assert_eq!(
        config.warnings,
        [
            "general_settings.proxy_batch_write_at is known and has no effect",
            "litellm_settings.surprise is unknown and ignored"
        ]
    );
}

#[test]
fn a_wrong_value_is_told_with_its_path_and_what_was_expected() {
    assert_eq!(
        refused("litellm_settings: { timezone: Mars/Olympus }"),
        "litellm_settings.timezone: expected a time zone such as Europe/Berlin, found a text that is not"
    );
    assert!(
        refused("litellm_settings: { upperbound_key_generate_params: { max_budget: -1 } }")
            .starts_with(
                "litellm_settings.upperbound_key_generate_params.max_budget: expected an amount"
            )
    );
    assert!(refused("model_list: 5").starts_with("model_list: expected a list"));
    assert!(refused("a: [").starts_with("config file: expected YAML"));
    assert!(refused("- 1").starts_with("config file: expected a mapping"));
}

#[test]
fn a_missing_or_short_master_key_is_refused_outside_development() {
    let with = |key: Option<&str>, dev| {
        let options = Options {
            master_key: key.map(str::to_owned),
            dev,
            ..Options::default()
        };
        Config::parse("", &options, Environment::default())
    };
    assert!(
        with(None, false)
            .unwrap_err()
            .expected
            .contains("expected a master key")
    );
    assert!(with(None, true).is_err());
    assert!(
        with(Some("sk-1234"), false)
            .unwrap_err()
            .expected
            .contains("at least 32 characters")
    );
    assert!(with(Some("sk-1234"), true).is_ok());
    assert!(with(Some(&KEY.replace("sk-", "pk-")), false).is_err());
    assert!(with(Some(KEY), false).is_ok());
}

#[test]
fn a_secret_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let pairs = [
        ("LITELLM_MASTER_KEY_FILE", path.to_str().unwrap()),
        ("REDIS_PASSWORD", "a/b"),
    ];
    let config = Config::parse("", &Options::default(), environment(&pairs)).unwrap();
    assert_eq!(config.master_key.expose(), KEY);
    assert_eq!(config.redis_url, "redis://:a%2Fb@127.0.0.1:6379");
    let missing = [("LITELLM_MASTER_KEY_FILE", "/nowhere/key")];
    let error = Config::parse("", &Options::default(), environment(&missing)).unwrap_err();
    assert_eq!(error.path, "LITELLM_MASTER_KEY_FILE");
}

#[test]
fn development_listens_on_loopback_only() {
    let options = Options {
        master_key: Some(KEY.to_owned()),
        listen: Some(SocketAddr::from(([0, 0, 0, 0], 4000))),
        dev: true,
        ..Options::default()
    };
    assert_eq!(
        Config::parse("", &options, Environment::default())
            .unwrap_err()
            .path,
        "--dev"
    );
}

#[test]
fn headers_that_name_customers_are_published_in_lower_case() {
    let config = parse(
        r"
general_settings:
  user_header_name: X-User
  user_header_mappings:
    - { header_name: X-Internal, litellm_user_role: internal_user }
    - { header_name: X-Email, litellm_user_role: customer }
",
        &[],
    )
    .unwrap();
    let settings = Live::of(config.file.clone()).unwrap().now();
    let mut proxy = contract::records::ProxySettings::default();
    settings.apply_to(&mut proxy);
    assert_eq!(proxy.user_header_name.as_deref(), Some("x-user"));
    assert_eq!(proxy.user_header_mappings, ["x-email"]);
    assert_eq!(
        refused("general_settings: { user_header_mappings: [x-user] }"),
        "general_settings.user_header_mappings: expected a list of mappings with header_name and litellm_user_role, found a list that is not"
    );
}

#[test]
fn a_setting_of_litellm_without_effect_is_named_and_never_called_unknown() {
    let idle = [
        "block_requests_for_models_without_pricing: true",
        "budget_exceeded_throttle_percentage: 50",
        "budget_rollover: true",
        "cache: true",
        "cache_params: { type: redis }",
        "cost_discount_config: { openai: 0.1 }",
        "cost_margin_config: { global: 0.1 }",
        "default_key_max_budget_alert_emails: { '80': [a@x.com] }",
        "default_team_settings: [{ team_id: default-settings }]",
        "disable_add_user_agent_to_request_tags: true",
        "disable_end_user_cost_tracking: true",
        "enable_redis_auth_cache: true",
        "extra_spend_tag_headers: [x-tag]",
        "max_ui_session_budget: 2",
        "max_user_budget: 5",
        "validate_end_user_id_in_db: true",
    ];
    let effective = "
  max_internal_user_budget: 10
  internal_user_budget_duration: 1mo
  default_internal_user_params: { user_role: internal_user, max_budget: 1, budget_duration: 30d, models: [m], teams: [t], available_teams: [t] }
  default_team_params: { models: [m], max_budget: 1, budget_duration: 1d, tpm_limit: 1, rpm_limit: 1, team_member_permissions: [], organization_id: o }
  default_key_generate_params: { max_budget: 1 }
  upperbound_key_generate_params: { max_budget: 1, budget_duration: 1d, duration: 1d, max_parallel_requests: 1, tpm_limit: 1, rpm_limit: 1 }
  key_generation_settings: { team_key_generation: { allowed_team_member_roles: [admin], required_params: [tags] }, personal_key_generation: { allowed_user_roles: [proxy_admin], required_params: [tags] } }
  max_budget: 1
  budget_duration: 1d
  max_end_user_budget: 1
  max_end_user_budget_id: b
  budget_exceeded_status_code: 429
  timezone: Europe/Berlin
  budget_reset_time: '09:00'
  enable_key_alias_format_validation: true
";
    let text = format!("litellm_settings:{effective}  {}\n", idle.join("\n  "));
    let config = parse(&text, &[]).unwrap();
    let told = idle.map(|setting| {
        let name = setting.split(':').next().unwrap_or_default();
        format!("litellm_settings.{name} is known and has no effect")
    });
    assert_eq!(config.warnings, told);
}

#[test]
fn a_model_that_is_to_be_mocked_is_named() {
    let text = "
model_list:
  - { model_name: a, litellm_params: { model: openai/gpt-4o } }
  - { model_name: b, litellm_params: { model: openai/gpt-4o, mock_response: ok } }
";
    assert_eq!(
        parse(text, &[]).unwrap().warnings,
        ["model_list[1].litellm_params.mock_response is known and has no effect"]
    );
}

#[test]
fn the_header_of_keys_is_published_in_lower_case_and_means_nothing_else() {
    let config = parse(
        "general_settings: { litellm_key_header_name: X-My-Key }",
        &[],
    );
    let settings = Live::of(config.unwrap().file).unwrap().now();
    let mut proxy = contract::records::ProxySettings::default();
    settings.apply_to(&mut proxy);
    assert_eq!(proxy.key_header.as_deref(), Some("x-my-key"));
    for wrong in ["Host", "a b", "x-litellm-tags"] {
        let text = format!("general_settings: {{ litellm_key_header_name: {wrong} }}");
        let path = "general_settings.litellm_key_header_name: expected the name of a header";
        assert!(refused(&text).starts_with(path));
    }
}

#[test]
fn more_than_one_partition_is_refused() {
    for partitions in [0, 4] {
        let options = Options {
            master_key: Some(KEY.to_owned()),
            partitions: Some(partitions),
            ..Options::default()
        };
        let refused = Config::parse("", &options, environment(&[])).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("--partitions: expected 1: "),
            "{refused}"
        );
    }
}

//! The plugin's configuration: JSON that Envoy hands to both roots. Decides what is valid; a wrong or unknown field stops the start with a
//! sentence that names it, because a limiter that guesses its settings is none.

use std::fmt;

use contract::key_header;
use serde::Deserialize;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Envoy cluster whose endpoint is the internal listener towards Redis.
    pub redis_cluster: String,
    /// How long one call to Redis may take, 10 to 5,000 ms.
    pub redis_timeout_ms: u64,
    /// P: in how many parts the ledger lives, 1 to 4,096; must equal what Redis's ready markers say.
    pub partitions: u16,
    /// Longest request body, 1 KiB to 256 MiB.
    pub max_body_bytes: usize,
    /// What to do with a request that states no output cap.
    pub output_cap: OutputCap,
    /// Output tokens reserved at most for such a request, 1 to 1,000,000.
    pub default_output_cap: u64,
    /// What to do while Redis fails.
    pub on_store_failure: OnStoreFailure,
    /// The one header in which virtual keys are looked for, in lower case. Without it the published settings say where.
    pub key_header: Option<String>,
    /// Tests only: tell the upstream when, by Redis's clock, its request was admitted.
    pub admission_header: bool,
}

/// What to do with a request that states no output cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputCap {
    /// Reserve what fits, leave the request as it is.
    Default,
    /// Reserve what fits and write it into the request.
    Clamp,
    /// Refuse it.
    Reject,
}

/// What to do while Redis fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStoreFailure {
    /// 503.
    Deny,
    /// Admit keys that Redis confirmed within the last minute; settle later.
    Allow,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter configuration: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Default for Config {
    fn default() -> Self {
        Self {
            redis_cluster: "redis_bridge".to_owned(),
            redis_timeout_ms: 200,
            partitions: 1,
            max_body_bytes: 32 * 1024 * 1024,
            output_cap: OutputCap::Default,
            default_output_cap: 4096,
            on_store_failure: OnStoreFailure::Deny,
            key_header: None,
            admission_header: false,
        }
    }
}

impl Config {
    /// Reads the configuration; nothing at all means the defaults.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        if json.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let config: Self =
            serde_json::from_slice(json).map_err(|error| ConfigError(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        fn within<T: PartialOrd + fmt::Display>(
            name: &str,
            value: &T,
            least: &T,
            most: &T,
        ) -> Result<(), ConfigError> {
            if value < least || value > most {
                return Err(ConfigError(format!(
                    "{name}: expected {least} to {most}, got {value}"
                )));
            }
            Ok(())
        }
        if self.redis_cluster.is_empty() {
            return Err(ConfigError(
                "redis_cluster: expected the name of an Envoy cluster".to_owned(),
            ));
        }
        within("redis_timeout_ms", &self.redis_timeout_ms, &10, &5_000)?;
        if self.partitions != 1 {
            return Err(ConfigError(format!(
                "partitions: expected 1, got {}: a ledger in several parts is not served",
                self.partitions
            )));
        }
        within(
            "max_body_bytes",
            &self.max_body_bytes,
            &1_024,
            &(256 * 1024 * 1024),
        )?;
        within(
            "default_output_cap",
            &self.default_output_cap,
            &1,
            &1_000_000,
        )?;
        if self
            .key_header
            .as_deref()
            .is_some_and(|name| !key_header::is_free(name))
        {
            return Err(ConfigError(
                "key_header: expected the name of a header in lower case, one with no other meaning"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        Config::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(Config::parse(b" \n"), Ok(Config::default()));
        assert_eq!(Config::parse(b"{}"), Ok(Config::default()));
    }

    #[test]
    fn every_field_can_be_set() {
        let config = Config::parse(
            br#"{"redis_cluster":"r","redis_timeout_ms":50,"partitions":1,"max_body_bytes":4096,"output_cap":"clamp",
                "default_output_cap":100,"on_store_failure":"allow","key_header":"x-my-key","admission_header":true}"#,
        );
        let expected = Config {
            redis_cluster: "r".to_owned(),
            redis_timeout_ms: 50,
            partitions: 1,
            max_body_bytes: 4096,
            output_cap: OutputCap::Clamp,
            default_output_cap: 100,
            on_store_failure: OnStoreFailure::Allow,
            key_header: Some("x-my-key".to_owned()),
            admission_header: true,
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn an_unknown_field_is_named() {
        assert!(refusal(r#"{"redis_clutser":"r"}"#).contains("redis_clutser"));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        assert_eq!(
            refusal(r#"{"redis_timeout_ms":0}"#),
            "filter configuration: redis_timeout_ms: expected 10 to 5000, got 0"
        );
        assert!(refusal(r#"{"partitions":0}"#).contains("partitions"));
        assert!(refusal(r#"{"max_body_bytes":5}"#).contains("max_body_bytes"));
        assert!(refusal(r#"{"default_output_cap":0}"#).contains("default_output_cap"));
        assert!(refusal(r#"{"redis_cluster":""}"#).contains("redis_cluster"));
        assert!(refusal(r#"{"output_cap":"none"}"#).contains("none"));
    }

    #[test]
    fn a_key_header_is_a_lower_case_name_that_means_nothing_else() {
        for name in ["x-my-key", "authorization", "x-litellm-api-key", "k.1_2"] {
            let json = format!(r#"{{"key_header":"{name}"}}"#);
            let config = Config::parse(json.as_bytes()).unwrap();
            assert_eq!(config.key_header.as_deref(), Some(name));
        }
        let absent = Config::parse(br#"{"key_header":null}"#).unwrap();
        assert_eq!(absent.key_header, None);
        for name in [
            "",
            "X-My-Key",
            ":path",
            "a b",
            "a:",
            "schlüssel",
            "host",
            "content-length",
            "x-litellm-tags",
            "x-tollkeeper-provider",
            "x-forwarded-for",
        ] {
            let refused = refusal(&format!(r#"{{"key_header":"{name}"}}"#));
            assert!(refused.contains("key_header"), "{name}: {refused}");
        }
    }
}

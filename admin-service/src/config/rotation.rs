//! How the service replaces keys' values by itself.

use super::{ConfigError, Environment};
use crate::domain::budget_window::duration_us;

/// Two variables of LiteLLM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationSettings {
    /// `LITELLM_KEY_ROTATION_ENABLED`; here the default is yes.
    pub enabled: bool,
    /// `LITELLM_KEY_ROTATION_GRACE_PERIOD`: how long a former value stays valid where the request does not say.
    pub grace_us: Option<u64>,
}

pub(super) fn read(environment: &Environment) -> Result<RotationSettings, ConfigError> {
    const ENABLED: &str = "LITELLM_KEY_ROTATION_ENABLED";
    const GRACE: &str = "LITELLM_KEY_ROTATION_GRACE_PERIOD";
    let enabled = match environment
        .get(ENABLED)?
        .map(|text| text.to_ascii_lowercase())
    {
        None => true,
        Some(text) if matches!(text.as_str(), "true" | "1") => true,
        Some(text) if matches!(text.as_str(), "false" | "0") => false,
        Some(_) => return Err(ConfigError::new(ENABLED, "expected true or false")),
    };
    let grace_us = match environment.get(GRACE)? {
        None => None,
        Some(text) => Some(
            duration_us(&text)
                .ok_or_else(|| ConfigError::new(GRACE, "expected a duration such as 24h"))?,
        ),
    };
    Ok(RotationSettings { enabled, grace_us })
}

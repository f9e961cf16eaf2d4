//! Settings about keys: who may make them, and what owners may change.

use crate::config::{ConfigError, Section};
use crate::request::GENERATE_KEY;

/// `key_generation_settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGeneration {
    /// `team_key_generation`: keys that name a team; roles are roles in it.
    pub team: KeyMakers,
    /// `personal_key_generation`: keys that name none; roles are global.
    pub personal: KeyMakers,
}

/// Who makes keys, and what their requests must say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyMakers {
    /// `None`: everybody whom nothing else forbids it.
    pub allowed_roles: Option<Vec<String>>,
    /// Fields of `/key/generate` that must be there.
    pub required_params: Vec<String>,
}

/// `self_serve_budget_policy`: what the owner who made a key may change of its `max_budget` and `budget_limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfServeBudgets {
    /// Nothing: budgets are the admins'.
    #[default]
    Disabled,
    /// Budgets are added and lowered.
    LowerOnly,
    /// Budgets are changed up to the owner's own.
    Ceiling,
}

pub(super) fn key_generation(
    litellm: &mut Section<'_>,
    general: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<KeyGeneration, ConfigError> {
    const NAME: &str = "key_generation_settings";
    // Old documentation has it under `general_settings`.
    let mut old = general.section(NAME)?;
    let mut section = litellm.section(NAME)?;
    let mut read = |name: &str, roles: &str| {
        let mut makers = section.section(name)?;
        if makers.is_empty() {
            makers = old.section(name)?;
        }
        let read = KeyMakers {
            allowed_roles: makers.texts(roles)?,
            required_params: makers
                .read("required_params", "fields of /key/generate", |value| {
                    let known = |name: &str| GENERATE_KEY.iter().any(|field| field.name == name);
                    let names = value.as_array()?.iter();
                    names
                        .map(|name| name.as_str().filter(|name| known(name)).map(str::to_owned))
                        .collect()
                })?
                .unwrap_or_default(),
        };
        makers.finish(&[], warnings);
        Ok::<_, ConfigError>(read)
    };
    let team = read("team_key_generation", "allowed_team_member_roles")?;
    let personal = read("personal_key_generation", "allowed_user_roles")?;
    section.finish(&[], warnings);
    old.finish(&[], warnings);
    Ok(KeyGeneration { team, personal })
}

pub(super) fn self_serve_budgets(
    general: &mut Section<'_>,
) -> Result<SelfServeBudgets, ConfigError> {
    let options = ["disabled", "lower_only", "ceiling"];
    let policy = general.one_of("self_serve_budget_policy", &options)?;
    Ok(match policy.as_deref() {
        Some("lower_only") => SelfServeBudgets::LowerOnly,
        Some("ceiling") => SelfServeBudgets::Ceiling,
        _ => SelfServeBudgets::Disabled,
    })
}

//! What the values of the hot settings must be, whether they come from the file or from the database.

use chrono::NaiveTime;
use contract::key_header;
use contract::money::NanoUsd;
use serde_json::{Map, Value};

use super::budgets::{CustomerDefault, ProxyBudget};
use super::{FileSettings, SECTIONS, Settings, keys};
use crate::config::{ConfigError, Environment, Section};
use crate::domain::budget_window::{WindowRules, duration_us};
use crate::error::ApiError;
use crate::request::{Body, GENERATE_KEY};

/// `default_key_generate_params`: what a new key has where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyDefaults(pub Map<String, Value>);

/// `upperbound_key_generate_params`: the most a new key may have; where the request says nothing it gets exactly that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// Money.
    pub max_budget: Option<NanoUsd>,
    /// Budget window.
    pub budget_duration: Option<String>,
    /// Lifetime.
    pub duration: Option<String>,
    /// Requests at once.
    pub max_parallel_requests: Option<u64>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
}

/// What a new user has where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserDefaults {
    /// `default_internal_user_params.user_role`.
    pub user_role: Option<String>,
    /// `default_internal_user_params.max_budget`.
    pub max_budget: Option<NanoUsd>,
    /// `default_internal_user_params.budget_duration`.
    pub budget_duration: Option<String>,
    /// `default_internal_user_params.models`.
    pub models: Option<Vec<String>>,
    /// `default_internal_user_params.teams`: ids, or objects of `team_id`, `max_budget_in_team`, `user_role`.
    pub teams: Option<Vec<Value>>,
    /// `default_internal_user_params.available_teams`: teams that a user may join by themselves.
    pub available_teams: Vec<String>,
    /// `max_internal_user_budget`: fills a budget that is still empty, for `internal_user` only.
    pub internal_max_budget: Option<NanoUsd>,
    /// `internal_user_budget_duration`, likewise.
    pub internal_budget_duration: Option<String>,
}

/// `default_team_params`: what a new team has where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamDefaults {
    /// Models, for teams that single sign-on makes.
    pub models: Option<Vec<String>>,
    /// Money.
    pub max_budget: Option<NanoUsd>,
    /// Its window.
    pub budget_duration: Option<String>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
    /// What members may do with keys of the team.
    pub team_member_permissions: Option<Vec<String>>,
    /// The organization.
    pub organization_id: Option<String>,
}

/// Who may sign in to the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UiAccess {
    /// Everybody with an account.
    #[default]
    All,
    /// Proxy admins and proxy admin viewers.
    AdminOnly,
    /// Admins, and who single sign-on says is in this group.
    SsoGroup {
        /// The group.
        group: String,
        /// The claim that lists groups.
        claim: String,
    },
}

impl UiAccess {
    fn read(value: &Value) -> Option<Self> {
        if let Some(mode) = value.as_str() {
            return match mode {
                "all" => Some(Self::All),
                "admin_only" => Some(Self::AdminOnly),
                _ => None,
            };
        }
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        match text("type")?.as_str() {
            "restricted_sso_group" => Some(Self::SsoGroup {
                group: text("restricted_sso_group")?,
                claim: text("sso_group_jwt_field").unwrap_or_else(|| "groups".to_owned()),
            }),
            _ => None,
        }
    }
}

/// How long rows of the spend log are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `maximum_spend_logs_retention_period`, microseconds.
    pub period_us: u64,
    /// `maximum_spend_logs_retention_interval`, microseconds: how often older ones are deleted.
    pub interval_us: u64,
}

/// Global roles that a new user may be given.
const ROLES: &[&str] = &[
    "proxy_admin",
    "proxy_admin_viewer",
    "internal_user",
    "internal_user_viewer",
];
/// Tokens a minute, at most: what a script of Redis counts exactly.
const MOST_TOKENS: u64 = 9_007_199_254_740_991;

/// Reads the hot settings of the file's sections, and takes their keys out.
pub(crate) fn take(
    litellm: &mut Section<'_>,
    general: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    if let Some(status) = litellm.whole("budget_exceeded_status_code", 400, 499)? {
        settings.proxy.budget_exceeded_status = u16::try_from(status).unwrap_or(422);
    }
    if let Some(flag) = general.flag("master_key_can_call_models")? {
        settings.proxy.master_key_can_call_models = flag;
    }
    if let Some(flag) = general.flag("apply_user_budget_to_team_keys")? {
        settings.proxy.apply_user_budget_to_team_keys = flag;
    }
    let free = "the name of a header that means nothing else";
    settings.proxy.key_header = general.read("litellm_key_header_name", free, |name| {
        let name = name.as_str()?.to_ascii_lowercase();
        key_header::is_free(&name).then_some(name)
    })?;
    let name = general.text("user_header_name")?;
    settings.proxy.user_header_name = name.map(|name| name.to_ascii_lowercase());
    let mappings = "a list of mappings with header_name and litellm_user_role";
    let mappings = general.read("user_header_mappings", mappings, customer_headers)?;
    settings.proxy.user_header_mappings = mappings.unwrap_or_default();
    settings.customer_default = CustomerDefault::take(litellm)?;
    settings.proxy_budget = ProxyBudget::take(litellm)?;
    let modes = "all, admin_only, or a mapping with type restricted_sso_group and the group";
    let access = general.read("ui_access_mode", modes, UiAccess::read)?;
    settings.ui_access = access.unwrap_or_default();
    settings.windows = windows(litellm)?;
    settings.key_defaults = key_defaults(litellm)?;
    settings.key_bounds = key_bounds(litellm, warnings)?;
    settings.key_generation = keys::key_generation(litellm, general, warnings)?;
    settings.self_serve_budgets = keys::self_serve_budgets(general)?;
    settings.user_defaults = user_defaults(litellm, warnings)?;
    settings.team_defaults = team_defaults(litellm, warnings)?;
    settings.retention = retention(general)?;
    settings.alias_format = litellm
        .flag("enable_key_alias_format_validation")?
        .unwrap_or(false);
    settings.leave_admin_out_of_teams = general
        .flag("disable_auto_add_proxy_admin_to_teams")?
        .unwrap_or(false);
    Ok(settings)
}

/// The headers whose mapping says that they name a customer, in lower case.
fn customer_headers(value: &Value) -> Option<Vec<String>> {
    let one = std::slice::from_ref(value);
    let mappings = value.as_array().map_or(one, Vec::as_slice);
    let mut headers = Vec::new();
    for mapping in mappings {
        let text = |name: &str| mapping.get(name)?.as_str();
        let (name, role) = (text("header_name")?, text("litellm_user_role")?);
        if role == "customer" {
            headers.push(name.to_ascii_lowercase());
        }
    }
    Some(headers)
}

/// The same of mappings without references to the environment: a value that came over the API must not read the environment.
pub(super) fn merged(values: &FileSettings) -> Result<Settings, ConfigError> {
    let environment = Environment::default();
    let section = |at: usize, map: &Map<String, Value>| {
        let name = SECTIONS.get(at).copied().unwrap_or_default();
        Section::new(name, Some(Value::Object(map.clone())), &environment)
    };
    let (mut litellm, mut general) = (section(0, &values.litellm)?, section(1, &values.general)?);
    take(&mut litellm, &mut general, &mut Vec::new())
}

fn windows(litellm: &mut Section<'_>) -> Result<WindowRules, ConfigError> {
    let mut rules = WindowRules::default();
    let zone = "a time zone such as Europe/Berlin";
    if let Some(timezone) = litellm.read("timezone", zone, |value| value.as_str()?.parse().ok())? {
        rules.timezone = timezone;
    }
    let time = "a time of day such as 09:30";
    let read = |value: &Value| NaiveTime::parse_from_str(value.as_str()?, "%H:%M").ok();
    if let Some(reset_time) = litellm.read("budget_reset_time", time, read)? {
        rules.reset_time = reset_time;
    }
    Ok(rules)
}

/// A row is kept a day at least: whoever settles late must find it.
fn retention(general: &mut Section<'_>) -> Result<Option<Retention>, ConfigError> {
    const DAY_US: u64 = 86_400_000_000;
    let mut read = |name: &str, least: u64, expected: &str| {
        general.read(name, expected, |value| {
            let us = duration_us(value.as_str()?)?;
            (us >= least).then_some(us)
        })
    };
    let period = "a duration of at least a day, such as 30d";
    let period = read("maximum_spend_logs_retention_period", DAY_US, period)?;
    let interval = "a duration of at least a minute, such as 1d";
    let interval = read(
        "maximum_spend_logs_retention_interval",
        60_000_000,
        interval,
    )?;
    Ok(period.map(|period_us| Retention {
        period_us,
        interval_us: interval.unwrap_or(DAY_US),
    }))
}

fn key_defaults(litellm: &mut Section<'_>) -> Result<KeyDefaults, ConfigError> {
    const NAME: &str = "default_key_generate_params";
    let path = litellm.path(NAME);
    let map = litellm.read(NAME, "a mapping", |value| value.as_object().cloned())?;
    let map = map.unwrap_or_default();
    match Body::from_map(map.clone(), GENERATE_KEY) {
        Ok(body) => match body.ignored.first() {
            None => Ok(KeyDefaults(map)),
            Some(unknown) => {
                let path = format!("{path}.{unknown}");
                Err(ConfigError::new(path, "expected a field of /key/generate"))
            }
        },
        Err(ApiError::Invalid(problems)) => {
            let first = problems.first();
            let field = first.map_or_else(String::new, |problem| format!("{:?}", problem.loc));
            let msg = first.map_or_else(String::new, |problem| problem.msg.clone());
            Err(ConfigError::new(path, format!("{msg} {field}")))
        }
        Err(_) => Err(ConfigError::new(path, "expected fields of /key/generate")),
    }
}

fn key_bounds(
    litellm: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<KeyBounds, ConfigError> {
    let mut section = litellm.section("upperbound_key_generate_params")?;
    let bounds = KeyBounds {
        max_budget: section.money("max_budget")?,
        budget_duration: section.budget_duration("budget_duration")?,
        duration: section.read("duration", "a duration such as 30d", |value| {
            value
                .as_str()
                .filter(|text| duration_us(text).is_some())
                .map(str::to_owned)
        })?,
        max_parallel_requests: section.whole("max_parallel_requests", 0, u64::from(u32::MAX))?,
        tpm_limit: section.whole("tpm_limit", 0, MOST_TOKENS)?,
        rpm_limit: section.whole("rpm_limit", 0, u64::from(u32::MAX))?,
    };
    section.finish(&[], warnings);
    Ok(bounds)
}

fn user_defaults(
    litellm: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<UserDefaults, ConfigError> {
    let mut section = litellm.section("default_internal_user_params")?;
    let teams = "a list of team ids, or of mappings with team_id";
    let defaults = UserDefaults {
        user_role: section.one_of("user_role", ROLES)?,
        max_budget: section.money("max_budget")?,
        budget_duration: section.budget_duration("budget_duration")?,
        models: section.texts("models")?,
        teams: section.read("teams", teams, |value| {
            let teams = value.as_array()?;
            teams.iter().all(is_team).then(|| teams.clone())
        })?,
        available_teams: section.texts("available_teams")?.unwrap_or_default(),
        internal_max_budget: litellm.money("max_internal_user_budget")?,
        internal_budget_duration: litellm.budget_duration("internal_user_budget_duration")?,
    };
    section.finish(&[], warnings);
    Ok(defaults)
}

fn is_team(value: &Value) -> bool {
    let is_money = |value: &Value| value.is_null() || NanoUsd::parse(&value.to_string()).is_ok();
    match value {
        Value::String(_) => true,
        Value::Object(team) => {
            team.get("team_id").is_some_and(Value::is_string)
                && team.get("max_budget_in_team").is_none_or(is_money)
                && team
                    .get("user_role")
                    .is_none_or(|role| role.is_null() || role == "user" || role == "admin")
        }
        _ => false,
    }
}

fn team_defaults(
    litellm: &mut Section<'_>,
    warnings: &mut Vec<String>,
) -> Result<TeamDefaults, ConfigError> {
    let mut section = litellm.section("default_team_params")?;
    let defaults = TeamDefaults {
        models: section.texts("models")?,
        max_budget: section.money("max_budget")?,
        budget_duration: section.budget_duration("budget_duration")?,
        tpm_limit: section.whole("tpm_limit", 0, MOST_TOKENS)?,
        rpm_limit: section.whole("rpm_limit", 0, u64::from(u32::MAX))?,
        team_member_permissions: section.texts("team_member_permissions")?,
        organization_id: section.text("organization_id")?,
    };
    section.finish(&[], warnings);
    Ok(defaults)
}

//! How people sign in: links, sessions, passwords and what throttles guessing.

use std::net::IpAddr;

use super::section::Section;
use super::{ConfigError, Environment};
use crate::domain::budget_window::duration_us;
use crate::sign_in::address::Range;
use crate::sign_in::policy::PasswordPolicy;
use crate::sign_in::secrets::Secret;
use crate::sign_in::throttle::Rules;

/// The settings of signing in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// `PROXY_BASE_URL` without a slash at its end: what links and redirects begin with. Empty: they are relative.
    pub base_url: String,
    /// `PROXY_LOGOUT_URL`: where signing out leads.
    pub logout_url: Option<String>,
    /// `LITELLM_UI_API_DOC_BASE_URL`.
    pub doc_url: Option<String>,
    /// `SERVER_ROOT_PATH`.
    pub root_path: String,
    /// The user that `UI_USERNAME` signs in as: `PROXY_ADMIN_ID`.
    pub admin_id: String,
    /// `UI_USERNAME`.
    pub ui_username: String,
    /// `UI_PASSWORD`; the master key where it is unset.
    pub ui_password: Option<Secret>,
    /// Whether `UI_USERNAME` signs in at all: not with `disable_env_credential_login`.
    pub env_login: bool,
    /// `disable_password_login_when_sso_enabled`.
    pub only_sso_where_configured: bool,
    /// `default_team_disabled`: for pages, which show no default team then.
    pub default_team_disabled: bool,
    /// How long a session lasts, microseconds: `LITELLM_UI_SESSION_DURATION`.
    pub session_us: u64,
    /// What a password must be.
    pub passwords: PasswordPolicy,
    /// What throttles guessing.
    pub throttle: Rules,
    /// Proxies whose `X-Forwarded-For` is believed: `trusted_proxy_ranges`.
    pub trusted_proxies: Vec<Range>,
    /// The identity provider, if one is configured.
    pub sso: Option<Sso>,
}

/// An identity provider of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sso {
    /// `google`, `microsoft` or `generic`.
    pub provider: &'static str,
    /// Variables that it needs and lacks.
    pub missing: Vec<&'static str>,
}

/// Providers in the order in which they win, each with the variable that names it and those it needs beside.
const PROVIDERS: [(&str, &str, &[&str]); 3] = [
    ("google", "GOOGLE_CLIENT_ID", &["GOOGLE_CLIENT_SECRET"]),
    (
        "microsoft",
        "MICROSOFT_CLIENT_ID",
        &["MICROSOFT_CLIENT_SECRET", "MICROSOFT_TENANT"],
    ),
    (
        "generic",
        "GENERIC_CLIENT_ID",
        &[
            "GENERIC_CLIENT_SECRET",
            "GENERIC_AUTHORIZATION_ENDPOINT",
            "GENERIC_TOKEN_ENDPOINT",
            "GENERIC_USERINFO_ENDPOINT",
        ],
    ),
];

/// A day.
const SESSION_US: u64 = 24 * 3_600 * 1_000_000;

impl SignIn {
    /// Whether cookies are for encrypted connections only.
    pub fn secure(&self) -> bool {
        self.base_url.starts_with("https://")
    }

    /// Whether passwords sign nobody in because an identity provider does.
    pub fn only_sso(&self) -> bool {
        self.only_sso_where_configured && self.sso.is_some()
    }
}

pub(super) fn read(
    general: &mut Section<'_>,
    environment: &Environment,
) -> Result<SignIn, ConfigError> {
    let base_url = url(environment, "PROXY_BASE_URL")?.unwrap_or_default();
    let throttle = throttle(general)?;
    let trusted_proxies = general.read("trusted_proxy_ranges", RANGES, |value| {
        value
            .as_array()?
            .iter()
            .map(|range| Range::parse(range.as_str()?))
            .collect()
    })?;
    Ok(SignIn {
        base_url: base_url.trim_end_matches('/').to_owned(),
        logout_url: url(environment, "PROXY_LOGOUT_URL")?,
        doc_url: url(environment, "LITELLM_UI_API_DOC_BASE_URL")?,
        root_path: environment.get("SERVER_ROOT_PATH")?.unwrap_or_default(),
        admin_id: environment
            .get("PROXY_ADMIN_ID")?
            .unwrap_or_else(|| crate::caller::MASTER_USER.to_owned()),
        ui_username: environment
            .get("UI_USERNAME")?
            .unwrap_or_else(|| "admin".to_owned()),
        ui_password: environment.get("UI_PASSWORD")?.map(Secret::new),
        env_login: !general
            .flag("disable_env_credential_login")?
            .unwrap_or(false),
        only_sso_where_configured: general
            .flag("disable_password_login_when_sso_enabled")?
            .unwrap_or(false),
        default_team_disabled: general.flag("default_team_disabled")?.unwrap_or(false),
        session_us: session_us(environment)?,
        passwords: passwords(general)?,
        throttle,
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        sso: sso(environment)?,
    })
}

const RANGES: &str = "a list of addresses and ranges such as 10.0.0.0/8";

/// A link that browsers are sent to: `http` or `https`, nothing else.
fn url(environment: &Environment, name: &str) -> Result<Option<String>, ConfigError> {
    let Some(text) = environment.get(name)? else {
        return Ok(None);
    };
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    });
    if good {
        Ok(Some(text))
    } else {
        let what = "expected an address that begins with https:// or http://";
        Err(ConfigError::new(name, what))
    }
}

fn session_us(environment: &Environment) -> Result<u64, ConfigError> {
    const NAME: &str = "LITELLM_UI_SESSION_DURATION";
    match environment.get(NAME)? {
        None => Ok(SESSION_US),
        Some(text) => duration_us(&text)
            .filter(|us| *us > 0)
            .ok_or_else(|| ConfigError::new(NAME, "expected a duration such as 24h")),
    }
}

fn passwords(general: &mut Section<'_>) -> Result<PasswordPolicy, ConfigError> {
    let mut policy = PasswordPolicy::default();
    if let Some(length) = general.whole("password_policy_min_length", 0, 1_024)? {
        policy.set_min_length(usize::try_from(length).unwrap_or(0));
    }
    for (key, place) in [
        ("uppercase", &mut policy.uppercase),
        ("lowercase", &mut policy.lowercase),
        ("numbers", &mut policy.numbers),
        ("special_characters", &mut policy.special),
    ] {
        if let Some(flag) = general.flag(&format!("password_policy_require_{key}"))? {
            *place = flag;
        }
    }
    Ok(policy)
}

fn throttle(general: &mut Section<'_>) -> Result<Rules, ConfigError> {
    let mut rules = Rules::default();
    let day = 86_400;
    if let Some(most) = general.whole("max_failed_login_attempts_per_source", 1, 1_000_000)? {
        rules.per_source = most;
    }
    if let Some(seconds) = general.whole("failed_login_window_seconds", 1, day)? {
        rules.window_us = seconds * 1_000_000;
    }
    if let Some(seconds) = general.whole("failed_login_block_seconds", 1, day)? {
        rules.block_us = seconds * 1_000_000;
    }
    let overrides = general.read(
        "max_failed_login_attempts_per_source_overrides",
        "a mapping from addresses or ranges to whole numbers from 1",
        |value| {
            value
                .as_object()?
                .iter()
                .map(|(range, most)| {
                    let most = most.as_u64().filter(|most| *most > 0)?;
                    Some((Range::parse(range)?, most))
                })
                .collect::<Option<Vec<_>>>()
        },
    )?;
    rules.overrides = overrides.unwrap_or_default();
    Ok(rules)
}

fn sso(environment: &Environment) -> Result<Option<Sso>, ConfigError> {
    for (provider, name, needs) in PROVIDERS {
        if environment.get(name)?.is_none() {
            continue;
        }
        let mut missing = Vec::new();
        for need in needs {
            if environment.get(need)?.is_none() {
                missing.push(*need);
            }
        }
        return Ok(Some(Sso { provider, missing }));
    }
    Ok(None)
}

impl SignIn {
    /// Where a request came from: the last address of `forwarded` that is no trusted proxy, if `peer` is one.
    pub fn source(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let trusted =
            |address: &IpAddr| self.trusted_proxies.iter().any(|range| range.has(address));
        let mut source = peer;
        for hop in forwarded.rsplit(',') {
            if !trusted(&source) {
                break;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            source = address;
        }
        source
    }
}

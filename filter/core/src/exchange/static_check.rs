//! What a key may do at all, from its records alone: status, expiry, owners, role, routes. Models are checked once the model is known. A
//! refusal from remembered records is only believed after they were read again; that is left to the flow.

use contract::records::ProxySettings;

use super::refusal::Refusal;
use crate::key_state::KeyState;

/// Names in `allowed_routes` that stand for all routes that call models.
const CALL_GROUPS: [&str; 3] = [
    "llm_api_routes",
    "llm_api_routes_without_mcp",
    "openai_routes",
];
/// Names that stand for the list of models, among others.
const LIST_GROUPS: [&str; 4] = [
    "llm_api_routes",
    "llm_api_routes_without_mcp",
    "openai_routes",
    "info_routes",
];

/// What a request wants, as far as static rules go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The path of the route table.
    pub route: &'static str,
    /// It calls a model; else it lists them.
    pub calls_model: bool,
    /// Redis time, ms.
    pub now_ms: u64,
}

/// Whether `state` may do what is wanted.
pub(crate) fn check(
    state: &KeyState,
    settings: &ProxySettings,
    wanted: Wanted,
) -> Result<(), Refusal> {
    let key = &state.key;
    if state.until_ms.is_some_and(|until| until <= wanted.now_ms) {
        return Err(Refusal::UnknownKey);
    }
    if key.blocked {
        return Err(Refusal::KeyBlocked);
    }
    not_expired(state, wanted.now_ms)?;
    if state.gone.is_some() {
        return Err(Refusal::OwnerGone);
    }
    if let Some(team) = state.team.as_ref().filter(|team| team.blocked) {
        return Err(Refusal::TeamBlocked {
            team: team.id.to_string(),
        });
    }
    if let Some(user) = state.user.as_ref().filter(|user| user.blocked) {
        return Err(Refusal::UserBlocked {
            user: user.id.to_string(),
        });
    }
    if !route_allowed(&key.allowed_routes, wanted) {
        return Err(Refusal::RouteNotAllowed {
            allowed: key.allowed_routes.clone(),
            route: wanted.route,
        });
    }
    if wanted.calls_model
        && state
            .user
            .as_ref()
            .is_some_and(|user| !user.may_call_models)
    {
        return Err(Refusal::RoleMayNotCall);
    }
    if wanted.calls_model && key.master && !settings.master_key_can_call_models {
        return Err(Refusal::MasterMayNotCall);
    }
    Ok(())
}

/// Whether the key is valid at a Redis time.
pub(crate) fn not_expired(state: &KeyState, now_ms: u64) -> Result<(), Refusal> {
    match state.key.expires_ms {
        Some(expires_ms) if expires_ms <= now_ms => Err(Refusal::KeyExpired {
            expires_ms,
            now_ms,
            shown: state.key.display.clone(),
        }),
        _ => Ok(()),
    }
}

fn route_allowed(allowed: &[String], wanted: Wanted) -> bool {
    let groups: &[&str] = if wanted.calls_model {
        &CALL_GROUPS
    } else {
        &LIST_GROUPS
    };
    // A route's form with `/v1` and the one without are the same route.
    let bare = wanted.route.strip_prefix("/v1").unwrap_or(wanted.route);
    let matches = |entry: &str| match entry.strip_suffix('*') {
        Some(prefix) => wanted.route.starts_with(prefix) || bare.starts_with(prefix),
        None => entry == bare || entry.strip_prefix("/v1") == Some(bare) || groups.contains(&entry),
    };
    allowed.is_empty() || allowed.iter().any(|entry| matches(entry))
}

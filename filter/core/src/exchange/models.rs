//! Which models a key may call, and what a model's name means: aliases first, then the lists of the key and of
//! everybody it belongs to. Decides by names,
//! patterns, groups and providers; whether a model exists is the catalogue's to say.

use contract::records::{ModelRecord, ProxySettings};

use super::refusal::{ModelList, Refusal};
use crate::glob::glob;
use crate::key_state::KeyState;

/// The model that `name` means for this key: its own aliases go before its team's.
pub(crate) fn resolved<'a>(state: &'a KeyState, name: &'a str) -> &'a str {
    let of_team = state.team.as_ref().and_then(|team| team.aliases.get(name));
    state
        .key
        .aliases
        .get(name)
        .or(of_team)
        .map_or(name, String::as_str)
}

/// Whether every list that binds the key allows `name`. `record` is what the catalogue knows about it.
pub(crate) fn check(
    state: &KeyState,
    settings: &ProxySettings,
    name: &str,
    record: Option<&ModelRecord>,
) -> Result<(), Refusal> {
    let denied = |by| {
        Err(Refusal::ModelNotAllowed {
            model: name.to_owned(),
            by,
        })
    };
    let wanted = Wanted {
        name,
        provider: record.map(|record| record.provider.as_str()),
        settings,
    };
    // A team's own model is no other team's, and nobody's personal one, whatever the lists say.
    let owner = settings.team_models.get(name);
    if owner.is_some_and(|team| state.key.team.as_ref() != Some(team)) {
        return denied(ModelList::Team);
    }
    let of_team = state.team.as_ref().map_or(&[][..], |team| &team.models);
    if !wanted.in_list(&state.key.models, of_team) {
        return denied(ModelList::Key);
    }
    if !wanted.in_list(of_team, &[]) {
        return denied(ModelList::Team);
    }
    if !wanted.in_list(state.member_models(), of_team) {
        return denied(ModelList::Member);
    }
    let of_organization = state
        .organization
        .as_ref()
        .map_or(&[][..], |organization| &organization.models);
    if !wanted.in_list(of_organization, &[]) {
        return denied(ModelList::Organization);
    }
    // A user's list binds personal keys only.
    let personal = state.user.as_ref().filter(|_| state.key.team.is_none());
    if personal.is_some_and(|user| !wanted.in_list(&user.models, &[])) {
        return denied(ModelList::User);
    }
    Ok(())
}

/// Whether one list allows the model.
pub(crate) fn allows(
    list: &[String],
    settings: &ProxySettings,
    name: &str,
    record: &ModelRecord,
) -> bool {
    let wanted = Wanted {
        name,
        provider: Some(&record.provider),
        settings,
    };
    wanted.in_list(list, &[])
}

/// Names of the models that the key may call, as far as names are known: what `GET /v1/models` lists.
pub(crate) fn listed(state: &KeyState, settings: &ProxySettings) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let entries = state
        .key
        .models
        .iter()
        .chain(state.team.iter().flat_map(|team| &team.models));
    let groups = entries
        .clone()
        .filter_map(|entry| settings.access_groups.get(entry))
        .flatten();
    let plain = entries.filter(|entry| !settings.access_groups.contains_key(*entry));
    for name in settings.models.iter().chain(groups).chain(plain) {
        let is_model = !name.contains('*') && !is_sentinel(name);
        let allowed = || check(state, settings, name, None).is_ok();
        if is_model && !names.contains(name) && allowed() {
            names.push(name.clone());
        }
    }
    names
}

fn is_sentinel(entry: &str) -> bool {
    matches!(
        entry,
        "all-proxy-models" | "all-team-models" | "no-default-models"
    )
}

struct Wanted<'a> {
    name: &'a str,
    provider: Option<&'a str>,
    settings: &'a ProxySettings,
}

impl Wanted<'_> {
    /// An empty list allows all.
    fn in_list(&self, list: &[String], of_team: &[String]) -> bool {
        list.is_empty() || list.iter().any(|entry| self.is_allowed_by(entry, of_team))
    }

    fn is_allowed_by(&self, entry: &str, of_team: &[String]) -> bool {
        match entry {
            "*" | "all-proxy-models" => true,
            "all-team-models" => self.in_list(of_team, &[]),
            "no-default-models" => false,
            _ => {
                self.matches(entry)
                    || self
                        .settings
                        .access_groups
                        .get(entry)
                        .is_some_and(|group| group.iter().any(|pattern| self.matches(pattern)))
            }
        }
    }

    fn matches(&self, pattern: &str) -> bool {
        let of_provider = || {
            let (provider, rest) = pattern.split_once('/')?;
            (self.provider == Some(provider)).then(|| glob(rest, self.name))
        };
        glob(pattern, self.name) || (pattern.contains('*') && of_provider().unwrap_or(false))
    }
}

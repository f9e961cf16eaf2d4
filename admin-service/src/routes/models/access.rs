//! Which models a caller may call, by the lists of their key and of everybody it belongs to: the rules that the filter goes by.

use std::collections::BTreeMap;

use contract::id::TeamId;
use contract::records::{ModelRecord, ProxySettings};
use sqlx::AnyConnection;

use crate::caller::{Caller, CallerKey, Role};
use crate::error::ApiError;
use crate::store::{keys, teams, users};

/// Lists that must all allow a model. None: all models.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    lists: Vec<List>,
    whose: Whose,
}

/// Whose models that are one team's own are shown.
#[derive(Clone, Debug, Default)]
enum Whose {
    /// Every team's.
    #[default]
    Any,
    /// This team's, or no team's.
    Of(Option<String>),
}

#[derive(Clone, Debug, Default)]
struct List {
    models: Vec<String>,
    of_team: Vec<String>,
}

impl Lists {
    /// The lists that bind a caller.
    pub(super) async fn of(
        connection: &mut AnyConnection,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let mut lists = Vec::new();
        let mut whose = Whose::Of(None);
        let user = match &caller.key {
            CallerKey::Virtual { token, .. } => {
                let Some(key) = keys::find(connection, keys::Which::Token(token)).await? else {
                    return Ok(Self::nothing());
                };
                let team = match &key.team_id {
                    Some(id) => teams::find(connection, id).await?,
                    None => None,
                };
                whose = Whose::Of(key.team_id.clone());
                let of_team = team.map(|team| team.callable()).unwrap_or_default();
                lists.push(List {
                    models: key.callable(),
                    of_team: of_team.clone(),
                });
                lists.push(List {
                    models: of_team,
                    of_team: Vec::new(),
                });
                key.user_id.filter(|_| key.team_id.is_none())
            }
            _ if matches!(caller.role, Role::ProxyAdmin | Role::ProxyAdminViewer) => {
                whose = Whose::Any;
                None
            }
            _ => caller.user_id.clone(),
        };
        if let Some(id) = user
            && let Some(user) = users::find(connection, users::Which::Id(&id)).await?
        {
            lists.push(List {
                models: user.models,
                of_team: Vec::new(),
            });
        }
        Ok(Self { lists, whose })
    }

    /// The list of a team.
    pub(super) fn of_team(team_id: &str, models: Vec<String>) -> Self {
        Self {
            whose: Whose::Of(Some(team_id.to_owned())),
            ..Self::only(models)
        }
    }

    fn nothing() -> Self {
        Self::only(vec!["no-default-models".to_owned()])
    }

    fn only(models: Vec<String>) -> Self {
        let of_team = Vec::new();
        Self {
            lists: vec![List { models, of_team }],
            whose: Whose::Any,
        }
    }

    /// Whether all of them allow the model.
    pub(super) fn allow(
        &self,
        settings: &ProxySettings,
        name: &str,
        record: Option<&ModelRecord>,
    ) -> bool {
        let wanted = Wanted {
            name,
            full: record.map(|record| format!("{}/{name}", record.provider)),
            groups: &settings.access_groups,
        };
        let owner = settings.team_models.get(name).map(TeamId::as_str);
        if let (Some(owner), Whose::Of(team)) = (owner, &self.whose)
            && team.as_deref() != Some(owner)
        {
            return false;
        }
        let mut lists = self.lists.iter();
        lists.all(|list| wanted.is_in(&list.models, &list.of_team))
    }
}

struct Wanted<'a> {
    name: &'a str,
    full: Option<String>,
    groups: &'a BTreeMap<String, Vec<String>>,
}

impl Wanted<'_> {
    /// An empty list allows all.
    fn is_in(&self, list: &[String], of_team: &[String]) -> bool {
        list.is_empty() || list.iter().any(|entry| self.is_allowed_by(entry, of_team))
    }

    fn is_allowed_by(&self, entry: &str, of_team: &[String]) -> bool {
        match entry {
            "*" | "all-proxy-models" => true,
            "all-team-models" => self.is_in(of_team, &[]),
            "no-default-models" => false,
            _ => {
                let group = self.groups.get(entry);
                self.matches(entry)
                    || group.is_some_and(|group| group.iter().any(|entry| self.matches(entry)))
            }
        }
    }

    fn matches(&self, entry: &str) -> bool {
        let full = self.full.as_deref();
        glob(entry, self.name) || full.is_some_and(|full| entry.contains('*') && glob(entry, full))
    }
}

/// Whether `text` is what `pattern` says, `*` standing for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, matches) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("*-mini", "gpt-4o-mini", true),
            ("g*o*i", "gpt-4o-mini", true),
            ("openai/*", "gpt-4o", false),
            ("*", "", true),
            ("ä*", "äöü", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}

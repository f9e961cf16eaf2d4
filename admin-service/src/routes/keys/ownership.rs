//! What somebody who is no admin may do to keys: to their own, and to their team's as the team lets them.
//!
//! Nobody gives a key more than its owner has: a personal key not more than its user, a team key not more than its team.

use sqlx::AnyConnection;

use crate::caller::Caller;
use crate::error::{ApiError, Refusal};
use crate::store::keys::KeyRow;
use crate::store::members::{self, MemberRow};
use crate::store::row::LimitColumns;
use crate::store::{teams, users};

/// What every member may do.
const ALWAYS: [&str; 2] = ["/key/health", "/key/info"];

/// A key route as the team's permissions name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permission {
    pub(super) route: &'static str,
    pub(super) name: &'static str,
}

/// The caller's own id, or LiteLLM's words for having none.
fn own(caller: &Caller) -> String {
    caller.user().to_owned()
}

/// Whether the caller is an admin of the key's team.
pub(super) async fn is_team_admin(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<bool, ApiError> {
    let member = membership(connection, caller, key.team_id.as_deref()).await?;
    Ok(member.is_some_and(|member| member.role == "admin"))
}

async fn membership(
    connection: &mut AnyConnection,
    caller: &Caller,
    team: Option<&str>,
) -> Result<Option<MemberRow>, ApiError> {
    match (team, caller.user_id.as_deref()) {
        (Some(team), Some(user)) => Ok(members::find(connection, team, user).await?),
        _ => Ok(None),
    }
}

/// A key that names a team needs the team's permission.
pub(super) async fn may_in_team(
    connection: &mut AnyConnection,
    caller: &Caller,
    team_id: &str,
    permission: Permission,
) -> Result<(), ApiError> {
    let Some(team) = teams::find(connection, team_id).await? else {
        return Err(Refusal::TeamMissingForKey(team_id.to_owned()).into());
    };
    let Some(member) = membership(connection, caller, Some(team_id)).await? else {
        return Err(Refusal::NotInTeam {
            user: own(caller),
            team: team_id.to_owned(),
        }
        .into());
    };
    if member.role == "admin"
        || team
            .team_member_permissions
            .iter()
            .any(|may| may == permission.route)
    {
        return Ok(());
    }
    let mut permitted: Vec<String> = ALWAYS.iter().map(|route| (*route).to_owned()).collect();
    permitted.extend(
        team.team_member_permissions
            .into_iter()
            .filter(|may| !ALWAYS.contains(&may.as_str())),
    );
    let Permission { route, name } = permission;
    Err(Refusal::TeamPermission {
        route,
        name,
        permitted,
        team: team_id.to_owned(),
    }
    .into())
}

/// Nothing that only an admin may set was set.
pub(super) fn no_admin_fields(key: &KeyRow, before: Option<&KeyRow>) -> Result<(), ApiError> {
    let preset: &[&[&str]] = &[
        &[],
        &["llm_api_routes"],
        &["management_routes"],
        &["info_routes"],
    ];
    let routes_same = before.is_some_and(|before| before.allowed_routes == key.allowed_routes);
    if !routes_same && !preset.iter().any(|preset| key.allowed_routes == *preset) {
        return Err(Refusal::AdminOnlyField("allowed_routes").into());
    }
    let permissions_same = before.is_some_and(|before| before.permissions == key.permissions);
    if !permissions_same && !key.permissions.is_empty() {
        return Err(Refusal::AdminOnlyField("permissions").into());
    }
    Ok(())
}

/// The key has no more than its user or team.
pub(super) async fn within_own(
    connection: &mut AnyConnection,
    key: &KeyRow,
) -> Result<(), ApiError> {
    let (models, limits) = match (&key.team_id, &key.user_id) {
        (Some(team), _) => match teams::find(connection, team).await? {
            Some(team) => (team.models, team.limits),
            None => return Ok(()),
        },
        (None, Some(user)) => match users::find(connection, users::Which::Id(user)).await? {
            Some(user) => (user.models, user.limits),
            None => return Ok(()),
        },
        (None, None) => return Ok(()),
    };
    models_within(&key.models, &models)?;
    limits_within(&key.limits, &limits)
}

fn models_within(asked: &[String], own: &[String]) -> Result<(), ApiError> {
    let all = |own: &String| matches!(own.as_str(), "*" | "all-proxy-models");
    if own.is_empty() || own.iter().any(all) {
        return Ok(());
    }
    let covered = |asked: &String| {
        asked == "all-team-models"
            || own
                .iter()
                .any(|own| own == asked || matches_pattern(own, asked))
    };
    match asked.iter().find(|asked| !covered(asked)) {
        None => Ok(()),
        Some(more) => {
            let (asked, own) = (more.clone(), own.join(", "));
            Err(Refusal::MoreThanOwn {
                field: "models",
                asked,
                own,
            }
            .into())
        }
    }
}

/// `*` stands for any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

fn limits_within(asked: &LimitColumns, own: &LimitColumns) -> Result<(), ApiError> {
    let more = |field: &'static str, asked: String, own: String| {
        Err(Refusal::MoreThanOwn { field, asked, own }.into())
    };
    if let (Some(asked), Some(own)) = (asked.max_budget, own.max_budget)
        && asked > own
    {
        return more("max_budget", asked.to_string(), own.to_string());
    }
    for (field, asked, own) in [
        (
            "max_parallel_requests",
            asked.max_parallel_requests,
            own.max_parallel_requests,
        ),
        ("tpm_limit", asked.tpm_limit, own.tpm_limit),
        ("rpm_limit", asked.rpm_limit, own.rpm_limit),
    ] {
        if let (Some(asked), Some(own)) = (asked, own)
            && asked > own
        {
            return more(field, asked.to_string(), own.to_string());
        }
    }
    Ok(())
}

/// A change of a key by its owner, a member with permission, or an admin of its team.
pub(super) async fn may_update(
    connection: &mut AnyConnection,
    caller: &Caller,
    before: &KeyRow,
    money: bool,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, before).await? {
        return Ok(());
    }
    if before.user_id.is_none() || before.user_id != caller.user_id {
        let asked = before.user_id.clone().unwrap_or_else(|| "None".to_owned());
        return Err(Refusal::KeyForOther {
            asked,
            own: own(caller),
        }
        .into());
    }
    let refused = |what: &str| {
        let (role, user) = (caller.role.as_str(), own(caller));
        Refusal::AdminsOnly {
            what: what.to_owned(),
            role,
            user,
            wrapped: true,
        }
    };
    if money {
        return Err(refused("/key/update (max_budget/spend)").into());
    }
    if before.created_by != caller.user_id {
        return Err(refused("/key/update").into());
    }
    if let Some(team) = &before.team_id {
        let permission = Permission {
            route: "/key/update",
            name: "KEY_UPDATE",
        };
        may_in_team(connection, caller, team, permission).await?;
    }
    Ok(())
}

/// A deletion by the key's owner, a member with permission, or an admin of its team.
pub(super) async fn may_delete(
    connection: &mut AnyConnection,
    caller: &Caller,
    key: &KeyRow,
) -> Result<(), ApiError> {
    if is_team_admin(connection, caller, key).await? {
        return Ok(());
    }
    let owns = key.user_id.is_some() && key.user_id == caller.user_id;
    if owns && key.team_id.is_none() {
        return Ok(());
    }
    if let (true, Some(team)) = (owns, &key.team_id) {
        let permission = Permission {
            route: "/key/delete",
            name: "KEY_DELETE",
        };
        return may_in_team(connection, caller, team, permission).await;
    }
    Err(Refusal::NotYourKeyToDelete.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn models_must_be_covered_by_the_owners() {
        let within =
            |asked: &[&str], own: &[&str]| models_within(&texts(asked), &texts(own)).is_ok();
        assert!(within(&["gpt-4o"], &[]));
        assert!(within(&[], &["gpt-4o"]));
        assert!(within(&["gpt-4o"], &["gpt-4o", "x"]));
        assert!(within(&["openai/gpt-4o"], &["openai/*"]));
        assert!(within(&["anything"], &["*"]));
        assert!(!within(&["gpt-4"], &["gpt-4o"]));
        assert!(!within(&["openai/*"], &["openai/gpt-4o"]));
        assert!(!within(&["gpt-4"], &["no-default-models"]));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches_pattern("a*c*e", "abcde"));
        assert!(matches_pattern("*", ""));
        assert!(!matches_pattern("a*c", "abcd"));
        assert!(!matches_pattern("ab", "abc"));
        assert!(matches_pattern("a*a", "aXa"));
        assert!(!matches_pattern("a*a", "a"));
    }

    #[test]
    fn a_limit_above_the_owners_is_refused_and_an_open_one_is_not() {
        let own = LimitColumns {
            rpm_limit: Some(10),
            ..LimitColumns::default()
        };
        let asked = |rpm| LimitColumns {
            rpm_limit: rpm,
            ..LimitColumns::default()
        };
        assert!(limits_within(&asked(Some(11)), &own).is_err());
        assert!(limits_within(&asked(Some(10)), &own).is_ok());
        assert!(limits_within(&asked(None), &own).is_ok());
    }
}

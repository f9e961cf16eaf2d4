//! `GET /team/list`, `GET /v2/team/list`.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::{MEMBERSHIP, TEAM, memberships, shown_all};
use crate::app::App;
use crate::error::{ApiError, RequestRefusal, TeamRefusal};
use crate::openapi::schema::{Of, Record, TEXT_OR_NULL, WHOLE, list as list_of, one};
use crate::policy::{Authorized, TeamList};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::routes::keys;
use crate::routes::shape::Times;
use crate::store::keys::{KeyRow, of_teams};
use crate::store::members::MemberRow;
use crate::store::organization_members;
use crate::store::teams::{self, ListTeams, Sort, TeamRow};

/// The query of `/team/list`.
pub const LIST_QUERY: &[Param] = &[Param::text("user_id"), Param::text("organization_id")];
/// The query of `/v2/team/list`.
pub const PAGE_QUERY: &[Param] = &[
    Param::text("user_id"),
    Param::text("organization_id"),
    Param::text("team_id"),
    Param::text("team_alias"),
    Param::text("search"),
    Param::text("search_team_id_match"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 10, 1, 100),
    Param::text("sort_by"),
    Param::text("sort_order"),
    Param::text("status"),
];

/// The answer of `/team/list`.
pub static LISTED: Of = list_of(&ONE_LISTED);
static ONE_LISTED: Of = one(&LISTED_TEAM);
static LISTED_TEAM: Record = Record::with(
    "ListedTeam",
    &[&TEAM],
    &[
        ("team_memberships", list_of(&one(&MEMBERSHIP))),
        ("keys", list_of(&one(&keys::KEY))),
    ],
);
/// The answer of `/v2/team/list`.
pub static PAGE: Record = Record::new(
    "TeamPage",
    &[
        ("teams", list_of(&one(&PAGED))),
        ("total page page_size total_pages", WHOLE),
    ],
);
static PAGED: Record = Record::with(
    "PagedTeam",
    &[&TEAM],
    &[
        ("members_count keys_count", WHOLE.or_absent()),
        ("caller_membership", one(&MEMBERSHIP).or_null().or_absent()),
        ("deleted_at deleted_by", TEXT_OR_NULL.or_absent()),
    ],
);

/// What a caller may see.
struct Sight {
    /// Organizations that it administers.
    organizations: Vec<String>,
    /// Whether it may see everything.
    all: bool,
}

/// Narrows a list to what the caller may see: everything; or the caller's own teams and those of organizations that it administers.
async fn narrow(
    connection: &mut AnyConnection,
    by: &Authorized<TeamList>,
    what: &mut ListTeams,
    must_name: bool,
) -> Result<Sight, ApiError> {
    if by.is_admin() {
        return Ok(Sight {
            organizations: Vec::new(),
            all: true,
        });
    }
    let own = by.caller.user_id.clone();
    let organizations = organization_members::administered(connection, own.as_deref()).await?;
    let refused = || Err(TeamRefusal::OnlyAdminsListTeams(by.caller.role.as_str()).into());
    let Some(own) = own else { return refused() };
    let asks_for_own = what.member.as_ref() == Some(&own);
    let inside = what
        .organization_id
        .as_ref()
        .is_some_and(|id| organizations.contains(id));
    if what.member.is_some() && !asks_for_own && organizations.is_empty() {
        return refused();
    }
    if must_name && !asks_for_own && !inside && organizations.is_empty() {
        return refused();
    }
    what.visible = Some((own, organizations.clone()));
    Ok(Sight {
        organizations,
        all: false,
    })
}

/// Every team at once, with members and keys: for admins, for members who ask for their own, and for admins of organizations.
pub async fn list(
    State(app): State<App>,
    by: Authorized<TeamList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), LIST_QUERY);
    let filled = |name: &str| query.text(name).filter(|text| !text.is_empty());
    let mut what = ListTeams {
        member: filled("user_id"),
        organization_id: filled("organization_id"),
        ..ListTeams::default()
    };
    let mut connection = app.store.read().await?;
    let sight = narrow(&mut connection, &by, &mut what, true).await?;
    let teams = teams::every(&mut connection, &what).await?;
    let ids: Vec<String> = teams.iter().map(|team| team.team_id.clone()).collect();
    let mut keys_of = keys_by_team(&mut connection, &ids).await?;
    let mut all = Vec::with_capacity(teams.len());
    let shown = shown_all(&mut connection, &app, &teams).await?;
    for (team, (mut object, members)) in teams.iter().zip(shown) {
        let mut rows = keys_of.remove(&team.team_id).unwrap_or_default();
        if !sight.administers(&by, team, &members) {
            rows.retain(|key| key.user_id.is_some() && key.user_id == by.caller.user_id);
        }
        let keys = keys::shown(&mut connection, &app, &rows, Times::Z).await?;
        let memberships = memberships(&mut connection, &app, &members).await?;
        object.insert("team_memberships".into(), Value::Array(memberships));
        object.insert("keys".into(), Value::Array(keys));
        all.push(Value::Object(object));
    }
    Ok(Answer::new(Value::Array(all)))
}

impl Sight {
    /// Whether the caller sees all keys of a team.
    fn administers(
        &self,
        by: &Authorized<TeamList>,
        team: &TeamRow,
        members: &[MemberRow],
    ) -> bool {
        let organization = team.organization_id.as_ref();
        self.all
            || organization.is_some_and(|id| self.organizations.contains(id))
            || members.iter().any(|member| {
                member.role == "admin" && Some(&member.user_id) == by.caller.user_id.as_ref()
            })
    }
}

async fn keys_by_team(
    connection: &mut AnyConnection,
    ids: &[String],
) -> Result<BTreeMap<String, Vec<KeyRow>>, ApiError> {
    let mut all: BTreeMap<String, Vec<KeyRow>> = BTreeMap::new();
    for key in of_teams(connection, ids).await? {
        if let Some(team) = key.team_id.clone() {
            all.entry(team).or_default().push(key);
        }
    }
    Ok(all)
}

/// Teams a page at a time.
pub async fn list_v2(
    State(app): State<App>,
    by: Authorized<TeamList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), PAGE_QUERY);
    let (page, size) = (query.whole("page"), query.whole("page_size"));
    let prefix = query.one_of("search_team_id_match", &["exact", "prefix"]);
    let filled = |name: &str| query.text(name).filter(|text| !text.is_empty());
    let (sort, order, status) = (filled("sort_by"), filled("sort_order"), filled("status"));
    let mut what = ListTeams {
        member: filled("user_id"),
        organization_id: filled("organization_id"),
        team_id: filled("team_id"),
        alias: filled("team_alias"),
        search: filled("search"),
        search_prefix: prefix.as_deref() == Some("prefix"),
        page,
        size,
        ..ListTeams::default()
    };
    query.finish()?;
    what.descending = match (order.as_deref(), &sort) {
        // Without an order, the newest come first.
        (None, None) | (Some("desc"), _) => true,
        (None | Some("asc"), _) => false,
        (Some(_), _) => return Err(RequestRefusal::BadSortOrder.into()),
    };
    what.sort = match sort.as_deref() {
        None => Sort::default(),
        Some(column) => Sort::parse(column).ok_or(RequestRefusal::BadSort(Sort::NAMES))?,
    };
    let sight = narrow(&mut *app.store.read().await?, &by, &mut what, false).await?;
    let (teams, total) = if status.as_deref() == Some("deleted") {
        deleted(&app, &sight, page, size).await?
    } else {
        present(&app, &by, &what).await?
    };
    Ok(Answer::new(json!({
        "teams": teams,
        "total": total,
        "page": page,
        "page_size": size,
        "total_pages": total.div_ceil(u64::from(size)),
    })))
}

async fn present(
    app: &App,
    by: &Authorized<TeamList>,
    what: &ListTeams,
) -> Result<(Vec<Value>, u64), ApiError> {
    let (teams, total) = teams::list(&app.store, what).await?;
    let ids: Vec<String> = teams.iter().map(|team| team.team_id.clone()).collect();
    let mut connection = app.store.read().await?;
    let keys = teams::count_keys(&mut connection, &ids).await?;
    let mut all = Vec::with_capacity(teams.len());
    let shown = shown_all(&mut connection, app, &teams).await?;
    for (team, (mut object, members)) in teams.iter().zip(shown) {
        let own = members
            .iter()
            .find(|member| Some(&member.user_id) == by.caller.user_id.as_ref());
        let own = match own {
            Some(own) => memberships(&mut connection, app, std::slice::from_ref(own))
                .await?
                .pop(),
            None => None,
        };
        object.insert("members_count".into(), json!(members.len()));
        let keys = keys.get(&team.team_id).copied().unwrap_or(0);
        object.insert("keys_count".into(), json!(keys));
        object.insert("caller_membership".into(), own.unwrap_or_default());
        all.push(Value::Object(object));
    }
    Ok((all, total))
}

/// Deleted teams: for admins all, for admins of organizations those of theirs.
async fn deleted(
    app: &App,
    sight: &Sight,
    page: u32,
    size: u32,
) -> Result<(Vec<Value>, u64), ApiError> {
    let organizations = (!sight.all).then_some(sight.organizations.as_slice());
    let (deleted, total) = teams::deleted(&app.store, organizations, page, size).await?;
    let rows: Vec<TeamRow> = deleted.iter().map(teams::DeletedTeam::team).collect();
    let mut connection = app.store.read().await?;
    let shown = shown_all(&mut connection, app, &rows).await?;
    let all = deleted.iter().zip(shown).map(|(team, (mut object, _))| {
        object.insert("deleted_at".into(), Times::Z.print(team.deleted_at));
        object.insert("deleted_by".into(), json!(team.deleted_by));
        Value::Object(object)
    });
    Ok((all.collect(), total))
}

//! `GET /user/list` and what finds users: `/user/filter/ui`, `/user/available_users`.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::{USER, row, scope, spent_by};
use crate::app::App;
use crate::error::{ApiError, RequestRefusal, UserRefusal};
use crate::openapi::schema::{self, NULL, Of, Record, TEXT, TEXT_OR_NULL, WHOLE, one};
use crate::policy::{Authorized, UserFilter, UserList, UserSeats};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::store::organization_members;
use crate::store::users::{self, ListUsers, Sort, UserRow};

/// The answer of `/user/list`.
pub static LISTED: Record = Record::new(
    "UserList",
    &[
        ("users", schema::list(&one(&COUNTED))),
        ("total page page_size total_pages", WHOLE),
    ],
);
static COUNTED: Record = Record::with("UserWithKeyCount", &[&USER], &[("key_count", WHOLE)]);

/// The query of `/user/list`.
pub const LIST_QUERY: &[Param] = &[
    Param::text("role"),
    Param::text("user_ids"),
    Param::text("sso_user_ids"),
    Param::text("user_email"),
    Param::text("search"),
    Param::text("team"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 25, 1, 100),
    Param::text("sort_by"),
    Param::text("sort_order"),
    Param::text("organization_ids"),
];

/// What `/user/filter/ui` answers.
pub static FOUND: Of = schema::list(&one(&FOUND_ONE));
static FOUND_ONE: Record = Record::new(
    "UserFound",
    &[("user_id", TEXT), ("user_email user_alias", TEXT_OR_NULL)],
);

/// The query of `/user/filter/ui`.
pub const FILTER_QUERY: &[Param] = &[
    Param::text("user_id"),
    Param::text("user_email"),
    Param::text("search"),
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("page_size", 50, 1, 100),
];

/// What `/user/available_users` answers: nothing here is counted against a licence.
pub static SEATS: Record = Record::new(
    "Seats",
    &[
        ("total_users total_teams", NULL),
        ("total_users_used total_teams_used", WHOLE),
        ("total_users_remaining total_teams_remaining", NULL),
    ],
);

/// Users, a page at a time; an admin of organizations sees those who belong to them.
pub async fn list(
    State(app): State<App>,
    by: Authorized<UserList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), LIST_QUERY);
    let listed = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        items.map(str::to_owned).collect::<Vec<_>>()
    };
    let set = |text: Option<String>| text.filter(|text| !text.is_empty());
    let organizations = set(query.text("organization_ids")).map(|ids| listed(Some(ids)));
    let mut what = ListUsers {
        user_ids: listed(query.text("user_ids")),
        sso_user_ids: listed(query.text("sso_user_ids")),
        role: set(query.text("role")),
        id_part: None,
        email_part: set(query.text("user_email")),
        search: set(query.text("search")),
        team: set(query.text("team")),
        organizations,
        sort: Sort::default(),
        descending: true,
        page: query.whole("page"),
        size: query.whole("page_size"),
    };
    let (sort, order) = (set(query.text("sort_by")), query.text("sort_order"));
    query.finish()?;
    if let Some(column) = sort {
        what.sort = Sort::parse(&column).ok_or(RequestRefusal::BadSort(Sort::NAMES))?;
        what.descending = order.as_deref() == Some("desc");
    }
    let mut connection = app.store.read().await?;
    if !by.is_admin() {
        let own = by.caller.user_id.as_deref();
        let mut theirs = organization_members::administered(&mut connection, own).await?;
        if theirs.is_empty() {
            return Err(UserRefusal::UserListForAdmins.into());
        }
        if let Some(asked) = &what.organizations {
            theirs.retain(|id| asked.contains(id));
        }
        what.organizations = Some(theirs);
    }
    let found = users::list(&mut connection, &what).await?;
    let users = shown_all(&mut connection, &app, &found.users).await?;
    Ok(Answer::new(json!({
        "users": users,
        "total": found.total,
        "page": what.page,
        "page_size": what.size,
        "total_pages": found.total.div_ceil(u64::from(what.size)),
    })))
}

/// Users with what they spent, their teams and the number of their keys, by three statements for all of them.
async fn shown_all(
    connection: &mut AnyConnection,
    app: &App,
    found: &[(UserRow, u64)],
) -> Result<Vec<Value>, ApiError> {
    let ids = found.iter().map(|(user, _)| user.user_id.clone());
    let ids = ids.collect::<Vec<_>>();
    let spent = spent_by(connection, app, &ids).await?;
    let teams = users::teams_of_all(connection, &ids).await?;
    let now_us = app.store.clock().now_us();
    let settings = app.settings();
    Ok(found
        .iter()
        .map(|(user, key_count)| {
            let spent = spent.get(&user.user_id).copied().unwrap_or_default();
            let teams = teams.get(&user.user_id).map_or(&[][..], Vec::as_slice);
            let mut object = row(user, spent, teams, now_us, &settings.windows);
            object.insert("key_count".into(), json!(key_count));
            Value::Object(object)
        })
        .collect())
}

/// `GET /user/filter/ui`: whom a page offers to choose from. Whoever administers a team or an organization may find users to add.
pub async fn filter(
    State(app): State<App>,
    by: Authorized<UserFilter>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), FILTER_QUERY);
    let set = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut what = ListUsers {
        id_part: set(query.text("user_id")),
        email_part: set(query.text("user_email")),
        search: set(query.text("search")),
        page: query.whole("page"),
        size: query.whole("page_size"),
        descending: true,
        ..ListUsers::default()
    };
    query.finish()?;
    let mut connection = app.store.read().await?;
    if !by.is_admin() {
        let administered = scope::administered(&mut connection, &by.caller).await?;
        let organizations = administered.ok_or(UserRefusal::UserListForAdmins)?;
        if app.settings().users_found_in_organization() {
            what.organizations = Some(organizations);
        }
    }
    let found = users::list(&mut connection, &what).await?.users;
    let found = found.iter().map(|(user, _)| {
        json!({"user_id": user.user_id, "user_email": user.user_email, "user_alias": user.user_alias})
    });
    Ok(Answer::new(found.collect()))
}

/// `GET /user/available_users`.
pub async fn seats(State(app): State<App>, _by: Authorized<UserSeats>) -> Result<Answer, ApiError> {
    let (users, teams) = users::counts(&mut *app.store.read().await?).await?;
    Ok(Answer::new(json!({
        "total_users": null,
        "total_teams": null,
        "total_users_used": users,
        "total_teams_used": teams,
        "total_users_remaining": null,
        "total_teams_remaining": null,
    })))
}

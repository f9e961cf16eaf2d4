//! `GET /organization/info`, `POST /organization/info`, `GET /organization/list`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::Value;
use sqlx::AnyConnection;

use super::{Sight, shown_whole};
use crate::app::App;
use crate::error::{ApiError, OrganizationRefusal};
use crate::policy::{Authorized, OrganizationInfo, OrganizationList};
use crate::request::{Body, ORGANIZATIONS, Param, Query};
use crate::routes::answer::Answer;
use crate::store::organization_members;
use crate::store::organizations::{self, ListOrganizations, OrganizationRow};

/// The query of `GET /organization/info`.
pub static INFO_QUERY: &[Param] = &[Param::required("organization_id")];
/// The query of `GET /organization/list`.
pub static LIST_QUERY: &[Param] = &[Param::text("org_id"), Param::text("org_alias")];

/// How much of an organization the caller sees; who is not in it sees nothing.
async fn sight<R>(
    connection: &mut AnyConnection,
    by: &Authorized<R>,
    row: &OrganizationRow,
) -> Result<Sight, ApiError> {
    if by.is_admin() {
        return Ok(Sight::Whole);
    }
    let own = by.caller.user_id.as_deref().unwrap_or_default();
    let id = &row.organization_id;
    match organization_members::find(connection, id, own).await? {
        Some(member) if member.is_admin() => Ok(Sight::Whole),
        Some(member) => Ok(Sight::OfMember(member.user_id)),
        None => {
            let (user, organization) = (by.caller.user().to_owned(), id.clone());
            Err(OrganizationRefusal::NotYourOrganization { user, organization }.into())
        }
    }
}

/// An organization with its members and teams.
pub async fn info(
    State(app): State<App>,
    by: Authorized<OrganizationInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), INFO_QUERY);
    let id = query.required("organization_id");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let found = organizations::find(&mut connection, &id).await?;
    let row = found.ok_or(OrganizationRefusal::OrganizationMissing(id))?;
    let sight = sight(&mut connection, &by, &row).await?;
    let body = shown_whole(&mut connection, &app, &row, &sight).await?;
    Ok(Answer::new(body))
}

/// Several, as older clients ask for them.
pub async fn infos(
    State(app): State<App>,
    by: Authorized<OrganizationInfo>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, ORGANIZATIONS)?;
    let mut connection = app.store.read().await?;
    let mut all = Vec::new();
    for id in body.texts("organizations").value().unwrap_or_default() {
        let Some(row) = organizations::find(&mut connection, &id).await? else {
            continue;
        };
        let sight = sight(&mut connection, &by, &row).await?;
        all.push(shown_whole(&mut connection, &app, &row, &sight).await?);
    }
    Ok(Answer::new(Value::Array(all)).ignoring(&body.ignored))
}

/// All organizations, or those that the caller is in.
pub async fn list(
    State(app): State<App>,
    by: Authorized<OrganizationList>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), LIST_QUERY);
    let filled = |name: &str| query.text(name).filter(|text| !text.is_empty());
    let what = ListOrganizations {
        organization_id: filled("org_id"),
        alias: filled("org_alias"),
        // A key without user is in none.
        member: (!by.is_admin()).then(|| by.caller.user_id.clone().unwrap_or_default()),
    };
    let mut connection = app.store.read().await?;
    let mut all = Vec::new();
    for row in organizations::list(&mut connection, &what).await? {
        let sight = sight(&mut connection, &by, &row).await?;
        all.push(shown_whole(&mut connection, &app, &row, &sight).await?);
    }
    Ok(Answer::new(Value::Array(all)))
}

//! `GET /key/aliases`.

use axum::extract::{RawQuery, State};
use serde_json::json;

use super::list::administered;
use crate::app::App;
use crate::error::{ApiError, KeyRefusal};
use crate::openapi::schema::{Record, TEXTS, WHOLE};
use crate::policy::{Authorized, KeyAliases};
use crate::request::{Param, Query};
use crate::routes::answer::Answer;
use crate::store::keys::{self, ListAliases};

/// The answer.
pub static ALIASES: Record = Record::new(
    "KeyAliases",
    &[
        ("aliases", TEXTS),
        ("total_count current_page total_pages size", WHOLE),
    ],
);

/// The query.
pub const ALIASES_QUERY: &[Param] = &[
    Param::whole("page", 1, 1, u32::MAX),
    Param::whole("size", 50, 1, 100),
    Param::text("search"),
    Param::text("team_id"),
];

/// The aliases there are, a page at a time: of all keys, or of those that the caller sees.
pub async fn aliases(
    State(app): State<App>,
    by: Authorized<KeyAliases>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), ALIASES_QUERY);
    let mut what = ListAliases {
        page: query.whole("page"),
        size: query.whole("size"),
        search: query.text("search"),
        team_id: query.text("team_id"),
        ..ListAliases::default()
    };
    query.finish()?;
    if !by.is_admin() {
        let own = by.caller.user_id.clone().ok_or(KeyRefusal::NoUserForList)?;
        what.of_teams = administered(&app, &own, false).await?;
        what.of_user = Some(own);
    }
    let (aliases, total) = keys::list_aliases(&app.store, &what).await?;
    Ok(Answer::new(json!({
        "aliases": aliases,
        "total_count": total,
        "current_page": what.page,
        "total_pages": total.div_ceil(u64::from(what.size)),
        "size": what.size,
    })))
}

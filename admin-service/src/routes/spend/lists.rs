//! Keys, users and tags by what they spent.

use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{NUMBER, Of, Record, TEXT, WHOLE, list, one};
use crate::policy::{Authorized, SpendReports};
use crate::request::{Param, Query};
use crate::routes::activity::scope::{days, mine};
use crate::routes::answer::Answer;
use crate::routes::shape::{Times, nano_dollars};
use crate::routes::{keys as key_routes, users as user_routes};
use crate::store::keys::{self, KeyRow, ListKeys, Owner};
use crate::store::outbox::Kind;
use crate::store::reports::{Days, Reach, Which, spenders, tag_sums};
use crate::store::spend::Dimension;
use crate::store::users;

/// Most keys or users of one answer. LiteLLM has no bound here.
const MOST: u32 = 1_000;

/// The answer of `/spend/keys`.
pub static KEYS: Of = list(&one(&key_routes::KEY));
/// The query of `/spend/keys`.
pub static KEYS_QUERY: &[Param] = &[Param::whole("limit", 100, 1, MOST)];
/// The answer of `/spend/users`.
pub static USERS: Of = list(&one(&user_routes::USER));
/// The query of `/spend/users`.
pub static USERS_QUERY: &[Param] = &[Param::text("user_id"), Param::whole("limit", 100, 1, MOST)];
/// The answer of `/spend/tags`.
pub static TAGS: Of = list(&one(&TAG));
static TAG: Record = Record::new(
    "SpendOfTag",
    &[
        ("individual_request_tag", TEXT),
        ("log_count", WHOLE),
        ("total_spend", NUMBER),
    ],
);
/// The query of `/spend/tags`.
pub static TAGS_QUERY: &[Param] = &[Param::text("start_date"), Param::text("end_date")];

/// `GET /spend/keys`: the keys that spent most, then the newest of the others; their own for who is no admin.
pub async fn keys(
    State(app): State<App>,
    by: Authorized<SpendReports>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), KEYS_QUERY);
    let most = query.whole("limit");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let mut rows = match (&by.caller.user_id, by.is_admin()) {
        (_, true) => {
            let ids = spenders(&mut connection, Kind::Key, most).await?;
            keys::of_ids(&mut connection, &ids).await?
        }
        (Some(user), false) => keys::of_owner(&mut connection, Owner::User(user)).await?,
        (None, false) => Vec::new(),
    };
    let spent = key_routes::spent_by(&mut connection, &app, &rows).await?;
    rows.sort_by_key(|key| {
        let spent = spent.get(&key.key_id).map_or(0, |spent| spent.spend.get());
        std::cmp::Reverse(spent)
    });
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    rows.truncate(most);
    if by.is_admin() && rows.len() < most {
        let more = unspent(&app, &rows, most - rows.len()).await?;
        rows.extend(more);
    }
    let shown = key_routes::shown(&mut connection, &app, &rows, Times::Z).await?;
    Ok(Answer::new(Value::Array(shown)))
}

/// The newest keys beside those that are there.
async fn unspent(app: &App, there: &[KeyRow], count: usize) -> Result<Vec<KeyRow>, ApiError> {
    let what = ListKeys {
        descending: true,
        page: 1,
        size: u32::try_from(there.len() + count).unwrap_or(MOST),
        ..ListKeys::default()
    };
    let newest = keys::list(&app.store, &what).await?.keys;
    let others = newest
        .into_iter()
        .filter(|key| there.iter().all(|known| known.key_id != key.key_id));
    Ok(others.take(count).collect())
}

/// `GET /spend/users`: one user, or those who spent most; themselves for who is no admin.
pub async fn users(
    State(app): State<App>,
    by: Authorized<SpendReports>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), USERS_QUERY);
    let asked = query.text("user_id").filter(|id| !id.is_empty());
    let most = query.whole("limit");
    query.finish()?;
    let mut connection = app.store.read().await?;
    let ids = match (by.is_admin(), asked, by.caller.user_id.clone()) {
        (true, Some(asked), _) => vec![asked],
        (true, None, _) => spenders(&mut connection, Kind::User, most).await?,
        (false, asked, Some(own)) if asked.as_ref().is_none_or(|asked| *asked == own) => vec![own],
        (false, _, _) => Vec::new(),
    };
    let mut shown = Vec::new();
    for id in ids {
        // Keys may name users without a row.
        if let Some(user) = users::find(&mut connection, users::Which::Id(&id)).await? {
            shown.push(user_routes::shown(&mut connection, &app, &user).await?);
        }
    }
    Ok(Answer::new(Value::Array(shown)))
}

/// `GET /spend/tags`: tags with what was spent under each, ever or in the days that are given; of their own requests for who is no admin.
pub async fn tags(
    State(app): State<App>,
    by: Authorized<SpendReports>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let query = Query::parse(query.as_deref(), TAGS_QUERY);
    let days = days(&query)?.unwrap_or_else(Days::ever);
    query.finish()?;
    let mut which = Which::all(Dimension::Tag, days);
    if !by.is_admin() {
        which.reach = Reach::Partly {
            whole: Vec::new(),
            partly: None,
            mine: mine(&by.caller),
        };
    }
    let tags = tag_sums(&mut *app.store.read().await?, &which).await?;
    let shown = tags.iter().map(|tag| {
        json!({
            "individual_request_tag": tag.tag,
            "log_count": tag.requests,
            "total_spend": nano_dollars(tag.spend),
        })
    });
    Ok(Answer::new(shown.collect()))
}

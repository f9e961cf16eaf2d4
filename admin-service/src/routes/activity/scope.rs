//! Whose spend a caller sees, and of which days.

use chrono::{Days as Distance, NaiveDate};

use crate::app::App;
use crate::caller::Caller;
use crate::clock::date;
use crate::error::{ApiError, SpendRefusal, TeamRefusal};
use crate::policy::Authorized;
use crate::request::{Problem, Query, Step};
use crate::store::organization_members;
use crate::store::reports::{Days, Mine, Reach, VisibleTeam, visible_teams};
use crate::store::spend::Dimension;

/// The permission by which members see what their whole team did.
const SEE_ACTIVITY: &str = "/team/daily/activity";

/// What of everything is the caller's own: what their user did, or their key where it has none.
pub(in crate::routes) fn mine(caller: &Caller) -> Mine {
    match (&caller.user_id, caller.token()) {
        (Some(user), _) => Mine::User(user.clone()),
        (None, token) => Mine::Key(token.unwrap_or_default().to_owned()),
    }
}

/// The entities that the caller sees of those that it asked for.
pub(in crate::routes) async fn reach<R>(
    app: &App,
    by: &Authorized<R>,
    dimension: Dimension,
    asked: Option<Vec<String>>,
) -> Result<Reach, ApiError> {
    if by.is_admin() {
        return Ok(asked.map_or(Reach::All, Reach::These));
    }
    let mine = mine(&by.caller);
    match dimension {
        Dimension::User => match (&mine, asked) {
            (Mine::User(own), Some(asked)) if asked.iter().any(|asked| asked != own) => {
                Err(SpendRefusal::OwnSpendOnly.into())
            }
            (Mine::User(own), _) => Ok(Reach::These(vec![own.clone()])),
            (Mine::Key(_), Some(_)) => Err(SpendRefusal::OwnSpendOnly.into()),
            (Mine::Key(_), None) => Ok(Reach::Partly {
                whole: Vec::new(),
                partly: None,
                mine,
            }),
        },
        Dimension::Team => teams(app, &by.caller, asked).await,
        Dimension::Organization => organizations(app, &by.caller, asked).await,
        Dimension::EndUser | Dimension::Tag => Ok(Reach::Partly {
            whole: Vec::new(),
            partly: asked,
            mine,
        }),
    }
}

async fn teams(app: &App, caller: &Caller, asked: Option<Vec<String>>) -> Result<Reach, ApiError> {
    let seen = seen_teams(app, caller).await?;
    let asked = match asked {
        None => seen.iter().map(|team| team.team_id.clone()).collect(),
        Some(asked) => asked,
    };
    let (mut whole, mut partly) = (Vec::new(), Vec::new());
    for id in asked {
        match seen.iter().find(|team| team.team_id == id) {
            None => {
                let user = caller.user().to_owned();
                return Err(TeamRefusal::NotYourTeam { user, team: id }.into());
            }
            Some(team) if team.whole(SEE_ACTIVITY) => whole.push(id),
            Some(_) => partly.push(id),
        }
    }
    Ok(Reach::Partly {
        whole,
        partly: Some(partly),
        mine: mine(caller),
    })
}

/// The teams that the caller sees something of.
pub(in crate::routes) async fn seen_teams(
    app: &App,
    caller: &Caller,
) -> Result<Vec<VisibleTeam>, ApiError> {
    match &caller.user_id {
        None => Ok(Vec::new()),
        Some(user) => Ok(visible_teams(&mut *app.store.read().await?, user).await?),
    }
}

async fn organizations(
    app: &App,
    caller: &Caller,
    asked: Option<Vec<String>>,
) -> Result<Reach, ApiError> {
    let mut connection = app.store.read().await?;
    let user = caller.user_id.as_deref();
    let administered = organization_members::administered(&mut connection, user).await?;
    match asked {
        None => Ok(Reach::These(administered)),
        Some(asked) => match asked.iter().find(|id| !administered.contains(id)) {
            None => Ok(Reach::These(asked)),
            Some(other) => Err(SpendRefusal::NotYourOrganizationSpend(other.clone()).into()),
        },
    }
}

/// `start_date` and `end_date`, if both are given.
pub(in crate::routes) fn days(query: &Query) -> Result<Option<Days>, ApiError> {
    let given = |name| query.text(name).filter(|text| !text.is_empty());
    let (Some(first), Some(last)) = (given("start_date"), given("end_date")) else {
        return Ok(None);
    };
    Ok(Some(Days {
        first: day("start_date", &first)?.to_string(),
        last: day("end_date", &last)?.to_string(),
    }))
}

/// A day; a time after it is accepted and counts as the whole day.
pub(in crate::routes) fn day(name: &str, text: &str) -> Result<NaiveDate, ApiError> {
    let date = text.split([' ', 'T']).next().unwrap_or_default();
    let parsed = NaiveDate::parse_from_str(date, "%Y-%m-%d");
    let four_digits = date.len() == 10;
    parsed.ok().filter(|_| four_digits).ok_or_else(|| {
        ApiError::Invalid(vec![Problem {
            kind: "date_parsing",
            loc: vec![Step::Name("query".into()), Step::Name(name.into())],
            msg: "Input should be a valid date in the format YYYY-MM-DD".to_owned(),
        }])
    })
}

/// Today and the days before it, `count` in all and one more.
pub(in crate::routes) fn days_until_today(app: &App, count: u64) -> Days {
    let today = date(app.store.clock().now_us())
        .map(|now| now.date_naive())
        .unwrap_or_default();
    let first = today
        .checked_sub_days(Distance::new(count))
        .unwrap_or(today);
    Days {
        first: first.to_string(),
        last: today.to_string(),
    }
}

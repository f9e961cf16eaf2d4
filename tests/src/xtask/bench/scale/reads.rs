//! What is read of a large database.

use tollkeeper_tests::clock;

use super::Size;

/// One kind of call.
pub struct Read {
    /// Its name.
    pub what: &'static str,
    /// The path of the call with this number.
    pub path: Box<dyn Fn(usize) -> String>,
    /// Milliseconds that 99 of 100 should take at most.
    pub target: f64,
}

const LIST: f64 = 20.0;
const REPORT: f64 = 100.0;
const EVER: &str = "start_date=2000-01-01&end_date=2100-01-01";

/// All of them.
pub fn all(size: Size) -> Vec<Read> {
    lists(size).into_iter().chain(reports(size)).collect()
}

fn lists(size: Size) -> Vec<Read> {
    let pages = |size: u64| (size / 100).max(1);
    let (users, keys) = (pages(size.users), pages(size.keys));
    let page = |what, path: &'static str, pages: u64| Read {
        what,
        path: Box::new(move |call| format!("{path}&page={}", 1 + number(call) * 7919 % pages)),
        target: LIST,
    };
    vec![
        page(
            "/key/list",
            "/key/list?size=100&return_full_object=true",
            keys,
        ),
        of(
            "/key/list of a user",
            "/key/list?size=100&user_id=user-{}",
            LIST,
            size.users,
        ),
        page("/user/list", "/user/list?page_size=100", users),
        page(
            "/user/list by keys",
            "/user/list?page_size=100&sort_by=key_count&sort_order=desc",
            users,
        ),
        page(
            "/user/list by spend",
            "/user/list?page_size=100&sort_by=spend&sort_order=desc",
            users,
        ),
        page(
            "/key/list by spend",
            "/key/list?size=100&sort_by=spend",
            keys,
        ),
        page(
            "/v2/team/list",
            "/v2/team/list?page_size=10",
            (size.users / 1_000).max(1),
        ),
        page("/v2/team/list, 100 teams", "/v2/team/list?page_size=100", 1),
        of(
            "/user/info of a user",
            "/user/info?user_id=user-{}",
            LIST,
            size.users,
        ),
    ]
}

fn reports(size: Size) -> Vec<Read> {
    let month = month();
    let fixed = |what, path: &str, days: &str| {
        let path = format!("{path}{days}");
        Read {
            what,
            path: Box::new(move |_| path.clone()),
            target: REPORT,
        }
    };
    let by_day = format!("/user/daily/activity?user_id=user-{{}}&{EVER}");
    let by_team = format!("/team/daily/activity?team_ids=team-{{}}&{EVER}");
    let log = "/spend/logs/v2?page=1&page_size=50&start_date=2000-01-01%2000:00:00&end_date=2100-01-01%2000:00:00";
    let aggregated = "/user/daily/activity/aggregated?";
    let of_teams = "/global/spend/report?group_by=team&";
    let of_keys = "/global/spend/report?group_by=api_key&";
    vec![
        of("/user/daily/activity, ever", &by_day, REPORT, size.users),
        of(
            "/team/daily/activity, ever",
            &by_team,
            REPORT,
            (size.users / 100).max(1),
        ),
        fixed("/global/activity, ever", "/global/activity?", EVER),
        fixed("/user/daily/activity/aggregated, ever", aggregated, EVER),
        fixed("/user/daily/activity/aggregated", aggregated, &month),
        fixed("/global/spend/keys", "/global/spend/keys?limit=10", ""),
        fixed("/global/spend/teams", "/global/spend/teams", ""),
        fixed("/global/spend/report of teams", of_teams, &month),
        fixed("/global/spend/report of keys", of_keys, &month),
        fixed("/user/spend/report of all", "/user/spend/report?", &month),
        fixed("/team/spend/report of all", "/team/spend/report?", &month),
        fixed("/spend/logs by day", "/spend/logs?", &month),
        fixed("/spend/logs/v2, a page", log, ""),
    ]
}

/// A call about one of `many` after the other.
fn of(what: &'static str, path: &str, target: f64, many: u64) -> Read {
    let path = path.to_owned();
    Read {
        what,
        path: Box::new(move |call| path.replace("{}", &(number(call) * 31 % many).to_string())),
        target,
    }
}

fn number(call: usize) -> u64 {
    u64::try_from(call).unwrap_or(0)
}

/// The thirty days until today, as a query.
fn month() -> String {
    const DAY: u64 = 86_400_000;
    let now = clock::unix_ms();
    let (first, last) = (date(now / DAY - 29), date(now / DAY));
    format!("start_date={first}&end_date={last}")
}

/// The date of a day counted from 1970-01-01.
fn date(days: u64) -> String {
    let leap = |year: u64| {
        u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + leap(year) {
        left -= 365 + leap(year);
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

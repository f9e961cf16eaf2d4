//! The admin service on a large database: what lists, reports and changes take, on SQLite and on PostgreSQL.

mod fill;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tollkeeper_tests::client::raw;
use tollkeeper_tests::load::{number, percentile};
use tollkeeper_tests::stack::{Options, Postgres, Programs, Stack};
use tollkeeper_tests::{clock, setup};

use super::resident;
pub use fill::Size;

/// Calls of each kind.
const CALLS: usize = 200;

/// What one database took.
#[derive(Debug)]
struct Found {
    engine: &'static str,
    /// Name, p50 and p99 in milliseconds, and what it should be.
    times: Vec<(String, f64, f64, f64)>,
    /// Name, value, unit, and what it should be.
    others: Vec<(&'static str, f64, &'static str, f64)>,
}

/// Measures on both and prints; results also go to `folder`.
pub async fn run(size: Size, folder: &Path) -> Result<()> {
    let programs = tokio::task::spawn_blocking(|| Programs::build(true)).await??;
    let mut all = Vec::new();
    for postgres in [false, true] {
        let data = setup::private().join(if postgres {
            "scale-postgresql"
        } else {
            "scale-sqlite"
        });
        let _ = std::fs::remove_dir_all(&data);
        let database = if postgres {
            Some(Postgres::start(&data).await?)
        } else {
            None
        };
        let mut options = Options::new(&data, "sk-scale-0123456789abcdef0123456789abcdef");
        options.database = database.as_ref().map(Postgres::url);
        let engine = if postgres { "PostgreSQL" } else { "SQLite" };
        setup::progress(engine);
        let found = measure(&options, &programs, size, engine).await?;
        println!("{}", found.text());
        all.push(found.json());
        // It is of no use to anybody after this.
        drop(database);
        let _ = std::fs::remove_dir_all(&data);
    }
    let report = json!({"users": size.users, "keys": size.keys, "spend_rows": size.rows, "calls": CALLS, "databases": all});
    std::fs::create_dir_all(folder)?;
    std::fs::write(
        folder.join("scale.json"),
        serde_json::to_vec_pretty(&report)?,
    )?;
    println!("Results: {}", folder.display());
    Ok(())
}

async fn measure(
    options: &Options,
    programs: &Programs,
    size: Size,
    engine: &'static str,
) -> Result<Found> {
    let mut stack = Stack::start_built(options, programs).await?;
    stack.admin.process().stop(Duration::from_secs(10)).await?;
    let now_us = clock::unix_ms() * 1_000;
    let took = fill::fill(stack.admin.database_url(), size, now_us).await?;
    setup::progress(&format!("filled in {:.0} s", took.as_secs_f64()));

    let began = clock::now();
    empty_redis(&stack).await?;
    stack.admin.restart(&stack.client).await?;
    until_filled(&stack).await?;
    let filled = began.elapsed();
    let reach = to_be_enforced(&stack).await?;
    let mut found = Found {
        engine,
        times: vec![(
            "publish to enforced".to_owned(),
            percentile(&reach, 0.5) / 1e3,
            percentile(&reach, 0.99) / 1e3,
            100.0,
        )],
        others: Vec::new(),
    };
    for (name, path, most) in reads(size) {
        setup::progress(name);
        let mut times = Vec::with_capacity(CALLS);
        for call in 0..CALLS {
            let path = path(call);
            let asked = clock::now();
            stack.get_admin(&path).await.with_context(|| path.clone())?;
            times.push(micros(asked.elapsed()));
        }
        found.add(name, times, most);
    }
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..CALLS {
        let body = json!({"user_id": format!("user-{call}"), "max_budget": 1, "rpm_limit": 10});
        let asked = clock::now();
        stack.key(&body).await?;
        times.push(micros(asked.elapsed()));
    }
    found.add("/key/generate", times, 30.0);
    found.others = vec![
        ("Redis filled, from start", filled.as_secs_f64(), "s", 30.0),
        (
            "memory of the admin service",
            resident(stack.admin.process())?,
            "MiB",
            150.0,
        ),
    ];
    stack.stop().await?;
    Ok(found)
}

type Request = Box<dyn Fn(usize) -> String>;

/// What is read: its name, the path of a call, and how many milliseconds 99 of 100 may take.
fn reads(size: Size) -> Vec<(&'static str, Request, f64)> {
    let pages = |size: u64, page: u64| usize::try_from((size / page).max(1)).unwrap_or(1);
    let key_pages = pages(size.keys, 100);
    let user_pages = pages(size.users, 100);
    let days = "start_date=2000-01-01&end_date=2100-01-01";
    let users = usize::try_from(size.users.max(1)).unwrap_or(1);
    vec![
        (
            "/key/list, a page of 100",
            Box::new(move |call| {
                let page = 1 + call * 7919 % key_pages;
                format!("/key/list?size=100&return_full_object=true&page={page}")
            }),
            20.0,
        ),
        (
            "/key/list of a user",
            Box::new(move |call| format!("/key/list?size=100&user_id=user-{}", call * 31 % users)),
            20.0,
        ),
        (
            "/user/list, a page of 100",
            Box::new(move |call| {
                let page = 1 + call * 7919 % user_pages;
                format!("/user/list?page_size=100&page={page}")
            }),
            20.0,
        ),
        (
            "/user/info of a user",
            Box::new(move |call| format!("/user/info?user_id=user-{}", call * 31 % users)),
            20.0,
        ),
        (
            "/user/daily/activity",
            Box::new(move |call| {
                format!(
                    "/user/daily/activity?user_id=user-{}&{days}",
                    call * 31 % users
                )
            }),
            100.0,
        ),
        (
            "/team/daily/activity",
            Box::new(move |call| {
                format!(
                    "/team/daily/activity?team_ids=team-{}&{days}",
                    call % (users / 100).max(1)
                )
            }),
            100.0,
        ),
        (
            "/global/activity",
            Box::new(move |_| format!("/global/activity?{days}")),
            100.0,
        ),
        (
            "/user/daily/activity/aggregated of all",
            Box::new(move |_| format!("/user/daily/activity/aggregated?{days}")),
            100.0,
        ),
        (
            "/global/spend/keys",
            Box::new(move |_| "/global/spend/keys?limit=10".to_owned()),
            100.0,
        ),
        (
            "/spend/logs of a key",
            Box::new(move |_| {
                "/spend/logs/v2?page=1&page_size=50&start_date=2000-01-01%2000:00:00&end_date=2100-01-01%2000:00:00".to_owned()
            }),
            100.0,
        ),
    ]
}

/// Takes from Redis what it holds: the service then fills it with everything.
async fn empty_redis(stack: &Stack) -> Result<()> {
    let url = stack.redis_url.replace("redis://", "http://");
    let answer = raw(&url, b"FLUSHALL\r\nQUIT\r\n", Duration::from_secs(10)).await?;
    ensure!(answer.starts_with(b"+OK"), "{}", answer.escape_ascii());
    Ok(())
}

/// Waits until Redis was filled.
async fn until_filled(stack: &Stack) -> Result<()> {
    let began = clock::now();
    loop {
        let details = stack.get_admin("/health/readiness/details").await?;
        if details["restores"].as_u64().unwrap_or(0) > 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_mins(10),
            "not filled: {details}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Microseconds from the answer to `/key/block` or `/key/unblock` until the gateway follows, sorted.
async fn to_be_enforced(stack: &Stack) -> Result<Vec<u32>> {
    let envoy = stack.envoys.first().context("no Envoy was started")?;
    let key = stack.key(&json!({})).await?;
    let body = json!({"model": "gpt-4o-mini", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    let url = format!("{}/v1/chat/completions", envoy.url());
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..CALLS {
        let (path, wanted) = if call % 2 == 0 {
            ("/key/block", 401)
        } else {
            ("/key/unblock", 200)
        };
        let asked = clock::now();
        stack.post_admin(path, &json!({"key": key})).await?;
        loop {
            let reply = stack.client.post(&url, Some(&key), &body).await?;
            if reply.status == wanted {
                break;
            }
            ensure!(
                asked.elapsed() < Duration::from_secs(10),
                "{path} is not followed: {}",
                reply.text()
            );
        }
        times.push(micros(asked.elapsed()));
    }
    times.sort_unstable();
    Ok(times)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl Found {
    fn add(&mut self, name: &str, mut times: Vec<u32>, most: f64) {
        times.sort_unstable();
        let (p50, p99) = (
            percentile(&times, 0.5) / 1e3,
            percentile(&times, 0.99) / 1e3,
        );
        self.times.push((name.to_owned(), p50, p99, most));
    }

    fn json(&self) -> Value {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let times: Vec<Value> = self
            .times
            .iter()
            .map(|(name, p50, p99, most)| json!({"what": name, "p50_ms": tenth(*p50), "p99_ms": tenth(*p99), "target_p99_ms": most}))
            .collect();
        let others: Vec<Value> = self
            .others
            .iter()
            .map(|(name, value, unit, most)| json!({"what": name, "value": tenth(*value), "unit": unit, "target": most}))
            .collect();
        json!({"engine": self.engine, "times": times, "others": others})
    }

    fn text(&self) -> String {
        let mut text = format!(
            "\n{}, {} calls each\n  {:<32}{:>10}{:>10}{:>10}\n",
            self.engine,
            number(CALLS),
            "",
            "p50, ms",
            "p99, ms",
            "target"
        );
        // Writing to a String cannot fail.
        for (name, p50, p99, most) in &self.times {
            let _ = writeln!(text, "  {name:<32}{p50:>10.1}{p99:>10.1}{most:>10.0}");
        }
        for (name, value, unit, most) in &self.others {
            let _ = writeln!(
                text,
                "  {name:<32}{:>10}{value:>10.1}{most:>10.0} {unit}",
                ""
            );
        }
        text
    }
}

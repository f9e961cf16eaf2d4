//! The admin service on a large database: what lists, reports and changes take, on SQLite and on PostgreSQL.

mod drain;
mod fill;
mod reads;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tollkeeper_tests::client::raw;
use tollkeeper_tests::load::percentile;
use tollkeeper_tests::stack::{Options, Postgres, Programs, Stack};
use tollkeeper_tests::{clock, setup};

use super::resident;
pub use fill::Size;

/// Calls of each kind, unless they take longer than [`LONGEST`].
const CALLS: usize = 200;
/// After this a kind has been called often enough.
const LONGEST: Duration = Duration::from_secs(20);

/// What one database took.
#[derive(Debug)]
struct Found {
    engine: &'static str,
    times: Vec<Times>,
    others: Vec<Figure>,
}

/// What one kind of call took, milliseconds.
#[derive(Debug)]
struct Times {
    what: &'static str,
    calls: usize,
    p50: f64,
    p99: f64,
    /// What 99 of 100 should take at most.
    target: f64,
}

/// Something else that was measured.
#[derive(Debug)]
struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    /// What it should be at most, or, of a rate, at least.
    target: f64,
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
    let mut found = Found {
        engine,
        times: Vec::new(),
        others: Vec::new(),
    };
    found.add("publish to enforced", to_be_enforced(&stack).await?, 100.0);
    for read in reads::all(size) {
        let times = timed(async |call| {
            // Not read as JSON: this program is not optimised, and would measure itself.
            let url = format!("{}{}", stack.admin.url(), (read.path)(call));
            let reply = stack.client.get(&url, Some(&stack.master_key)).await?;
            ensure!(reply.status == 200, "{url}: {}", reply.text());
            Ok(())
        });
        found.add(read.what, times.await?, read.target);
    }
    let memory = resident(stack.admin.process())?;
    let times = timed(async |call| {
        let body = json!({"user_id": format!("user-{call}"), "max_budget": 1, "rpm_limit": 10});
        stack.key(&body).await?;
        Ok(())
    });
    found.add("/key/generate", times.await?, 30.0);
    setup::progress("spend events drained");
    let [of_all_keys, of_few] = drain::rates(&stack, size).await?;
    let drained = |what, value| Figure {
        what,
        value,
        unit: "a second",
        target: if options.database.is_some() {
            20_000.0
        } else {
            10_000.0
        },
    };
    found.others = vec![
        Figure {
            what: "Redis filled, from start",
            value: filled.as_secs_f64(),
            unit: "s",
            target: 30.0,
        },
        Figure {
            what: "memory of the admin service",
            value: memory,
            unit: "MiB",
            target: 150.0,
        },
        drained("spend events drained, all keys", of_all_keys),
        drained("spend events drained, 100 keys", of_few),
    ];
    for figure in &found.others {
        setup::progress(&format!(
            "{}: {:.1} {}",
            figure.what, figure.value, figure.unit
        ));
    }
    stack.stop().await?;
    Ok(found)
}

/// Microseconds of one call after another.
async fn timed(call: impl AsyncFn(usize) -> Result<()>) -> Result<Vec<u32>> {
    let mut times = Vec::with_capacity(CALLS);
    let began = clock::now();
    while times.len() < CALLS && began.elapsed() < LONGEST {
        let asked = clock::now();
        call(times.len()).await?;
        times.push(micros(asked.elapsed()));
    }
    Ok(times)
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

/// Microseconds from the answer to `/key/block` or `/key/unblock` until the gateway follows.
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
    Ok(times)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl Found {
    fn add(&mut self, what: &'static str, mut times: Vec<u32>, target: f64) {
        times.sort_unstable();
        let times = Times {
            what,
            calls: times.len(),
            p50: percentile(&times, 0.5) / 1e3,
            p99: percentile(&times, 0.99) / 1e3,
            target,
        };
        let Times { p50, p99, .. } = times;
        setup::progress(&format!("{what}: p50 {p50:.1} ms, p99 {p99:.1} ms"));
        self.times.push(times);
    }

    fn json(&self) -> Value {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let times = self.times.iter().map(|times| {
            json!({"what": times.what, "calls": times.calls, "p50_ms": tenth(times.p50), "p99_ms": tenth(times.p99),
                "target_p99_ms": times.target})
        });
        let others = self.others.iter().map(|figure| {
            json!({"what": figure.what, "value": tenth(figure.value), "unit": figure.unit, "target": figure.target})
        });
        json!({"engine": self.engine, "times": times.collect::<Vec<_>>(), "others": others.collect::<Vec<_>>()})
    }

    fn text(&self) -> String {
        let mut text = format!(
            "\n{}\n  {:<44}{:>8}{:>10}{:>10}{:>10}\n",
            self.engine, "", "calls", "p50, ms", "p99, ms", "target"
        );
        // Writing to a String cannot fail.
        for times in &self.times {
            let Times {
                what,
                calls,
                p50,
                p99,
                target,
            } = times;
            let _ = writeln!(
                text,
                "  {what:<44}{calls:>8}{p50:>10.1}{p99:>10.1}{target:>10.0}"
            );
        }
        for figure in &self.others {
            let Figure {
                what,
                value,
                unit,
                target,
            } = figure;
            let _ = writeln!(
                text,
                "  {what:<44}{:>18}{value:>10.1}{target:>10.0} {unit}",
                ""
            );
        }
        text
    }
}

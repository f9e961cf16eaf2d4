//! `cargo xtask bench`: what governing costs, as ratios against the same Envoy without the filter.
//!
//! Plain and governed take turns (A B A B …) in one run, with the same binary, routes, upstream, body and worker count, and every figure is
//! the median over the rounds: on a shared machine the ratios hold where absolute times do not. Nothing fails by being slow: this is a
//! report.

mod chart;
mod growth;
mod report;
mod scale;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tollkeeper_tests::load::{Load, Measured, chat_request, number, percentile};
use tollkeeper_tests::process::Process;
use tollkeeper_tests::setup;
use tollkeeper_tests::stack::{Envoy, Options, Stack};
use tollkeeper_tests::upstream::Remember;

use growth::Keys;
use report::{Figures, Report, Side};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rounds; each measures every case of both sides once.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Bytes of a request's body.
    #[arg(long, default_value_t = 1024)]
    body: usize,
    /// Keys of the larger number.
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Measures the admin service on large databases instead of the gateway.
    #[arg(long)]
    scale: bool,
    /// Rows of the spend log there; a fiftieth as many keys, a five-hundredth as many users.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(5_000..=100_000_000))]
    rows: u64,
    /// Folder of the results; target/bench where it is not said.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// One thing that is measured on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in the report.
    pub name: &'static str,
    /// Connections.
    pub connections: usize,
    /// Whether the answer is a stream.
    pub stream: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "16 connections",
        connections: 16,
        stream: false,
    },
    Case {
        name: "1 connection",
        connections: 1,
        stream: false,
    },
    Case {
        name: "1 connection, stream",
        connections: 1,
        stream: true,
    },
];

/// Measures and reports.
pub async fn run(arguments: Arguments) -> Result<()> {
    let folder = arguments
        .output
        .clone()
        .unwrap_or_else(|| setup::target().join("bench"));
    if arguments.scale {
        let rows = arguments.rows;
        let size = scale::Size {
            users: rows / 500,
            keys: rows / 50,
            rows,
        };
        return scale::run(size, &folder).await;
    }
    let data = setup::private().join("bench");
    // Every run starts from nothing: an old spend stream would be somebody else's cost.
    let _ = std::fs::remove_dir_all(&data);
    let mut options = Options::new(&data, "sk-bench-0123456789abcdef0123456789abcdef");
    options.remember = Remember::Nothing;
    options.plain = true;
    let programs =
        tokio::task::spawn_blocking(|| tollkeeper_tests::stack::Programs::build(false)).await??;
    let stack = Arc::new(Stack::start_built(&options, &programs).await?);
    // Every kind of limit applies and none is reached.
    let limits = json!({"rpm_limit": 4_000_000_000_u64, "tpm_limit": 4_000_000_000_000_u64, "max_parallel_requests": 100_000, "max_budget": 1_000_000});
    let key = stack.key(&limits).await?;
    setup::progress(&format!("Making {} keys", arguments.keys));
    let keys = Keys::make(&stack, &limits, arguments.keys).await?;
    // It is not on the path of a request, and on a small machine its ledger would compete with what is measured.
    stack.admin.process().freeze();
    let mut report = measure(&stack, &arguments, &key).await?;
    setup::progress("What must not grow");
    report.growth = Some(growth::measure(&stack, &keys, arguments.body, arguments.seconds).await?);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(
        folder.join("bench.json"),
        serde_json::to_vec_pretty(&report.json())?,
    )?;
    std::fs::write(folder.join("bench.svg"), chart::svg(&report))?;
    println!("{}\nResults: {}", report.text(), folder.display());
    // What was measured is of no use to a ledger.
    stack.admin.process().kill().await?;
    let stack = Arc::into_inner(stack).context("something still uses the stack")?;
    stack.stop().await
}

async fn measure(stack: &Stack, arguments: &Arguments, key: &str) -> Result<Report> {
    let plain = stack.plain.as_ref().context("no plain Envoy was started")?;
    let governed = stack.envoys.first().context("no Envoy was started")?;
    let bearer = format!("Bearer {key}");
    // The filter names the provider to the routes; without it the client does.
    let sides = [
        (
            Side::Plain,
            plain,
            vec![
                ("authorization", bearer.as_str()),
                ("x-tollkeeper-provider", "openai"),
            ],
        ),
        (
            Side::Governed,
            governed,
            vec![("authorization", bearer.as_str())],
        ),
    ];
    let mut report = Report::new(arguments.rounds, arguments.seconds, arguments.body);
    for (_, envoy, headers) in &sides {
        load(
            envoy,
            headers,
            CASES[0],
            arguments.body,
            Duration::from_secs(2),
        )
        .await?;
    }
    for round in 1..=arguments.rounds {
        for case in CASES {
            for (side, envoy, headers) in &sides {
                setup::progress(&format!(
                    "round {round} of {}: {}, {}",
                    arguments.rounds,
                    case.name,
                    side.name()
                ));
                forget_spend(stack).await?;
                let commands = redis_commands(stack).await?;
                let used = cpu_seconds(envoy.process())?;
                let measured = load(
                    envoy,
                    headers,
                    case,
                    arguments.body,
                    Duration::from_secs(arguments.seconds),
                )
                .await?;
                let requests = number(measured.whole_us.len().max(1));
                report.add(
                    case,
                    *side,
                    Figures {
                        rate: measured.rate(),
                        p50_us: percentile(&measured.whole_us, 0.5),
                        p99_us: percentile(&measured.whole_us, 0.99),
                        first_p50_us: percentile(&measured.first_us, 0.5),
                        cpu_us: (cpu_seconds(envoy.process())? - used) * 1e6 / requests,
                        redis_commands: (redis_commands(stack).await? - commands) / requests,
                    },
                );
            }
        }
    }
    Ok(report)
}

async fn load(
    envoy: &Envoy,
    headers: &[(&str, &str)],
    case: Case,
    body: usize,
    duration: Duration,
) -> Result<Measured> {
    let address = tollkeeper_tests::client::authority(envoy.url()).parse()?;
    let request = chat_request(&address, headers, case.stream, body);
    let load = Load {
        address,
        requests: vec![request],
        connections: case.connections,
        duration,
    };
    load.run()
        .await
        .with_context(|| format!("{}\n{}", case.name, envoy.process().tail(20)))
}

/// Seconds of processor time that a process has used.
fn cpu_seconds(process: &Process) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .context("/proc has no times")
    };
    // utime and stime, in ticks of 10 ms.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// Resident memory of a process, MiB.
fn resident(process: &Process) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("/proc tells no memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Empties the stream that the paused ledger does not drain.
async fn forget_spend(stack: &Stack) -> Result<()> {
    let url = stack.redis_url.replace("redis://", "http://");
    let trim = b"XTRIM tk:{p0}:spend MAXLEN 0\r\nQUIT\r\n";
    tollkeeper_tests::client::raw(&url, trim, Duration::from_secs(10))
        .await
        .map(drop)
}

/// Calls of clients that Redis has carried out: scripts count once, not what they call.
async fn redis_commands(stack: &Stack) -> Result<f64> {
    let url = stack.redis_url.replace("redis://", "http://");
    let answer = tollkeeper_tests::client::raw(
        &url,
        b"INFO commandstats\r\nQUIT\r\n",
        Duration::from_secs(2),
    )
    .await?;
    let text = String::from_utf8_lossy(&answer);
    let calls = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next())
            .and_then(|calls| calls.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok(calls("evalsha") + calls("eval"))
}

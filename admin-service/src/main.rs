//! The admin service's program: reads its configuration, serves until SIGTERM or SIGINT.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::{Config, Environment, Options};
use tollkeeper_admin::import;
use tollkeeper_admin::serve::{self, Service};
use tracing_subscriber::EnvFilter;

/// Lists and reports are many small texts: the system's allocator takes a quarter of their time, and keeps what they left behind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps people, keys and policy, publishes them to Redis, and keeps the spend ledger.
#[derive(Debug, Parser)]
#[command(name = "tollkeeper-admin", version)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves; the same as no command.
    Serve(Options),
    /// Compares the spend log, the sums, the totals and the counters in Redis; prints what differs, and fails if anything does.
    Reconcile(Options),
    /// Brings users, teams, keys, budgets and what they have spent over from a database of LiteLLM: first dry, then with --apply.
    ImportLitellm {
        /// LiteLLM's database: postgres://…
        #[arg(long, value_name = "DATABASE_URL")]
        from: String,
        /// Writes; without it the report says what would be.
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        options: Options,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let program = Program::parse();
    let done = match program.command {
        Some(Command::Serve(options)) => run(&options).await,
        Some(Command::Reconcile(options)) => reconcile(&options).await,
        Some(Command::ImportLitellm {
            from,
            apply,
            options,
        }) => import_litellm(&options, &from, apply).await,
        None => run(&program.options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let config =
        Config::load(options, Environment::of_process()).map_err(|error| error.to_string())?;
    let stop = stop_signal()?;
    let service = Service::start(config, Clock::System)
        .await
        .map_err(|error| error.to_string())?;
    // Whoever started this waits for the line.
    let line = writeln!(
        std::io::stdout(),
        "listening on http://{}",
        service.address()
    );
    line.map_err(|error| format!("cannot write to standard output: {error}"))?;
    stop.await;
    tracing::info!("stopping");
    service.stop().await;
    Ok(())
}

async fn import_litellm(options: &Options, from: &str, apply: bool) -> Result<(), String> {
    let config =
        Config::load(options, Environment::of_process()).map_err(|error| error.to_string())?;
    let report = import::litellm(&config, from, apply)
        .await
        .map_err(|error| error.to_string())?;
    write!(std::io::stdout(), "{report}")
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

async fn reconcile(options: &Options) -> Result<(), String> {
    let config =
        Config::load(options, Environment::of_process()).map_err(|error| error.to_string())?;
    let differences = serve::reconcile(config, Clock::System).await?;
    let mut out = std::io::stdout();
    let mut print = |line: String| {
        writeln!(out, "{line}").map_err(|error| format!("cannot write to standard output: {error}"))
    };
    for difference in &differences {
        print(difference.to_string())?;
    }
    match differences.len() {
        0 => print("rows, sums, totals and counters agree".to_owned()),
        count => Err(format!("{count} differences")),
    }
}

/// Resolves at SIGTERM or SIGINT; both are caught from here on.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| format!("cannot catch signals: {error}"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

//! `cargo xtask …`: one command for each thing that is done with this repository.
//!
//! `up` starts the whole product for a person or a script, `test` runs every check, `bench` measures what governing costs, `wasm` builds
//! the filter. Each lives in its own module; what they share is the library of this crate.

#![expect(
    clippy::print_stdout,
    reason = "a command line tool answers on its standard output"
)]

mod bench;
mod test;
mod up;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Runs, tests and measures Tollkeeper")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the whole product and stay in the foreground.
    Up(up::Arguments),
    /// Run every check and every test.
    Test(test::Arguments),
    /// Measure what governing costs, against the same Envoy without the filter.
    Bench(bench::Arguments),
    /// Build the filter and print where it is.
    Wasm,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = run(arguments.command) => done,
            // Whatever is under way is dropped, and with it every child.
            () = interrupted() => Ok(()),
        }
    });
    // A build that is still under way is not waited for: its cargo ends with this process.
    runtime.shutdown_background();
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> std::process::ExitCode {
    tollkeeper_tests::setup::progress(&format!("error: {error:#}"));
    std::process::ExitCode::FAILURE
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(arguments) => up::run(arguments).await,
        Command::Test(arguments) => {
            tokio::task::spawn_blocking(move || test::run(&arguments)).await?
        }
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Wasm => {
            let module =
                tokio::task::spawn_blocking(tollkeeper_tests::setup::wasm::build).await??;
            println!("{}", module.display());
            Ok(())
        }
    }
}

/// Returns at the first of SIGINT, SIGTERM and SIGHUP; never where signals cannot be had.
async fn interrupted() {
    let first = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = first(SignalKind::interrupt()) => {}
        () = first(SignalKind::terminate()) => {}
        () = first(SignalKind::hangup()) => {}
    }
}

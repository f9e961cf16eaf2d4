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
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tollkeeper_tests::setup;

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
        let mut interrupts = Interrupts::listen()?;
        let interrupts = &mut interrupts;
        match arguments.command {
            // It ends its parts in order.
            Command::Up(arguments) => up::run(arguments, interrupts).await.map(|()| true),
            Command::Bench(arguments) => {
                unless(interrupts, async {
                    bench::run(arguments).await.map(|()| true)
                })
                .await
            }
            Command::Test(arguments) => {
                let test = spawn_blocking(move || test::run(&arguments));
                unless(interrupts, async { Ok(test.await?) }).await
            }
            Command::Wasm => {
                let build = spawn_blocking(setup::wasm::build);
                unless(interrupts, async {
                    println!("{}", build.await??.display());
                    Ok(true)
                })
                .await
            }
        }
    });
    // A build that is still under way is not waited for: its cargo ends with this process.
    runtime.shutdown_background();
    match done {
        Ok(true) => std::process::ExitCode::SUCCESS,
        // What went wrong was told.
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> std::process::ExitCode {
    setup::progress(&format!("error: {error:#}"));
    std::process::ExitCode::FAILURE
}

/// Does the work unless it is interrupted: then it is dropped, and with it every child.
async fn unless(
    interrupts: &mut Interrupts,
    work: impl Future<Output = Result<bool>>,
) -> Result<bool> {
    tokio::select! {
        done = work => done,
        () = interrupts.next() => Ok(false),
    }
}

/// SIGINT, SIGTERM and SIGHUP, caught from the moment of listening.
#[derive(Debug)]
struct Interrupts([Signal; 3]);

impl Interrupts {
    fn listen() -> Result<Self> {
        let all = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [interrupt, terminate, hangup] = all.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// Returns when the next of them arrives.
    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

//! `cargo xtask test`: every check and every test, as continuous integration runs them.
//!
//! 1. Format, lints (also of the filter, for its own target), dependencies.
//! 2. The tests of each package, the ones through the whole stack last.
//!
//! Output passes through as it comes. The last line is `N passed, N failed`, checks counted like tests; before it the names of what
//! failed. Nothing is skipped because something before it failed, so that one run tells everything.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tollkeeper_tests::process::shown;
use tollkeeper_tests::{clock, setup};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only tests whose name contains this; checks are left out.
    filter: Option<String>,
}

/// Packages with tests, the quickest first.
const PACKAGES: [&str; 3] = [
    "tollkeeper-contract",
    "tollkeeper-filter-core",
    "tollkeeper-admin",
];

#[derive(Debug, Default)]
struct Count {
    passed: usize,
    failed: Vec<String>,
}

/// Runs everything, prints the closing line, and says whether nothing failed.
pub fn run(arguments: &Arguments) -> bool {
    let mut count = Count::default();
    let filter = arguments.filter.as_deref();
    if filter.is_none() {
        checks(&mut count);
    }
    tests(&mut count, filter);
    for name in &count.failed {
        println!("failed: {name}");
    }
    println!("\n{} passed, {} failed", count.passed, count.failed.len());
    count.failed.is_empty()
}

fn checks(count: &mut Count) {
    let cargo = |arguments: &[&str]| {
        let mut command = setup::cargo();
        command.args(arguments);
        command
    };
    count.check("format", Ok(cargo(&["fmt", "--all", "--check"])));
    let native = [
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--exclude",
        "tollkeeper-filter",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    count.check("lints", Ok(cargo(&native)));
    count.check("lints of the filter", lint_filter());
    count.check("dependencies", deny());
}

fn lint_filter() -> Result<Command> {
    let toolchain = setup::wasm::toolchain()?;
    // Debian's packages for WebAssembly have no clippy: there at least the compiler has to accept it.
    let subcommand = if toolchain == setup::wasm::Toolchain::Default {
        "clippy"
    } else {
        "check"
    };
    let mut command = setup::wasm::command(&toolchain, subcommand)?;
    command.args([
        "--package",
        "tollkeeper-filter",
        "--package",
        "tollkeeper-filter-core",
        "--package",
        "tollkeeper-contract",
    ]);
    if subcommand == "clippy" {
        command.args(["--", "-D", "warnings"]);
    }
    Ok(command)
}

fn deny() -> Result<Command> {
    let mut command = Command::new(setup::deny::binary()?);
    // Advisories come from a repository elsewhere; what is checked here needs nothing but this one.
    command.current_dir(setup::root()).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    Ok(command)
}

fn tests(count: &mut Count, filter: Option<&str>) {
    // What tests start themselves is installed before, so that no test's time is spent on it.
    for (part, found) in [
        ("Redis", setup::redis::binary()),
        ("PostgreSQL", setup::postgres::binaries()),
    ] {
        if let Err(error) = found {
            count.failed.push(format!("set-up of {part}: {error:#}"));
        }
    }
    for package in PACKAGES {
        let mut command = setup::cargo();
        command.args(["test", "--locked", "--no-fail-fast", "--package", package]);
        count.tests(command, filter);
    }
    match whole_stack() {
        Ok(command) => count.tests(command, filter),
        Err(error) => count
            .failed
            .push(format!("set-up of the whole stack: {error:#}")),
    }
}

/// The harness's own tests and those through the whole stack, with everything built and installed before.
fn whole_stack() -> Result<Command> {
    setup::envoy::binary()?;
    setup::openai_sdk::python()?;
    setup::progress("Building the filter");
    let wasm = setup::wasm::build()?;
    // The tests of its package have built the program.
    let admin: PathBuf = setup::target().join("debug/tollkeeper-admin");
    let mut command = setup::cargo();
    command.args([
        "test",
        "--locked",
        "--no-fail-fast",
        "--package",
        "tollkeeper-tests",
    ]);
    command.env("TOLLKEEPER_FILTER", wasm);
    // Several of them wait for a real minute, so more of them than there are processors run side by side.
    command.env("RUST_TEST_THREADS", "6");
    if admin.is_file() {
        command.env("TOLLKEEPER_ADMIN", admin);
    }
    Ok(command)
}

impl Count {
    fn check(&mut self, name: &str, command: Result<Command>) {
        let done = command.and_then(|mut command| {
            println!("\n{name}: {}", shown(&command));
            let status = command
                .stdin(Stdio::null())
                .status()
                .with_context(|| format!("cannot start `{}`", shown(&command)))?;
            if status.success() {
                Ok(())
            } else {
                bail!("`{}` failed ({status})", shown(&command))
            }
        });
        match done {
            Ok(()) => self.passed += 1,
            Err(error) => {
                println!("{error:#}");
                self.failed.push(format!("check of {name}"));
            }
        }
    }

    fn tests(&mut self, mut command: Command, filter: Option<&str>) {
        if let Some(filter) = filter {
            command.arg(filter);
        }
        let shown = shown(&command);
        println!("\n{shown}");
        let started = clock::now();
        let before = self.failed.len();
        if let Err(error) = self.watch(&mut command) {
            println!("{error:#}");
            // A run that broke off without naming a test did not even start: it does not compile, or it crashed.
            if self.failed.len() == before {
                self.failed.push(format!("`{shown}`"));
            }
        }
        println!("({:.0} s)", started.elapsed().as_secs_f64());
    }

    fn watch(&mut self, command: &mut Command) -> Result<()> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            self.read(&line);
        }
        let status = child.wait()?;
        if status.success() {
            Ok(())
        } else {
            bail!("tests failed ({status})")
        }
    }

    /// Reads one line of a test binary's output.
    fn read(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            let passed = rest
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(" passed"));
            self.passed += passed
                .and_then(|number| number.parse::<usize>().ok())
                .unwrap_or(0);
        }
    }
}

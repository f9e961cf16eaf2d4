//! Finds the programs that the stack is made of, and installs what is missing: on a fresh Debian with only Rust, nothing has to be done by
//! hand.
//!
//! Each part decides how one program is had, cheapest way first; what was installed privately lies in `.tollkeeper/tools` of the
//! repository and is found again. Nothing is done twice, also when two commands run at once (a lock file). What cannot be had is an error
//! of one sentence with the command to run.

pub mod apt;
pub mod deny;
pub mod envoy;
pub mod openai_sdk;
pub mod postgres;
mod python;
pub mod redis;
pub mod schemathesis;
pub mod wasm;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// The repository's folder.
pub fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member).to_owned()
}

/// The folder for everything that the harness keeps: tools, data of `up`, data of tests.
pub fn private() -> PathBuf {
    root().join(".tollkeeper")
}

/// Cargo's target folder, as the running command has it.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A folder of privately installed tools; created where it is missing.
fn tools(name: &str) -> Result<PathBuf> {
    let folder = private().join("tools").join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Tells a person what takes time.
pub fn progress(sentence: &str) {
    // Nobody listening is no reason to stop.
    let _ = writeln!(std::io::stderr(), "· {sentence}");
}

/// Runs `install` while no other process installs.
fn alone<T>(install: impl FnOnce() -> Result<T>) -> Result<T> {
    let folder = private().join("tools");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join(".lock"))?;
    lock.lock().context("cannot lock .tollkeeper/tools")?;
    install()
}

/// The cargo that runs this, or the one on PATH.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

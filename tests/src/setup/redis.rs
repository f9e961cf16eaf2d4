//! Redis or Valkey: from PATH, else Debian's package.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{alone, apt};
use crate::process::find_program;

/// The server's binary.
pub fn binary() -> Result<PathBuf> {
    let found = || find_program("redis-server").or_else(|| find_program("valkey-server"));
    if let Some(server) = found() {
        return Ok(server);
    }
    alone(|| {
        if found().is_none() {
            apt::install(&["redis-server"], "redis-server")?;
        }
        found().context("redis-server is missing after its package was installed: put `redis-server` or `valkey-server` on PATH")
    })
}

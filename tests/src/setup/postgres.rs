//! PostgreSQL, which only tests need: from PATH, from Debian's folder for it, else Debian's package.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{alone, apt};
use crate::process::find_program;

/// The folder with `initdb` and `postgres`.
pub fn binaries() -> Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    alone(|| {
        if find().is_none() {
            apt::install(&["postgresql"], "PostgreSQL")?;
        }
        find().context("PostgreSQL is missing after its package was installed: put `initdb` and `postgres` on PATH")
    })
}

fn find() -> Option<PathBuf> {
    let whole =
        |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    if let Some(initdb) = find_program("initdb") {
        return initdb
            .parent()
            .filter(|folder| whole(folder))
            .map(Path::to_owned);
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    versions.into_iter().rev().find(|folder| whole(folder))
}

//! Private Python environments: some programs and the SDKs that tests use come as Python packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{alone, apt, progress, tools};
use crate::process::{find_program, run};

/// The environment `name` with exactly these packages (`name==version`); installed once, found again by a stamp of the list.
pub fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = tools(name)?;
    let stamp = folder.join("installed.txt");
    let wanted = packages.join("\n");
    let installed = || std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted);
    if installed() {
        return Ok(folder);
    }
    alone(|| {
        if !installed() {
            progress(&format!(
                "Installing {} into {}",
                packages.join(", "),
                folder.display()
            ));
            create(&folder)?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"])
                .args(packages);
            run(&mut pip)?;
            std::fs::write(&stamp, &wanted)?;
        }
        Ok(())
    })?;
    Ok(folder)
}

fn create(folder: &Path) -> Result<()> {
    let venv = || {
        let Some(python) = find_program("python3") else {
            bail!("python3 is not on PATH")
        };
        run(Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(folder))
    };
    // Debian's python3 comes without venv.
    if venv().is_err() {
        apt::install(&["python3", "python3-venv"], "Python with venv")?;
        venv()?;
    }
    Ok(())
}

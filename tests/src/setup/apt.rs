//! Debian's packages: installed where this user may, otherwise the sentence that says how.

use std::process::Command;

use anyhow::{Result, bail};

use super::progress;
use crate::process::{find_program, run};

/// Installs packages; `missing` names what they are needed for.
pub fn install(packages: &[&str], missing: &str) -> Result<()> {
    let by_hand = format!(
        "{missing} is missing: install it with `sudo apt-get install {}`",
        packages.join(" ")
    );
    let Some(apt) = find_program("apt-get") else {
        bail!("{missing} is missing: install it and put it on PATH")
    };
    let mut prefix = Vec::new();
    if !rustix::process::geteuid().is_root() {
        let Some(sudo) = find_program("sudo") else {
            bail!(by_hand)
        };
        prefix = vec![sudo.into_os_string(), "-n".into()];
    }
    prefix.push(apt.into_os_string());
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(&prefix[0]);
        command
            .args(&prefix[1..])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    progress(&format!("Installing {} with apt-get", packages.join(", ")));
    // Stale lists still install in most cases, so a failed update does not decide.
    let updated = apt(&["update", "-q"]);
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    match apt(&arguments).and(updated) {
        Ok(_) => Ok(()),
        Err(error) => bail!("{by_hand} ({error})"),
    }
}

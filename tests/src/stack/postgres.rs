//! A PostgreSQL of one's own, for tests.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{Process, run};
use crate::setup;

/// A running PostgreSQL; anybody on this machine may use it as `postgres`.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    process: Process,
}

impl Postgres {
    /// Starts one with its files in `data/postgres`.
    pub async fn start(data: &Path) -> Result<Self> {
        let binaries = setup::postgres::binaries()?;
        let folder = data.join("postgres");
        let log = data.join("logs/postgres.log");
        std::fs::create_dir_all(data.join("logs"))?;
        if !folder.join("PG_VERSION").is_file() {
            std::fs::create_dir_all(&folder)?;
            if rustix::process::geteuid().is_root() {
                run(Command::new("chown").arg("postgres").arg(&folder))?;
            }
            let mut init = unprivileged(&binaries.join("initdb"));
            init.args([
                "--auth",
                "trust",
                "--username",
                "postgres",
                "--encoding",
                "UTF8",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&folder);
            run(&mut init).context("PostgreSQL's initdb failed")?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let process = serve(&binaries, &folder, &log, port).await?;
        Ok(Self {
            binaries,
            folder,
            log,
            port,
            process,
        })
    }

    /// Starts it again on the same port, after it was stopped or killed.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = serve(&self.binaries, &self.folder, &self.log, self.port).await?;
        Ok(())
    }

    /// URL of the database that every new PostgreSQL has.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    // A change of user clears the signal of the parent's death: it is asked for here again.
    command
        .args([
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--init-groups",
            "--pdeathsig",
            "KILL",
            "--",
        ])
        .arg(program);
    command
}

async fn serve(binaries: &Path, folder: &Path, log: &Path, port: u16) -> Result<Process> {
    let mut command = unprivileged(&binaries.join("postgres"));
    command
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-k",
            "",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
            "-D",
        ])
        .arg(folder);
    let (process, mut lines) = Process::start("postgres", &command, log)?;
    let ready = |line: &str| {
        line.contains("database system is ready to accept connections")
            .then_some(())
    };
    process
        .line(&mut lines, Duration::from_mins(1), ready)
        .await?;
    Ok(process)
}

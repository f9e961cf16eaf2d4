//! Redis as the product wants it: append-only file synced every second, no eviction.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::Process;

/// A Redis of the stack's own.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    process: Process,
}

impl Redis {
    /// Starts one with its files in `data`; what an earlier one left there is loaded.
    pub async fn start(program: &Path, data: &Path) -> Result<Self> {
        let folder = data.join("redis");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let log = data.join("logs/redis.log");
        // Redis cannot choose a port itself: the kernel names one that is free, and another try follows if it was taken meanwhile.
        let mut tried = 0;
        loop {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match run(program, &folder, &log, port).await {
                Ok(process) => {
                    return Ok(Self {
                        program: program.to_owned(),
                        folder,
                        log,
                        port,
                        process,
                    });
                }
                Err(error) if tried == 3 => return Err(error),
                Err(_) => tried += 1,
            }
        }
    }

    /// Starts it again on the same port with the same files, after it was stopped or killed.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = run(&self.program, &self.folder, &self.log, self.port).await?;
        Ok(())
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

async fn run(program: &Path, folder: &Path, log: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(program);
    command
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--daemonize",
            "no",
            "--save",
            "",
        ])
        .args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--maxmemory-policy",
            "noeviction",
            "--dir",
        ])
        .arg(folder);
    let (process, mut lines) = Process::start("redis", &command, log)?;
    let ready = |line: &str| line.contains("Ready to accept connections").then_some(());
    process
        .line(&mut lines, Duration::from_secs(30), ready)
        .await?;
    Ok(process)
}

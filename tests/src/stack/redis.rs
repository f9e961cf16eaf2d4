//! Redis as the product wants it: append-only file synced every second, no eviction.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::client::raw;
use crate::process::Process;
use crate::random;

/// What Redis lets the filter do, as `envoy/README.md` tells administrators.
const FILTER: &str = "~tk:* resetchannels -@all +@read +@write +@scripting +time";

/// Name of the file of Redis's users.
const USERS: &str = "users.acl";

/// A Redis of the stack's own.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    filter_password: String,
    process: Process,
}

impl Redis {
    /// Starts one with its files in `data`; what an earlier one left there is loaded.
    pub async fn start(program: &Path, data: &Path) -> Result<Self> {
        let log = data.join("logs/redis.log");
        Self::start_in(program, data.join("redis"), log, random::hex(16)?).await
    }

    /// Starts a replica of it, which has the same users and everything that was written so far.
    pub async fn replica(&self) -> Result<Self> {
        let folder = self.folder.with_extension("replica");
        let log = self.log.with_extension("replica.log");
        let password = self.filter_password.clone();
        let replica = Self::start_in(&self.program, folder, log, password).await?;
        let follow = format!("REPLICAOF 127.0.0.1 {}", self.port);
        replica.asked(&follow, "+OK").await?;
        self.asked("WAIT 1 10000", ":1").await?;
        Ok(replica)
    }

    /// Replicates no more: what is written to its master from now on is lost with it.
    pub async fn promote(&self) -> Result<()> {
        self.asked("REPLICAOF NO ONE", "+OK").await
    }

    /// Takes the address of one that is gone.
    pub async fn replace(&mut self, gone: &Self) -> Result<()> {
        let port = format!("CONFIG SET port {}", gone.port);
        self.asked(&port, "+OK").await?;
        self.port = gone.port;
        Ok(())
    }

    async fn asked(&self, command: &str, expected: &str) -> Result<()> {
        let url = self.url().replace("redis://", "http://");
        let request = format!("{command}\r\nQUIT\r\n");
        let answer = raw(&url, request.as_bytes(), Duration::from_secs(15)).await?;
        ensure!(
            answer.starts_with(expected.as_bytes()),
            "{command}: {}",
            answer.escape_ascii()
        );
        Ok(())
    }

    async fn start_in(
        program: &Path,
        folder: PathBuf,
        log: PathBuf,
        filter_password: String,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        write_users(&folder, &filter_password)?;
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
                        filter_password,
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

    /// Its URL for the admin service, which may do everything.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its URL for Envoy, as a user with the filter's rights alone.
    pub fn filter_url(&self) -> String {
        let (password, port) = (&self.filter_password, self.port);
        format!("redis://tollkeeper-filter:{password}@127.0.0.1:{port}")
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Writes the file of Redis's users, which its owner alone can read.
fn write_users(folder: &Path, filter_password: &str) -> Result<()> {
    let path = folder.join(USERS);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "user default on nopass ~* &* +@all")?;
    writeln!(
        file,
        "user tollkeeper-filter on >{filter_password} {FILTER}"
    )?;
    Ok(())
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
        .arg(folder)
        .arg("--aclfile")
        .arg(folder.join(USERS));
    let (process, mut lines) = Process::start("redis", &command, log)?;
    let ready = |line: &str| line.contains("Ready to accept connections").then_some(());
    process
        .line(&mut lines, Duration::from_secs(30), ready)
        .await?;
    Ok(process)
}

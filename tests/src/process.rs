//! Child processes: started, watched, stopped. Every part of the stack that is a program of its own is one [`Process`].
//!
//! A child never outlives its starter: it is killed when its handle is dropped (also by a panic), and the kernel kills it when this
//! process dies in any other way (`setpriv --pdeathsig`, which every Debian has). A thread waits for each child from its start, so that its
//! end is known at once and its id is never used after it was reaped. What it prints goes to a log file and, line by line, to whoever
//! awaits a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::{mpsc, watch};

/// A running child with its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    alive: Arc<Mutex<bool>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

/// Lines that a child prints, on either stream, from its start.
#[derive(Debug)]
pub struct Lines(mpsc::UnboundedReceiver<String>);

impl Process {
    /// Starts `command`; everything it prints is added to the file `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Result<(Self, Lines)> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let (output, input) = std::io::pipe()?;
        let mut guarded = guarded(command);
        guarded
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0);

        let (lines, received) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        let alive = Arc::new(Mutex::new(true));
        let (started, start) = std::sync::mpsc::channel();
        let reaped = Arc::clone(&alive);
        // The kernel's parent is the thread that starts the child: it has to live as long as the child does.
        std::thread::Builder::new()
            .name(format!("wait {name}"))
            .spawn(move || {
                let child = guarded.spawn();
                // It holds the writing ends of the pipe.
                drop(guarded);
                match child {
                    Ok(child) => wait(child, &started, &reaped, &exited),
                    Err(error) => drop(started.send(Err(error))),
                }
            })?;
        let program = command.get_program().display().to_string();
        let pid = start
            .recv()?
            .with_context(|| format!("cannot start {program}"))?;
        std::thread::Builder::new()
            .name(format!("log {name}"))
            .spawn(move || copy(output, file, &lines))?;
        Ok((
            Self {
                name: name.to_owned(),
                pid,
                log: log.to_owned(),
                alive,
                exit,
            },
            Lines(received),
        ))
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Waits until a line is accepted by `pick`; an end of the child or of the time is an error that shows the log's end.
    pub async fn line<T>(
        &self,
        lines: &mut Lines,
        within: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let search = async {
            while let Some(line) = lines.0.recv().await {
                if let Some(found) = pick(&line) {
                    return Some(found);
                }
            }
            None
        };
        match tokio::time::timeout(within, search).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(anyhow!(
                "{} ended before it was ready\n{}",
                self.name,
                self.tail(30)
            )),
            Err(_) => Err(anyhow!(
                "{} was not ready within {within:?}\n{}",
                self.name,
                self.tail(30)
            )),
        }
    }

    /// Sends a signal to its whole process group; nothing if it has ended.
    pub fn signal(&self, signal: Signal) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if *alive {
            // The group may have ended between the check and here without being reaped: no harm.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    /// Stops it without letting it run on (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL);
        self.ended(Duration::from_secs(10)).await.map(drop)
    }

    /// Asks it to end (SIGTERM), kills it after `grace`, and waits until it is gone.
    pub async fn stop(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        if self.ended(grace).await.is_err() {
            self.kill().await?;
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub async fn ended(&self, within: Duration) -> Result<ExitStatus> {
        let mut exit = self.exit.clone();
        match tokio::time::timeout(within, exit.wait_for(Option::is_some)).await {
            Ok(Ok(status)) => status.ok_or_else(|| anyhow!("{} ended without a status", self.name)),
            Ok(Err(_)) => bail!("nobody waits for {} any more", self.name),
            Err(_) => bail!("{} still runs after {within:?}", self.name),
        }
    }

    /// The last lines of its log, indented, for messages.
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Envoy begins with pages of what it was built with.
        let noise = |line: &&str| line.contains("server.cc:467]") || line.contains("header map: ");
        let all: Vec<&str> = text.lines().filter(|line| !noise(line)).collect();
        let last = all
            .get(all.len().saturating_sub(lines)..)
            .unwrap_or_default();
        format!(
            "last lines of {}:\n  {}",
            self.log.display(),
            last.join("\n  ")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The same command, run so that the kernel kills it with its starter. Without `setpriv` (no Debian) it runs as it is.
fn guarded(command: &Command) -> Command {
    let mut guarded = match find_program("setpriv") {
        Some(setpriv) => {
            let mut guarded = Command::new(setpriv);
            guarded
                .args(["--pdeathsig", "KILL", "--"])
                .arg(command.get_program());
            guarded
        }
        None => Command::new(command.get_program()),
    };
    guarded.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    guarded
}

/// A program on PATH, or in the folders that Debian keeps for administrators.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn wait(
    mut child: Child,
    started: &std::sync::mpsc::Sender<std::io::Result<Pid>>,
    alive: &Mutex<bool>,
    exited: &watch::Sender<Option<ExitStatus>>,
) {
    let pid = Pid::from_child(&child);
    // The starter waits for this.
    let _ = started.send(Ok(pid));
    // Waits without reaping, so that the id stays the child's own until nobody can send it a signal any more.
    while let Err(error) = rustix::process::waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    ) {
        if error != rustix::io::Errno::INTR {
            break;
        }
    }
    *alive.lock().unwrap_or_else(PoisonError::into_inner) = false;
    exited.send_replace(Some(child.wait().unwrap_or_default()));
}

fn copy(output: std::io::PipeReader, mut file: File, lines: &mpsc::UnboundedSender<String>) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        // A full disk loses the log, not the child; a receiver that is gone found its line.
        let _ = file.write_all(&line);
        let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// Runs a command to its end with its output captured; an error shows the command and its output's end.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = guarded(command)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let all = format!("{text}{errors}");
    let lines: Vec<&str> = all.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n  ");
    bail!("`{shown}` failed ({}):\n  {last}", output.status)
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut text = command.get_program().display().to_string();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!(
            "tollkeeper-process-{name}-{}.log",
            std::process::id()
        ))
    }

    #[tokio::test]
    async fn a_line_is_seen_and_a_kill_ends_the_whole_group() {
        let (process, mut lines) = Process::start(
            "group",
            &shell("sleep 100 & echo child $!; wait"),
            &log("group"),
        )
        .unwrap();
        let child: i32 = process
            .line(&mut lines, Duration::from_secs(5), |line| {
                line.strip_prefix("child ").and_then(|pid| pid.parse().ok())
            })
            .await
            .unwrap();
        process.kill().await.unwrap();
        assert!(!process.is_running());
        // The pipe closes when the last of the group is gone.
        assert!(
            process
                .line(&mut lines, Duration::from_secs(5), |_| Some(()))
                .await
                .unwrap_err()
                .to_string()
                .contains("ended")
        );
        // A process closes what it has open before it is gone.
        let child = Pid::from_raw(child).unwrap();
        let stat = format!("/proc/{}/stat", child.as_raw_nonzero());
        let is_gone = || {
            rustix::process::test_kill_process(child).is_err()
                || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
        };
        let until = clock::now() + Duration::from_secs(5);
        while !is_gone() {
            assert!(clock::now() < until, "the group's child goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::remove_file(log("group")).unwrap();
    }

    #[tokio::test]
    async fn a_child_that_ends_early_is_an_error_that_shows_its_log() {
        let (process, mut lines) = Process::start(
            "early",
            &shell("echo no such option; exit 3"),
            &log("early"),
        )
        .unwrap();
        let error = process
            .line(&mut lines, Duration::from_secs(5), |line| {
                (line == "ready").then_some(())
            })
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such option"), "{error}");
        assert_eq!(
            process.ended(Duration::from_secs(5)).await.unwrap().code(),
            Some(3)
        );
        std::fs::remove_file(log("early")).unwrap();
    }
}

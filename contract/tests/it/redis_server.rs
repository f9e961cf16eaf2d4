//! A private Redis on a unix socket, and a connection to it that speaks the contract's own RESP.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use contract::resp::{Decoder, Reply, encode_command};

/// Runs until dropped.
pub struct RedisServer {
    child: Child,
    folder: PathBuf,
}

impl RedisServer {
    pub fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollkeeper-contract-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let spawn = |program: &str| {
            Command::new(program)
                .current_dir(&folder)
                .args([
                    "--port",
                    "0",
                    "--unixsocket",
                    "redis.sock",
                    "--save",
                    "",
                    "--daemonize",
                    "no",
                ])
                .args(options)
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut child = spawn("redis-server").or_else(|_| spawn("valkey-server")).expect(
            "these tests need redis-server or valkey-server in PATH: apt-get install redis-server",
        );
        let mut log = BufReader::new(child.stdout.take().expect("its log"));
        let mut line = String::new();
        while !line.contains("eady to accept connections") {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("its log") > 0,
                "redis-server ended at start"
            );
        }
        // The log must be read to the end, or the server would block on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, folder }
    }

    pub fn connect(&self) -> Connection {
        let socket = UnixStream::connect(self.folder.join("redis.sock")).expect("a connection");
        Connection {
            socket,
            decoder: Decoder::default(),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Best effort: the process may have ended, the folder may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
}

impl Connection {
    /// Sends commands that are already encoded and reads one reply for each.
    pub fn send(&mut self, commands: &[u8], replies: usize) -> Vec<Reply> {
        self.socket
            .write_all(commands)
            .expect("redis takes commands");
        let mut buffer = [0; 16_384];
        while self.decoder.waiting() < replies {
            let size = self.socket.read(&mut buffer).expect("redis answers");
            assert!(size > 0, "redis closed the connection");
            self.decoder
                .push(&buffer[..size])
                .expect("well-formed replies");
        }
        (0..replies)
            .filter_map(|_| self.decoder.next_reply())
            .collect()
    }

    pub fn command(&mut self, args: &[&[u8]]) -> Reply {
        let mut command = Vec::new();
        encode_command(&mut command, args);
        self.send(&command, 1).remove(0)
    }

    /// A command of words that must not fail.
    pub fn words(&mut self, line: &str) -> Reply {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let reply = self.command(&args);
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
        reply
    }

    pub fn text(&mut self, args: &[&[u8]]) -> String {
        match self.command(args) {
            Reply::Bulk(Some(text)) | Reply::Simple(text) => String::from_utf8(text).expect("text"),
            other => panic!("{other:?}"),
        }
    }

    pub fn number(&mut self, line: &str) -> i64 {
        match self.words(line) {
            Reply::Integer(number) => number,
            other => panic!("{line}: {other:?}"),
        }
    }
}

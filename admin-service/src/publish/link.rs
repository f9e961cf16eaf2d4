//! The way to Redis: one connection that is made again when it broke, the contract's scripts, and plain commands.
//!
//! Decides: time-outs, when a connection is given up, EVAL after `NOSCRIPT`. Leaves retrying to the caller: every loop here has its own
//! pace. Failure stance: an error is returned at once, a connection that failed is never used again, nothing is queued.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use contract::resp::{Reply, encode_command};
use contract::script::{By, Call, Script, ScriptError};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::sync::Mutex;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A batch of 500 records takes milliseconds; a Redis that is silent for this long is treated as gone.
const REPLY_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes sent before their replies are awaited, so that neither side buffers a whole reconcile.
const PIPELINE_BYTES: usize = 4 * 1024 * 1024;

/// A connection to Redis. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Link {
    client: Client,
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
}

/// Why Redis gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// No connection, or none in time.
    Unreachable(String),
    /// Redis answered an error.
    Refused(String),
    /// The answer is none that the call can have.
    Malformed(&'static str),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "Redis is unreachable: {why}"),
            Self::Refused(why) => write!(f, "Redis refused: {why}"),
            Self::Malformed(what) => write!(f, "Redis gave an unexpected answer to {what}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl fmt::Debug for Link {
    /// Without the address: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// A link to `redis://[user:password@]host:port[/db]` or `rediss://…`. Connects at the first call.
    pub fn new(url: &str) -> Result<Self, LinkError> {
        let client = Client::open(url).map_err(|error| LinkError::Refused(error.to_string()))?;
        Ok(Self {
            client,
            connection: Arc::new(Mutex::new(None)),
        })
    }

    /// One command.
    pub async fn command(&self, args: &[&[u8]]) -> Result<Reply, LinkError> {
        let mut command = Vec::new();
        encode_command(&mut command, args);
        let mut replies = self.send(&[command]).await?;
        replies.pop().ok_or(LinkError::Malformed("a command"))
    }

    /// Several commands, in order; an error reply is an element of the answer.
    pub async fn commands(&self, commands: &[Vec<&[u8]>]) -> Result<Vec<Reply>, LinkError> {
        let encoded = commands.iter().map(|args| {
            let mut command = Vec::new();
            encode_command(&mut command, args);
            command
        });
        self.send(&encoded.collect::<Vec<_>>()).await
    }

    /// One script call.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, LinkError> {
        let mut answers = self.calls(std::slice::from_ref(call)).await?;
        answers.pop().ok_or(LinkError::Malformed("a script"))
    }

    /// Several script calls, in order. Stops at the first that failed; earlier ones have run.
    pub async fn calls<C: Call>(&self, calls: &[C]) -> Result<Vec<C::Answer>, LinkError> {
        let commands = calls
            .iter()
            .map(|call| encoded(call, By::Hash))
            .collect::<Vec<_>>();
        let replies = self.send(&commands).await?;
        if replies.len() != calls.len() {
            return Err(LinkError::Malformed("scripts"));
        }
        let mut answers = Vec::with_capacity(calls.len());
        for (call, reply) in calls.iter().zip(&replies) {
            answers.push(match call.decode(reply) {
                Err(ScriptError::NoScript) => {
                    let again = self.send(&[encoded(call, By::Source)]).await?;
                    decoded(call, again.first())?
                }
                _ => decoded(call, Some(reply))?,
            });
        }
        Ok(answers)
    }

    /// Makes every script known to Redis.
    pub async fn load_scripts(&self) -> Result<(), LinkError> {
        let commands = contract::script::all()
            .map(|script: Script| vec![&b"SCRIPT"[..], b"LOAD", script.source().as_bytes()]);
        for reply in self.commands(&commands).await? {
            refuse_error(reply)?;
        }
        Ok(())
    }

    /// Sends commands in RESP, in parts, and collects the replies.
    pub async fn send(&self, commands: &[Vec<u8>]) -> Result<Vec<Reply>, LinkError> {
        let mut replies = Vec::with_capacity(commands.len());
        let mut rest = commands;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|command| {
                bytes += command.len();
                bytes <= PIPELINE_BYTES
            });
            let (part, after) = rest.split_at(fits.count().max(1));
            replies.extend(self.send_part(part).await?);
            rest = after;
        }
        Ok(replies)
    }

    async fn send_part(&self, commands: &[Vec<u8>]) -> Result<Vec<Reply>, LinkError> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command_of(command).ok_or(LinkError::Malformed("no command"))?);
        }
        let mut connection = self.connection().await?;
        let sent = connection
            .send_packed_commands(&pipeline, 0, commands.len())
            .await;
        match sent {
            Ok(values) => values.into_iter().map(reply_of).collect(),
            Err(error) if error.code().is_some() => Err(LinkError::Refused(error_text(&error))),
            Err(error) => {
                *self.connection.lock().await = None;
                Err(LinkError::Unreachable(error.to_string()))
            }
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, LinkError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(REPLY_TIMEOUT));
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| LinkError::Unreachable(error.to_string()))?;
        *slot = Some(made.clone());
        Ok(made)
    }
}

fn encoded(call: &impl Call, by: By) -> Vec<u8> {
    let mut command = Vec::new();
    call.encode(by, &mut command);
    command
}

fn decoded<C: Call>(call: &C, reply: Option<&Reply>) -> Result<C::Answer, LinkError> {
    let reply = reply.ok_or(LinkError::Malformed("a script"))?;
    call.decode(reply).map_err(|error| match error {
        ScriptError::Redis(text) => LinkError::Refused(text),
        ScriptError::NoScript | ScriptError::Malformed => LinkError::Malformed("a script"),
    })
}

/// The reply, unless it is an error.
pub fn refuse_error(reply: Reply) -> Result<Reply, LinkError> {
    match reply {
        Reply::Error(text) => Err(LinkError::Refused(
            String::from_utf8_lossy(&text).into_owned(),
        )),
        other => Ok(other),
    }
}

/// Takes a command in RESP apart, as the Redis client wants it.
fn command_of(mut resp: &[u8]) -> Option<Cmd> {
    let mut command = Cmd::new();
    let count = number_line(&mut resp, b'*')?;
    for _ in 0..count {
        let length = number_line(&mut resp, b'$')?;
        let (arg, after) = resp.split_at_checked(length)?;
        command.arg(arg);
        resp = after.strip_prefix(b"\r\n")?;
    }
    resp.is_empty().then_some(command)
}

fn number_line(resp: &mut &[u8], kind: u8) -> Option<usize> {
    let line = resp.strip_prefix(&[kind])?;
    let end = line.iter().position(|byte| *byte == b'\r')?;
    let (digits, after) = line.split_at_checked(end)?;
    *resp = after.strip_prefix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn reply_of(value: Value) -> Result<Reply, LinkError> {
    Ok(match value {
        Value::Nil => Reply::Bulk(None),
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(bytes) => Reply::Bulk(Some(bytes)),
        Value::SimpleString(text) => Reply::Simple(text.into_bytes()),
        Value::Okay => Reply::Simple(b"OK".to_vec()),
        Value::Array(items) => Reply::Array(Some(
            items.into_iter().map(reply_of).collect::<Result<_, _>>()?,
        )),
        Value::ServerError(error) => Reply::Error(error_text(&error.into()).into_bytes()),
        _ => return Err(LinkError::Malformed("a command")),
    })
}

/// The error as Redis wrote it: its code, then its text.
fn error_text(error: &RedisError) -> String {
    [error.code(), error.detail()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_resp_is_taken_apart_into_its_arguments() {
        let mut resp = Vec::new();
        encode_command(&mut resp, &[b"SET", b"a\r\nb", b""]);
        let command = command_of(&resp).unwrap();
        assert_eq!(command.get_packed_command(), resp);
        resp.push(b'x');
        assert!(command_of(&resp).is_none());
    }
}

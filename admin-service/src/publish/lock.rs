//! One service restores at a time. Only a saving of work: restoring is harmless to repeat, and nothing is loaded into an open partition.

use std::time::Duration;

use contract::redis_key;
use contract::resp::Reply;

use super::PublishError;
use super::link::{Link, LinkError, refuse_error};

/// How long the lock outlives a holder that vanished, ms.
const FOR_MS: &str = "15000";
const KEEP_EVERY: Duration = Duration::from_secs(4);
const KEEP: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0";
const GIVE_UP: &str =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

/// The lock, held.
pub(super) struct Lock<'a> {
    link: &'a Link,
    token: &'a str,
}

impl<'a> Lock<'a> {
    /// Takes the lock; `None` where another one has it.
    pub(super) async fn take(link: &'a Link, token: &'a str) -> Result<Option<Self>, LinkError> {
        let key = redis_key::restore_lock().as_bytes();
        let set = [
            &b"SET"[..],
            key,
            token.as_bytes(),
            b"NX",
            b"PX",
            FOR_MS.as_bytes(),
        ];
        let is_new = refuse_error(link.command(&set).await?)? == Reply::Simple(b"OK".to_vec());
        let lock = Self { link, token };
        // A lock of this very process was left by a restore that failed.
        let is_held = is_new || lock.keep().await?;
        Ok(is_held.then_some(lock))
    }

    /// Keeps the lock; ends when it is lost.
    pub(super) async fn lost(&self) -> PublishError {
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            match self.keep().await {
                Ok(true) => {}
                Ok(false) => {
                    let why = "another service took over the restoring of Redis";
                    return PublishError::Closed(why.to_owned());
                }
                Err(error) => return error.into(),
            }
        }
    }

    /// Keeps the lock for longer; `false`: it was lost.
    async fn keep(&self) -> Result<bool, LinkError> {
        self.script(KEEP).await
    }

    /// Gives the lock up.
    pub(super) async fn give_up(self) -> Result<(), LinkError> {
        self.script(GIVE_UP).await?;
        Ok(())
    }

    async fn script(&self, source: &str) -> Result<bool, LinkError> {
        let (key, token) = (redis_key::restore_lock().as_bytes(), self.token.as_bytes());
        let eval = [
            &b"EVAL"[..],
            source.as_bytes(),
            b"1",
            key,
            token,
            FOR_MS.as_bytes(),
        ];
        Ok(refuse_error(self.link.command(&eval).await?)? == Reply::Integer(1))
    }
}

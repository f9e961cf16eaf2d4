//! The database: SQLite or PostgreSQL behind one SQL text.
//!
//! Decides: how transactions begin, when one is tried again, what of a database error is "not now" (503). Leaves the statements to its
//! modules and their meaning to `domain`. Failure stance: a transaction that met a lock, a deadlock or a lost connection is repeated from its
//! start a bounded number of times; then the caller gets [`StoreError::Unavailable`], and nothing was written.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::clock::Clock;

pub mod access_groups;
pub mod audit;
pub mod audit_list;
pub mod budgets;
pub mod catalogue_rows;
mod conditions;
pub mod customers;
mod file;
pub mod idempotency;
pub mod invitations;
pub mod keys;
pub mod mail_events;
pub mod members;
pub mod models;
pub mod organization_members;
pub mod organizations;
pub mod outbox;
pub mod passwords;
pub mod publish_state;
pub mod publish_view;
pub mod refresh;
pub mod reports;
pub mod row;
pub mod sessions;
pub mod settings;
pub mod sign_in_attempts;
pub mod spend;
pub mod tags;
pub mod teams;
pub mod users;

/// How often a transaction that met another one is tried, if there is time.
const ATTEMPTS: u32 = 40;
/// How long a change waits for its turn, for a connection, for another one's lock; after that it is not tried again.
const WAIT: Duration = Duration::from_secs(5);
/// The same for each connection, as the engines are told.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                               PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON";
const POSTGRES_SETTINGS: &str = "SET lock_timeout = '5s'";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The database and the signals around it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
    clock: Clock,
    /// SQLite has one writer: writers of this process queue here instead of polling the file's lock.
    writer: Arc<Mutex<()>>,
    changed: watch::Sender<u64>,
    published: watch::Sender<u64>,
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Why the database did not answer.
#[derive(Debug)]
pub enum StoreError {
    /// Locked, gone, out of connections: the same call may work later.
    Unavailable(String),
    /// A row of the same key exists; the constraint's name or description.
    Duplicate(String),
    /// No room for what would be written: nothing was.
    Full(String),
    /// Another request of the same `Idempotency-Key` was first: nothing was written.
    Repeated,
    /// What is stored cannot be read as what it must be; says which value.
    Corrupt(String),
    /// Anything else the database said.
    Failed(sqlx::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the database is unavailable: {why}"),
            Self::Full(why) => write!(f, "the database is full: {why}"),
            Self::Repeated => f.write_str("a request of the same Idempotency-Key was first"),
            Self::Duplicate(what) => write!(f, "a row of the same key exists: {what}"),
            Self::Corrupt(what) => {
                write!(f, "the database holds a value that cannot be read: {what}")
            }
            Self::Failed(error) => write!(f, "the database refused: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Duplicate(database.message().to_owned())
            }
            sqlx::Error::Database(database) if is_full(database.code().as_deref()) => {
                Self::Full(database.message().to_owned())
            }
            sqlx::Error::Database(database) if is_passing(database.code().as_deref()) => {
                Self::Unavailable(database.message().to_owned())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error),
        }
    }
}

/// Whether an engine's error code says that there is no room: SQLite's FULL, `PostgreSQL`'s `disk_full` and `out_of_memory`. Trying again at once does not help.
fn is_full(code: Option<&str>) -> bool {
    matches!(code, Some("13" | "53100" | "53200"))
}

/// Whether an engine's error code says "not now": SQLite's BUSY, LOCKED, IOERR and CANTOPEN (with their extended forms), `PostgreSQL`'s serialisation failures,
/// deadlocks, connection and shut-down classes.
fn is_passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        return matches!(number & 0xff, 5 | 6 | 10 | 14);
    }
    matches!(
        code,
        "40001" | "40P01" | "55P03" | "53300" | "57P01" | "57P02" | "57P03"
    ) || code.starts_with("08")
}

/// An error of a transaction's work that knows whether repeating the work may help.
pub trait Passing: From<StoreError> {
    /// Whether the same work may succeed when repeated.
    fn is_passing(&self) -> bool;
}

impl Passing for StoreError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Work for one transaction, as a value: it may be applied several times, everything it did being undone between.
pub trait Change: Sync {
    /// What it answers.
    type Answer: Send;
    /// Why it did not happen; the transaction is rolled back.
    type Error: Passing + Send;

    /// Does the work in `tx`. It must not act on anything else.
    fn apply(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// An open transaction. Everything written in it is seen by others at once, or never.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    now_us: u64,
    outbox: Vec<String>,
    audited: bool,
}

impl Tx {
    /// The connection, for a statement.
    pub fn connection(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// The time of the transaction: the same for all its rows.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }
}

/// What a committed transaction left to be published.
#[derive(Debug)]
pub struct Committed<T> {
    /// What the work answered.
    pub value: T,
    /// Ids of the outbox rows that it wrote.
    pub outbox: Vec<String>,
}

impl Store {
    /// Opens `sqlite:path`, `sqlite::memory:` is refused (every connection would see another database), or `postgres://…`.
    pub async fn connect(url: &str, connections: u32, clock: Clock) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let engine = engine_of(url)?;
        let file = match engine {
            Engine::Sqlite => Some(Arc::new(file::File::of(url)?)),
            Engine::Postgres => None,
        };
        let options = AnyConnectOptions::from_str(&url_for(engine, url))?;
        let pool = AnyPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(WAIT)
            .before_acquire(move |connection, met| {
                let is_open = file.as_ref().is_none_or(|file| file.is_open_since(met.age));
                // SQLite takes a transaction back by itself where there is no room. The connection counts it as begun for ever, and no
                // other could begin on it.
                let is_free = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_open && is_free) })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    let settings = match engine {
                        Engine::Sqlite => SQLITE_SETTINGS,
                        Engine::Postgres => POSTGRES_SETTINGS,
                    };
                    connection.execute(settings).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self {
            pool,
            engine,
            clock,
            writer: Arc::new(Mutex::new(())),
            changed: watch::Sender::new(0),
            published: watch::Sender::new(0),
        })
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut done = MIGRATIONS.run(&self.pool).await;
        if done.is_err() && self.engine == Engine::Sqlite {
            // SQLite has no lock for this: another process may have made the same tables at the same moment, and is done now.
            done = MIGRATIONS.run(&self.pool).await;
        }
        done.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => StoreError::from(error),
            other => StoreError::Failed(sqlx::Error::Migrate(Box::new(other))),
        })
    }

    /// The clock that stamps rows.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which database it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// A connection for reading.
    pub async fn read(&self) -> Result<PoolConnection<Any>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.read().await?.ping().await?)
    }

    /// Applies a change in a transaction and commits it if it answers `Ok`.
    pub async fn write<C: Change>(&self, change: &C) -> Result<Committed<C::Answer>, C::Error> {
        let mut attempt = 1;
        let begun = tokio::time::Instant::now();
        loop {
            match self.try_write(change).await {
                Err(error)
                    if error.is_passing() && attempt < ATTEMPTS && begun.elapsed() < WAIT =>
                {
                    tracing::debug!(attempt, "a transaction met another one and is repeated");
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_write<C: Change>(&self, change: &C) -> Result<Committed<C::Answer>, C::Error> {
        let _turn = self.turn().await?;
        let begun = match self.engine {
            // Immediate: a deferred transaction that first reads and then writes fails when another one wrote in between.
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.pool.begin().await,
        };
        let inner = begun.map_err(StoreError::from)?;
        let mut tx = Tx {
            inner,
            now_us: self.clock.now_us(),
            outbox: Vec::new(),
            audited: false,
        };
        let value = change.apply(&mut tx).await?;
        let marked = tx.audited && idempotency::mark(&mut tx).await?;
        let Tx { inner, outbox, .. } = tx;
        inner.commit().await.map_err(StoreError::from)?;
        if marked {
            idempotency::committed();
        }
        if !outbox.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
        Ok(Committed { value, outbox })
    }

    async fn turn(&self) -> Result<Option<MutexGuard<'_, ()>>, StoreError> {
        match self.engine {
            Engine::Sqlite => match tokio::time::timeout(WAIT, self.writer.lock()).await {
                Ok(turn) => Ok(Some(turn)),
                Err(_) => Err(StoreError::Unavailable(
                    "another change takes too long".to_owned(),
                )),
            },
            Engine::Postgres => Ok(None),
        }
    }
}

/// How long to stand back before a repeat: random, so that those who met do not meet again, and longer each time, at most 64 ms.
fn pause(attempt: u32) -> Duration {
    let most = 1_u64 << attempt.min(6);
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    Duration::from_millis(u64::from(random) % most)
}

fn engine_of(url: &str) -> Result<Engine, StoreError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "postgres" | "postgresql" => Ok(Engine::Postgres),
        "sqlite" if !url.contains(":memory:") => Ok(Engine::Sqlite),
        _ => Err(StoreError::Failed(sqlx::Error::Configuration(
            "expected postgres://… or sqlite:<path of a file>".into(),
        ))),
    }
}

/// No connection makes SQLite's file: one that is gone while the service runs is not to be replaced by an empty one.
fn url_for(engine: Engine, url: &str) -> String {
    match engine {
        Engine::Sqlite if !url.contains("mode=") => {
            format!("{url}{}mode=rw", if url.contains('?') { '&' } else { '?' })
        }
        Engine::Sqlite | Engine::Postgres => url.to_owned(),
    }
}

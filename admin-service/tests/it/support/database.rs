//! A database of a test's own: a file, or one in the PostgreSQL that all tests of this binary share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::sync::OnceCell;
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::store::Store;
use tollkeeper_tests::stack::Postgres;

use super::small_disk::SmallDisk;

/// An empty database with the schema.
pub struct Database {
    pub store: Store,
    pub url: String,
    folder: Option<TempDir>,
}

impl Database {
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::open(url, Some(folder)).await
    }

    pub async fn postgres() -> Self {
        static SERVER: OnceCell<Postgres> = OnceCell::const_new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let start = || async {
            Postgres::start(&server_folder())
                .await
                .expect("PostgreSQL starts")
        };
        let server = SERVER.get_or_init(start).await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        sqlx::any::install_default_drivers();
        let mut admin = <sqlx::AnyConnection as sqlx::Connection>::connect(&server.url())
            .await
            .expect("PostgreSQL answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create)
            .execute(&mut admin)
            .await
            .expect("a database");
        let url = server.url();
        let (base, _) = url.rsplit_once('/').expect("a URL with a database");
        Self::open(format!("{base}/{name}"), None).await
    }

    /// A PostgreSQL of this test's own, that it may stop. It ends when it is dropped.
    pub async fn own_postgres() -> (Self, Postgres) {
        let folder = TempDir::new().expect("a temporary folder");
        open_to_all(folder.path());
        let server = Postgres::start(folder.path())
            .await
            .expect("PostgreSQL starts");
        (Self::open(server.url(), Some(folder)).await, server)
    }

    /// Another empty database of the same engine, its tables on a disk of their own, and the server that it has to itself, if any.
    pub async fn on(&self, disk: &SmallDisk) -> (Self, Option<Postgres>) {
        if self.url.starts_with("sqlite") {
            let url = format!("sqlite:{}", disk.path().join("test.db").display());
            return (Self::at(url).await, None);
        }
        let (database, server) = Self::own_postgres_on(disk.path()).await;
        (database, Some(server))
    }

    /// A PostgreSQL of this test's own, on a disk of its own what it writes ahead.
    pub async fn own_postgres_writing_ahead_on(disk: &SmallDisk) -> (Self, Postgres) {
        let folder = TempDir::new().expect("a temporary folder");
        open_to_all(folder.path());
        let mut server = Postgres::start(folder.path())
            .await
            .expect("PostgreSQL starts");
        let grace = std::time::Duration::from_secs(20);
        server.process().stop(grace).await.expect("it ends");
        let (log, moved) = (
            folder.path().join("postgres/pg_wal"),
            disk.path().join("pg_wal"),
        );
        succeeds(Command::new("cp").arg("-a").arg(&log).arg(&moved));
        std::fs::remove_dir_all(&log).expect("moved");
        std::os::unix::fs::symlink(&moved, &log).expect("a link");
        server.restart().await.expect("PostgreSQL starts");
        (Self::open(server.url(), Some(folder)).await, server)
    }

    async fn own_postgres_on(disk: &Path) -> (Self, Postgres) {
        let (first, server) = Self::own_postgres().await;
        let space = disk.join("tables");
        std::fs::create_dir(&space).expect("a folder");
        succeeds(Command::new("chown").arg("postgres").arg(&space));
        let mut admin = <sqlx::AnyConnection as sqlx::Connection>::connect(&first.url)
            .await
            .expect("PostgreSQL answers");
        let tables = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
        for statement in [tables, "CREATE DATABASE small TABLESPACE small".to_owned()] {
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .expect("a database");
        }
        let (base, _) = first.url.rsplit_once('/').expect("a URL with a database");
        let database = Self::open(format!("{base}/small"), first.folder).await;
        (database, server)
    }

    /// An empty database there.
    pub async fn at(url: String) -> Self {
        Self::open(url, None).await
    }

    /// Another empty database of the same engine.
    pub async fn sibling(&self) -> Self {
        if self.url.starts_with("sqlite") {
            Self::sqlite().await
        } else {
            Self::postgres().await
        }
    }

    async fn open(url: String, folder: Option<TempDir>) -> Self {
        let store = Store::connect(&url, 8, Clock::System)
            .await
            .expect("the database opens");
        store.migrate().await.expect("the schema");
        Self { store, url, folder }
    }
}

fn succeeds(command: &mut Command) {
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// A temporary folder is its owner's only, and PostgreSQL may run as another user.
fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, all).expect("permissions");
}

/// The server's folder. Nothing runs at this process's end that could remove it: the next run does.
fn server_folder() -> PathBuf {
    const NAME: &str = "tollkeeper-admin-tests-";
    let all = std::env::temp_dir();
    for entry in std::fs::read_dir(&all)
        .expect("the temporary folder")
        .flatten()
    {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another run may be removing the same one.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let folder = all.join(format!("{NAME}{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs a test on both databases: `on_both!(its_name, body)` with `async fn body(database: Database)`.
#[macro_export]
macro_rules! on_both {
    ($name:ident, $body:ident) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$body($crate::support::database::Database::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgresql() {
                super::$body($crate::support::database::Database::postgres().await).await;
            }
        }
    };
}

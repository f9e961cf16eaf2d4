//! SQLite's file: whether it is still the one that a connection has open.
//!
//! Decides: a file that was taken away, or replaced by another, is not the database any more. SQLite itself goes on writing to a file that
//! has no name, and what it writes there is lost. Failure stance: connections that were opened before are closed; new ones find no file,
//! which is "not now", until there is one.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::time::Instant;

use super::StoreError;

/// The file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What is under its name: device and inode, seen there since.
#[derive(Debug)]
struct Known {
    id: Option<(u64, u64)>,
    since: Instant,
}

impl File {
    /// The file of a URL, made where there is none.
    pub(super) fn of(url: &str) -> Result<Self, StoreError> {
        let path = SqliteConnectOptions::from_str(url)?
            .get_filename()
            .to_owned();
        if !url.contains("mode=") {
            let mut open = std::fs::OpenOptions::new();
            open.create(true).append(true);
            open.open(&path).map_err(|error| {
                StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
            })?;
        }
        let known = Known {
            id: id(&path),
            since: Instant::now(),
        };
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    /// Whether a connection that was opened this long ago has the file open that is there now.
    pub(super) fn is_open_since(&self, age: Duration) -> bool {
        let found = id(&self.path);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.id != found {
            *known = Known {
                id: found,
                since: Instant::now(),
            };
        }
        found.is_some() && age <= known.since.elapsed()
    }
}

fn id(path: &std::path::Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

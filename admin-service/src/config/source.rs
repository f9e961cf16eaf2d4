//! The configuration file, watched: it is read again when it was replaced or written.

use std::path::PathBuf;
use std::time::SystemTime;

use super::{Config, ConfigError, Environment, Options};

/// A file and what it was read with.
#[derive(Clone)]
pub struct FileSource {
    path: PathBuf,
    options: Options,
    environment: Environment,
    seen: Option<(SystemTime, u64)>,
}

impl FileSource {
    /// The file that `options` names.
    pub(super) fn new(options: &Options, environment: &Environment) -> Option<Self> {
        let path = options.config.clone()?;
        let mut source = Self {
            path,
            options: options.clone(),
            environment: environment.clone(),
            seen: None,
        };
        source.seen = source.stamp();
        Some(source)
    }

    /// What the file says now, if it is another one than at the last call. A file that is gone for a moment, while it is replaced, is no change.
    pub fn changed(&mut self) -> Option<Result<Config, ConfigError>> {
        let stamp = self.stamp()?;
        if self.seen == Some(stamp) {
            return None;
        }
        self.seen = Some(stamp);
        Some(Config::load(&self.options, self.environment.clone()))
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let file = std::fs::metadata(&self.path).ok()?;
        Some((file.modified().ok()?, file.len()))
    }
}

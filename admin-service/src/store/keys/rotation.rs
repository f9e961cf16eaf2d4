//! When a key's value is replaced, and how often it was.

use contract::virtual_key::VirtualKey;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::KeyRow;
use crate::domain::budget_window::duration_us;
use crate::store::StoreError;
use crate::store::outbox::signed;
use crate::store::row::{self, Statement};

/// The columns about rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// LiteLLM's `auto_rotate`; `None` until somebody said.
    pub auto: Option<bool>,
    /// LiteLLM's `rotation_interval`, as it was sent.
    pub interval: Option<String>,
    /// How often the value was replaced.
    pub count: u64,
    /// When it last was, microseconds since the epoch.
    pub last_at: Option<u64>,
    /// When the service replaces it next.
    pub next_at: Option<u64>,
    /// Nobody has seen the value: the service replaced the former one by itself.
    pub unclaimed: bool,
}

impl Rotation {
    /// The columns, in the order of [`Rotation::bind`].
    pub(super) const NAMES: [&'static str; 6] = [
        "auto_rotate",
        "rotation_interval",
        "rotation_count",
        "last_rotation_at",
        "key_rotation_at",
        "unclaimed",
    ];

    pub(super) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            auto: row::flag(row, "auto_rotate")?,
            interval: row.try_get("rotation_interval")?,
            count: row::time(row, "rotation_count")?,
            last_at: row::number(row, "last_rotation_at")?,
            next_at: row::number(row, "key_rotation_at")?,
            unclaimed: row::flag(row, "unclaimed")?.unwrap_or(false),
        })
    }

    pub(super) fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(row::bit(self.auto))
            .bind(self.interval.clone())
            .bind(signed(self.count))
            .bind(self.last_at.map(signed))
            .bind(self.next_at.map(signed))
            .bind(i16::from(self.unclaimed))
    }
}

impl Rotation {
    /// The next replacement, an interval after `now_us`; none unless it was asked for.
    pub fn schedule(&mut self, now_us: u64) {
        let every = self.interval.as_deref().and_then(duration_us);
        let every = every.filter(|_| self.auto == Some(true));
        self.next_at = every.map(|every| now_us.saturating_add(every));
    }
}

impl KeyRow {
    /// Gives the key another value. Its id stays, and with it everything that is counted.
    pub fn replace_value(&mut self, secret: &VirtualKey, now_us: u64) {
        self.token = secret.hash().to_string();
        self.key_name = secret.display();
        // Taking up the value that the service made is the end of that replacement, not another one.
        if !self.rotation.unclaimed {
            self.rotation.count = self.rotation.count.saturating_add(1);
            self.rotation.last_at = Some(now_us);
        }
        self.rotation.unclaimed = false;
        self.rotation.schedule(now_us);
    }
}

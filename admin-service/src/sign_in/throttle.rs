//! What throttles guessing of passwords: attempts per source address and per name, counted in the database, so that all replicas count
//! together.
//!
//! An attempt is counted before its password is looked at, and taken back when it succeeds: many at once are not more than one after another.
//! A count starts with its first attempt and is over a window later; the failure that reaches the limit blocks for a while, and nothing that
//! is refused meanwhile makes that longer. Failure stance: without the database nobody signs in.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::address::Range;
use super::secrets::hexadecimal;
use crate::error::{ApiError, SignInRefusal};
use crate::store::sign_in_attempts::{self as attempts, Limit};
use crate::store::users::folded;
use crate::store::{Change, Store, Tx};

/// How many failures are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From one address. For one name it is one more than half of it.
    pub per_source: u64,
    /// Other numbers for some addresses.
    pub overrides: Vec<(Range, u64)>,
    /// How long failures count, microseconds.
    pub window_us: u64,
    /// For how long too many block, microseconds.
    pub block_us: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            per_source: 10,
            overrides: Vec::new(),
            window_us: 60_000_000,
            block_us: 300_000_000,
        }
    }
}

impl Rules {
    fn of_source(&self, source: &IpAddr) -> u64 {
        let named = self.overrides.iter().filter(|(range, _)| range.has(source));
        named
            .max_by_key(|(range, _)| range.bits())
            .map_or(self.per_source, |(_, most)| *most)
    }

    fn limit(&self, scope: String, most: u64) -> Limit {
        Limit {
            scope,
            most,
            window_us: self.window_us,
            block_us: self.block_us,
        }
    }
}

/// One attempt that was let through. Tell how it ended: an attempt of which nothing is told counts until its window is over.
#[derive(Debug)]
pub struct Attempt {
    limits: Vec<Limit>,
}

impl Attempt {
    /// Lets an attempt through, or refuses it: `name` is who somebody says they are, none where a link says it.
    pub async fn begin(
        store: &Store,
        rules: &Rules,
        source: IpAddr,
        name: Option<&str>,
    ) -> Result<Self, ApiError> {
        let mut limits = vec![rules.limit(format!("source:{source}"), rules.of_source(&source))];
        if let Some(name) = name {
            limits.push(rules.limit(name_scope(name), rules.per_source / 2 + 1));
        }
        store.write(&Begin { limits: &limits }).await?;
        Ok(Self { limits })
    }

    /// It failed.
    pub async fn failed(self, store: &Store) -> Result<(), ApiError> {
        store
            .write(&End {
                limits: &self.limits,
                failed: true,
            })
            .await?;
        Ok(())
    }

    /// It did not fail.
    pub async fn succeeded(self, store: &Store) -> Result<(), ApiError> {
        store
            .write(&End {
                limits: &self.limits,
                failed: false,
            })
            .await?;
        Ok(())
    }
}

/// A name is kept hashed: people type passwords into that field.
fn name_scope(name: &str) -> String {
    let digest = Sha256::digest(folded(name).as_bytes());
    format!("name:{}", hexadecimal(&digest))
}

struct Begin<'a> {
    limits: &'a [Limit],
}

impl Change for Begin<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let mut wait_us = None;
        for limit in self.limits {
            wait_us = wait_us.max(attempts::begin(tx, limit).await?);
        }
        match wait_us {
            None => Ok(()),
            // What is refused is not counted: the transaction is rolled back.
            Some(wait_us) => Err(SignInRefusal::SignInsBlocked {
                seconds: wait_us.div_ceil(1_000_000).max(1),
            }
            .into()),
        }
    }
}

struct End<'a> {
    limits: &'a [Limit],
    failed: bool,
}

impl Change for End<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        for limit in self.limits {
            if self.failed {
                attempts::failed(tx, limit).await?;
            } else {
                attempts::take_back(tx, limit).await?;
            }
        }
        Ok(())
    }
}

//! Which creating requests were done already.
//!
//! Decides: a request that carries an `Idempotency-Key` marks the transaction in which it changes something, so that the mark and the change are
//! there together or not at all; of several such requests one commits. Leaves to the router what is asked and answered. Failure stance: an answer
//! that could not be kept stays a mark without answer; a repeat is refused then, and nothing is made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Row;

use super::outbox::{signed, unsigned};
use super::{Change, Store, StoreError, Tx};

/// How long a repeat gets the same answer, in microseconds: 24 hours.
const KEPT_US: u64 = 24 * 60 * 60 * 1_000_000;

tokio::task_local! {
    static CLAIM: Claim;
}

/// What a request claims: its caller, route and key as one hash, and the hash of everything it says.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Of the caller, the route and the key.
    pub id: String,
    /// Of the whole request.
    pub fingerprint: String,
    made: Arc<AtomicBool>,
}

impl Claim {
    /// A claim that nothing was done for yet.
    pub fn new(id: String, fingerprint: String) -> Self {
        Self {
            id,
            fingerprint,
            made: Arc::default(),
        }
    }

    /// Runs `work`; the first change that it commits carries the mark. Says whether there was one.
    pub async fn over<F: Future>(self, work: F) -> (F::Output, bool) {
        let made = Arc::clone(&self.made);
        let done = CLAIM.scope(self, work).await;
        (done, made.load(Ordering::Acquire))
    }
}

/// What is known of a request that was done before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The hash of everything it said.
    pub fingerprint: String,
    /// Its answer, sealed; none as long as it is being answered, or where it was lost.
    pub answer: Option<String>,
}

/// Marks the transaction if it belongs to a request with a claim. Says whether it does.
pub(super) async fn mark(tx: &mut Tx) -> Result<bool, StoreError> {
    let Ok(claim) = CLAIM.try_with(Clone::clone) else {
        return Ok(false);
    };
    if claim.made.load(Ordering::Acquire) {
        return Ok(false);
    }
    let now_us = tx.now_us();
    sqlx::query("DELETE FROM idempotent_answers WHERE id = $1 AND expires_at <= $2")
        .bind(claim.id.clone())
        .bind(signed(now_us))
        .execute(tx.connection())
        .await?;
    let marked = sqlx::query(
        "INSERT INTO idempotent_answers (id, fingerprint, expires_at) VALUES ($1, $2, $3)",
    )
    .bind(claim.id)
    .bind(claim.fingerprint)
    .bind(signed(now_us.saturating_add(KEPT_US)))
    .execute(tx.connection())
    .await;
    match marked.map_err(StoreError::from) {
        Ok(_) => Ok(true),
        Err(StoreError::Duplicate(_)) => Err(StoreError::Repeated),
        Err(error) => Err(error),
    }
}

/// Notes that the marked transaction was committed.
pub(super) fn committed() {
    // Outside a claim there is nothing to note.
    let _ = CLAIM.try_with(|claim| claim.made.store(true, Ordering::Release));
}

/// What is known of a request of this id.
pub async fn find(store: &Store, id: &str) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query(
        "SELECT fingerprint, answer FROM idempotent_answers WHERE id = $1 AND expires_at > $2",
    )
    .bind(id.to_owned())
    .bind(signed(store.clock().now_us()))
    .fetch_optional(&mut *store.read().await?)
    .await?;
    Ok(match row {
        None => None,
        Some(row) => Some(Kept {
            fingerprint: row.try_get("fingerprint")?,
            answer: row.try_get("answer")?,
        }),
    })
}

/// Keeps the answer of a marked request.
pub async fn keep(store: &Store, id: &str, sealed: &str) -> Result<(), StoreError> {
    store.write(&Keep { id, sealed }).await?;
    Ok(())
}

struct Keep<'a> {
    id: &'a str,
    sealed: &'a str,
}

impl Change for Keep<'_> {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        sqlx::query("UPDATE idempotent_answers SET answer = $1 WHERE id = $2")
            .bind(self.sealed.to_owned())
            .bind(self.id.to_owned())
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

/// Forgets what is older than a day.
pub async fn forget_old(store: &Store) -> Result<(), StoreError> {
    let oldest = sqlx::query("SELECT MIN(expires_at) AS at FROM idempotent_answers")
        .fetch_one(&mut *store.read().await?)
        .await?;
    let oldest = oldest.try_get::<Option<i64>, _>("at")?.map(unsigned);
    if oldest.is_some_and(|at| at <= store.clock().now_us()) {
        store.write(&ForgetOld).await?;
    }
    Ok(())
}

struct ForgetOld;

impl Change for ForgetOld {
    type Answer = ();
    type Error = StoreError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now_us = tx.now_us();
        sqlx::query("DELETE FROM idempotent_answers WHERE expires_at <= $1")
            .bind(signed(now_us))
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

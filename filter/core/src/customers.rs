//! The customers (end users) that the worker knows, at the revisions they were read at. Nothing is read ahead: a customer who is not known is
//! taken for one without a record, and an admission evaluated with a wrong revision is told the record instead of being admitted.
//!
//! Failure stance: a record that is gone although it cannot have been deleted that long ago is 503, never "no record".

use std::rc::Rc;

use contract::id::Rev;
use contract::records::{CustomerRecord, Record, Versioned};
use contract::redis_key::RecordId;

use crate::cache::Generations;
use crate::clock::Now;

/// Customers kept, at most twice as many.
const CUSTOMERS: usize = 4_096;
/// What a deletion leaves in Redis stays at least this long, ms.
const TOMBSTONE_MS: u64 = 86_400_000;

/// What is known about a customer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The revision to admit with; zero where there is no record.
    pub rev: Rev,
    /// `None` where there is no record, or only what a deletion left.
    pub record: Option<Rc<CustomerRecord>>,
    since: Now,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Older than what was seen.
    WentBack,
    /// No customer's record.
    Garbage,
}

/// The customers of one worker.
#[derive(Debug)]
pub(crate) struct Customers(Generations<RecordId, Known>);

impl Default for Customers {
    fn default() -> Self {
        Self(Generations::new(CUSTOMERS))
    }
}

impl Customers {
    /// What is known.
    pub(crate) fn get(&mut self, id: &RecordId) -> Known {
        self.0.get(id).cloned().unwrap_or_default()
    }

    /// Takes what Redis holds now; answers its revision.
    pub(crate) fn learn(
        &mut self,
        id: &RecordId,
        stored: Option<&[u8]>,
        now: Now,
    ) -> Result<Rev, Unusable> {
        let seen = self.0.get(id);
        let Some(stored) = stored else {
            // A record that lived within a tombstone's time was not deleted and forgotten since.
            if seen
                .is_some_and(|seen| seen.record.is_some() && now.since(seen.since) < TOMBSTONE_MS)
            {
                return Err(Unusable::WentBack);
            }
            self.0.remove(id);
            return Ok(Rev::default());
        };
        let read = Versioned::<Record>::decode(stored).ok_or(Unusable::Garbage)?;
        if seen.is_some_and(|seen| seen.rev > read.rev) {
            return Err(Unusable::WentBack);
        }
        let record = match read.value {
            Record::Customer(record) => Some(Rc::new(record)),
            Record::Deleted => None,
            _ => return Err(Unusable::Garbage),
        };
        let rev = read.rev;
        let since = now;
        self.0.insert(id.clone(), Known { rev, record, since });
        Ok(rev)
    }
}
